# %% [markdown]
# # Unlearning features: the table
#
# Does a feature go, whatever the generator, the feature and the seed, and does what remains
# resemble a model that never saw it? The table is made of the records of as many runs of
# {doc}`unlearn_thick`'s template, and of nothing typed.

# %% tags=["parameters"]
sweep: str = "unlearn_digits"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from forgetting import book, plots, runs
from forgetting.evaluation.tables import interval

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("unlearning_table", Parameters, {"smoke": {}, "default": {}}, globals())
names = [entry.name for entry in book.sweep(run.parameters.sweep).runs()]
found = runs.records(book.RESULTS, names)
beside = runs.records(book.RESULTS, [f"{name}.run" for name in found])
for record in found.values():
    run.weights |= record["weights"]
table = pd.DataFrame(
    {
        **{key: record["parameters"][key] for key in ("model", "feature", "seed")},
        **record["metrics"],
        "seconds": beside[f"{name}.run"]["seconds"],
        "seconds_forgetting": beside[f"{name}.run"]["seconds_forgetting"],
    }
    for name, record in found.items()
)
subjects = dict(list(table.groupby(["model", "feature"], sort=False)))
metrics = {"n_runs": len(table)}
print(f"{len(table)} of {len(names)} runs, {table.seed.nunique()} seeds")


def cell(part, column, scale=1.0, digits=1, key=""):
    """Mean and t-interval over the seeds, for a reader and for the record."""
    if column not in part or part[column].isna().any():
        return "–"
    mean, low, high = interval(part[column])
    metrics.update(
        zip((f"{column}_{key}{end}" for end in ("", "_low", "_high")), (mean, low, high))
    )
    return f"{scale * mean:.{digits}f} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"


def key_of(model, feature):
    return f"{model}_{feature}".replace("-", "_").lower()


def title(model, feature):
    return f"{model}, {feature.replace('_', ' ').lower()}"


# %% [markdown]
# ## What is left of the feature
#
# The share of fresh samples that show it, in percent, by what had no part in unlearning: means
# over the seeds of unlearning with the 95 % t-interval. The share of the way is (unlearned -
# retrained) / (original - retrained): 0 is what training without the feature reaches, 1 untouched;
# below 0 more is gone than training without it takes away.

# %% tags=["hide-input"]
words = {"before": "original", "after": "unlearned", "filter": "filter", "retrained": "retrained"}
rows = {}
for (model, feature), part in subjects.items():
    key = key_of(model, feature)
    rows[title(model, feature)] = {
        label: cell(part, f"presence_{name}", 100, 1, key) for name, label in words.items()
    } | {"share of the way": cell(part, "way_to_retrained", 1, 2, key)}
pd.DataFrame(rows).T

# %% tags=["hide-input"]
colours = dict(zip(words, (plots.BASE, plots.FORGOT, plots.FAINT, plots.REFERENCE)))
figure, axis = plt.subplots(figsize=(8, 0.55 * len(subjects) + 1.1))
for y, part in enumerate(subjects.values()):
    for offset, (name, label) in enumerate(words.items()):
        if f"presence_{name}" not in part:
            continue
        values = 100 * part[f"presence_{name}"].dropna()
        places = [y + 0.16 * (offset - 1.5)] * len(values)
        axis.plot(values, places, "o", ms=4, alpha=0.6, color=colours[name], label=label)
handles = dict(zip(*axis.get_legend_handles_labels()[::-1]))
axis.legend(handles.values(), handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
axis.set_yticks(range(len(subjects)), [title(*names) for names in subjects])
axis.set_ylim(len(subjects) - 0.5, -0.5)
axis.set_xlabel("samples that show the feature, %; each point is a seed")
axis.grid(axis="x", alpha=0.3)
plt.show()

# %% [markdown]
# ## What became of the samples
#
# FID on judge A's features to the original's own samples that lack the feature; its floor is the
# distance between two halves of those.

# %% tags=["hide-input"]
rows = {}
for (model, feature), part in subjects.items():
    key = key_of(model, feature)
    rows[title(model, feature)] = {
        label: cell(part, f"fid_{name}", 1, 1, key)
        for name, label in {"floor": "floor", **words}.items()
    }
pd.DataFrame(rows).T

# %% [markdown]
# ## What else changed
#
# The same latents through the original and the model that unlearned: the mean change of a pixel
# where the original had the feature, of that outside the rows of a face in which the feature
# lies, and where it had it not; the share of other attributes that flipped; the largest change of
# another attribute's share, in points.

# %% tags=["hide-input"]
changes = {
    "l1_present": ("pixel, present", 1, 3),
    "outside_present": ("outside the rows", 1, 3),
    "l1_absent": ("pixel, absent", 1, 4),
    "flipped_present": ("flipped, present, %", 100, 1),
    "flipped_absent": ("flipped, absent, %", 100, 1),
    "share_change": ("largest share, points", 100, 1),
}
rows = {}
for (model, feature), part in subjects.items():
    cells = {
        label: cell(part, column, scale, digits, key_of(model, feature))
        for column, (label, scale, digits) in changes.items()
    }
    cells["seconds to unlearn, of the run"] = (
        f"{part.seconds_forgetting.median():.0f}, {part.seconds.median():.0f}"
    )
    rows[title(model, feature)] = cells
pd.DataFrame(rows).T

# %% [markdown]
# ## What was seen

# %%
# NBVAL_CHECK_OUTPUT
metrics = run.finish(metrics, [])
for names in subjects:
    key = key_of(*names)
    before, after = (100 * metrics[f"presence_{when}_{key}"] for when in ("before", "after"))
    line = f"{title(*names):32} {before:.1f} % -> {after:.1f} %"
    if f"way_to_retrained_{key}" in metrics:
        line += f", share of the way {metrics[f'way_to_retrained_{key}']:+.2f}"
        line += f" (at most {metrics[f'way_to_retrained_{key}_high']:+.2f})"
    print(line)
