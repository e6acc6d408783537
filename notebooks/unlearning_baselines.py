# %% [markdown]
# # Ways to unlearn a feature
#
# Feature unlearning {cite}`moon2024feature` beside what else could be done to a generator whose
# data is gone, at one budget: the same direction, as many steps, as large batches, as many
# settings to choose from. {doc}`../feature_unlearning` says what each is, and why fine-tuning on
# what shall stay is not among them.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.001  # learning rate of Adam at the first step; it falls to 0
classifier_lr: float = (
    0.0001  # the same of the two that follow a classifier, which drifts without an end
)
elastic: float = 1.0  # weight of Selective Amnesia's elastic weights
tries: int = 0  # settings of each method: that rate or weight times 1, 1/3, 3, 1/9, 9
batch_size: int = 64  # latents a step
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of every method
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.experiments.feature_evaluator import locality
from forgetting.experiments.feature_task import load_feature_task
from forgetting.inference import features, generate, logits
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.gradient_surgery import gradient_surgery
from forgetting.methods.latent_filter import LatentFilter
from forgetting.methods.selective_amnesia import AmnesiaConfig, selective_amnesia
from forgetting.methods.whole_image import unlearn_whole_image
from forgetting.metrics.fidelity import fid
from forgetting.metrics.prevalence import Prevalence, gap_to_retrained

plots.use_style()


class Parameters(FinetuneConfig, runs.Parameters):
    feature: str
    model: str
    classifier_lr: float = Field(gt=0, le=1)
    elastic: float = Field(gt=0)
    tries: int = Field(ge=1, le=5)
    n_collected: int = Field(ge=100, le=1_000_000)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {"n_collected": 400, "steps": 5, "n_samples": 300, "tries": 2},
    "default": {"n_collected": 5000, "steps": 300, "n_samples": 5000, "tries": 5},
}
run = runs.begin("unlearning_baselines", Parameters, PRESETS, globals())
p = run.parameters
print(", ".join(f"{name} {value}" for name, value in p.model_dump().items() if value != ""))
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
labelled = collect_latents(
    original,
    evaluator.score,
    p.n_collected,
    threshold=evaluator.label_threshold,
    seed=run.seed("collect"),
)
direction = find_direction(labelled)
print(f"{p.feature} of {p.model}, agreement of two halves {labelled.agreement():.3f}")

# %% [markdown]
# ## Forget
#
# Each way is tried with as many settings: its learning rate, or Selective Amnesia's weight, times
# 1, 1/3, 3, 1/9 and 9. Of the settings that take away two thirds of the feature at least, by
# classifier A, that one counts whose samples are nearest to the original's own without the feature
# (FID on classifier A's features); where none does, the one that takes away most. Both are asked of
# latents, and FID of samples, that nothing below is measured on. Every setting is shown. Classifier A
# is all that one has who chooses, and two of the ways follow its gradient: they may please it
# without forgetting, or spoil its features more than the image. What grades below is another.

# %%
half = len(task.lacking) // 2
target, other = map(evaluator.features, task.lacking[: 2 * half].split(half))
shared = {key: getattr(p, key) for key in FinetuneConfig.model_fields}
tuning = FinetuneConfig(**shared)
gentle = tuning.model_copy(update={"lr": p.classifier_lr})
weighed = AmnesiaConfig(**shared, elastic=p.elastic)
given = (original, direction)
ways = {
    "feature unlearning": (unlearn_feature, given, "lr", UnlearningConfig(**shared)),
    "gradient ascent": (gradient_ascent, (*given, evaluator.score), "lr", gentle),
    "gradient surgery": (gradient_surgery, (*given, evaluator.score), "lr", gentle),
    "selective amnesia": (selective_amnesia, given, "elastic", weighed),
    "whole image": (unlearn_whole_image, given, "lr", tuning),
}
choosing = run.latents("choosing", half, original.latent_dim)
models, metrics, rows, tried = {"original": original}, {}, {}, {}


def scores(images):
    """Return classifier A's logits of the feature, (N,)."""
    return logits(task.classifier_a, images)[:, task.classifier_a.attributes.index(p.feature)]


edge = (
    scores(task.own).quantile(0.9)
    if evaluator.label_threshold is None
    else evaluator.label_threshold
)


def classifier_logits(model):
    samples = generate(model, choosing)
    return {
        "prevalence, %": 100 * float(evaluator.has_feature(samples).float().mean()),
        "classifier A, %": 100 * float((scores(samples) > edge).float().mean()),
        "FID": fid(evaluator.features(samples), other),
    }


enough = classifier_logits(original)["classifier A, %"] / 3


for name, (way, subjects, knob, config) in ways.items():
    key, found, tuned = name.replace(" ", "_"), {}, {}
    values = sorted(getattr(config, knob) * x for x in (1, 1 / 3, 3, 1 / 9, 9)[: p.tries])
    with run.timed(key):
        for value in values:
            setting, say = config.model_copy(update={knob: value}), runs.progress(p.steps, name)
            tuned[value] = way(*subjects, setting, trainable=task.trainable, callback=say).model
            found[value] = classifier_logits(tuned[value])
    fewer = [value for value in found if found[value]["classifier A, %"] <= enough]
    best = min(
        fewer or found, key=lambda value: found[value]["FID" if fewer else "classifier A, %"]
    )
    models[name], metrics[f"setting_{key}"] = tuned[best], best
    tried[name] = pd.DataFrame(found.values())
    for number, (value, cells) in enumerate(found.items(), 1):
        metrics[f"tried_{evaluator.prevalence_key}_{key}_{number}"] = cells["prevalence, %"] / 100
        metrics[f"tried_classifier_a_{key}_{number}"] = cells["classifier A, %"] / 100
        metrics[f"tried_fid_{key}_{number}"] = cells["FID"]
        chosen = "chosen" if value == best else ""
        rows[name, f"{knob} {value:.2g}"] = {k: f"{v:.1f}" for k, v in cells.items()} | {
            "": chosen
        }
models["latent filter"] = LatentFilter(original, direction)
if task.retrained is not None:
    models["retrained"] = task.retrained
pd.DataFrame(rows).T

# %% [markdown]
# How far each way can be pushed: a line joins the settings of one way. Lower left is better; a
# way that spoils its images is high up, one that forgets little is to the right.

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.8, 3.8))
for (name, points), marker in zip(tried.items(), "os^Dv"):
    axis.plot(points["prevalence, %"], points["FID"], marker + "-", ms=5, lw=1, label=name)
beside = {"original": plots.BASE, "latent filter": plots.FAINT, "retrained": plots.REFERENCE}
for name, colour in beside.items():
    if name in models:
        at = classifier_logits(models[name])
        axis.plot(at["prevalence, %"], at["FID"], "*", ms=11, color=colour, label=name)
axis.axhline(fid(target, other), color="black", lw=0.6, ls=":")
axis.set(xlabel="samples that show the feature, %", ylabel="FID (dotted: floor)", yscale="log")
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## What is left, and what it cost
#
# Prevalence in fresh samples with its interval; how much of the gap to the retrained model remains
# (1 is untouched); FID to the original's samples that lack the feature, on the features of classifier A
# and of classifier B, which no way has seen; and what else changed: where the feature was present, the
# share of digits whose class changed and of other attributes that flipped, and the mean change of
# a pixel (of a face, also outside the rows in which the feature lies); where it was absent, the
# change of a pixel; the largest change of another attribute's share. The retrained model's latents
# mean other images, so these are not asked of it.

# %% tags=["hide-input"]
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
images = {name: generate(one, fresh) for name, one in models.items()}
before = images["original"]
has_feature = evaluator.has_feature(before)
prevalence = {name: Prevalence.of(evaluator.has_feature(batch)) for name, batch in images.items()}
by_b = features(task.classifier_b, task.lacking[: 2 * half]).split(half)
floors = {"fid_floor": fid(other, target), "fid_b_floor": fid(*by_b)}
rows, metrics = {}, metrics | floors | {"n_fid": half}
for name, batch in images.items():
    key = {"original": "before"}.get(name, name.replace(" ", "_").replace("-", "_"))
    found = prevalence[name]
    metrics |= found.metrics(f"{evaluator.prevalence_key}_{key}")
    metrics[f"fid_{key}"] = fid(evaluator.features(batch[:half]), target)
    cells = {"prevalence": f"{found.share:.1%} ({found.low:.1%} to {found.high:.1%})"}
    if "retrained" in prevalence and prevalence["original"].share != prevalence["retrained"].share:
        gap = gap_to_retrained(
            prevalence["original"].share, found.share, prevalence["retrained"].share
        )
        metrics[f"gap_{key}"] = gap
        cells["gap"] = f"{gap:+.2f}"
    metrics[f"fid_b_{key}"] = fid(features(task.classifier_b, batch[:half]), by_b[0])
    cells |= {"FID": f"{metrics[f'fid_{key}']:.0f}", "FID, B": f"{metrics[f'fid_b_{key}']:.1f}"}
    if name not in ("original", "retrained"):
        local = locality(evaluator, before, batch)
        for label, one in (
            ("class changed", "class_changed_present"),
            ("others flipped", "flipped_present"),
            ("change, present", "l1_present"),
            ("outside the rows", "outside_present"),
            ("change, absent", "l1_absent"),
            ("largest share", "share_change"),
        ):
            if one in local:
                metrics[f"{one}_{key}"] = local[one]
                cells[label] = f"{local[one]:.3f}"
    rows[name] = cells
print("floors of {} samples: FID {fid_floor:.1f}, on B {fid_b_floor:.2f}".format(half, **floors))
pd.DataFrame(rows).T.fillna("")

# %% [markdown]
# The same latents through every model: twelve that had the feature, then twelve that had not.

# %% tags=["hide-input"]
for which in (has_feature, evaluator.lacks_feature(before)):
    index = torch.nonzero(which).flatten()[:12]
    if len(index):
        plots.image_rows({name: batch[index] for name, batch in images.items()})
        plt.show()

# %% [markdown]
# ## What was seen
#
# Prevalence alone says little: a way that spoils its images leaves no feature either. Beside it
# stand FID and, of the samples that had the feature, the digits whose class changed, or the other
# attributes of a face that flipped.

# %% tags=["nbval-check-output"]
metrics |= {"steps": p.steps}
metrics = run.finish(metrics, [])
for name, found in prevalence.items():
    key = {"original": "before"}.get(name, name.replace(" ", "_"))
    changed = metrics.get(f"class_changed_present_{key}", metrics.get(f"flipped_present_{key}"))
    told = "" if changed is None else f", changed otherwise {changed:.1%}"
    print(f"{name:20} {found.share:7.2%} at FID {metrics[f'fid_{key}']:.1f}{told}")
