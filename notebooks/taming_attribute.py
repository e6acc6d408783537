# %% [markdown]
# # Making an attribute rare
#
# Can a flow of faces be tamed on everybody who shows an attribute, so that it draws fewer of them?
# All faces that show it are to be forgotten, all others retained, for a fixed number of steps
# {cite}`malnick2024taming`; classifier B, which had no part in it, counts. To retain faces without
# the attribute may make it rare by itself: so a *control* is tuned for as many steps on the same
# faces to retain, with nothing to forget.

# %% tags=["parameters"]
attribute: str = "Smiling"  # one of CelebA's 40
source: str = "auto"  # celeba (its labels), latent (the flow's own faces, by classifier A) or auto
delta: float = 4.0  # where they shall lie, in sigma above the mean; negative: more likely
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.00005  # learning rate of Adam
batch_size: int = 8  # images to forget a step
retain_batch_size: int = 8  # images to retain a step
precision: str = "bfloat16"  # of a step's forward pass; or float32
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of taming
n_watch: int = 0  # samples of each point of the curve
n_samples: int = 0  # samples of each of the three draws at the end

# %% tags=["hide-input"]
from collections.abc import Callable
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.data.faces import CELEBA_ATTRIBUTES, has_faces, load_faces
from forgetting.experiments.samples import cached_samples, compare_samples
from forgetting.inference import logits
from forgetting.methods import TamingResult
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.likelihood import compare
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo import references as reference

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
    "default": {"max_steps": 200, "n_watch": 1000, "n_samples": 1700},
}
N_UNSEEN = 1000  # held-out faces that are asked how far they moved
SHOWN = ["before", "control", "mixed", "after", "beyond"]  # of FID
run = runs.begin("taming_attribute", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Who shows it
#
# With CelebA at hand its labels say so. Without, the flow draws faces, at a temperature of 1 lest
# it grow narrower, and classifier A says so, at a probability of one half. Faces without the attribute
# that neither flow nor taming has seen are kept to ask how far they move.

# %%
base = run.load(p.model, "glow")
classifier_a, classifier_b = run.load("faces-classifier-a"), run.load("faces-classifier-b")
size, column = base.image_shape[-1], classifier_b.attributes.index(p.attribute)


def has_it(images: torch.Tensor) -> torch.Tensor:
    return logits(classifier_a, images)[:, column] > 0


source = p.source
if source == "auto":
    source = "celeba" if has_faces("celeba") else "latent"
if source == "celeba":
    faces, unseen = (load_faces("celeba", part, size) for part in ("train", "held_out"))
    images, has_feature = faces.floats(), faces.label(p.attribute)
    unseen = unseen.where(~unseen.label(p.attribute)).floats()[:N_UNSEEN]
else:
    n = 200 if p.preset == "smoke" else 3000
    images = cached_samples(base, n + N_UNSEEN, 1.0, run.seed("drawn"))
    has_feature = has_it(images)
    unseen = images[n:][~has_feature[n:]]
    images, has_feature = images[:n], has_feature[:n]
threshold = run.record(reference.FACES)["thresholds"]["faces-classifier-b"][str(size)][p.attribute]
print(f"{p.attribute}: {int(has_feature.sum()):,} of {len(images):,} faces show it")

# %% [markdown]
# ## Tame
#
# Before every fiftieth step, and at the end, samples from the same latents tell how often the flow
# draws the attribute: by classifier A at a probability of one half, by classifier B at the stricter
# threshold that one real face in 200 without it passes, so that the two are not expected to agree.
# Dashed lines are the control's.


# %%
def sees(images: torch.Tensor) -> torch.Tensor:
    return logits(classifier_b, images)[:, column] > threshold


def watched(name: str, steer: Callable | None = None) -> tuple[TamingResult, list[dict]]:
    curve, bar = [], runs.progress(p.max_steps, name)

    def watch(row: dict, model: torch.nn.Module) -> None:
        bar(row, model)
        if row["step"] % 50 == 0 or row["step"] == p.max_steps:
            with run.timed("watching" if steer is None else "watching_control"):
                some = model.sample(p.n_watch, p.temperature, run.generator("watch"))
                found = {"step": row["step"], "forget_bpd": row["forget_bpd"], "mu": row["mu"]}
                found |= Prevalence.of(sees(some)).metrics("b")
                found |= Prevalence.of(has_it(some)).metrics("a")
            curve.append(found)

    return tame(
        base, images[has_feature], images[~has_feature], p, callback=watch, steer=steer
    ), curve


with run.timed("forgetting"):
    tamed, curve = watched("taming")
n_pressed = int(has_feature.sum())
with run.timed("control"):
    control, idle = watched("control", lambda step, model: torch.zeros(n_pressed))

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
plots.curves(tamed.history, {"forget_bpd": p.attribute, "mu": "the others"}, "bits/dim", left)
x = [row["step"] for row in curve]
for classifier, colour in (("b", plots.FORGOT), ("a", plots.BASE)):
    right.plot(
        x,
        [100 * row[classifier] for row in curve],
        "o-",
        color=colour,
        label=f"classifier {classifier.upper()}",
    )
    low, high = ([100 * row[f"{classifier}_{end}"] for row in curve] for end in ("low", "high"))
    right.fill_between(x, low, high, color=colour, alpha=0.15)
    right.plot(x, [100 * row[classifier] for row in idle], "--", color=colour)
right.set(xlabel="step", ylabel=f"samples with {p.attribute}, %", ylim=(0, None))
right.legend()
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# All flows decode the same latents, three draws of them, at the temperature of the samples and at
# 0.9, near which the base's FID is lowest. FID to all held-out faces must change where the
# attribute goes, for the mixture is then another, and that is no loss of quality. So the base's
# own samples are weighed, too, until classifier A finds the attribute among them as often as among the
# tamed flow's: this is *mixed*. What the tamed flow's FID lies *beyond* it is not the mixture: the
# faces are worse, or differ in something else, or are only cooler, which counts at the lower
# temperature ({doc}`generation_bush_4`); or they show even less of the attribute than faces
# without it do, for classifier A, which told the mixture, gives the features, too. (Unequal
# weights leave fewer effective samples, which makes *mixed* a little too high.) The floor is
# that of as many real faces.

# %% tags=["hide-input"]
metrics = {"n_forget": int(has_feature.sum()), "steps": p.max_steps}
for when, row in (("before", curve[0]), ("after", curve[-1]), ("control", idle[-1])):
    metrics |= {f"prevalence_a_{when}{end}": row[f"a{end}"] for end in ("", "_low", "_high")}
everybody = run.statistics(f"{size}.all", reference.FACES)
metrics["fid_floor"] = reference.floor(run.record(reference.FACES), f"{size}.all", p.n_samples)
rows = {}
for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
    for when, flow in (("control", control.model), ("after", tamed.model)):
        found = compare_samples(
            base,
            flow,
            p.n_samples,
            temperature,
            seeds=[run.seed(f"draw {draw}") for draw in range(3)],
            reference=everybody,
            feature_classifier=classifier_a,
            kinds=has_it,
            has_feature=sees,
            name="prevalence_strict",
            end=end,
        )
        if when == "control":
            found = {k.replace("_after", "_control"): v for k, v in found.items() if "_after" in k}
        metrics |= found
    rows[f"FID at T = {temperature:g}"] = [
        f"{metrics[f'fid_{of}{end}']:.0f} ± {metrics[f'fid_{of}{end}_std']:.0f}" for of in SHOWN
    ]
flows = {"before": base, "control": control.model, "after": tamed.model}
plots.image_rows(
    {name: flow.sample(14, p.temperature, run.generator("show")) for name, flow in flows.items()}
)
plt.show()
print(f"floor of FID, {p.n_samples:,} faces: {metrics['fid_floor']:.1f}")
pd.DataFrame(rows, index=SHOWN).T

# %% [markdown]
# ## What was seen
#
# Likelihood was pushed; whether the samples followed is the classifiers' to say, of the flow before,
# of the control and of the tamed flow. How often an attribute is drawn depends on the temperature.
# The shift is that of held-out faces without the attribute, in sigma of the base. Where classifier B
# finds the attribute in hardly any sample of the base, there is little that could become rarer.

# %% tags=["nbval-check-output"]
ask = {"draws": 1, "seed": run.seed("noise")}
moved = compare(base, tamed.model, {"held_out": unseen}, unseen, **ask).shift("held_out")
ends = (f"shift_random_sigma{end}" for end in ("", "_low", "_high"))
metrics |= dict(zip(ends, moved))
for row, other in zip(curve, idle):
    row |= {f"{classifier}_control": other[classifier] for classifier in "ab"}
metrics = run.finish(metrics, curve)
print(f"samples with {p.attribute}: before, control, after")
for classifier, share, end, n in (
    (f"B, T = {p.temperature:g}", "prevalence_strict", "", 3 * p.n_samples),
    ("B, T = 0.9", "prevalence_strict", "_t9", 3 * p.n_samples),
    (f"A, T = {p.temperature:g}", "prevalence_a", "", p.n_watch),
):
    found = [f"{metrics[f'{share}_{flow}{end}']:.1%}" for flow in flows]
    print(f"classifier {classifier}: {', '.join(found)} of {n:,}")
print("held-out faces moved by {:+.2f} sigma ({:+.2f} to {:+.2f})".format(*moved))
for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
    fids = ", ".join(f"{of} {metrics[f'fid_{of}{end}']:.0f}" for of in SHOWN)
    print(f"FID at T = {temperature:g}: {fids}")
