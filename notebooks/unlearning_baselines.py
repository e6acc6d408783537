# %% [markdown]
# # Ways to unlearn a feature
#
# Feature unlearning {cite}`moon2024feature` stands beside the other things that can be done to a
# generator whose data is gone. All have one budget: the same direction, as many steps, as large
# batches, and as many settings to choose from. {doc}`../feature_unlearning` describes each of
# them, and tells why fine-tuning on what is to be retained is not among them. Unlearning in rounds
# has no such budget. It goes on until the feature is gone, and chooses its settings itself.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.001  # learning rate of Adam at the first step; it falls to 0
classifier_lr: float = (
    0.0001  # the same for methods that follow a classifier, which drift endlessly
)
elastic: float = 1.0  # weight of Selective Amnesia's elastic weights
tries: int = 0  # settings of each method: that rate or weight times 1, 1/3, 3, 1/9, 9
rounds: int = 0  # of unlearning until the feature is gone, at most
batch_size: int = 64  # latents a step
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of every method, and of each round
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.book import run as runs
from forgetting.experiments import grading, unlearning, unlearning_methods
from forgetting.experiments.compared_methods import compared_methods, untuned_models
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    fid_metrics_by_b,
    outside_fid_metrics,
)
from forgetting.experiments.setting_search import ENOUGH, SettingScorer, search_setting
from forgetting.methods.direction import find_direction

plots.use_style()


class Parameters(unlearning_methods.RoundParameters):
    classifier_lr: float = Field(gt=0, le=1)
    elastic: float = Field(gt=0)
    tries: int = Field(ge=1, le=5)


PRESETS = {
    "smoke": unlearning.PRESETS["smoke"] | {"steps": 5, "tries": 2},
    "default": unlearning.PRESETS["default"] | {"tries": 5},
}
run = runs.begin("unlearning_baselines", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
labelled = unlearning.collect_task_latents(run, task, p.n_collected)
direction = find_direction(labelled)
print(f"{p.feature} of {p.model}, agreement of two halves {labelled.agreement():.3f}")

# %% [markdown]
# ## Forget
#
# Each method is tried with as many settings: its learning rate, or Selective Amnesia's weight,
# times 1, 1/3, 3, 1/9 and 9. Some settings take away at least two thirds of the feature, by
# classifier A. Of these, that one is chosen whose samples are nearest to the original's own
# without the feature, by FID on classifier A's features. Where no setting does, the one is chosen
# that takes away most. The latents and samples of this choice serve for nothing below. The table
# shows every setting.
#
# Whoever chooses has only classifier A, and some methods follow its gradient. They may please it
# without forgetting, or spoil its features more than the image. Classifier B grades below.

# %%
reference = FidelityReference.of(task)
choosing = run.latents("choosing", reference.n, original.latent_dim)
score = SettingScorer.of(task, reference, choosing)
beside = {"original": score(original)}
enough = beside["original"].percent_a / ENOUGH


def search(method):
    """Return the settings of a method and the model of the best one."""

    def tune(config):
        return method.unlearn(config, runs.progress(p.steps, method.name))

    with run.timed(grading.record_key(method.name)):
        return search_setting(
            tune, method.config, method.knob, score, tries=p.tries, enough=enough
        )


methods = compared_methods(task, direction, p, classifier_lr=p.classifier_lr, elastic=p.elastic)
searches = {method.name: search(method) for method in methods}
with run.timed("until_gone"):
    show = runs.progress(p.rounds * p.steps, "until gone")
    until_gone = unlearning_methods.unlearn_in_rounds(run, task, p, show)
beyond = {"until gone": until_gone.model} | untuned_models(task, direction)
beside |= {name: score(model) for name, model in beyond.items()}
metrics = {"steps": p.steps}
for name, found in searches.items():
    metrics |= found.metrics(grading.record_key(name))

# %% tags=["hide-input", "figure"] caption="Every setting tried, and the one chosen"
unlearning_tables.settings_table(searches)

# %% [markdown]
# How far can each method be pushed? A line joins the settings of one method. Lower left is better:
# a method that spoils its images is high up, one that forgets little is to the right.

# %% tags=["hide-input", "figure"] alt="Lines of FID against share, one a method"
unlearning_plots.settings_trade_off(searches, beside, reference.floor)
plt.show()

# %% [markdown]
# ## What is left, and what it cost
#
# Prevalence is counted in fresh samples. The gap to the retrained model is 1 where nothing has
# changed. FID is taken to the original's samples that lack the feature. It is measured on the
# features of classifier A and on those of classifier B, which no method has seen.
#
# The other columns tell what else changed. Where the feature was present, they count the digits
# whose class changed and the other attributes that flipped. They also show the mean change of a
# pixel. Of a face, they also show the change outside the rows of the feature. Where the feature
# was absent, they show the change of a pixel. The last column is the largest change of another
# attribute's share. The retrained model's latents mean other images, so its cells are empty.

# %%
models = {"original": original} | {name: found.model for name, found in searches.items()} | beyond
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
graded = grading.grade_samples(evaluator, models, fresh)
metrics |= grading.grading_metrics(evaluator, graded)
metrics |= fid_metrics(reference, graded) | fid_metrics_by_b(task, graded)
metrics |= outside_fid_metrics(task, graded)
for name, gap in unlearning.gaps_to_retrained(graded).items():
    metrics[f"gap_{grading.record_key(name)}"] = gap
metrics |= unlearning.locality_metrics(evaluator, graded)

# %% tags=["hide-input", "figure"] caption="What each model shows, and what else changed"
unlearning_tables.methods_table(metrics, ["floor", *graded])

# %% [markdown]
# The same latents go through every model. The first block shows twelve that had the feature, the
# second twelve that lacked it.

# %% tags=["hide-input", "figure", "samples"] alt="A row a model; columns share a latent"
unlearning_plots.paired_samples(graded)
plt.show()

# %% [markdown]
# ## What was seen
#
# Prevalence alone says little, for a method that spoils its images leaves no feature either.
# Beside it stands FID. The list also tells what changed otherwise in samples that had the feature:
# a digit's class, or a face's other attributes.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for name, samples in graded.items():
    key = grading.record_key(name)
    entries = (f"class_changed_present_{key}", f"flipped_present_{key}")
    changed = next((metrics[entry] for entry in entries if entry in metrics), None)
    ending = "" if changed is None else f", changed otherwise {changed:.1%}"
    distance = f" at FID {metrics[f'fid_{key}']:.1f}" if f"fid_{key}" in metrics else ""
    print(f"{name:20} {samples.prevalence.share:7.2%}{distance}{ending}")
