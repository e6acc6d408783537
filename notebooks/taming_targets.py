# %% [markdown]
# # A flow that meets a target distribution: the table
#
# {doc}`target_smiling` steers a flow until its samples show a feature in a given share. Is a
# target met on samples that the loop never saw, for other targets and other seeds, and does the
# classifier that had no part in it agree? The table is made of the records of such runs, and of nothing
# typed.

# %% tags=["parameters"]
sweep: str = "tame_targets"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import catalogue as book
from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.tables import extremes, over_seeds, summarise
from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.methods.target_distribution import Target

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_targets", Parameters, {"smoke": {}, "default": {}}, globals())
entry = book.sweep(run.parameters.sweep)
table = book.table(entry.name, run)
table["fid_percent"] = 100 * (table.fid_after / table.fid_before - 1)
table["fid_t9_percent"] = 100 * (table.fid_after_t9 / table.fid_before_t9 - 1)
table["fid_beyond_percent"] = 100 * (table.fid_after / table.fid_mixed - 1)
table["fid_beyond_t9_percent"] = 100 * (table.fid_after_t9 / table.fid_mixed_t9 - 1)
cases = {case: table[table.case == case] for case in entry.cases}
cases = {case: part for case, part in cases.items() if len(part)}
for case, part in cases.items():
    tolerance = 100 * part.tolerance.iloc[0]
    print(f"{case}: {part.target.iloc[0]}")
    print(f"  within {tolerance:g} points; {len(part)} seeds, {part.n_samples.sum():,} samples")

# %% [markdown]
# ## Was each target met?
#
# Shares are counted over the samples of all seeds together; each seed tames anew and is judged on
# samples of its own. Four shares of a joint target have to lie near theirs at once, so its
# tolerance is wider. The interval is the 95 % t-interval over seeds. Classifier A steered; *classifier
# B* had no part in it, and is to be read beside what it says of the base: where the two differ by
# as much before, they differ on faces and not on whether the target was met.

# %% tags=["hide-input"]
rows, metrics = {}, {"n_runs": len(table)}
for case, part in cases.items():
    target = Target.parse(part.target.iloc[0], CELEBA_ATTRIBUTES)
    for i, name in enumerate(target.combinations):
        cells = {"target": f"{float(target.shares[i]):.1%}"}
        metrics[f"target_{case}_{i}"] = float(target.shares[i])
        for classifier in "ab":
            for when in ("before", "after"):
                found = over_seeds(part, f"share_{classifier}_{when}_{i}")
                key = f"share_{classifier}_{when}_{case}_{i}"
                metrics[key] = found[0]
                cells[f"{classifier.upper()}, {when}"] = f"{found[0]:.1%}"
                if len(part) > 1:
                    metrics |= {f"{key}_low": found[1], f"{key}_high": found[2]}
                    if when == "after":
                        cells[f"{classifier.upper()}, {when}"] += (
                            f" ({found[1]:.1%} to {found[2]:.1%})"
                        )
        for when in ("before", "after"):
            a, b = (metrics[f"share_{classifier}_{when}_{case}_{i}"] for classifier in "ab")
            cells[f"B - A, {when}"] = f"{100 * (b - a):+.1f}"
        rows[case, name] = cells
    off = [
        abs(metrics[f"share_a_after_{case}_{i}"] - metrics[f"target_{case}_{i}"])
        for i in range(len(target.shares))
    ]
    metrics[f"farthest_pooled_{case}"] = max(off)
pd.DataFrame(rows).T

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, len(cases), figsize=(9.5, 3.2), sharey=True, squeeze=False)
for axis, (case, part) in zip(axes[0], cases.items()):
    target = Target.parse(part.target.iloc[0], CELEBA_ATTRIBUTES)
    for i in range(len(target.shares)):
        axis.plot([i - 0.4, i + 0.4], [100 * float(target.shares[i])] * 2, color="black", lw=1)
        for classifier, colour, x in (
            ("a", plots.FORGOT, i - 0.15),
            ("b", plots.REFERENCE, i + 0.15),
        ):
            before, after = (
                100 * part[f"share_{classifier}_{when}_{i}"] for when in ("before", "after")
            )
            axis.plot([x] * len(part), before, "o", mfc="none", color=colour, ms=4)
            axis.plot([x] * len(part), after, "o", color=colour, ms=4)
    axis.set_xticks(
        range(len(target.combinations)), [n.replace("&", "\n") for n in target.combinations]
    )
    axis.set(title=case)
axes[0][0].set(ylabel="% of samples", ylim=(0, None))
for classifier, colour in (("A", plots.FORGOT), ("B", plots.REFERENCE)):
    axes[0][-1].plot([], [], "o", color=colour, label=f"classifier {classifier}")
axes[0][-1].plot([], [], "o", mfc="none", color="grey", label="before")
axes[0][-1].legend(fontsize=8)
plt.show()

# %% [markdown]
# ## What each run took and cost
#
# Means over seeds and, where they differ, the least and the greatest. *Met* says that the loop's
# own measurements found the target, *farthest* how far a run's fresh samples lie from it, which no
# measurement saw: the largest distance of any share. FID to all held-out faces changes where the
# mixture leaves theirs or comes nearer. It is told in percent of the base's, and, *beyond the
# mixture*, of that of the base's samples weighed to the shares that the tamed flow's have.

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
shown, figures = summarise(cases, columns, extremes)
metrics |= figures
shown["minutes"] = [f"{part.seconds_forgetting.median() / 60:.1f}" for part in cases.values()]
shown.T

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in cases:
    print(
        f"{case}: {metrics[f'met_{case}']:.0%} of the runs ended at the target; over all fresh "
        f"samples a share lies at most {100 * metrics[f'farthest_pooled_{case}']:.1f} points off"
    )
