# %% [markdown]
# # Taming people: the table
#
# How many images must be forgotten before the person is? The runs differ in the person, the size
# of $D_F$ and the seed. They forget photographs of real people, or faces that the flow itself
# draws around a latent. The tables are made of the records of runs of {doc}`tame_bush_4`'s
# template; nothing in them is typed by hand.

# %% tags=["parameters"]
sweep: str = "tame_people"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import columns, table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import (
    FID_CHANGES,
    extremes,
    key,
    over_people,
    percent,
    quantile_table,
    retrained_table,
    standard_deviations,
    summarise,
)

run, table = begin_table(
    "taming_people",
    globals(),
    n_forget=lambda runs: runs.n_forget.astype(int),
    fid_spread=percent("fid_change_std", "fid_before"),
    fid_t9_spread=percent("fid_change_t9_std", "fid_before_t9"),
    near_points=lambda runs: 100 * (runs.near_share_after - runs.near_share_before),
    **FID_CHANGES,
)
people = table.runs
parts = {f"{n} image{'s' * (n > 1)}": part for n, part in people.groupby("n_forget")}
print(f"{people.person.nunique()} people")
for name, part in parts.items():
    print(f"{name}: {part.seed.nunique()} seeds")

# %% [markdown]
# ## What was reached
#
# Means over people, each first averaged over its seeds, with the 95 % t-interval over people.
# *Within* is the share of images to forget that lie where the stopping rule puts them. It is given
# as the rule saw it, and as measured anew with other noise and a larger likelihood reference. The
# least and the greatest of all runs stand beside it.
#
# The drop of the quantile is that of images that taming never saw: of the same person, and of
# people whom no model saw (of faces of the flow's own: of other latents). The shift is in standard
# deviations of the base. Taming goes on until retained images moved by less than `settle_within`.
# A shift near it is therefore intended; it costs steps.
#
# The change of FID is on the same latents and in percent of the base's. Beside it stands its
# deviation between three draws of the latents, which people of one seed share. *Of training* is
# the number of images in taming's batches, divided by that in the base's.
#
# A seed tames the same images again, with other batches, other noise and other images to retain.
# What other images of the same person would do, it does not tell.

# %% tags=["hide-input"] caption="What was reached, means over people"
reached, metrics = summarise(parts, columns.PEOPLE_MEANS, over_people)
within, figures = summarise(parts, columns.PEOPLE_RANGES, extremes)
metrics |= figures | {"n_runs": len(people)}
reached = reached.join(within)
seconds = [part.seconds_forgetting for part in parts.values()]
noted = [part.bfloat16.dropna() for part in parts.values()]
reached["seconds"] = [f"{some.median():.0f} (at most {some.max():.0f})" for some in seconds]
reached["in bfloat16"] = [f"{some.mean():.0%}" if len(some) else "" for some in noted]
reached.T

# %% [markdown]
# *Near* is the change, in points, of the share of samples that are like the person. The least and
# the greatest of all runs stand beside it. A run counts a few such samples among hundreds.
# {doc}`generation_bush_4` counts them for one person, also in a flow tuned as long with nothing to
# forget.
#
# Seconds are the median, of one thread. *In bfloat16* is the share of runs that ran in it, among
# those that noted it. A processor that does not multiply in it takes its steps in float32, which
# is slower ({doc}`tame_ablations_table` has two people both ways).
#
# Sizes share the latents of their samples, and so should the base's FID. Where it differs, the
# samples of some sizes were drawn before a fault was mended. It made a part of a sample's values
# one of 32 levels too dark, in the base and in the tamed flow alike. Only FID and *near* depend on
# samples; a few percent of them may come from it.

# %% [markdown]
# ## Does forgetting follow the person?
#
# Quantiles of the images to forget, and of sets beside them. *Reference* images are of the same
# person, *neutral* ones of people whom no model saw; taming sees neither. *Nearest* are the five
# nearest people; real ones are among those whom the flow is to retain. *Random* images are to be
# retained.

# %% tags=["hide-input"] caption="Likelihood quantiles before and after, over people"
sets = ["reference", "nearest", "neutral", "random"]
quantiles, figures = quantile_table(parts, ["forget", *sets])
metrics |= figures
quantiles

# %% [markdown]
# The drops; points are people.

# %% tags=["figure", "hide-input"] alt="Points of people, grouped by images forgotten"
table_plots.draw_drops(people, sets)
plt.show()

# %% [markdown]
# ## What would be right?
#
# A flow that was trained anew without a person never knew that person. Its quantiles are where
# those of photographs that taming never saw should end. They also show how far below that the
# images to forget were pushed. The table has means over the runs on a person for whom there is
# such a flow. What a flow draws by itself cannot be left out of its training.

# %% tags=["hide-input"] caption="Quantiles beside a flow that never saw the person"
retrained, figures = retrained_table(parts, ["forget", *sets])
metrics |= figures
retrained if retrained.size else print("There is no such flow for any of them.")

# %% [markdown]
# ## People and seeds
#
# How much of the spread is between people, how much between seeds of the same person: standard
# deviations of the reference drop minus the neutral drop.

# %% tags=["hide-input"] caption="Standard deviations between people and seeds"
within = {
    name: standard_deviations(part, "drop_reference_minus_neutral") for name, part in parts.items()
}
frame = pd.DataFrame(within, index=["between people", "between seeds"])
frame.dropna().style.format("{:.3f}")  # with one seed there is nothing between them

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
for name in parts:
    at = key(name)
    more, low, high = (
        metrics[f"drop_reference_minus_neutral_{at}{end}"] for end in ("", "_low", "_high")
    )
    neutral, forgotten = (metrics[f"quantile_drop_{of}_{at}"] for of in ("neutral", "forget"))
    way = metrics[f"share_of_the_way_{at}"] = more / (forgotten - neutral)
    fell = metrics[f"near_fell_{at}"] = float((parts[name].near_points < 0).mean())
    follows = f"{way:.0%} of what the forgotten do" if low > 0 else "cannot be told from none"
    print(
        f"{name:9}: {metrics[f'within_measured_{at}']:.1%} within; the reference drops "
        f"{low:.3f} to {high:.3f} more\n           than strangers: {follows}; "
        f"fewer samples near in {fell:.0%} of the runs"
    )
metrics = run.finish(metrics, [])
