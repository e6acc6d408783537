# %% [markdown]
# # Making an attribute rare
#
# Can a flow of faces be tamed on everybody who wears glasses, or smiles, so that it draws fewer
# of them? All faces that show an attribute are to be forgotten, all others remembered, for a
# fixed number of steps {cite}`malnick2024taming`; judge B, which had no part in it, counts.

# %% tags=["parameters"]
attribute: str = "Smiling"  # one of CelebA's 40
source: str = "auto"  # celeba (its labels), latent (the flow's own faces, by judge A) or auto
delta: float = 4.0  # where they shall lie, in sigma above the mean; negative: more likely
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.00005  # learning rate of Adam
batch_size: int = 8  # images to forget a step
remember_batch_size: int = 8  # images to remember a step
precision: str = "bfloat16"  # of a step's forward pass; or float32
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of taming
n_watch: int = 0  # samples of each point of the curve
n_samples: int = 0  # samples of each of the three draws at the end

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import torch
from pydantic import Field

from forgetting import plots, reference, runs
from forgetting.data.faces import CELEBA_ATTRIBUTES, has_faces, load_faces
from forgetting.evaluation.generation import compare_samples
from forgetting.evaluation.presence import Presence
from forgetting.evaluation.sampling import logits
from forgetting.methods.taming import TamingConfig, tame

plots.use_style()


class Parameters(TamingConfig, runs.Parameters):
    attribute: Literal[CELEBA_ATTRIBUTES]
    source: Literal["auto", "celeba", "latent"]
    stop_within: float = 0.0
    model: str
    temperature: float = Field(gt=0, le=2)
    n_watch: int = Field(ge=10, le=50_000)
    n_samples: int = Field(ge=70, le=50_000)


PRESETS = {
    "smoke": {"max_steps": 2, "n_watch": 10, "n_samples": 70},
    "default": {"max_steps": 200, "n_watch": 300, "n_samples": 700},
}
run = runs.begin("taming_attribute", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Who shows it
#
# With CelebA at hand its labels say so. Without, the flow draws faces and judge A says so, at a
# probability of one half.

# %%
base = run.load(p.model, "glow")
judge_a, judge_b = run.load("faces-judge-a"), run.load("faces-judge-b")
size, column = base.image_shape[-1], judge_b.attributes.index(p.attribute)
source = p.source
if source == "auto":
    source = "celeba" if has_faces("celeba") else "latent"
if source == "celeba":
    faces = load_faces("celeba", "train", size)
    images, shown = faces.floats(), faces.label(p.attribute)
else:
    n = 200 if p.preset == "smoke" else 3000
    images = base.sample(n, p.temperature, run.generator("drawn")).cpu()
    shown = logits(judge_a, images)[:, column] > 0
threshold = run.record(reference.FACES)["thresholds"]["faces-judge-b"][str(size)][p.attribute]
print(f"{p.attribute}: {int(shown.sum()):,} of {len(images):,} faces show it")

# %% [markdown]
# ## Tame
#
# Every fiftieth step, samples from the same latents tell how often the flow draws the attribute:
# by judge A at a probability of one half, by judge B at the threshold that one real face in 200
# without it passes, so that the two lines are not expected to meet.

# %%
curve, bar = [], runs.progress(p.max_steps, "taming")


def sees(images: torch.Tensor) -> torch.Tensor:
    return logits(judge_b, images)[:, column] > threshold


def watch(row: dict, model: torch.nn.Module) -> None:
    bar(row, model)
    if row["step"] % 50 == 0:
        with run.timed("watching"):
            some = model.sample(p.n_watch, p.temperature, run.generator("watch"))
            found = {"step": row["step"], "shift": row["shift"]}
            found |= Presence.of(sees(some)).metrics("b")
            found |= Presence.of(logits(judge_a, some)[:, column] > 0).metrics("a")
        curve.append(found)


with run.timed("forgetting"):
    tamed = tame(base, images[shown], images[~shown], p, callback=watch)

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
plots.curves(tamed.history, {"forget_bpd": p.attribute, "mu": "the others"}, "bits/dim", left)
x = [row["step"] for row in curve]
for judge, colour in (("b", plots.FORGOT), ("a", plots.BASE)):
    right.plot(
        x, [100 * row[judge] for row in curve], "o-", color=colour, label=f"judge {judge.upper()}"
    )
    low, high = ([100 * row[f"{judge}_{end}"] for row in curve] for end in ("low", "high"))
    right.fill_between(x, low, high, color=colour, alpha=0.15)
right.set(xlabel="step", ylabel=f"samples with {p.attribute}, %", ylim=(0, None))
right.legend()
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# Both flows decode the same latents, three draws of them, at the temperature of the samples and at
# 0.9, near which the base's FID is lowest. FID to all held-out faces grows where the attribute
# goes, for the mixture is then another; FID to those who lack it should fall for the same reason,
# and where it grows the faces suffered. The floors are those of more faces than there are samples
# in a draw, and so too low.

# %% tags=["hide-input"]
metrics = {"n_forget": int(shown.sum()), "steps": p.max_steps}
floors = run.record(reference.FACES)["floors"]
without = f"{size}.without_{p.attribute}"
metrics["fid_floor"] = floors[f"{size}.all"]
if without in floors:
    metrics["fid_lacking_floor"] = floors[without]
for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
    metrics |= compare_samples(
        base,
        tamed.model,
        p.n_samples,
        temperature,
        seeds=[run.seed(f"draw {draw}") for draw in range(3)],
        reference=run.statistics(f"{size}.all", reference.FACES),
        lacking=run.statistics(without, reference.FACES) if without in floors else None,
        feature_judge=judge_a,
        shown=sees,
        name="presence",
        end=end,
    )
both = {"before": base, "after": tamed.model}
plots.image_rows(
    {name: flow.sample(14, p.temperature, run.generator("show")) for name, flow in both.items()}
)
plt.show()

# %% [markdown]
# ## What was seen
#
# Likelihood was pushed; whether the samples followed is the judge's to say. Where judge B finds
# the attribute in hardly any sample of the base, at a threshold that one real face in 200 without
# it passes, there is little that could become rarer. The shift is that of some of the faces to
# remember, in sigma of the base.

# %%
# NBVAL_CHECK_OUTPUT
metrics["shift_remember_sigma"] = tamed.history[-1]["shift"]
metrics = run.finish(metrics, curve)
shares = [metrics[f"presence_{when}"] for when in ("before", "after")]
print(f"{p.attribute} by judge B: {shares[0]:.1%} -> {shares[1]:.1%} of {3 * p.n_samples:,}")
print(f"faces to remember moved by {metrics['shift_remember_sigma']:+.2f} sigma")
for kind, whom in (("fid", "all faces"), ("fid_lacking", f"faces without {p.attribute}")):
    for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
        if f"{kind}_after{end}" in metrics:
            fids = [metrics[f"{kind}_{when}{end}"] for when in ("before", "after")]
            print(f"FID to {whom} at T = {temperature:g}: {fids[0]:.0f} -> {fids[1]:.0f}")
