# %% [markdown]
# # The classifiers of faces
#
# Can the two classifiers be trusted, at 64 and at 32 pixels? Classifier A labels and steers;
# classifier B only grades. B has another architecture, another seed and other variations of the
# training images. Both are tested on people whom neither has seen.

# %% tags=["parameters"]
source: str = "auto"  # celeba (held-out people), none (generated images only) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
n_samples: int = 0  # of noise and of each base model

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import classifier_plots, plots
from forgetting.book import run as runs
from forgetting.data.faces import has_faces
from forgetting.experiments.face_classifiers import (
    draw_unlabelled,
    flat_metrics,
    measure_accuracy,
    measure_agreement,
    measure_aucs,
    measure_verification,
    score_held_out,
)
from forgetting.zoo import references

plots.use_style()


class Parameters(runs.Parameters):
    source: Literal["auto", "celeba", "none"]
    n_samples: int = Field(ge=50, le=50_000)


PRESETS = {"smoke": {"n_samples": 60}, "default": {"n_samples": 2000}}
run = runs.begin("judges_faces", Parameters, PRESETS, globals())
p = run.parameters
classifiers = {name: run.load(f"faces-classifier-{name}") for name in "ab"}
metrics = {"n_samples": p.n_samples}

# %% [markdown]
# ## Held-out people
#
# The area under the ROC curve with its 95 % interval {cite}`delong1988comparing` for every
# attribute: how often an image that shows it scores higher than one that doesn't.

# %%
scores, aucs, accuracy = None, {}, {}
if p.source == "celeba" or (p.source == "auto" and has_faces("celeba")):
    scores = score_held_out(classifiers)
    aucs, left_out = measure_aucs(classifiers, scores)
    accuracy = measure_accuracy(run, classifiers, scores)
    for (name, size, attribute), auc in aucs.items():
        metrics |= auc.metrics(f"auc_{name}_{size}_{attribute.lower()}")
    metrics |= flat_metrics(accuracy, ("accuracy", "calibration_error", "recall"))
    people = scores.faces[64].people
    metrics |= {"n_images": len(people), "n_people": len(set(people))}
    print(f"{len(people):,} faces of {len(set(people)):,} people")
    print(f"left out, for nearly all faces are alike in them: {', '.join(left_out) or 'none'}")
else:
    print("No real faces are at hand: point FORGETTING_DATA at CelebA to see this part.")

# %% tags=["figure", "hide-input"] caption="AUC on held-out people, with 95 % intervals"
classifier_plots.auc_table(aucs)

# %% tags=["figure", "hide-input"] alt="Dots of AUC, one row an attribute, best first"
classifier_plots.draw_aucs(aucs)
plt.show()

# %% [markdown]
# ## Accuracy and calibration
#
# Accuracy at a probability of one half stands beside that of always giving the more frequent
# answer. Then follows the expected calibration error. The last column is the share of faces with
# an attribute in which classifier B finds it at its threshold. One real negative in 200 exceeds
# that threshold.

# %% tags=["figure", "hide-input"] caption="Accuracy and calibration, held-out people"
classifier_plots.accuracy_table(accuracy)

# %% tags=["figure", "hide-input"] alt="Curves of both classifiers about the diagonal"
classifier_plots.draw_calibration(classifiers, scores)
plt.show()

# %% [markdown]
# ## Noise, and what models make
#
# A classifier has no way to answer "no face". How often does each classifier find an attribute in
# images that it was not trained on? They are uniform noise, blurred noise, and samples of the base
# models. A counts at a probability of one half, B at its threshold.
#
# Of samples, the table also shows how far the two agree. It has the share of images on which both
# answer the same at one half, and the correlation of their logits.

# %%
images = draw_unlabelled(run, p.n_samples)
agreement = measure_agreement(run, classifiers, images)
metrics |= flat_metrics(agreement, ("share_a", "share_b", "agreement", "correlation"))

# %% tags=["figure", "hide-input"] caption="What both classifiers find in other images"
classifier_plots.agreement_table(agreement)

# %% [markdown]
# ## The same person?
#
# The embedding is tested on held-out people of LFW. Everybody who has two photographs gives one
# pair of them; the other pairs are random strangers. The threshold is the similarity that one pair
# of strangers in 100 exceeds.

# %%
embedding, verifications = run.load("faces-embedding"), {}
if p.source != "none" and has_faces("lfw"):
    verifications = measure_verification(embedding)
for size, verification in verifications.items():
    metrics |= verification.auc.metrics(f"verification_auc_{size}")
    metrics[f"verification_recall_{size}"] = verification.recall

# %% tags=["figure", "hide-input"] alt="Histograms of similarity: one person, strangers"
classifier_plots.draw_verification(verifications)
plt.show()

# %% [markdown]
# ## What was seen
#
# How far the classifiers agree on what models make. On real faces, the lowest end of an interval
# among the attributes that the study unlearns or tames.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for kind in ("VAE samples", "Glow samples"):
    lowest = min(agreement[kind, attribute]["agreement"] for attribute in references.FACE_FEATURES)
    print(f"{kind}: the classifiers agree on {lowest:.0%} or more")
for size, verification in verifications.items():
    value, recall = verification.auc.value, verification.recall
    print(f"one person or two, {size} px: AUC {value:.3f}, {recall:.0%} above the threshold")
for name, size in scores.logits if scores else ():
    low, attribute = min((aucs[name, size, f].low, f) for f in references.FACE_FEATURES)
    print(f"classifier {name.upper()} at {size} px: at least {low:.3f} ({attribute})")
