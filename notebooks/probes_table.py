# %% [markdown]
# # Gone, or only hidden: the table
#
# The probes of {doc}`probes_thick`, asked of several generators, features and seeds of unlearning:
# made of the records of those runs, and of nothing typed. Each stands beside the latent filter,
# which changes no weight, and beside a model that was trained without the feature.

# %% tags=["parameters"]
sweep: str = "probe_digits"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting import book, plots, runs
from forgetting.evaluation.tables import key, over_seeds, summarise

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("probes_table", Parameters, {"smoke": {}, "default": {}}, globals())
table = book.table(run.parameters.sweep, run)
cases = {name.replace("_", " "): part for name, part in table.groupby("case", sort=False)}
words = {"before": "original", "after": "unlearned", "filter": "filter", "retrained": "retrained"}
metrics = {"n_runs": len(table)}
print(f"{table.seed.nunique()} seeds of unlearning")


def shown(prefix, form):
    """A row for each case, a column for each model; the figures are recorded too."""
    columns = {f"{prefix}_{name}": (label, form) for name, label in words.items()}
    rows, figures = summarise(cases, columns, over_seeds)
    metrics.update(figures)
    return rows


# %% [markdown]
# ## Before any attack
#
# The share of fresh samples that show the feature, with 95 % t-intervals over the seeds.

# %% tags=["hide-input"]
shown("presence", "{:.1%}")

# %% [markdown]
# ## An attack on the latents
#
# The share of attacked latents that show the feature in the end, by what did not steer the attack.

# %% tags=["hide-input"]
shown("attack", "{:.0%}")

# %% [markdown]
# How much of it they show: the width of strokes or the slant of digits, in the units of
# {doc}`../protocol`; judge B's logit of a feature of faces.

# %% tags=["hide-input"]
shown("attack_value", "{:.2f}")

# %% [markdown]
# ## An attack by inversion
#
# Given images with the feature, is it in what each model makes of them? And how far, a pixel, does
# its best image stay from them?

# %% tags=["hide-input"]
shown("inverted", "{:.0%}")

# %% tags=["hide-input"]
shown("inversion_error", "{:.3f}")

# %% [markdown]
# ## Relearning
#
# The share of fresh samples with the feature after steps on 64 images that show it. Lines are
# means over the seeds.

# %% tags=["hide-input"]
points = (0, 1, 2, 5, 10, 20, 50)
figure, axes = plt.subplots(
    1, len(cases), figsize=(2.4 * len(cases) + 1, 2.8), sharey=True, squeeze=False
)
for axis, (name, part) in zip(axes.flat, cases.items()):
    for one, colour in (("after", plots.FORGOT), ("retrained", plots.REFERENCE)):
        columns = [f"relearned_{one}_64_{point}" for point in points]
        if set(columns) <= set(part) and part[columns].notna().all(axis=None):
            means = part[columns].mean()
            axis.plot(points, 100 * means, "o-", ms=3, color=colour, label=words[one])
            metrics |= {f"{c}_{key(name)}": float(means[c]) for c in columns}
    axis.set(xscale="symlog", xlabel="steps", title=name)
    axis.set_xticks(points[::2], points[::2])
axes[0, 0].set_ylabel("samples with the feature, %")
axes[0, 0].legend()
plt.show()

# %% [markdown]
# ## What was seen
#
# *Resists* would mean that the attack reaches 95 % on the original and that its share on the
# unlearned model is lower, with intervals that do not meet.

# %%
# NBVAL_CHECK_OUTPUT
metrics = run.finish(metrics, [])
for name in cases:
    at = key(name)
    shares = {one: metrics.get(f"attack_{one}_{at}") for one in words}
    told = ", ".join(f"{words[one]} {s:.0%}" for one, s in shares.items() if s is not None)
    low = metrics.get(f"attack_before_{at}_low", shares["before"])
    high = metrics.get(f"attack_after_{at}_high", shares["after"])
    verdict = "resists the attack" if high < low else "does not resist it"
    if shares["before"] < 0.95:
        verdict = "cannot be judged: the attack fails on the original"
    print(f"{name:24} {told}: the unlearned model {verdict}")
