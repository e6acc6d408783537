# %% [markdown]
# # Gone, or only hidden: the table
#
# The probes of {doc}`probes_thick`, of several generators and features. The tables are made of the
# records of those runs; nothing in them is typed by hand. Each unlearned model stands beside the
# latent filter, which changes no weight, and beside a model that was trained without the feature.

# %% tags=["parameters"]
sweep: str = "probe_features"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import attack_verdict, key, over_runs, over_seeds

run, table = begin_table("probes_table", globals())
models = {name: label for name, (label, _) in table_plots.MODELS.items()}
metrics = {"n_runs": len(table.runs)}
for name in ("n_attacked", "attack_steps", "restarts"):
    print(f"{name}: {', '.join(map(str, table.runs[name].unique()))}")


def summary(prefix: str, form: str = "{:.0%}", of: Callable = over_runs) -> pd.DataFrame:
    """Return a row for each case and a column for each model; record the figures."""
    columns = {f"{prefix}_{name}": (label, form) for name, label in models.items()}
    return table.summarise(columns, of, metrics)


# %% [markdown]
# ## Before any attack
#
# The share of fresh samples that show the feature. An interval of a share, here and below, is the
# wider of two. One is the runs' own, because they count few images; the other is over the seeds.

# %% tags=["hide-input"]
summary("prevalence", "{:.1%}")

# %% [markdown]
# Of faces, at classifier B's strict threshold:

# %% tags=["hide-input"]
summary("prevalence_strict", "{:.1%}")

# %% [markdown]
# ## An attack on the latents
#
# The share of attacked latents that show the feature in the end, by what does not steer the
# attack.

# %% tags=["hide-input"]
summary("attack")

# %% [markdown]
# Of digits, the share that show the feature and of whose class classifier B is sure:

# %% tags=["hide-input"]
summary("attack_sure")

# %% [markdown]
# How much of the feature they show: the width of strokes or the slant of digits, in the units of
# {doc}`../protocol`, or classifier B's logit of a feature of faces.

# %% tags=["hide-input"]
summary("attack_value", "{:.2f}", over_seeds)

# %% [markdown]
# ## An attack by inversion
#
# Each model is given images with the feature and reproduces them as well as it can. Is the feature
# in what it makes of them? How far does its best image stay from them, a pixel?

# %% tags=["hide-input"]
summary("inverted")

# %% tags=["hide-input"]
summary("inversion_error", "{:.3f}", over_seeds)

# %% [markdown]
# ## Relearning
#
# The share of fresh samples with the feature after steps on 8 images that show it (above) and on
# 64 (below). Lines are means over the seeds; shades reach from the least seed to the greatest.

# %%
for case, part in table.cases.items():
    metrics |= table_plots.relearning_means(part, key(case))

# %% tags=["figure", "hide-input"]
table_plots.draw_relearning(table.cases)
plt.show()

# %% [markdown]
# ## What was seen
#
# An attack that fails on the original, reaching less than 95 %, says nothing. Neither does one
# that brings the feature about in a model that never saw it. Otherwise a model *resists* where the
# attack's share is lower than on the original, with intervals that do not meet.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in table.cases:
    attacked = {name: metrics.get(f"attack_{name}_{key(case)}") for name in models}
    text = ", ".join(
        f"{models[n]} {share:.0%}" for n, share in attacked.items() if share is not None
    )
    print(f"{case:24} {text}: the unlearned model {attack_verdict(metrics, key(case))}")
