# %% [markdown]
# # Unlearning a feature
#
# Can a generator unlearn one feature without its training data, and retain the rest? *Feature
# unlearning* {cite}`moon2024feature` tunes a copy of it until the copy no longer makes the
# feature. {doc}`../feature_unlearning` has the method. What grades the copy has no part in the
# tuning. A model that was trained without the feature shows what to aim at.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
method: str = "moon2024"  # the paper's single pass, or until_gone: rounds until it is gone
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
manual_labels: str = ""  # file of a collection made by hand; empty: classifier A labels
form: str = "raw"  # of the direction: raw (the paper's) or unit
projection_threshold: str = "midpoint"  # of the classes' projections, or prevalence
alpha: float = 1.0  # weight of unlearning against reconstruction
perceptual: float = 1.0  # weight of 1 - MS-SSIM in unlearning
pixels: float = 1.0  # weight of the L1 in unlearning
reconstruction: float = 1.0  # weight of reconstruction
lr: float = 0.001  # learning rate of Adam at the first step; it falls to 0
batch_size: int = 64  # latents a step
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of the single pass, or of each round
rounds: int = 0  # of until_gone, at most
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.book import run as runs
from forgetting.book.annotation import ManualLabels
from forgetting.experiments import grading, unlearning, unlearning_methods
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fidelity_metrics,
    outside_fid_metrics,
)
from forgetting.foundation.files import ROOT
from forgetting.methods.direction import find_direction
from forgetting.metrics.locality import locality

plots.use_style()


Parameters = unlearning_methods.UnlearningParameters
run = runs.begin("feature_unlearning", Parameters, unlearning.PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## The original, and what counts as the feature
#
# Digits are measured. The feature begins where the outermost tenth of the original's own samples
# does. Faces are graded by two classifiers that had no part in unlearning: classifier B, and one
# from outside the study. Each has the threshold that is right most often on held-out real faces.
# Beside it stands the strict share, at the threshold that one real face in 200 without the feature
# passes. A feature that is only weakened falls below the strict threshold first.
#
# The floor is the share that a grader finds where there should be none: among samples of the
# original that all *other* graders are sure lack the feature. The samples that are graded are a
# second, independent set.

# %%
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
before = grading.grade_samples(evaluator, {"original": original}, fresh)["original"]
count = int(before.has_feature.sum())
print(grading.describe_graders(task))
print(f"{count} of {p.n_samples} samples have it; {len(task.lacking)} others lack it")

# %% [markdown]
# ## Collect latents, and find the direction
#
# Classifier A labels samples, or a person has labelled them. A digit has no sharp border where
# thick begins, so the tenth with the highest score is positive. A face is positive if classifier
# A's probability exceeds one half. The direction is the difference of the mean latents.

# %%
if p.manual_labels:
    labelled = ManualLabels.read(original, ROOT / p.manual_labels).labelled_latents()
else:
    labelled = unlearning.collect_task_latents(run, task, p.n_collected)
direction = find_direction(labelled, form=p.form, projection_threshold=p.projection_threshold)
rewritten = float(direction.selects(fresh).float().mean())
threshold = direction.projection_threshold
print(f"{len(labelled.positive)} positive, {len(labelled.negative)} negative")
print(f"agreement of two halves {labelled.agreement():.3f}, |z_e| {direction.vector.norm():.2f}")
print(f"threshold {threshold:.2f}, share of latents rewritten {rewritten:.1%}")
places = torch.linspace(-2.5, 2.5, 13)
anchors = run.latents("anchors", 4, original.latent_dim)
walks = unlearning.walk_along(original, direction, anchors, places)

# %% tags=["hide-input", "figure", "samples"] alt="Rows that gain the feature left to right"
unlearning_plots.latent_walks(walks, places, threshold)
plt.show()

# %% [markdown]
# ## Unlearn
#
# Only the part that makes the image is tuned: a VAE's decoder, a GAN's generator. The paper makes
# a single pass of a fixed number of steps. Unlearning in rounds goes on until every grader finds
# the feature gone in samples that serve for nothing else. The latent filter is the baseline. It is
# the untouched original with latents from which the feature is erased.

# %%
with run.timed("forgetting"):
    rounds_at_most = p.rounds if p.method == "until_gone" else 1
    show = runs.progress(rounds_at_most * p.steps, "unlearning")
    unlearned = unlearning_methods.unlearn(run, task, direction, p, show)
tuning = unlearning_methods.tuning_metrics(unlearned, p)
print(", ".join(f"{name} {value:.3g}" for name, value in tuning.items()))

# %% tags=["hide-input", "figure"] alt="Curves of the loss terms against steps, log scale"
unlearning_plots.loss_terms(unlearned.history)
plt.show()

# %% [markdown]
# ## What is left of the feature
#
# The same latents go through every model. The first figure shows how much of the feature the
# samples have, by every grader. The samples of an unlearned model should lie where those lie that
# never had it: those of the retrained model or, dotted, those of the original that surely lack it.

# %%
models = unlearning.compared_models(task, direction, unlearned.model)
graded = {"original": before}
graded |= grading.grade_samples(
    evaluator, {name: models[name] for name in models if name != "original"}, fresh
)

# %% tags=["hide-input", "figure"] alt="Outlined histograms of scores, one panel a grader"
unlearning_plots.score_distributions(evaluator, graded)
plt.show()

# %% [markdown]
# Prevalence is the share of the samples that have the feature, with its Wilson 95 % interval.
# *Still shown* is the share among the latents whose original sample has it. The AUC compares the
# scores with those of samples that never had the feature: at 0.5 they are alike.

# %% tags=["hide-input", "figure"] alt="A point with its interval for each model, by grader"
unlearning_plots.shares_by_grader(evaluator, graded)
plt.show()

# %%
metrics = grading.grading_metrics(evaluator, graded)

# %% tags=["hide-input", "figure"] caption="What graders find in each model's samples"
unlearning_tables.grades_table(metrics, list(graded))

# %% [markdown]
# The same latents before and after. The first block shows twelve samples that had the feature,
# the second twelve that lacked it, in the order in which they were drawn.

# %% tags=["hide-input", "figure", "samples"] alt="A row a model; columns share a latent"
unlearning_plots.paired_samples(graded)
plt.show()

# %% [markdown]
# ## What else has changed
#
# FID on classifier A's features compares a model's samples with the original's own samples that
# lack the feature. Its floor is the distance between two halves of those samples. `fid_real`
# compares with held-out real images without the feature. Under *floor* it is the distance of the
# original's own samples without the feature to them. These features know CelebA from LFW.
# `fid_outside` is taken on the features of a network from outside, which does less so: to the same
# samples, and to real faces of CelebA, of LFW, and of both.

# %%
reference = FidelityReference.of(task)
metrics |= fidelity_metrics(reference, task.real, graded)
metrics |= outside_fid_metrics(task, graded)
print(f"{reference.n} samples in each set")

# %% tags=["hide-input", "figure"] caption="Fidelity of each model's samples, with its floor"
unlearning_tables.fidelity_table(metrics, list(graded))

# %% [markdown]
# A feature is said to be local. Where it was present, what else changed? Where it was absent,
# nothing should have changed. Of a digit, the table tells whether its class or its other feature
# changed. Classifier B reads the class. Of a face, it tells whether other attributes flipped that
# classifier B tells well. It also tells how pixels changed inside and outside the rows of the
# feature, such as the upper third for bangs. The drift of classifier A's features is a share of
# the distance between two samples.

# %%
metrics |= locality(evaluator, before.images, graded["unlearned"].images)

# %% tags=["hide-input", "figure"] caption="What else changed, feature present or absent"
unlearning_tables.changes_table(metrics, evaluator.names)

# %%
for name, samples in graded.items():
    metrics[f"ungraded_{grading.record_key(name)}"] = samples.ungraded
    if samples.ungraded:
        print(f"{name}: {samples.ungraded:.2%} are blank and count as without the feature")
gaps = unlearning.gaps_to_retrained(graded)
metrics |= {"gap_to_retrained": gaps["unlearned"]} if gaps else {}
metrics |= tuning | {"rewritten": rewritten, "agreement": labelled.agreement()}
metrics |= {"projection_threshold": threshold, "threshold": evaluator.grader.threshold}
metrics["direction_norm"] = float(direction.vector.norm())

# %% [markdown]
# ## What was seen
#
# The verdict is one word by rule; {doc}`../protocol` has the rule. *Gone*: for every grader the
# share is as low as where there is none, and the scores are alike. *Rarer*: lower than before, and
# no more. *Damaged*: FID is over twice its floor. The filter shows how much comes from the
# direction and not from the tuning.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, unlearned.history)
print(grading.give_verdict(metrics) or "No verdict: too few samples to compare with.")
for name in graded:
    key = f"prevalence_{grading.record_key(name)}"
    print(f"{key:27} {metrics[key]:7.2%}")
for key in ("fid_floor", *(f"fid_{grading.record_key(name)}" for name in graded)):
    print(f"{key:27} {metrics[key]:7.2f}" if key in metrics else f"{key:27} too few samples")
