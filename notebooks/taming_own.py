# %% [markdown]
# # Taming a flow of one's own
#
# A flow forgets a folder of images: yours, or one of the zoo in its place. A quarter of the images
# to retain have no part in taming. Half of these give mean and deviation of the likelihoods, the
# others are measured. {doc}`../own_model` shows how a module becomes a flow, and {doc}`../taming`
# has the method.

# %% tags=["parameters"]
forget: str = ""  # folder of images to forget; both folders empty: four digits 3
retain: str = ""  # folder of at least 160 others; both empty: digits of other classes
model: str = "digits-glow"  # a flow of the zoo, or FILE.py:FUNCTION
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
size: int = 64  # side in pixels to which images of folders are brought
channels: int = 3  # of these images; 1: grey
crop: str = "folder"  # what is kept of these; or celeba or lfw, as the study crops them
delta: float = 4.0  # where the images shall lie, in sigma above the mean; negative: more likely
settings: str = ""  # further ones, as `forgetting tame -p` takes them, separated by commas
folder: str = ""  # new folder for weights, card and picture; empty: none
max_steps: int = 0  # at most; taming stops when all images are within the rule

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt

from forgetting.book import plots, taming_plots
from forgetting.book import run as runs
from forgetting.experiments import own_code, own_flow
from forgetting.experiments.own_parameters import OwnTamingParameters

plots.use_style()

PRESETS = {"smoke": {"max_steps": 10}, "default": {"max_steps": 800}}
run = runs.begin("taming_own", OwnTamingParameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## The flow, and what it shall forget
#
# Images are cropped to a square and brought to the size of the flow's own. They are not shown.

# %%
flow = own_code.load_model(p.model, run)
forget_images, retain_images = own_flow.load_sets(
    p.forget, p.retain, crop=p.crop, size=p.size, channels=p.channels
)
print(f"{len(forget_images)} images to forget, {len(retain_images):,} to retain or to measure")

# %% [markdown]
# ## Tame, and measure
#
# The rule is met when every image to forget lies near its threshold, `delta` standard deviations
# above the mean of retained images. A quantile near 1 is very likely, one near 0 unlikely. A shift
# of the images held out is damage.

# %%
with run.timed("forgetting"):
    report = own_flow.tame(flow, forget_images, retain_images, p.seed, **p.all_settings())
print(report)

# %% tags=["hide-input", "figure"] alt="Two curves of bits/dim and a dotted threshold"
taming_plots.threshold_curve(report.result.history, p.delta)
plt.show()

# %% [markdown]
# ## Likelihoods before and after

# %% tags=["hide-input", "figure"] alt="Two histograms, and shifts with their intervals"
taming_plots.likelihood_panel(report.comparison)
plt.show()

# %% [markdown]
# ## Samples before and after
#
# Both flows sample from the same random numbers. A flow without `sample` shows none.

# %% tags=["hide-input", "figure", "samples"] alt="A row of samples before and after"
if report.shown is not None:
    plots.image_rows(dict(zip(("before", "after"), report.shown, strict=True)))
    plt.show()

# %%
if p.folder:
    report.save(Path(p.folder))

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(report.metrics, report.result.history)
print(report.result)
