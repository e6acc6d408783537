# %% [markdown]
# # A flow that meets a target distribution: the table
#
# {doc}`target_smiling` steers a flow until its samples show a feature in a given share. Is a
# target met on samples that the loop never saw, for other targets and other seeds? Does the
# classifier that has no part in taming agree? The tables are made of the records of such runs;
# nothing in them is typed by hand.

# %% tags=["parameters"]
sweep: str = "tame_targets"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting.book import columns, table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import extremes, percent_above, target_table
from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.methods.target_distribution import Target

run, table = begin_table(
    "taming_targets",
    globals(),
    fid_percent=percent_above("fid_after", "fid_before"),
    fid_t9_percent=percent_above("fid_after_t9", "fid_before_t9"),
    fid_beyond_percent=percent_above("fid_after", "fid_mixed"),
    fid_beyond_t9_percent=percent_above("fid_after_t9", "fid_mixed_t9"),
)
targets = {}
for case, part in table.cases.items():
    targets[case] = Target.parse(part.target.iloc[0], CELEBA_ATTRIBUTES)
    tolerance = 100 * part.tolerance.iloc[0]
    print(f"{case}: within {tolerance:g} points, {part.n_samples.sum():,} samples")

# %% [markdown]
# ## Was each target met?
#
# Shares are counted over the samples of all seeds together. Each seed tames anew and is graded on
# samples of its own. The four shares of a joint target must be near theirs at once, so its
# tolerance is wider. The interval is the 95 % t-interval over seeds.
#
# Classifier A steers; *classifier B* has no part in it. Its shares are to be read beside those
# before taming. Where the two differ by as much before, they differ on faces, and not on whether
# the target is met.

# %% tags=["hide-input"] caption="Shares of combinations beside their targets"
shares, metrics = target_table(table.cases, targets)
metrics["n_runs"] = len(table.runs)
shares

# %% tags=["figure", "hide-input"] alt="Points about a black line for each target"
table_plots.draw_targets(table.cases, targets)
plt.show()

# %% [markdown]
# ## What each run took and cost
#
# Means over seeds and, where they differ, the least and the greatest. *Met* is the share of runs
# whose own measurements found the target. *Farthest* is the largest distance of a share from its
# target, among fresh samples that no measurement saw.
#
# FID to all held-out faces changes where the mixture leaves theirs or comes nearer. Its change is
# in percent of the base's. *Beyond the mixture* it is in percent of the FID of the base's samples,
# weighted to the shares of the tamed flow's.

# %% tags=["hide-input"] caption="What each run took and cost"
costs = table.summarise(columns.TARGETS, extremes, metrics)
medians = [part.seconds_forgetting.median() for part in table.cases.values()]
costs["minutes"] = [f"{seconds / 60:.1f}" for seconds in medians]
costs.T

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in table.cases:
    print(
        f"{case}: {metrics[f'met_{case}']:.0%} of the runs ended at the target; over all fresh "
        f"samples a share lies at most {100 * metrics[f'farthest_pooled_{case}']:.1f} points off"
    )
