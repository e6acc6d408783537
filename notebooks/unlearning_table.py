# %% [markdown]
# # Unlearning features: the table
#
# Does a feature go, whatever the generator, the feature, the setting and the seed, and does what
# remains resemble a model that never saw it? The table is made of the records of as many runs of
# {doc}`unlearn_thick`'s template, and of nothing typed.

# %% tags=["parameters"]
sweep: str = "unlearn_digits"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import catalogue as book
from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.tables import key, over_runs, over_seeds, summarise

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("unlearning_table", Parameters, {"smoke": {}, "default": {}}, globals())
pd.set_option("display.max_colwidth", None)
entry = book.sweep(run.parameters.sweep)
table = book.table(entry.name, run)
if "case" not in table:
    table["case"] = table.model + ", " + table.feature.str.lower()
cases = {name.replace("_", " "): part for name, part in table.groupby("case", sort=False)}
metrics = {"n_runs": len(table)}
print("seeds of unlearning:", table.seed.nunique())
for name, given in {"every run": entry.parameters, **entry.cases}.items():
    told = ", ".join(f"{parameter} {value}" for parameter, value in given.items())
    print(f"{name.replace('_', ' '):24} {told or 'as by default'}")


def shown(columns, of=over_seeds):
    """A row for each case: means and 95 % intervals over its seeds; they are recorded too."""
    rows, figures = summarise(cases, columns, of)
    metrics.update(figures)
    return rows


# %% [markdown]
# ## What is left of the feature
#
# The share of fresh samples that show it, by what had no part in unlearning: means over the seeds
# of unlearning with a 95 % interval, the wider of two: the t-interval over seeds and, for how few
# samples each run counts, the runs' own. What remains of the gap is (unlearned - retrained) /
# (original - retrained): 1 is untouched, 0 as rare as in the model that was trained without the
# feature; below 0 more is gone than that takes away. Its interval, and those below, are
# t-intervals over seeds.

# %% tags=["hide-input"]
words = {"before": "original", "after": "unlearned", "filter": "filter", "retrained": "retrained"}
counted = "prevalence_strict" if "prevalence_strict_before" in table else "prevalence"
left = shown({f"{counted}_{name}": (label, "{:.1%}") for name, label in words.items()}, over_runs)
left.join(shown({"gap_to_retrained": ("gap that remains", "{:.2f}")}))

# %% tags=["hide-input"]
colours = dict(zip(words, (plots.BASE, plots.FORGOT, plots.FAINT, plots.REFERENCE)))
figure, axis = plt.subplots(figsize=(8, 0.55 * len(cases) + 1.1))
for y, part in enumerate(cases.values()):
    for offset, (name, label) in enumerate(words.items()):
        values = 100 * part.get(f"{counted}_{name}", pd.Series(dtype=float)).dropna()
        places = [y + 0.16 * (offset - 1.5)] * len(values)
        axis.plot(values, places, "o", ms=4, alpha=0.6, color=colours[name], label=label)
handles = dict(zip(*axis.get_legend_handles_labels()[::-1]))
axis.legend(handles.values(), handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
axis.set(yticks=range(len(cases)), yticklabels=list(cases), ylim=(len(cases) - 0.5, -0.5))
axis.set_xlabel("samples that show the feature, %; each point is a seed")
axis.grid(axis="x", alpha=0.3)
plt.show()

# %% [markdown]
# ## What became of the samples
#
# FID on classifier A's features to the original's own samples that lack the feature; its floor is the
# distance between two halves of those.

# %% tags=["hide-input"]
shown({f"fid_{name}": (label, "{:.1f}") for name, label in {"floor": "floor", **words}.items()})

# %% [markdown]
# ## What else changed
#
# The same latents through the original and the model that unlearned. First pixels: their mean
# change where the original had the feature, of a face also inside and outside the rows in which
# it lies, and where the original lacked it. Then classifier B: digits that changed their class and
# other attributes that flipped, where the feature was present and where it was absent; the
# largest change of another attribute's share, in points, and which changed by more than two in
# the mean. Seconds are the median of unlearning, and of the whole run.

# %% tags=["hide-input"]
shown(
    {
        "l1_present": ("present", "{:.3f}"),
        "inside_present": ("inside the rows", "{:.3f}"),
        "outside_present": ("outside the rows", "{:.3f}"),
        "l1_absent": ("absent", "{:.4f}"),
    }
)

# %% tags=["hide-input"]
changed = shown(
    {
        "class_changed_present": ("class, present", "{:.1%}"),
        "class_changed_absent": ("class, absent", "{:.1%}"),
        "flipped_present": ("flipped, present", "{:.1%}"),
        "flipped_absent": ("flipped, absent", "{:.1%}"),
        "share_change": ("largest share", "{:.1%}"),
    }
)
others = [column for column in table if column.startswith("share_change_")]
names = []
for case, part in cases.items():
    change = part[others].mean().dropna()
    far = change[change.abs() > 0.02]
    metrics |= {f"{name}_{key(case)}": float(value) for name, value in far.items()}
    far.index = far.index.str.removeprefix("share_change_").str.replace("_", " ")
    names.append(", ".join(f"{name} {100 * value:+.1f}" for name, value in far.items()) or "none")
changed["over 2 points"] = names
times = [part[["seconds_forgetting", "seconds"]].median() for part in cases.values()]
changed["seconds"] = [f"{a:.0f}, {b:.0f}" for a, b in times]
changed

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in cases:
    before, after = (
        100 * metrics[f"{counted}_{when}_{key(case)}"] for when in ("before", "after")
    )
    gap = [metrics.get(f"gap_to_retrained_{key(case)}{end}") for end in ("", "_low", "_high")]
    told = (
        "" if None in gap else ", gap to the retrained {:+.2f} ({:+.2f} to {:+.2f})".format(*gap)
    )
    print(f"{case:28} {before:5.1f} % -> {after:4.1f} %{told}")
