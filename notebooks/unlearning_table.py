# %% [markdown]
# # Unlearning features: the table
#
# Does a feature go, whatever the generator, the feature, the setting and the seed? Does what
# remains resemble a model that never saw it? The tables are made of the records of runs of
# {doc}`unlearn_thick`'s template; nothing in them is typed by hand.

# %% tags=["parameters"]
sweep: str = "unlearn_digits"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import columns, table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import key, over_runs, over_seeds
from forgetting.book.unlearning_tables import large_changes, verdict_table

pd.set_option("display.max_colwidth", None)
run, table = begin_table("unlearning_table", globals())
metrics = {"n_runs": len(table.runs)}

# %% [markdown]
# ## What is left of the feature
#
# The share of fresh samples that show the feature, by what has no part in unlearning. It is the
# mean over the seeds of unlearning with a 95 % interval, the wider of two. One is the t-interval
# over seeds. The other is the runs' own, because each run counts few samples.
#
# What remains of the gap is (unlearned - retrained) / (original - retrained). At 1 the feature is
# untouched, at 0 as rare as in the model that was trained without it. Below 0 it is rarer still.
# This interval, and those below, are t-intervals over seeds.

# %% tags=["hide-input"] caption="Share of samples with the feature, by model"
in_rows = "until_gone"  # runs in rounds are cases of their own here
models = {name: label for name, (label, _) in table_plots.MODELS.items() if name != in_rows}
counted = "prevalence" if "prevalence_before" in table.runs else "prevalence_strict"
shares = {f"{counted}_{name}": (label, "{:.1%}") for name, label in models.items()}
gap = {"gap_to_retrained": ("gap that remains", "{:.2f}")}
left = table.summarise(shares, over_runs, metrics)
left.join(table.summarise(gap, over_seeds, metrics))

# %% tags=["figure", "hide-input"] alt="Points of seeds along each case's row"
table_plots.draw_seeds(table.cases, counted)
plt.show()

# %% [markdown]
# Is it gone? {doc}`../protocol` has the rule of the verdict; each run has one. Rows that end
# in *until gone* are unlearning in rounds. All others are the single pass of the paper.

# %% tags=["hide-input"] caption="Verdicts by rule, counted over runs"
verdicts, figures = verdict_table(table.cases)
metrics |= figures
verdicts

# %% [markdown]
# ## What became of the samples
#
# FID on classifier A's features to the original's own samples that lack the feature; its floor is
# the distance between two halves of those.

# %% tags=["hide-input"] caption="FID by model, means over seeds"
named = {"floor": "floor", **models}
distances = {f"fid_{name}": (label, "{:.1f}") for name, label in named.items()}
table.summarise(distances, over_seeds, metrics)

# %% [markdown]
# ## How far are they from real images?
#
# A tuned copy begins at the original's own samples, and a model that is trained anew does not. So
# the FID above favours tuning. Here FID is taken to held-out real images without the feature.
# *Own* are the original's samples without it.

# %% tags=["hide-input"] caption="FID to real images, means over seeds"
real = {f"fid_real_{name}": (label, "{:.1f}") for name, label in {"own": "own", **models}.items()}
table.summarise(real, over_seeds, metrics)

# %% [markdown]
# ## What does a grader from outside find?
#
# Of faces a classifier from a package grades, too, with its features for FID. Of digits there is
# none.

# %% tags=["hide-input"] caption="Shares and FID by a classifier from outside the study"
outside = {f"prevalence_outside_{name}": (label, "{:.1%}") for name, label in models.items()}
by_outside = None
if set(outside) & set(table.runs):
    by_outside = table.summarise(outside, over_runs, metrics)
    far = {f"fid_outside_{name}": (f"FID, {label}", "{:.1f}") for name, label in named.items()}
    by_outside = by_outside.join(table.summarise(far, over_seeds, metrics))
by_outside

# %% [markdown]
# ## What else changed
#
# The same latents go through the original and the unlearned model. The first table is of pixels:
# their mean change where the original has the feature and where it lacks it. Of faces, it also
# tells the rows in which the feature lies from the rest.
#
# The second table is classifier B's. It counts digits that changed their class and other
# attributes that flipped, where the feature was present and where it was absent. Then follow the
# largest change of another attribute's share, and those that changed by more than two points in
# the mean. Seconds are the median of unlearning, and of the whole run.

# %% tags=["hide-input"] caption="Mean change of a pixel, means over seeds"
table.summarise(columns.UNLEARNING_PIXELS, over_seeds, metrics)

# %% tags=["hide-input"] caption="What else changed, means over seeds"
changed = table.summarise(columns.UNLEARNING_CHANGES, over_seeds, metrics)
texts, figures = large_changes(table.cases)
metrics |= figures
changed["over 2 points"] = changed.index.map(texts)
times = [part[["seconds_forgetting", "seconds"]].median() for part in table.cases.values()]
changed["seconds"] = [f"{a:.0f}, {b:.0f}" for a, b in times]
changed

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in table.cases:
    at = key(case)
    before, after = (metrics[f"{counted}_{when}_{at}"] for when in ("before", "after"))
    gap = [metrics.get(f"gap_to_retrained_{at}{end}") for end in ("", "_low", "_high")]
    text = (
        "" if None in gap else ", gap to the retrained {:+.2f} ({:+.2f} to {:+.2f})".format(*gap)
    )
    print(f"{case:28} {before:6.1%} -> {after:5.1%}{text}")
