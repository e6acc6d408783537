# %% [markdown]
# # A base model of faces
#
# How good is a model of faces before it is asked to forget? Its samples, unpicked; its training
# curve; its distance from the faces of people it has never seen, beside the distance that real
# faces have from each other; and what two classifiers see in its samples.

# %% tags=["parameters"]
model: str = "faces-vae"  # a generator or flow of faces in the zoo
source: str = "auto"  # real (CelebA and LFW), none (what the zoo knows of them) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
temperature: float = 0.7  # of a flow's samples; a GAN or VAE is always sampled at 1
n_samples: int = 0  # in every measure
draws: int = 0  # of dequantisation noise for each likelihood
show_real: bool = False  # show real faces too; such a page must not be passed on

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.cache import cached
from forgetting.data.faces import has_faces, load_faces
from forgetting.inference import features, generate, logits
from forgetting.metrics import likelihood
from forgetting.metrics.fidelity import fid, kid, nearest, precision_recall
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo import references as reference

plots.use_style()


class Parameters(runs.Parameters):
    model: str
    source: Literal["auto", "real", "none"]
    temperature: float = Field(gt=0, le=2)
    n_samples: int = Field(ge=64, le=50_000)
    draws: int = Field(ge=1, le=100)
    show_real: bool


PRESETS = {
    "smoke": {"n_samples": 64, "draws": 1},
    "default": {"n_samples": 5000, "draws": 3},
}
run = runs.begin("base_faces", Parameters, PRESETS, globals())
p = run.parameters
real = p.source == "real" or (p.source == "auto" and has_faces("celeba", "lfw"))

# %% [markdown]
# ## Samples
#
# The first 96, as they come.

# %%
model = run.load(p.model, "vae", "gan", "glow")
classifier_a, classifier_b = run.load("faces-classifier-a"), run.load("faces-classifier-b")
entry = run.record(p.model)
if entry["kind"] == "glow":
    samples = model.sample(p.n_samples, p.temperature, run.generator("samples")).cpu()
else:
    samples = generate(model, run.latents("samples", p.n_samples, model.latent_dim))
size = samples.shape[-1]
print(", ".join(f"{name} {value}" for name, value in entry["config"].items()))
plots.image_grid(samples[:96], scale=0.55)
plt.show()

# %% tags=["hide-input"]
if real:
    both = [load_faces(name, "held_out", size).floats() for name in ("celeba", "lfw")]
    order = torch.randperm(sum(map(len, both)), generator=run.generator("held out"))
    held_out = torch.cat(both)[order]
if real and p.show_real:
    print("Held-out people, as they come:")
    plots.image_grid(held_out[:96], scale=0.55)
    plt.show()
else:
    print("Real faces are shown with show_real=true and the data, and in no published page.")

# %% [markdown]
# From one latent to another along a great circle: a model that has learned faces shows a face at
# every step of the way.

# %% tags=["hide-input"]
ends = run.latents("ends", 8, model.latent_dim)
ends = ends * (p.temperature if entry["kind"] == "glow" else 1)
turn = torch.linspace(0, torch.pi / 2, 14)[:, None]
ways = [generate(model, turn.cos() * a + turn.sin() * b) for a, b in zip(ends[::2], ends[1::2])]
plots.image_grid(torch.cat(ways), 14, 0.62)
plt.show()

# %% [markdown]
# ## Training
#
# The loss on the training faces, and on faces of held-out people: nats an image for a VAE (the
# negative ELBO), bits a dimension for a flow. Of a GAN, the losses of its two players: at ln 4 the
# discriminator sees no difference.

# %% tags=["hide-input"]
series = {"loss": "training", "held_out_loss": "held-out people"}
unit = "bits/dim" if entry["kind"] == "glow" else "nats"
if entry["kind"] == "gan":
    series = {"discriminator_loss": "discriminator", "generator_loss": "generator"}
axis = plots.curves(entry["history"][1:], series, unit)
if entry["kind"] == "gan":
    axis.set_yscale("log")
plt.show()

# %% [markdown]
# ## Beside real faces
#
# FID on classifier A's features to the faces of held-out people, from CelebA and LFW; for a model that
# was trained without an attribute, to those of them that lack it. The floor is that of 5,000
# training faces. With the data at hand, also KID, precision and recall (k = 3) to all held-out
# faces, each beside that of training faces, and, for a flow, bits/dim.

# %%
known = run.record(reference.FACES)
missing = f"{size}.without_{entry['training']['without']}"
subset = missing if missing in known["floors"] else f"{size}.all"
found = features(classifier_a, samples)
metrics = {"fid": fid(found, run.statistics(subset, reference.FACES)), "n_samples": p.n_samples}
metrics["fid_floor"] = known["floors"][subset]
if real:
    train = [load_faces(name, "train", size) for name in ("celeba", "lfw")]
    train = torch.cat([faces.images for faces in train])
    learned = cached([classifier_a], [train], "features", lambda: features(classifier_a, train))
    order = torch.randperm(len(train), generator=run.generator("training"))
    unseen = features(classifier_a, held_out[: p.n_samples])
    both = {"": found, "_floor": learned[order[: p.n_samples]]}
    for end, one in both.items():
        metrics[f"kid{end}"] = kid(one, unseen)
        metrics[f"precision{end}"], metrics[f"recall{end}"] = precision_recall(one, unseen)
        kinds = [metrics[f"{kind}{end}"] for kind in ("kid", "precision", "recall")]
        told = "KID {:.3g}, precision {:.2f}, recall {:.2f}".format(*kinds)
        print(f"{'training faces' if end else 'samples':15} {told}")
    if entry["kind"] == "glow":
        few = held_out[: min(p.n_samples, 2000)]
        bpd = likelihood.mean_bits_per_dim(model, few, p.draws, run.seed("noise"))
        metrics |= {"bits_per_dim": float(bpd.mean()), "bits_per_dim_std": float(bpd.std())}
        print(f"held-out bits/dim {bpd.mean():.3f} +- {bpd.std():.3f} over {len(few)} faces")
elif p.model == "faces-glow":
    kept = run.record(reference.LIKELIHOODS)
    metrics["bits_per_dim"] = kept["mean"]["held_out"]
    print(f"held-out bits/dim {metrics['bits_per_dim']:.3f}, as measured when it was trained")

# %% [markdown]
# Has it learned faces by heart? How far each sample is from the nearest training face, in classifier
# A's features, beside how far faces of held-out people are: a model that copies is much nearer.

# %% tags=["hide-input"]
if real:
    near, which = nearest(found[:500], learned)
    usual, _ = nearest(unseen[:500], learned)
    metrics["nearest_ratio"] = float(near.median() / usual.median())
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    for name, values, colour in (("samples", near, plots.BASE), ("held out", usual, plots.FAINT)):
        axis.hist(values, bins=40, density=True, alpha=0.6, color=colour, label=name)
    axis.set(xlabel="distance to the nearest training face", ylabel="density")
    axis.legend()
    plt.show()
if real and p.show_real:
    closest = near.argsort()[:14]
    plots.image_rows(
        {"samples": samples[closest], "training": train[which[closest]].float() / 255}
    )
    plt.show()

# %% [markdown]
# ## What the classifiers see
#
# The share of samples that show an attribute: by classifier A at a probability of one half, by classifier B
# at the threshold that one real negative in 200 passes, which misses many real positives: beside
# its share of samples stands that of real held-out faces, where they are at hand, and the share
# that CelebA's labels give.

# %% tags=["hide-input"]
thresholds = known["thresholds"]["faces-classifier-b"][str(size)]
by_a, by_b = logits(classifier_a, samples), logits(classifier_b, samples)
of_real = logits(classifier_b, held_out[: p.n_samples]) if real else None
rows = []
for attribute in reference.FACE_FEATURES:
    column, short = classifier_b.attributes.index(attribute), attribute.lower()
    seen_a, seen_b = by_a[:, column] > 0, by_b[:, column] > thresholds[attribute]
    metrics |= Prevalence.of(seen_a).metrics(f"prevalence_a_{short}")
    metrics |= Prevalence.of(seen_b).metrics(f"prevalence_strict_{short}")
    rows.append(
        (
            attribute,
            known["shares"][attribute],
            float(seen_a.float().mean()),
            float(seen_b.float().mean()),
            float((of_real[:, column] > thresholds[attribute]).float().mean()) if real else None,
        )
    )
columns = ["CelebA's labels", "classifier A", "classifier B", "classifier B of real faces"]
table = pd.DataFrame(rows, columns=["attribute", *columns])
table.set_index("attribute").style.format("{:.1%}", na_rep="–")

# %% [markdown]
# ## What was seen
#
# FID has the scale of classifier A's features and is read against its floor.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, entry["history"])
print(f"FID {metrics['fid']:.1f}, floor {metrics['fid_floor']:.1f}")
for attribute in reference.FACE_FEATURES:
    share, low, high = (
        metrics[f"prevalence_strict_{attribute.lower()}{end}"] for end in ("", "_low", "_high")
    )
    print(f"{attribute:12} {share:.1%} ({low:.1%} to {high:.1%}) by classifier B")
