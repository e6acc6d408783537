# %% [markdown]
# # Taming: which part does what?
#
# The loss of {doc}`../taming` has a threshold, terms that retain and a rule to stop by
# {cite}`malnick2024taming`. Each part is taken away, or changed, in turn. The four photographs of
# a person and the seed stay the same.

# %% tags=["parameters"]
sweep: str = "tame_ablations"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting.book import columns, table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import FID_CHANGES, extremes, key

run, table = begin_table("taming_ablations", globals(), **FID_CHANGES)
print(f"{table.runs.person.nunique()} people")

# %% [markdown]
# ## What each costs and brings
#
# Means over the people, and where they differ the lowest and the highest of them. Of so few people
# only large differences tell. *As published* is the authors' learning rate, epsilon and batches.
# It takes gradients of any length and does not wait for the retained images to settle.
#
# *Within* is the share of images to forget that lie where the stopping rule puts them, measured
# anew. Cases without a rule take a fixed number of steps. Gradient ascent has no threshold and
# does not end. It takes a fixed number of steps at the authors' learning rate. They move the
# photographs nearly as far as the threshold would, in standard deviations of the base.

# %% tags=["hide-input"] caption="What each part of taming costs and brings"
metrics = {"n_runs": len(table.runs)}
table.summarise(columns.ABLATIONS, extremes, metrics)

# %% tags=["figure", "hide-input"] alt="Three columns of points, one row an ablation"
table_plots.draw_ablations(
    table.cases,
    {
        "quantile_after_forget": "quantile of the forgotten",
        "shift_random_sigma": "shift of held-out, sigma",
        "fid_t9_percent": "FID at T = 0.9, %",
    },
    symlog="shift_random_sigma",
)
plt.show()

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in table.cases:
    at = key(case)
    print(
        f"{case:28} {metrics[f'steps_{at}']:4.0f} steps, forgotten at quantile "
        f"{metrics[f'quantile_after_forget_{at}']:.3f}, others moved by "
        f"{metrics[f'shift_random_sigma_{at}']:+.2f} sigma"
    )
