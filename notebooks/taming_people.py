# %% [markdown]
# # Taming people: the table
#
# How many images must be forgotten before the person is? People and sizes of $D_F$, with as many
# seeds as the first cell says: real people's photographs, or faces that the flow itself draws
# around a latent. The table is made of the records of as many runs of {doc}`tame_bush_4`'s
# template, and of nothing typed.

# %% tags=["parameters"]
sweep: str = "tame_people"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from forgetting.book import catalogue as book
from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.tables import extremes, key, over_people, standard_deviations, summarise

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_people", Parameters, {"smoke": {}, "default": {}}, globals())
table = book.table(run.parameters.sweep, run)
table["fid_percent"] = 100 * table.fid_change / table.fid_before
table["fid_t9_percent"] = 100 * table.fid_change_t9 / table.fid_before_t9
table["fid_spread"] = 100 * table.fid_change_std / table.fid_before
table["fid_t9_spread"] = 100 * table.fid_change_t9_std / table.fid_before_t9
table["near_points"] = 100 * (table.near_share_after - table.near_share_before)
table["n_forget"] = table.n_forget.astype(int)
sizes = dict(list(table.groupby("n_forget")))
print(f"{table.person.nunique()} people; seeds for each size: ", end="")
print(", ".join(f"{part.seed.nunique()} for {size}" for size, part in sizes.items()))

# %% [markdown]
# ## What was reached
#
# Means over people, each first averaged over its seeds, with the 95 % t-interval over people.
# *Within* is the share of images to forget that lie where the stopping rule wants them: as the
# rule saw it, and as measured anew with other noise and more images for the likelihood reference, with the
# least and the greatest of all runs. The drop of the quantile is that of images that taming never
# saw, of the same person and of people whom no model saw (of faces of the flow's own: of other
# latents); the shift is in standard deviations of the base. Taming goes on until retained images
# moved by less than `settle_within`, so that a shift near it is what was asked for; what it costs
# are steps. FID is told by its change on the same latents, in percent of the base's, with the
# deviation of that change between three draws of the latents; people of one seed share them. *Of
# training* is the number of images in taming's batches, divided by that in the base's.
#
# A seed tames the same images again, with other batches, other noise and other images to
# retain; what other images of the same person would do, it does not tell.

# %% tags=["hide-input"]
parts = {f"{size} image{'s' * (size > 1)}": part for size, part in sizes.items()}
columns = {
    "steps": ("steps", "{:.0f}"),
    "quantile_drop_reference": ("drop, the person", "{:+.3f}"),
    "quantile_drop_neutral": ("drop, strangers", "{:+.3f}"),
    "drop_reference_minus_neutral": ("the person - strangers", "{:+.3f}"),
    "shift_reference_sigma": ("shift, the person, sigma", "{:+.2f}"),
    "shift_neutral_sigma": ("shift, strangers", "{:+.2f}"),
    "shift_random_sigma": ("shift, held-out faces", "{:+.3f}"),
    "fid_percent": ("change of FID at T = 0.7, %", "{:+.0f}"),
    "fid_spread": ("deviation between draws", "{:.1f}"),
    "fid_t9_percent": ("change of FID at T = 0.9, %", "{:+.0f}"),
    "fid_t9_spread": ("deviation between draws, T = 0.9", "{:.1f}"),
    "share_of_training": ("of training", "{:.2%}"),
}
shown, metrics = summarise(parts, columns, over_people)
columns = {
    "within": ("within, the rule", "{:.2f}"),
    "within_measured": ("within, measured", "{:.2f}"),
    "near_points": ("near, points", "{:+.2f}"),
    "fid_before": ("FID of the base at T = 0.7", "{:.0f}"),
}
within, figures = summarise(parts, columns, extremes)
metrics |= figures | {"n_runs": len(table)}
shown = shown.join(within)
shown["seconds"] = [
    f"{part.seconds_forgetting.median():.0f} (at most {part.seconds_forgetting.max():.0f})"
    for part in parts.values()
]
noted = [part.bfloat16.dropna() for part in parts.values()]
shown["in bfloat16"] = [f"{some.mean():.0%}" if len(some) else "" for some in noted]
shown.T

# %% [markdown]
# *Near* is by how many points the share of samples changed that are like the person, with the
# least and the greatest of all runs. A run counts a few samples among hundreds;
# {doc}`generation_bush_4` counts them of one person, in a flow tuned as long with nothing to
# forget, too. Seconds are the median, of one thread; *in bfloat16* is the share that ran in it of
# those runs that noted it: on a processor that does not multiply in it a step runs in float32,
# which takes longer ({doc}`tame_ablations_table` has two people both ways).
#
# Sizes share the latents of their samples, and so should the base's FID. Where it differs, the
# samples of some sizes were drawn before a fault was mended that made a part of a sample's values
# one of 32 levels too dark, in the base and in the tamed flow alike; of FID and of *near*, which
# alone depend on samples, a few percent may come from it.

# %% [markdown]
# ## Does forgetting follow the person?
#
# Quantiles of the images to forget; of others that taming never sees: of the person, and of people
# whom no model saw; of the five nearest people, real ones being among those whom the flow is to
# retain; and of *random* images, which it is to retain.

# %% tags=["hide-input"]
sets = ["reference", "nearest", "neutral", "random"]
rows = {}
for name in ("forget", *sets):
    form = "{:.4f}" if name == "forget" else "{:.3f}"
    columns = {f"quantile_{when}_{name}": (when, form) for when in ("before", "after", "drop")}
    cells, figures = summarise(parts, columns, over_people)
    metrics |= figures
    rows |= {(size, name): cells.loc[size] for size in cells.index}
pd.DataFrame(rows).T.loc[[(size, name) for size in parts for name in ("forget", *sets)]]

# %% [markdown]
# The drops; points are people.

# %% tags=["hide-input"]
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
axis.set(xlabel="images forgotten", ylabel="drop of the quantile")
axis.legend(title=None, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
plt.show()

# %% [markdown]
# ## What would be right?
#
# What a flow that was trained anew without a person says of that person is what a flow says that
# never knew: where the quantiles of photographs that taming never saw should end, and how far
# below that the images to forget were pushed. Means over the runs on a person for whom there is
# such a flow; what a flow draws by itself cannot be left out of its training.

# %% tags=["hide-input"]
rows = {}
for name, part in parts.items():
    known = part[part.retrained != ""]
    for group in ("forget", *sets):
        cells = {}
        for when in ("before", "after", "retrained") if len(known) else ():
            value = float(known[f"quantile_{when}_{group}"].mean())
            cells[when] = f"{value:.3f}"
            metrics[f"of_retrained_{when}_{group}_{key(name)}"] = value
        rows[name, group] = cells
retrained = pd.DataFrame(rows).T.dropna()
retrained if retrained.size else print("There is no such flow for any of them.")

# %% [markdown]
# ## People and seeds
#
# How much of the spread is between people, how much between seeds of the same person: standard
# deviations of the reference drop minus the neutral drop.

# %% tags=["hide-input"]
within = {
    name: standard_deviations(part, "drop_reference_minus_neutral") for name, part in parts.items()
}
frame = pd.DataFrame(within, index=["between people", "between seeds"])
frame.dropna().style.format("{:.3f}")  # with one seed there is nothing between them

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
for name in parts:
    at = f"_{key(name)}"
    low, high = (metrics[f"drop_reference_minus_neutral{at}_{end}"] for end in ("low", "high"))
    more = metrics[f"drop_reference_minus_neutral{at}"]
    neutral = metrics[f"quantile_drop_neutral{at}"]
    way = metrics[f"share_of_the_way{at}"] = more / (
        metrics[f"quantile_drop_forget{at}"] - neutral
    )
    fell = metrics[f"near_fell{at}"] = float((parts[name].near_points < 0).mean())
    follows = f"{way:.0%} of what the forgotten do" if low > 0 else "cannot be told from none"
    print(
        f"{name:9}: {metrics[f'within_measured{at}']:.1%} within; the reference drops "
        f"{low:.3f} to {high:.3f} more\n           than strangers: {follows}; "
        f"fewer samples near in {fell:.0%} of the runs"
    )
metrics = run.finish(metrics, [])
