# %% [markdown]
# # Taming people: the table
#
# How many photographs must be forgotten before the person is? People and sizes of $D_F$, with as
# many seeds as the first cell says: the table is made of the records of as many runs of
# {doc}`tame_bush_4`'s template, and of nothing typed.

# %% tags=["parameters"]
sweep: str = "tame_people"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from forgetting import book, plots, runs
from forgetting.evaluation.tables import over_people, spread

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_people", Parameters, {"smoke": {}, "default": {}}, globals())
p = run.parameters
names = [entry.name for entry in book.sweep(p.sweep).runs()]
found = runs.records(book.RESULTS, names)
beside = runs.records(book.RESULTS, [f"{name}.run" for name in names])
table = pd.DataFrame(
    {
        **{key: record["parameters"][key] for key in ("person", "n_forget", "seed")},
        **record["metrics"],
        "seconds": beside[f"{name}.run"]["seconds_forgetting"],
    }
    for name, record in found.items()
)
table["n_forget"] = table.n_forget.astype(int)
for record in found.values():
    run.weights |= record["weights"]
print(f"{len(table)} of {len(names)} runs: {table.person.nunique()} people")

# %% [markdown]
# ## What was reached
#
# Means over people, each first averaged over its seeds, with the 95 % t-interval over people.
# *Within* is the share of images to forget that the stopping rule is content with. FID is told by
# its change on the same latents, in percent of the base's.

# %% tags=["hide-input"]
table["fid_percent"] = 100 * table.fid_change / table.fid_before
table["fid_t9_percent"] = 100 * table.fid_change_t9 / table.fid_before_t9
columns = {
    "within": "within the rule",
    "steps": "steps",
    "quantile_before_forget": "quantile before",
    "quantile_after_forget": "after",
    "quantile_drop_reference": "reference drop",
    "quantile_drop_neutral": "neutral drop",
    "drop_reference_minus_neutral": "reference - neutral",
    "shift_random_sigma": "shift of held-out, sigma",
    "fid_percent": "FID at T = 0.7, %",
    "fid_t9_percent": "FID at T = 0.9, %",
}
rows, metrics = {}, {"n_runs": len(table)}
for size, part in table.groupby("n_forget"):
    cells = {}
    for column, label in columns.items():
        mean, low, high = over_people(part, column)
        digits = 3 if abs(mean) < 2 else 0
        cells[label] = f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
        keys = [f"{column}_{size}{end}" for end in ("", "_low", "_high")]
        metrics |= dict(zip(keys, (mean, low, high)))
    cells["seconds, one thread"] = f"{part.seconds.median():.0f}"
    rows[f"{size} images"] = cells
pd.DataFrame(rows)

# %% [markdown]
# ## Does forgetting follow the person?
#
# The drop of the quantile of photographs that taming never saw: of the person, of the nearest five
# people, of people whom no model saw. Points are people.

# %% tags=["hide-input"]
sets = ["reference", "nearest", "neutral", "random"]
long = table.melt(
    id_vars=["person", "n_forget", "seed"],
    value_vars=[f"quantile_drop_{name}" for name in sets],
    var_name="set",
    value_name="drop",
)
long["set"] = long["set"].str.removeprefix("quantile_drop_")
of_person = long.groupby(["person", "n_forget", "set"], as_index=False)["drop"].mean()
figure, axis = plt.subplots(figsize=(7.5, 3.2))
palette = [plots.FORGOT, plots.REFERENCE, plots.BASE, plots.FAINT]
sns.stripplot(
    of_person,
    x="n_forget",
    y="drop",
    hue="set",
    hue_order=sets,
    dodge=True,
    palette=palette,
    ax=axis,
)
axis.axhline(0, color="black", lw=0.8)
axis.set(xlabel="photographs forgotten", ylabel="drop of the quantile")
axis.legend(title=None, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
plt.show()

# %% [markdown]
# ## People and seeds
#
# How much of the spread is between people, how much between seeds of the same person: standard
# deviations of the reference drop minus the neutral drop.

# %% tags=["hide-input"]
within = {
    f"{size} images": spread(part, "drop_reference_minus_neutral")
    for size, part in table.groupby("n_forget")
}
frame = pd.DataFrame(within, index=["between people", "between seeds"])
frame.dropna().style.format("{:.3f}")  # with one seed there is nothing between them

# %% [markdown]
# ## What was seen

# %%
# NBVAL_CHECK_OUTPUT
metrics = run.finish(metrics, [])
for size in sorted(table.n_forget.unique()):
    low, high = (metrics[f"drop_reference_minus_neutral_{size}_{end}"] for end in ("low", "high"))
    follows = "follows the person" if low > 0 else "cannot be told from none"
    print(
        f"{size:2} images: {metrics[f'within_{size}']:.0%} within the rule; the reference drops "
        f"{low:.3f} to {high:.3f} more than strangers: {follows}"
    )
