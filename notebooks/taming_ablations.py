# %% [markdown]
# # Taming: which part does what?
#
# The loss of {doc}`../taming` has a threshold, terms that retain and a rule to stop by
# {cite}`malnick2024taming`. Parts of it are taken away, or changed, in turn, with the same four
# photographs of a person and the same seed.

# %% tags=["parameters"]
sweep: str = "tame_ablations"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting.book import catalogue as book
from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.book.tables import extremes, key, summarise

plots.use_style()


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_ablations", Parameters, {"smoke": {}, "default": {}}, globals())
entry = book.sweep(run.parameters.sweep)
table = book.table(entry.name, run)
table["fid_percent"] = 100 * table.fid_change / table.fid_before
table["fid_t9_percent"] = 100 * table.fid_change_t9 / table.fid_before_t9
cases = {case.replace("_", " "): table[table.case == case] for case in entry.cases}
cases = {name: part for name, part in cases.items() if len(part)}
print(f"{table.person.nunique()} people; changed, beside what the pages on persons take:")
for name in cases:
    changed = ", ".join(
        f"{what} {value:g}" if isinstance(value, float) else f"{what} {value}"
        for what, value in entry.cases[key(name)].items()
    )
    print(f"{name:28} {changed or 'nothing'}")

# %% [markdown]
# ## What each costs and brings
#
# Means over the people, and where they differ the lowest and the highest of them; of so few people
# only large differences tell. *As published* is the authors' learning rate, epsilon and batches,
# with gradients of any length and without waiting for the retained to settle. *Within* is the
# share of images to forget that lie, measured anew, where the stopping rule wants them, where
# there is one; cases without a rule take a fixed number of steps. Gradient ascent knows no
# threshold and does not end: it goes on at the authors' learning rate for as many steps as take
# the photographs nearly as far as the threshold would, in standard deviations of the base.

# %% tags=["hide-input"]
columns = {
    "within_measured": ("within", "{:.0%}"),
    "steps": ("steps", "{:.0f}"),
    "quantile_after_forget": ("quantile after", "{:.2f}"),
    "drop_reference_minus_neutral": ("reference - neutral", "{:+.2f}"),
    "shift_random_sigma": ("shift, sigma", "{:+.2f}"),
    "fid_percent": ("FID at 0.7, %", "{:+.0f}"),
    "fid_t9_percent": ("FID at 0.9, %", "{:+.0f}"),
}
shown, metrics = summarise(cases, columns, extremes)
metrics["n_runs"] = len(table)
shown

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(10, 0.32 * len(shown) + 1), sharey=True)
labels = list(cases)[::-1]
for axis, (column, label) in zip(
    axes,
    (
        ("quantile_after_forget", "quantile of the forgotten"),
        ("shift_random_sigma", "shift of held-out, sigma"),
        ("fid_t9_percent", "FID at T = 0.9, %"),
    ),
):
    for y, name in enumerate(labels):
        values = cases[name][column].dropna()
        axis.plot(values, [y] * len(values), "o", ms=4, color=plots.BASE)
        axis.plot([values.mean()], [y], "|", ms=16, mew=2, color=plots.FORGOT)
    axis.axvline(0, color="black", lw=0.6)
    axis.set(xlabel=label, yticks=range(len(labels)), yticklabels=labels)
    axis.set_ylim(-0.6, len(labels) - 0.4)
axes[1].set_xscale("symlog", linthresh=1)
axes[1].set_xticks([0, 1, 100], ["0", "1", "100"])
axes[1].margins(x=0.1)
plt.show()

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for name in cases:
    case = key(name)
    print(
        f"{name:28} {metrics[f'steps_{case}']:4.0f} steps, forgotten at quantile "
        f"{metrics[f'quantile_after_forget_{case}']:.3f}, others moved by "
        f"{metrics[f'shift_random_sigma_{case}']:+.2f} sigma"
    )
