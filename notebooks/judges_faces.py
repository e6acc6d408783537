# %% [markdown]
# # The classifiers of faces
#
# Can the two classifiers be trusted, at 64 and at 32 pixels? Classifier A labels and steers, classifier B only
# grades: another architecture, another seed, other variations of the training images. Both are
# asked about people whom neither has seen.

# %% tags=["parameters"]
source: str = "auto"  # celeba (held-out people), none (generated images only) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
n_samples: int = 0  # of noise and of each base model

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field
from sklearn.calibration import calibration_curve

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.data.faces import has_faces, load_faces
from forgetting.inference import embeddings, generate, logits
from forgetting.metrics.calibration import Auc, calibration_error
from forgetting.metrics.identity import N_STRANGERS, pairs, verification
from forgetting.zoo import references as reference

plots.use_style()


class Parameters(runs.Parameters):
    source: Literal["auto", "celeba", "none"]
    n_samples: int = Field(ge=20, le=50_000)


PRESETS = {"smoke": {"n_samples": 20}, "default": {"n_samples": 2000}}
run = runs.begin("judges_faces", Parameters, PRESETS, globals())
p = run.parameters
classifiers = {"a": run.load("faces-classifier-a"), "b": run.load("faces-classifier-b")}
attributes = classifiers["a"].attributes
known = run.record(reference.FACES)["thresholds"]
thresholds = {name: {} for name in classifiers}
for size in reference.FACE_SIZES:
    for name in classifiers:
        found = known[f"faces-classifier-{name}"][str(size)]
        thresholds[name][size] = torch.tensor([found[a] for a in attributes])
metrics = {"n_samples": p.n_samples}

# %% [markdown]
# ## Held-out people
#
# The area under the ROC curve with its 95 % interval {cite}`delong1988comparing` for every
# attribute: how often an image that shows it scores higher than one that doesn't.

# %%
real = p.source == "celeba" or (p.source == "auto" and has_faces("celeba"))
scores, aucs = {}, {}
if real:
    for size in reference.FACE_SIZES:
        faces = load_faces("celeba", "held_out", size)
        for name, classifier in classifiers.items():
            found = scores[name, size] = logits(classifier, faces.images)
            for column, attribute in enumerate(attributes):
                if not 1 < faces.labels[:, column].sum() < len(faces) - 1:
                    print(f"{attribute} is left out: nearly all faces are alike in it")
                    continue
                auc = Auc.of(found[:, column], faces.labels[:, column])
                aucs[name, size, attribute] = auc
                metrics |= auc.metrics(f"auc_{name}_{size}_{attribute.lower()}")
    metrics["n_images"], metrics["n_people"] = len(faces), len(set(faces.people))
    print(f"{len(faces):,} faces of {len(set(faces.people)):,} people")
else:
    print("No real faces are at hand: point FORGETTING_DATA at CelebA to see this part.")

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        f"{name.upper()}, {size} px": {
            attribute: f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
            for (classifier, px, attribute), auc in aucs.items()
            if (classifier, px) == (name, size) and attribute in reference.FACE_FEATURES
        }
        for name, size in scores
    }
)
table

# %% tags=["hide-input"]
if real:
    figure, axis = plt.subplots(figsize=(6.4, 8.6))
    order = [a for a in attributes if ("a", 64, a) in aucs]
    order.sort(key=lambda a: -aucs["a", 64, a].value)
    looks = {("a", 64): (plots.BASE, "o"), ("a", 32): (plots.BASE, "|")}
    looks |= {("b", 64): (plots.FORGOT, "o"), ("b", 32): (plots.FORGOT, "|")}
    for (name, size), (colour, marker) in looks.items():
        values = [aucs[name, size, a].value for a in order]
        label = f"classifier {name.upper()}, {size} px"
        axis.scatter(values, range(len(order)), color=colour, marker=marker, s=28, label=label)
    axis.set_yticks(range(len(order)), [a.replace("_", " ") for a in order], fontsize=8)
    axis.set(xlabel="AUC on held-out people", ylim=(len(order) - 0.3, -0.7))
    axis.axvline(0.9, color=plots.FAINT, lw=0.8)
    axis.grid(axis="y", alpha=0.25)
    axis.legend(loc="upper left")
    plt.show()

# %% [markdown]
# ## Accuracy and calibration
#
# Accuracy at a probability of one half, beside what always saying the more frequent answer would
# get; the expected calibration error; and the share of an attribute's real bearers that classifier B
# finds at its threshold, which one real negative in 200 passes.

# %% tags=["hide-input"]
rows = []
for name, size in scores:
    faces = load_faces("celeba", "held_out", size)
    for attribute in reference.FACE_FEATURES:
        score, has_feature = (
            scores[name, size][:, attributes.index(attribute)],
            faces.label(attribute),
        )
        row = {"classifier": f"{name.upper()}, {size} px", "attribute": attribute}
        row["frequent answer"] = max(
            float(has_feature.float().mean()), float((~has_feature).float().mean())
        )
        row["accuracy"] = float(((score > 0) == has_feature).float().mean())
        row["calibration error"] = calibration_error(score, has_feature)
        key = f"{name}_{size}_{attribute.lower()}"
        metrics[f"accuracy_{key}"] = row["accuracy"]
        metrics[f"calibration_error_{key}"] = row["calibration error"]
        if name == "b":
            over = score > thresholds["b"][size][attributes.index(attribute)]
            row["found by B"] = metrics[f"recall_{key}"] = float(over[has_feature].float().mean())
        rows.append(row)
frame = pd.DataFrame(rows).set_index(["classifier", "attribute"]) if rows else pd.DataFrame()
frame.style.format("{:.1%}", na_rep="")

# %% tags=["hide-input"]
if real:
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
    for axis, size in zip(axes, reference.FACE_SIZES):
        faces = load_faces("celeba", "held_out", size)
        for name, colour in (("a", plots.BASE), ("b", plots.FORGOT)):
            columns = [attributes.index(a) for a in reference.FACE_FEATURES]
            probability = torch.sigmoid(scores[name, size][:, columns]).flatten()
            has_feature = faces.labels[:, columns].flatten()
            share, mean = calibration_curve(has_feature, probability, n_bins=10)
            axis.plot(mean, share, "o-", color=colour, label=f"classifier {name.upper()}")
        axis.plot([0, 1], [0, 1], color=plots.FAINT, lw=0.8)
        axis.set(title=f"{size} px, six attributes", xlabel="probability given")
    axes[0].set_ylabel("share that shows it")
    axes[0].legend()
    plt.show()

# %% [markdown]
# ## Noise, and what models make
#
# A classifier has no way to say "no face". The share of images in which each classifier sees an attribute:
# uniform noise, blurred noise, and samples of the base models; A at a probability of one half, B
# at its threshold. For samples also how far the two agree: the share of images on which both say
# the same at one half, and the correlation of their logits.

# %%
shape = (p.n_samples, 3, 64, 64)
noise = torch.rand(shape, generator=run.generator("noise"))
blurred = torch.nn.functional.avg_pool2d(noise, 9, 1, 4)
blurred = (0.5 + (blurred - 0.5) * 6).clamp(0, 1)
images = {"uniform noise": noise, "blurred noise": blurred}
vae, glow = run.load("faces-vae"), run.load("faces-glow")
images["VAE samples"] = generate(vae, run.latents("vae", p.n_samples, vae.latent_dim))
images["Glow samples"] = glow.sample(p.n_samples, 0.7, run.generator("glow")).cpu()

# %% tags=["hide-input"]
rows = []
for what, batch in images.items():
    size, short = batch.shape[-1], what.replace(" ", "_").lower()
    by = {name: logits(classifier, batch) for name, classifier in classifiers.items()}
    for attribute in reference.FACE_FEATURES:
        column, key = attributes.index(attribute), f"{short}_{attribute.lower()}"
        a, b = by["a"][:, column], by["b"][:, column]
        seen_a, seen_b = a > 0, b > thresholds["b"][size][column]
        row = {"images": what, "attribute": attribute}
        row["classifier A"] = metrics[f"share_a_{key}"] = float(seen_a.float().mean())
        row["classifier B"] = metrics[f"share_b_{key}"] = float(seen_b.float().mean())
        if "samples" in what:
            agree = float((seen_a == (b > 0)).float().mean())
            row["agree"] = metrics[f"agreement_{key}"] = agree
            correlation = torch.corrcoef(torch.stack([a, b]))[0, 1]
            row["correlation"] = metrics[f"correlation_{key}"] = float(correlation)
        rows.append(row)
frame = pd.DataFrame(rows).set_index(["images", "attribute"])
shares = dict.fromkeys(("classifier A", "classifier B", "agree"), "{:.1%}")
frame.style.format({**shares, "correlation": "{:.2f}"}, na_rep="")

# %% [markdown]
# ## The same person?
#
# The embedding on held-out people of LFW: for everybody who has two photographs one pair of them,
# and random pairs of strangers. The threshold is the similarity that one pair of strangers in 100
# reaches.

# %% tags=["hide-input"]
embedder = run.load("faces-embedding")
if p.source != "none" and has_faces("lfw"):
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.8))
    for axis, size in zip(axes, reference.FACE_SIZES):
        faces = load_faces("lfw", "held_out", size)
        found = embeddings(embedder, faces.images)
        similarity, same = pairs(found, faces.people, N_STRANGERS)
        auc, threshold, recall = verification(similarity, same)
        metrics |= auc.metrics(f"verification_auc_{size}")
        metrics[f"verification_recall_{size}"] = recall
        bins = torch.linspace(-0.6, 1, 60)
        for mask, label, colour in (
            (same, "one person", plots.FORGOT),
            (~same, "strangers", plots.FAINT),
        ):
            axis.hist(similarity[mask], bins, density=True, alpha=0.6, color=colour, label=label)
        axis.axvline(threshold, color="black", lw=0.8)
        axis.set(title=f"{size} px, AUC {auc.value:.3f}", xlabel="similarity", yticks=[])
    axes[0].legend(loc="upper left")
    plt.show()

# %% [markdown]
# ## What was seen
#
# How far the classifiers agree on what models make, and, on real faces, the lowest end of an interval
# among the attributes that the study unlearns or tames.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for what in ("vae_samples", "glow_samples"):
    lowest = min(metrics[f"agreement_{what}_{a.lower()}"] for a in reference.FACE_FEATURES)
    print(f"{what.replace('_', ' ')}: the classifiers agree on {lowest:.0%} or more")
for size in (s for s in reference.FACE_SIZES if f"verification_auc_{s}" in metrics):
    auc, recall = (metrics[f"verification_{of}_{size}"] for of in ("auc", "recall"))
    print(f"one person or two, {size} px: AUC {auc:.3f}, {recall:.0%} over the threshold")
for name, size in scores:
    lowest = min(reference.FACE_FEATURES, key=lambda a: aucs[name, size, a].low)
    low = aucs[name, size, lowest].low
    print(f"classifier {name.upper()} at {size} px: at least {low:.3f} ({lowest})")
