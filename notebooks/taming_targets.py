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
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting.book import plots, table_plots
from forgetting.book import run as runs
from forgetting.book.sweeps import load_sweep
from forgetting.book.tables import extremes, target_table
from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.methods.target_distribution import Target

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_targets", Parameters, {"smoke": {}, "default": {}}, globals())
table = load_sweep(
    run.parameters.sweep,
    run,
    fid_percent=lambda runs: 100 * (runs.fid_after / runs.fid_before - 1),
    fid_t9_percent=lambda runs: 100 * (runs.fid_after_t9 / runs.fid_before_t9 - 1),
    fid_beyond_percent=lambda runs: 100 * (runs.fid_after / runs.fid_mixed - 1),
    fid_beyond_t9_percent=lambda runs: 100 * (runs.fid_after_t9 / runs.fid_mixed_t9 - 1),
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

# %% tags=["hide-input"]
shares, metrics = target_table(table.cases, targets)
metrics["n_runs"] = len(table.runs)
shares

# %% tags=["figure", "hide-input"]
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

# %% tags=["hide-input"]
columns = {
    "met": ("met", "{:.0%}"),
    "steps": ("steps", "{:.0f}"),
    "farthest": ("farthest, one run", "{:.3f}"),
    "shift_random_sigma": ("shift, sigma", "{:+.3f}"),
    "fid_percent": ("FID at T = 0.7, %", "{:+.0f}"),
    "fid_beyond_percent": ("beyond the mixture, %", "{:+.0f}"),
    "fid_t9_percent": ("FID at T = 0.9, %", "{:+.0f}"),
    "fid_beyond_t9_percent": ("beyond the mixture there, %", "{:+.0f}"),
}
costs = table.summarise(columns, extremes, metrics)
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
