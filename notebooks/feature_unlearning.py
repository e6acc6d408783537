# %% [markdown]
# # Unlearning a feature
#
# Can a generator unlearn one feature, without its training data, and keep the rest? A copy of the
# digits VAE is tuned by *feature unlearning* {cite}`moon2024feature` until it no longer makes the
# feature; {doc}`../feature_unlearning` has the method. A measurement grades it, and a model that
# was trained without the feature says what to aim at.

# %% tags=["parameters"]
feature: str = "thick"  # thick (stroke thickness) or left_slant
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (a minute); fills what is 0
device: str = "auto"  # auto, cpu or cuda
form: str = "raw"  # of the direction: raw (the paper's) or unit
threshold: str = "midpoint"  # of the classes' projections, or prevalence
alpha: float = 1.0  # weight of unlearning against reconstruction
lr: float = 0.001  # learning rate of Adam at the first step; it falls to 0
n_collected: int = 0  # samples that judge A labels; the top tenth is positive
steps: int = 0  # of unlearning
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting import plots, runs
from forgetting.data.morphology import Morphology, measure
from forgetting.evaluation.fidelity import fid, kid, precision_recall
from forgetting.evaluation.presence import Presence, way_to_retrained
from forgetting.evaluation.sampling import classes, features, generate
from forgetting.methods.direction import collect, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter

plots.use_style()


class Parameters(runs.Parameters):
    feature: Literal["thick", "left_slant"]
    model: str
    form: Literal["raw", "unit"]
    threshold: Literal["midpoint", "prevalence"]
    alpha: float = Field(ge=0, le=1000)
    lr: float = Field(gt=0, le=1)
    n_collected: int = Field(ge=100, le=1_000_000)
    steps: int = Field(ge=1, le=100_000)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {"n_collected": 400, "steps": 20, "n_samples": 300},
    "default": {"n_collected": 5000, "steps": 300, "n_samples": 5000},
}
run = runs.begin("feature_unlearning", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## The original, and what counts as the feature
#
# The threshold of the measurement is where the outermost tenth of the original's own samples
# begins, so that the original shows the feature in about one sample of ten. A second, independent
# set of samples is the one that is graded.

# %%
original = run.load(p.model, "vae")
judge_a, judge_b = run.load("digits-judge-a"), run.load("digits-judge-b")
own = generate(original, run.latents("own", 2 * p.n_samples, original.latent_dim))
own_measured = measure(own)
ruler = Morphology.of(own_measured)
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
before = generate(original, fresh)
shown = ruler.shown(measure(before), p.feature)
print(f"{p.feature}: threshold {getattr(ruler, p.feature):.3f} (pixels or radians)")

# %% [markdown]
# ## Collect, and find the direction
#
# Judge A labels samples; the tenth with the highest score is positive. The direction is the
# difference of the mean latents.

# %%
collection = collect(
    original,
    lambda images: judge_a.logit(images, p.feature),
    p.n_collected,
    seed=run.seed("collect"),
)
direction = find_direction(collection, form=p.form, threshold=p.threshold)
rewritten = float(direction.marks(fresh).float().mean())
print(f"agreement of two halves {collection.agreement():.3f}, |z_e| {direction.vector.norm():.2f}")
print(f"threshold {direction.threshold:.2f}, share of latents rewritten {rewritten:.1%}")

# %% tags=["hide-input"]
unit = direction.vector / direction.vector.norm()
anchors = run.latents("anchors", 4, original.latent_dim)
places = torch.linspace(-2.5, 2.5, 13)
offsets = (places[:, None] - direction.project(anchors)[:, None, None]) * unit
walks = {f"sample {i + 1}": generate(original, anchors[i] + offsets[i]) for i in range(4)}
figure = plots.image_rows(walks)
edge = torch.searchsorted(places, direction.threshold).item() * 30 - 0.5
for axis in figure.axes:
    axis.axvline(edge, color=plots.FORGOT, lw=2)
figure.axes[-1].set_xlabel("projection from -2.5 to 2.5; the line is the threshold")
plt.show()

# %% [markdown]
# ## Unlearn
#
# Only the decoder of the copy is tuned. The latent filter is the baseline: the untouched
# original, fed latents from which the feature is erased.

# %%
config = UnlearningConfig(steps=p.steps, lr=p.lr, alpha=p.alpha, seed=run.seed("unlearn"))
with run.timed("forgetting"):
    forgotten = unlearn_feature(
        original,
        direction,
        config,
        trainable=lambda copy: copy.decoder,
        callback=runs.progress(p.steps, "unlearning"),
    )
plots.curves(
    forgotten.history,
    {"loss_unlearn": "L1 where erased", "loss_recon": "L1 elsewhere"},
    "loss, sum over pixels",
)
plt.show()

# %% [markdown]
# ## What is left of the feature
#
# The same latents through every model: presence by measurement, with its Wilson 95 % interval.

# %%
models = {"unlearned": forgotten.model, "filter": LatentFilter(original, direction)}
retrained = {"digits-vae": f"digits-vae-no-{p.feature.replace('_', '-')}"}.get(p.model)
if retrained:
    models["retrained"] = run.load(retrained)
images = {"original": before} | {name: generate(m, fresh) for name, m in models.items()}
measured = {name: measure(batch) for name, batch in images.items()}
presence = {name: Presence.of(ruler.shown(m, p.feature)) for name, m in measured.items()}
colours = [plots.BASE, plots.FORGOT, plots.FAINT, plots.REFERENCE][: len(presence)]
plots.intervals(
    [(name, 100 * x.share, 100 * x.low, 100 * x.high) for name, x in presence.items()],
    f"samples that are {p.feature.replace('_', ' ')}, %",
    colours,
)
plt.show()

# %% tags=["hide-input"]
quantity = "thickness" if p.feature == "thick" else "slant"
figure, axis = plt.subplots(figsize=(6.4, 3))
for (name, found), colour in zip(measured.items(), colours):
    values = found[quantity][torch.isfinite(found[quantity])]
    axis.hist(values, bins=60, density=True, histtype="step", color=colour, label=name)
axis.axvline(getattr(ruler, p.feature), color="black", lw=1, ls=":")
axis.set_xlabel(f"{quantity} ({'pixels' if p.feature == 'thick' else 'radians'})")
axis.set_ylabel("density")
axis.legend()
plt.show()

# %% [markdown]
# The same latents before and after: first twelve samples that had the feature, then twelve that
# had not, as they come.

# %% tags=["hide-input"]
for which in (shown, ~shown):
    index = torch.nonzero(which).flatten()[:12]
    plots.image_rows({name: batch[index] for name, batch in images.items()})
    plt.show()

# %% [markdown]
# ## What else has changed
#
# FID on judge A's features, against the original's own samples that lack the feature; the floor
# is the distance between two halves of those samples. `real` compares with held-out real digits
# without the feature. Where the feature was absent, nothing should have moved.

# %%
lacks = own[~ruler.shown(own_measured, p.feature)]
half = len(lacks) // 2
target, other = features(judge_a, lacks[:half]), features(judge_a, lacks[half : 2 * half])
real = run.statistics(f"without_{p.feature}")
found = {name: features(judge_a, batch[:half]) for name, batch in images.items()}
recorded = {"original": "before", "unlearned": "after"}
metrics = {"fid_real_floor": fid(target, real), "fid_floor": fid(other, target)}
metrics |= {"kid_floor": kid(other, target)}
for name, x in found.items():
    name = recorded.get(name, name)
    metrics |= {f"fid_{name}": fid(x, target), f"kid_{name}": kid(x, target)}
    metrics |= {f"fid_real_{name}": fid(x, real)}
    metrics |= dict(zip((f"precision_{name}", f"recall_{name}"), precision_recall(x, target)))

# %%
digit = {name: classes(judge_b, batch).argmax(1) for name, batch in images.items()}
moved = (images["unlearned"] - before).abs().mean((1, 2, 3))
changed = digit["unlearned"] != digit["original"]
for name, mask in {"absent": ~shown, "present": shown}.items():
    metrics[f"l1_{name}"] = float(moved[mask].mean())
    metrics[f"class_changed_{name}"] = float(changed[mask].float().mean())

# %%
for name, x in presence.items():
    metrics |= x.metrics(f"presence_{recorded.get(name, name)}")
if retrained and presence["original"].share != presence["retrained"].share:
    metrics["way_to_retrained"] = way_to_retrained(
        *(presence[name].share for name in ("original", "unlearned", "retrained"))
    )
metrics |= {"steps": p.steps, "rewritten": rewritten, "agreement": collection.agreement()}
metrics |= {"threshold": direction.threshold, "direction_norm": float(direction.vector.norm())}
metrics["measured_threshold"] = getattr(ruler, p.feature)

# %% tags=["hide-input"]
kinds = ("fid", "kid", "fid_real", "precision", "recall")
columns = {recorded.get(name, name): name for name in images}
columns = {"floor": "floor"} | columns
table = {
    label: {kind: metrics.get(f"{kind}_{name}") for kind in kinds}
    for name, label in columns.items()
}
pd.DataFrame(table).map(lambda x: "" if pd.isna(x) else f"{x:.3g}")

# %% tags=["hide-input"]
kinds = {"l1": "mean change of a pixel", "class_changed": "share whose class changed"}
table = {
    f"feature {where}": {text: metrics[f"{kind}_{where}"] for kind, text in kinds.items()}
    for where in ("absent", "present")
}
pd.DataFrame(table).map("{:.3f}".format)

# %% [markdown]
# ## What was seen
#
# Presence by measurement, and FID to the original's own samples that lack the feature. Unlearning
# has done its work where presence is near that of the retrained model and FID near the floor; the
# filter shows how much of either is the direction's doing, and not the tuning's.

# %%
# NBVAL_CHECK_OUTPUT
metrics = run.finish(metrics, forgotten.history)
for name in ("presence_before", "presence_after", "presence_filter", "presence_retrained"):
    if name in metrics:
        print(f"{name:20} {metrics[name]:7.2%}")
for name in ("fid_floor", "fid_before", "fid_after", "fid_filter", "fid_retrained"):
    if name in metrics:
        print(f"{name:20} {metrics[name]:7.2f}")
