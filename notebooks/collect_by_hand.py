# %% [markdown]
# # Collecting by hand
#
# Which samples of a generator show a feature? A person can tell, without any classifier. For the
# paper, people clicked 500 pictures each, in about five minutes {cite}`moon2024feature`. How good
# a direction so many give depends on the latent's dimensions, and is measured below. Open this
# notebook in Jupyter, click, and stop and go on whenever you like: every page is kept.

# %% tags=["parameters"]
feature: str = "thick strokes"  # what to look for, in your own words
model: str = "digits-vae"  # a generator of the zoo
file: str = ""  # of the labels; empty: named after feature and model, in _build/manual_labels
n: int = 1000  # samples at most
seed: int = 0  # of the samples
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import re

from IPython.display import display
from pydantic import Field

from forgetting.book import run as runs
from forgetting.book.annotation import LabelGrid, ManualLabels
from forgetting.foundation.files import ROOT


class Parameters(runs.Parameters):
    feature: str = Field(min_length=1)
    model: str
    file: str
    n: int = Field(ge=50, le=100_000)


run = runs.begin("collect_by_hand", Parameters, {"smoke": {}, "default": {}}, globals())
p = run.parameters
generator = run.load(p.model, "vae", "gan")
name = re.sub(r"\W+", "-", f"{p.feature} {p.model}").lower()
path = ROOT / (p.file or f"_build/manual_labels/{name}.safetensors")
print(f"labels are kept in {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
labels = ManualLabels(generator, p.feature, p.n, path, run.seed("collect"))

# %%
grid = LabelGrid(labels)
display(grid.widget)

# %% [markdown]
# ## What has been collected
#
# Run the next cell when you have had enough. A direction needs ten samples that show the feature
# and ten that lack it. A good one takes some hundred times as many samples as the latent has
# dimensions. The *agreement* of the directions of two halves tells how far yours is from that.

# %% tags=["nbval-check-output"]
metrics = {"seen": labels.seen, "present": labels.present}
if min(labels.present, labels.seen - labels.present) >= 10:
    metrics["agreement"] = labels.labelled_latents().agreement()
metrics = run.finish(metrics, [])
print(f"{labels.seen} samples seen, {labels.present} show {p.feature}")
if "agreement" in metrics:
    print(f"agreement of two halves {metrics['agreement']:.2f}")
