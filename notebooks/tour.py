# %% [markdown]
# # A tour
#
# One generator, one feature, and every step of unlearning it in a few lines. All cells together
# take two minutes on a laptop: `forgetting run tour` executes them, and leaves a notebook to open.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (two minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
steps: int = 0  # of tuning
n_samples: int = 0  # that are collected, and as many that are measured

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch
from pydantic import Field

import forgetting as fg
from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.border.inference import generate
from forgetting.data.digit_features import FEATURES
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import check_option
from forgetting.methods.feature_unlearning import UnlearningConfig
from forgetting.metrics.prevalence import Prevalence
from forgetting.metrics.verdict import MARGIN

plots.use_style()


class Parameters(runs.Parameters):
    feature: str
    steps: int = Field(ge=1, le=10_000)
    n_samples: int = Field(ge=200, le=50_000)


PRESETS = {
    "smoke": {"steps": 10, "n_samples": 400},
    "default": {"steps": 300, "n_samples": 4000},
}
run = runs.begin("tour", Parameters, PRESETS, globals())
p = run.parameters
feature = check_option("feature", p.feature, list(FEATURES))

# %% [markdown]
# ## A generator
#
# A generator turns random numbers, a *latent*, into an image. This one decodes 32 numbers to a
# digit of 28 x 28 pixels. It was trained on MNIST.

# %%
vae = run.load("digits-vae")
latents = run.latents("fresh", p.n_samples, vae.latent_dim)
images = generate(vae, latents)

# %% tags=["hide-input", "figure", "samples"] alt="Four rows of digits that the generator makes"
plots.image_grid(images[:64])
plt.show()

# %% [markdown]
# ## The feature
#
# Stroke and slant of a digit can be measured. A digit has the feature if it is among the tenth of
# the generator's own samples that have most of it.

# %%
measured = measure(images)
morphology = Morphology.of(measured)
has_feature = morphology.has_feature(measured, p.feature)
before = Prevalence.of(has_feature)
print(f"{before.share:.1%} of the samples have it")

# %% [markdown]
# ## A direction
#
# A classifier scores other samples. The mean latent of those that score high, less the mean latent
# of the others, is the direction of the feature. Along it the feature grows.

# %%
classifier = run.load("digits-classifier-a")
labelled = fg.collect_latents(vae, classifier[p.feature], p.n_samples, seed=run.seed("collect"))
direction = fg.find_direction(labelled)
unit = direction.vector / direction.vector.norm()
places = torch.linspace(-3, 3, 11)
walk = generate(vae, latents[:1] + (places[:, None] - latents[:1] @ unit) * unit)
print(f"beyond {direction.projection_threshold:.2f} a latent is selected")

# %% tags=["hide-input", "figure", "samples"] alt="One digit at eleven places along the direction"
plots.image_rows({"along the direction": walk})
plt.show()

# %% [markdown]
# ## Unlearn
#
# A copy is tuned. Selected latents shall give what the original makes of them without the feature,
# and all others what the original makes.

# %%
config = UnlearningConfig(steps=p.steps, batch_size=64, seed=run.seed("unlearn"))
with run.timed("forgetting"):
    bar = runs.progress(p.steps, "unlearning")
    unlearned = fg.unlearn_feature(vae, direction, config, callback=bar).model

# %% [markdown]
# ## Is it gone?
#
# The same latents, before and after. The last row is a model that was trained without the feature.
# Its latents mean other digits, and its share is what to aim at. The full verdict of the
# {doc}`protocol <../protocol>` looks at the width of strokes and at FID, too.

# %%
after = generate(unlearned, latents)
retrained = run.load(f"digits-vae-no-{p.feature.replace('_', '-')}")
without = generate(retrained, latents)
shares = {
    name: Prevalence.of(morphology.has_feature(measure(shown), p.feature))
    for name, shown in (("before", images), ("after", after), ("retrained", without))
}
for name, share in shares.items():
    print(f"{name:10} {share.share:6.2%} ({share.low:.2%} to {share.high:.2%})")
is_down = shares["after"].high <= shares["retrained"].share + MARGIN
print("As rare" if is_down else "Not as rare", "as in the retrained model, within a point.")

# %% tags=["hide-input", "figure", "samples"] alt="Three rows of digits: before, after, never seen"
first = torch.nonzero(has_feature).flatten()[:14]
plots.image_rows({"before": images[first], "after": after[first], "never saw it": without[first]})
plt.show()

# %% [markdown]
# ## What else changed?
#
# Latents that were not selected should give what they gave. The mean change of a pixel says how
# nearly they do.

# %%
selected = direction.selects(latents)
change = (after - images).abs().flatten(1).mean(1)
metrics = {
    "l1_selected": float(change[selected].mean()),
    "l1_others": float(change[~selected].mean()),
}
print(f"mean change of a pixel: {metrics['l1_selected']:.4f} where a latent was selected")
print(f"{'':24}{metrics['l1_others']:.4f} elsewhere")

# %% [markdown]
# ## Where next
#
# - Another feature, seed or number of steps: `forgetting run tour -p feature=left_slant`. In
#   Jupyter, change the cell of parameters and run all cells.
# - {doc}`../feature_unlearning` has the method, and something to slide.
# - {doc}`../own_model` does the same to a model of yours.

# %% tags=["nbval-check-output"]
for name, share in shares.items():
    metrics |= share.metrics(f"prevalence_{name}")
metrics = run.finish(metrics, [])
for name in shares:
    print(f"{name:10} {metrics[f'prevalence_{name}']:7.2%}")
print(f"change of a pixel: {metrics['l1_selected']:.4f}, others {metrics['l1_others']:.4f}")
