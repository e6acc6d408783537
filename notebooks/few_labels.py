# %% [markdown]
# # How many labels does a direction need?
#
# In the paper {cite}`moon2024feature` thirteen people label 500 samples each, and a model unlearns
# with the labels of each. Nobody labels here. A *simulated* labeller takes the place of a person:
# it sees samples of its own, labels them as classifier A does, and turns some labels round. A
# person may err otherwise, and so this study says how many labels are enough and how many errors
# are too many, and not how people label. {doc}`../feature_unlearning` has the method.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
alpha: float = 1.0  # weight of unlearning against reconstruction
lr: float = 0.001  # learning rate of Adam at the first step; it falls to 0
batch_size: int = 64  # latents a step
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
labellers: int = 0  # simulated ones, each with samples of its own
steps: int = 0  # of unlearning
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import few_labels_plots, plots, tables
from forgetting.book import run as runs
from forgetting.experiments import few_labels, grading
from forgetting.experiments.context import Parameters as Common
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.sample_fidelity import FidelityReference, fid_metrics
from forgetting.foundation.progress import tracked
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter

plots.use_style()


class Parameters(UnlearningConfig, Common):
    feature: str
    model: str
    labellers: int = Field(ge=2, le=100)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {"labellers": 2, "steps": 2, "n_samples": 300},
    "default": {"labellers": 5, "steps": 300, "n_samples": 5000},
}
run = runs.begin("few_labels", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## What they label, and what counts
#
# Classifier A marks a tenth of the samples, those with the highest score, or those of which it is
# surer than not. The measurement, or classifier B, grades fresh samples and has no part in the
# labels.

# %%
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
models = {"original": original, "retrained": task.retrained}
graded = grading.grade_samples(
    evaluator, {name: model for name, model in models.items() if model is not None}, fresh
)
reference = FidelityReference.of(task)
metrics = fid_metrics(reference, graded)
for name, samples in graded.items():
    metrics |= samples.prevalence.metrics(f"prevalence_{grading.record_key(name)}")
    print(f"{name}: {samples.prevalence.share:.1%} have the feature")

# %% [markdown]
# ## Each labeller, each number of labels
#
# Every row has a direction and an unlearned model of its own. The cosine is that to the direction
# of the same labeller's 5,000 labels without an error.

# %%
rows = []
labellers = [few_labels.Labeller.of(run, task, number) for number in range(p.labellers)]
pairs = [(labeller, case) for labeller in labellers for case in few_labels.CASES]
with run.timed("forgetting"):
    for labeller, case in tracked(pairs, "unlearning"):
        labelled = labeller.labelled(case)
        direction = find_direction(labelled)
        whole = find_direction(labeller.labelled(few_labels.Case(max(few_labels.NUMBERS))))
        unlearned = unlearn_feature(original, direction, p, trainable=task.trainable)
        tuned = {"unlearned": unlearned.model, "filter": LatentFilter(original, direction)}
        tuned = grading.grade_samples(evaluator, tuned, fresh)
        row = {"case": case.key, "positive": len(labelled.positive)}
        row["n"] = len(labelled.positive) + len(labelled.negative)
        row["cosine"] = float(torch.cosine_similarity(direction.vector, whole.vector, dim=0))
        row |= fid_metrics(reference, tuned)
        for name, samples in tuned.items():
            row |= samples.prevalence.metrics(f"prevalence_{grading.record_key(name)}")
        rows.append(row)
outcomes = pd.DataFrame(rows)

# %% [markdown]
# Shares and FID are means over the labellers with 95 % intervals. Of the other columns the least
# and the greatest value stand beside the mean.

# %% tags=["hide-input", "figure"] caption="Directions of few and of wrong labels"
parts = {case.key: outcomes[outcomes.case == case.key] for case in few_labels.CASES}
summaries = {
    tables.extremes: {
        "n": ("labels", "{:.0f}"),
        "positive": ("marked", "{:.0f}"),
        "cosine": ("cosine", "{:.2f}"),
    },
    tables.over_runs: {
        "prevalence_after": ("unlearned", "{:.1%}"),
        "prevalence_filter": ("latent filter", "{:.1%}"),
    },
    tables.over_seeds: {"fid_after": ("FID, unlearned", "{:.1f}")},
}
shown = []
for of, columns in summaries.items():
    columns_shown, figures = tables.summarise(parts, columns, of)
    shown.append(columns_shown)
    metrics |= figures
pd.concat(shown, axis=1)

# %% tags=["hide-input", "figure"] alt="Shares against the number of labels, and of wrong ones"
few_labels_plots.shares_by_labels(metrics)
plt.show()

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in few_labels.CASES:
    print(f"{case.key:14} {metrics[f'prevalence_after_{case.key}']:6.2%}")
