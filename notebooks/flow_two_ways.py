# %% [markdown]
# # Two ways to make a flow forget a feature
#
# A flow has a density, which taming pushes at {cite}`malnick2024taming`, and a latent space, in
# which a feature has a direction that can be unlearned {cite}`moon2024feature`. Neither paper
# compares: here both are asked to take the same attribute from the same flow.

# %% tags=["parameters"]
feature: str = "Smiling"  # Bangs, Eyeglasses, Smiling, Wearing_Hat, Male or Blond_Hair
model: str = "faces-glow"  # a flow of the zoo
source: str = "auto"  # of taming: celeba (its labels), latent (the flow's own faces) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
temperature: float = 0.7  # of all samples
lr: float = 0.0001  # of feature unlearning: of Adam at the first step; it falls to 0
batch_size: int = 16  # latents a step of feature unlearning
precision: str = "bfloat16"  # of the passes of feature unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of feature unlearning
max_steps: int = 0  # of taming
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import copy
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.data.faces import has_faces, load_faces
from forgetting.experiments.feature_evaluator import locality
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.samples import cached_samples
from forgetting.inference import generate, logits
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.fidelity import fid
from forgetting.metrics.likelihood import mean_bits_per_dim
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.glow import AtTemperature

plots.use_style()


class Parameters(UnlearningConfig, runs.Parameters):
    feature: str
    model: str
    source: Literal["auto", "celeba", "latent"]
    temperature: float = Field(gt=0, le=2)
    n_collected: int = Field(ge=100, le=1_000_000)
    max_steps: int = Field(ge=1)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {"n_collected": 200, "steps": 2, "max_steps": 2, "n_samples": 200},
    "default": {"n_collected": 5000, "steps": 200, "max_steps": 200, "n_samples": 5000},
}
KEYS = {"original": "before", "unlearned": "after", "tamed as far": "tamed_as_far"}
run = runs.begin("flow_two_ways", Parameters, PRESETS, globals())
p = run.parameters
print(", ".join(f"{name} {value}" for name, value in p.model_dump().items() if value != ""))

# %% [markdown]
# ## Along the direction
#
# Classifier A labels the flow's samples; the direction is the difference of the mean latents, as for a
# VAE. It lies in as many dimensions as the image has values: the agreement of the directions of
# two halves of the samples says how much of it is noise.

# %%
task = load_feature_task(run, p.model, p.feature, p.n_samples, p.temperature)
original, evaluator = task.original, task.evaluator
labelled = collect_latents(
    original,
    evaluator.score,
    p.n_collected,
    threshold=evaluator.label_threshold,
    seed=run.seed("collect"),
)
direction = find_direction(labelled)
print(
    f"agreement of two halves {labelled.agreement():.3f}, threshold {direction.projection_threshold:.2f}"
)
with run.timed("unlearning"):
    unlearned = unlearn_feature(
        original,
        direction,
        p,
        trainable=task.trainable,
        callback=runs.progress(p.steps, "unlearning"),
    )
plots.curves(
    unlearned.history,
    {"loss_unlearn": "L1 where erased", "loss_recon": "L1 elsewhere"},
    "loss, sum over pixels",
)
plt.show()

# %% [markdown]
# ## By the density
#
# Taming takes images that show the attribute, and images that don't: CelebA's, or, without data,
# the flow's own, at a temperature of 1, by classifier A. Others that don't, which neither flow nor
# taming has seen, are kept to ask what became of their likelihood. What a way costs hangs on how
# far it goes: the tamed flow is therefore kept, too, as it was at the first tenth step at which
# classifier A found the attribute in no more of its samples than the unlearned flow's.

# %%
flow = original.flow
size = flow.image_shape[-1]
source = p.source
if source == "auto":
    source = "celeba" if has_faces("celeba") else "latent"
if source == "celeba":
    faces, unseen = (load_faces("celeba", part, size) for part in ("train", "held_out"))
    images, has_it = faces.floats(), faces.label(p.feature)
    asked = unseen.where(~unseen.label(p.feature)).floats()[:1000]
else:
    images, asked = (
        cached_samples(flow, p.n_samples, 1.0, run.seed(name))
        for name in ("to tame on", "to ask about")
    )
    column = task.classifier_a.attributes.index(p.feature)
    has_it = logits(task.classifier_a, images)[:, column] > 0
    asked = asked[logits(task.classifier_a, asked)[:, column] <= 0]
some, early = run.latents("watch", 1000, original.latent_dim), []


def share(model: torch.nn.Module) -> float:
    return float((evaluator.score(generate(model, some)) > 0).float().mean())


at_first, enough = share(original), share(unlearned.model)
say = runs.progress(p.max_steps, "taming")


def watch(row: dict, model: torch.nn.Module) -> None:
    say(row, model)
    if not early and (row["step"] % 10 == 0 or row["step"] == p.max_steps):
        with run.timed("watching"):
            left = share(AtTemperature(model, p.temperature))
        if left <= enough or row["step"] == p.max_steps:
            early.append((row["step"], left, copy.deepcopy(model).eval()))


with run.timed("taming"):
    tamed = tame(
        flow,
        images[has_it],
        images[~has_it],
        TamingConfig(max_steps=p.max_steps, stop_within=0, precision="bfloat16", seed=p.seed),
        callback=watch,
    )
steps_early, left, tamed_early = early[0]
metrics = {"prevalence_a_before": at_first, "prevalence_a_after": enough}
metrics |= {"prevalence_a_tamed_as_far": left, "steps_tamed_as_far": steps_early}
print(f"{p.feature} by classifier A: {at_first:.1%}, unlearned {enough:.1%}", end=", ")
print(f"after {steps_early} of {p.max_steps} steps of taming {left:.1%}")

# %% [markdown]
# ## What became of the samples, and of the density
#
# The same latents through every model. Prevalence by classifier B with its interval; FID on classifier A's
# features to the original's own samples that lack the attribute, beside its floor; the other
# attributes that flipped where it was present; the mean change of a pixel where it was absent. The
# shift is that of images without the attribute, in standard deviations of their likelihoods: the
# filter leaves the density as it was.

# %% tags=["hide-input"]
models = {
    "original": original,
    "filter": LatentFilter(original, direction),
    "unlearned": unlearned.model,
    "tamed as far": AtTemperature(tamed_early, p.temperature),
    "tamed": AtTemperature(tamed.model, p.temperature),
}
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
drawn = {name: generate(one, fresh) for name, one in models.items()}
before = drawn["original"]
has_feature = evaluator.has_feature(before)
half = len(task.lacking) // 2
target, other = map(evaluator.features, task.lacking[: 2 * half].split(half))
metrics |= {"fid_floor": fid(other, target), "n_fid": half}
likely = mean_bits_per_dim(flow, asked, 1, run.seed("noise"))
rows = {}
for name, batch in drawn.items():
    key = KEYS.get(name, name)
    found = Prevalence.of(evaluator.has_feature(batch))
    metrics |= found.metrics(f"prevalence_strict_{key}")
    metrics[f"fid_{key}"] = fid(evaluator.features(batch[:half]), target)
    cells = {"prevalence": f"{found.share:.1%} ({found.low:.1%} to {found.high:.1%})"}
    cells["FID"] = f"{metrics[f'fid_{key}']:.0f}"
    if name != "original":
        local = locality(evaluator, before, batch)
        for label, one in (
            ("others flipped", "flipped_present"),
            ("change, absent", "l1_absent"),
            ("largest share", "share_change"),
        ):
            if one in local:
                metrics[f"{one}_{key}"] = local[one]
                cells[label] = f"{local[one]:.3f}"
    if name not in ("original", "filter"):
        moved = mean_bits_per_dim(models[name].flow, asked, 1, run.seed("noise")) - likely
        metrics[f"shift_random_sigma_{key}"] = float(moved.mean() / likely.std())
        cells["shift, sigma"] = f"{moved.mean() / likely.std():+.2f}"
    rows[name] = cells
print(f"FID of {half} samples has a floor of {metrics['fid_floor']:.1f}")
pd.DataFrame(rows).T.fillna("")

# %% [markdown]
# Twelve latents whose samples had the attribute, then twelve whose samples had it not.

# %% tags=["hide-input"]
for which in (has_feature, evaluator.lacks_feature(before)):
    index = torch.nonzero(which).flatten()[:12]
    if len(index):
        plots.image_rows({name: batch[index] for name, batch in drawn.items()})
        plt.show()

# %% [markdown]
# ## What was seen
#
# Each way has one setting and one seed here. Where one of them leaves more of the attribute, it
# may for that alone stay nearer to the flow's own samples: to be compared are *unlearned* and
# *tamed as far*.

# %% tags=["nbval-check-output"]
metrics |= {"agreement": labelled.agreement(), "n_forget": int(has_it.sum())}
metrics = run.finish(metrics, unlearned.history)
for name in models:
    key = KEYS.get(name, name)
    print(
        f"{name:12} {p.feature} {metrics[f'prevalence_strict_{key}']:.1%}, FID {metrics[f'fid_{key}']:.0f}"
    )
