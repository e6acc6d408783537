# %% [markdown]
# # The Forgetting Book
#
# Can an image generator be made to forget, a stroke, a class, a given photograph, and stay as
# good as it was? This book runs two answers again and measures them alike: **feature unlearning**
# {cite}`moon2024feature`, which takes one feature from a GAN or VAE through a direction in its
# latent space, without training data, and **taming** {cite}`malnick2024taming`, which moves the
# likelihood of given images in a normalizing flow.
#
# What is added here: a model *retrained* without the feature as the reference, a judge that had
# no part in the forgetting, the floor beside every distance, and notebooks that anybody can run
# again, on a laptop without a GPU, with other parameters ({doc}`../rerun`).
# {doc}`../protocol` says what is measured and why.

# %% tags=["parameters", "remove-cell"]
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (half a minute); fills what is 0
device: str = "auto"  # auto, cpu or cuda
steps: int = 0  # of the unlearning that is shown

# %% tags=["remove-cell"]
import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown, display
from pydantic import Field

from forgetting import plots, runs
from forgetting.data.morphology import Morphology, measure
from forgetting.evaluation.sampling import generate
from forgetting.files import ROOT
from forgetting.methods.feature_unlearning import (
    UnlearningConfig,
    collect,
    find_direction,
    unlearn_feature,
)

plots.use_style()


class Parameters(runs.Parameters):
    steps: int = Field(ge=1, le=100_000)


PRESETS = {"smoke": {"steps": 10}, "default": {"steps": 300}}
run = runs.begin("introduction", Parameters, PRESETS, globals())
records = {**runs.records(ROOT / "results"), **runs.records(run.folder)}

# %% [markdown]
# ## The finding, in one figure
#
# Every column is one latent, through three models: a VAE of digits, the same VAE after it
# unlearned thick strokes, and a VAE that was trained without thick digits (whose latents mean
# other digits). The upper block shows latents that gave a thick digit, the lower block latents
# that did not.

# %% tags=["remove-cell"]
original, retrained = run.load("digits-vae"), run.load("digits-vae-no-thick")
judge = run.load("digits-judge-a")
collection = collect(original, lambda x: judge.logit(x, "thick"), 5000, seed=run.seed("collect"))
unlearned = unlearn_feature(
    original,
    find_direction(collection),
    UnlearningConfig(steps=run.parameters.steps, seed=run.seed("unlearn")),
    trainable=lambda copy: copy.decoder,
    callback=runs.progress(run.parameters.steps, "unlearning"),
).model
latents = run.latents("show", 600, original.latent_dim)
measured = measure(generate(original, latents))
shown = Morphology.of(measured).shown(measured, "thick")
chosen = torch.cat([torch.nonzero(mask).flatten()[:14] for mask in (shown, ~shown)])
rows = {}
for block, label in ((chosen[:14], "thick"), (chosen[14:], "not thick")):
    for name, model in (
        ("original", original),
        ("unlearned", unlearned),
        ("retrained", retrained),
    ):
        rows[f"{name} ({label})"] = generate(model, latents[block])

# %% tags=["remove-input", "picture"]
plots.image_rows(rows)
plt.show()

# %% [markdown]
# ## The findings, in one table
#
# Presence is the share of samples that show what was to go (for a flow, the class), quantiles are
# of the images that were to be forgotten, and the shift is that of held-out digits of other
# classes in standard deviations of the base. FID is measured on judge A's features and is to be
# read against its floor only.

# %% tags=["remove-cell"]


def percent(metrics: dict, name: str) -> str:
    """Return a share with its interval where the record has it."""
    if name not in metrics:
        return "–"
    low, high = metrics[f"{name}_low"], metrics[f"{name}_high"]
    return f"{metrics[name]:.1%} ({low:.1%} to {high:.1%})"


def unlearning_table() -> str:
    """Return a row for every feature that was unlearned."""
    lines = [
        "| feature unlearned | presence before | after | filter | retrained | "
        "FID floor | before | after | steps |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records.values():
        if record["template"] == "feature_unlearning" and record["role"] == "headline":
            m, what = record["metrics"], record["parameters"]["feature"].replace("_", " ")
            shares = (
                percent(m, f"presence_{x}") for x in ("before", "after", "filter", "retrained")
            )
            fids = (f"{m[f'fid_{x}']:.2f}" for x in ("floor", "before", "after"))
            lines.append(f"| {what} | {' | '.join((*shares, *fids))} | {m['steps']:.0f} |")
    return "\n".join(lines)


def taming_table() -> str:
    """Return a row for every set of images, or class, that a flow was tamed on."""
    lines = [
        "| flow tamed on | quantile before | after | reference drop | neutral drop | "
        "shift of others | class share before | after | FID floor | before | after | steps |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records.values():
        if record["template"].startswith("taming") and record["role"] == "headline":
            m, p = record["metrics"], record["parameters"]
            what = f"{m['n_forget']:.0f} of class {p['digit']}, delta {p['delta']:+g}"
            keys = ("before_forget", "after_forget", "drop_reference", "drop_neutral")
            cells = [f"{m[f'quantile_{key}']:.2f}" for key in keys]
            cells.append(f"{m['shift_random_sigma']:+.2f}")
            cells += [f"{m[f'class_share_{when}']:.1%}" for when in ("before", "after")]
            cells += [f"{m[f'fid_{x}']:.1f}" for x in ("floor", "before", "after")]
            lines.append(f"| {what} | {' | '.join(cells)} | {m['steps']:.0f} |")
    return "\n".join(lines)


# %% tags=["remove-input"]
display(Markdown(unlearning_table()))

# %% tags=["remove-input"]
display(Markdown(taming_table()))

# %% [markdown]
# ## What was seen
#
# Read the tables by rows: forgetting counts for something only where the rest stayed. The pages
# that follow show each row's samples, curves and intervals, and
# {doc}`../feature_unlearning` and {doc}`../taming` the methods with their equations.

# %% tags=["remove-cell"]
# NBVAL_CHECK_OUTPUT
metrics = run.finish({"records": len(records), "thick": int(shown.sum())}, [])
print(int(shown.sum()))
