# %% [markdown]
# # Unlearning a feature
#
# Can a generator unlearn one feature, without its training data, and keep the rest? A copy of it
# is tuned by *feature unlearning* {cite}`moon2024feature` until it no longer makes the feature;
# {doc}`../feature_unlearning` has the method. What grades it had no part in it, and a model that
# was trained without the feature says what to aim at.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
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
steps: int = 0  # of unlearning
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.annotation import ManualLabels
from forgetting.experiments.feature_evaluator import locality
from forgetting.experiments.feature_task import load_feature_task
from forgetting.files import ROOT
from forgetting.inference import generate
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter
from forgetting.metrics.fidelity import fid, kid, precision_recall
from forgetting.metrics.prevalence import Prevalence, gap_to_retrained

plots.use_style()


class Parameters(UnlearningConfig, runs.Parameters):
    feature: str
    model: str
    manual_labels: str
    form: Literal["raw", "unit"]
    projection_threshold: Literal["midpoint", "prevalence"]
    n_collected: int = Field(ge=100, le=1_000_000)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {"n_collected": 400, "steps": 20, "n_samples": 300},
    "default": {"n_collected": 5000, "steps": 300, "n_samples": 5000},
}
run = runs.begin("feature_unlearning", Parameters, PRESETS, globals())
p = run.parameters
print(", ".join(f"{name} {value}" for name, value in p.model_dump().items() if value != ""))

# %% [markdown]
# ## The original, and what counts as the feature
#
# Digits are measured: the feature begins where the outermost tenth of the original's own samples
# does. Faces are graded by classifier B, at the threshold that one real face in 200 without the feature
# passes. That misses many that have it and lets a few pass that have not, so shares are to be
# compared, and the smallest may be errors of classifier B's alone. Faces lack the feature where classifier B
# gives it less than one half. A second, independent set of samples is the one that is graded.

# %%
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
before = generate(original, fresh)
has_feature = evaluator.has_feature(before)
print(
    f"{p.feature}: {evaluator.unit} over {evaluator.threshold:.3f}; {int(has_feature.sum())} of {len(has_feature)}"
)

# %% [markdown]
# ## Collect, and find the direction
#
# Classifier A labels samples, or a person did. A digit has no edge where thick begins, and the tenth
# with the highest score is positive; a face is positive if classifier A's probability exceeds one half.
# The direction is the difference of the mean latents.

# %%
if p.manual_labels:
    labelled = ManualLabels.read(original, ROOT / p.manual_labels).labelled()
else:
    labelled = collect_latents(
        original,
        evaluator.score,
        p.n_collected,
        threshold=evaluator.label_threshold,
        seed=run.seed("collect"),
    )
direction = find_direction(labelled, form=p.form, projection_threshold=p.projection_threshold)
rewritten = float(direction.selects(fresh).float().mean())
print(f"{len(labelled.positive)} positive, {len(labelled.negative)} negative")
print(f"agreement of two halves {labelled.agreement():.3f}, |z_e| {direction.vector.norm():.2f}")
print(
    f"threshold {direction.projection_threshold:.2f}, share of latents rewritten {rewritten:.1%}"
)

# %% tags=["hide-input"]
unit = direction.vector / direction.vector.norm()
anchors = run.latents("anchors", 4, original.latent_dim)
places = torch.linspace(-2.5, 2.5, 13)
offsets = (places[:, None] - direction.project(anchors)[:, None, None]) * unit
walks = {f"sample {i + 1}": generate(original, anchors[i] + offsets[i]) for i in range(4)}
figure = plots.image_rows(walks)
at = (
    torch.searchsorted(places, direction.projection_threshold).item() * (before.shape[-1] + 2)
    - 0.5
)
for axis in figure.axes:
    axis.axvline(at, color=plots.FORGOT, lw=2)
figure.axes[-1].set_xlabel("projection from -2.5 to 2.5; the line is the threshold")
plt.show()

# %% [markdown]
# ## Unlearn
#
# Only what makes the image is tuned: a VAE's decoder, a GAN's generator; for a fixed number of
# steps, while the learning rate falls to 0. The latent filter is the baseline: the untouched
# original, fed latents from which the feature is erased.

# %%
with run.timed("forgetting"):
    forgotten = unlearn_feature(
        original,
        direction,
        p,
        trainable=task.trainable,
        callback=runs.progress(p.steps, "unlearning"),
    )
axis = plots.curves(
    forgotten.history,
    {
        "loss_unlearn": "L1 of latents that are erased",
        "loss_percep": "their 1 - MS-SSIM",
        "loss_recon": "L1 of all others",
    },
    "terms of the loss",
)
axis.set_yscale("log")
plt.show()

# %% [markdown]
# ## What is left of the feature
#
# The same latents through every model: prevalence with its Wilson 95 % interval, and how much of the
# feature the samples have.

# %% tags=["hide-input"]
models = {"unlearned": forgotten.model, "filter": LatentFilter(original, direction)}
if task.retrained is not None:
    models["retrained"] = task.retrained
images = {"original": before} | {name: generate(m, fresh) for name, m in models.items()}
values = {name: evaluator.value(batch) for name, batch in images.items()}
prevalence = {name: Prevalence.of(value > evaluator.threshold) for name, value in values.items()}
colours = [plots.BASE, plots.FORGOT, plots.FAINT, plots.REFERENCE][: len(prevalence)]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
plots.intervals(
    [(name, 100 * x.share, 100 * x.low, 100 * x.high) for name, x in prevalence.items()],
    f"samples with {p.feature.replace('_', ' ')}, %",
    colours,
    left,
)
for (name, value), colour in zip(values.items(), colours):
    value = value[torch.isfinite(value)]
    right.hist(value, bins=60, density=True, histtype="step", color=colour, label=name)
right.axvline(evaluator.threshold, color="black", lw=1, ls=":")
right.set(xlabel=evaluator.unit, ylabel="density")
right.legend()
plt.show()

# %% [markdown]
# The same latents before and after: first twelve samples that had the feature, then twelve that
# had not, as they come.

# %% tags=["hide-input"]
for which in (has_feature, evaluator.lacks_feature(before)):
    index = torch.nonzero(which).flatten()[:12]
    if len(index):
        plots.image_rows({name: batch[index] for name, batch in images.items()})
        plt.show()

# %% [markdown]
# ## What else has changed
#
# FID on classifier A's features, against the original's own samples that lack the feature; the floor
# is the distance between two halves of those samples. `fid_real` compares with held-out real
# images without the feature; under *floor* it is that of the original's own samples without it.

# %%
half = len(task.lacking) // 2
target, other = map(evaluator.features, task.lacking[: 2 * half].split(half))
print(f"{half} samples in each set")
found = {name: evaluator.features(batch[:half]) for name, batch in images.items()}
recorded = {"original": "before", "unlearned": "after"}
metrics = {"fid_real_own": fid(target, task.real), "n_fid": half}
metrics |= {"fid_floor": fid(other, target), "kid_floor": kid(other, target)}
metrics |= dict(zip(("precision_floor", "recall_floor"), precision_recall(other, target)))
for name, x in found.items():
    name = recorded.get(name, name)
    metrics |= {f"fid_{name}": fid(x, target), f"kid_{name}": kid(x, target)}
    metrics |= {f"fid_real_{name}": fid(x, task.real)}
    metrics |= dict(zip((f"precision_{name}", f"recall_{name}"), precision_recall(x, target)))

# %% tags=["hide-input"]
kinds = ("fid", "kid", "fid_real", "precision", "recall")
columns = {"floor": "floor"} | {recorded.get(name, name): name for name in images}
table = {
    label: {kind: metrics.get(f"{kind}_{name}") for kind in kinds}
    for name, label in columns.items()
}
table["floor"]["fid_real"] = metrics["fid_real_own"]
pd.DataFrame(table).map(lambda x: "" if pd.isna(x) else f"{x:.3g}")

# %% [markdown]
# A feature is said to be local. Where it was present, what else changed; where it was absent,
# nothing should have. Of a digit that is its class, by classifier B, and its other feature; of a face
# those other attributes that classifier B tells well, and the pixels inside and outside the rows in
# which the feature lies (bangs in the upper third, say). Classifier A's features drift by a share of
# the distance between two samples.

# %% tags=["hide-input"]
metrics |= locality(evaluator, before, images["unlearned"])
words = {
    "l1_present": "mean change of a pixel, feature present",
    "inside_present": "the same, inside the feature's rows",
    "outside_present": "the same, outside them",
    "l1_absent": "mean change of a pixel, feature absent",
    "class_changed_present": "images whose class changed, feature present",
    "class_changed_absent": "images whose class changed, feature absent",
    "flipped_present": "other attributes that flipped, feature present",
    "flipped_absent": "other attributes that flipped, feature absent",
    "drift_absent": "drift of classifier A's features, feature absent",
    "share_change": "largest change of another attribute's share",
}
changes = {name: metrics[f"share_change_{name.lower()}"] for name in evaluator.names}
moved = [f"{name} {change:+.1%}" for name, change in changes.items() if abs(change) > 0.02]
moved = ", ".join(moved)
print(f"moved by more than 2 points: {moved or 'none'}")
pd.Series({text: f"{metrics[name]:.3f}" for name, text in words.items() if name in metrics})

# %%
for name, x in prevalence.items():
    metrics |= x.metrics(f"{evaluator.prevalence_key}_{recorded.get(name, name)}")
    ungraded = float((~torch.isfinite(values[name])).float().mean())
    metrics[f"ungraded_{recorded.get(name, name)}"] = ungraded
    if ungraded:
        print(f"{name}: {ungraded:.2%} of the samples are blank and count as without the feature")
if "retrained" in prevalence and prevalence["original"].share != prevalence["retrained"].share:
    metrics["gap_to_retrained"] = gap_to_retrained(
        *(prevalence[name].share for name in ("original", "unlearned", "retrained"))
    )
metrics |= {"steps": p.steps, "rewritten": rewritten, "agreement": labelled.agreement()}
metrics |= {
    "projection_threshold": direction.projection_threshold,
    "direction_norm": float(direction.vector.norm()),
}
metrics["threshold"] = evaluator.threshold

# %% [markdown]
# ## What was seen
#
# Prevalence, and FID to the original's own samples that lack the feature. Unlearning has done its
# work where prevalence is near that of the retrained model and FID near the floor; the filter shows
# how much of either is the direction's doing, and not the tuning's.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, forgotten.history)
for name in (
    f"{evaluator.prevalence_key}_{when}" for when in ("before", "after", "filter", "retrained")
):
    if name in metrics:
        print(f"{name:20} {metrics[name]:7.2%}")
for name in ("fid_floor", "fid_before", "fid_after", "fid_filter", "fid_retrained"):
    if name in metrics:
        print(f"{name:20} {metrics[name]:7.2f}")
