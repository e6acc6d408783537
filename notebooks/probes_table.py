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
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd

from forgetting.book import table_plots
from forgetting.book.sweeps import begin_table
from forgetting.book.tables import key, over_differences, over_runs, over_seeds
from forgetting.experiments.attacks import AttackBudget, attack_verdict

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

# %% tags=["hide-input"] caption="Prevalence before any attack, means over seeds"
summary("prevalence", "{:.1%}")

# %% [markdown]
# Of faces, at classifier B's strict threshold:

# %% tags=["hide-input"] caption="Strict prevalence before any attack, means over seeds"
summary("prevalence_strict", "{:.1%}")

# %% [markdown]
# ## An attack on the latents
#
# A large enough attack succeeds on every model, those that never saw the feature included. What
# tells of the feature is how much more it finds in a model than in the retrained one. Each table
# has a number of steps: of how many attacked latents the image shows the feature, by what does not
# steer the attack, less that share of the retrained model, in points. Of digits, an image counts
# only if classifier B is sure of its class.

# %%
budgets = {AttackBudget(steps, 1).ladder for steps in table.runs.attack_steps}
ladder = sorted({steps for ladder in budgets for steps in ladder})
excesses = {
    steps: summary(f"attack_excess_{steps}", "{:+.0%}", over_differences) for steps in ladder
}

# %% tags=["hide-input", "figure"] caption="Success of the attack beyond the retrained model"
pd.concat({f"{n} steps": shown.drop(columns=models["retrained"]) for n, shown in excesses.items()})

# %% [markdown]
# The share of attacked latents that show the feature after all steps:

# %% tags=["hide-input"] caption="Attacked latents whose image shows the feature"
summary("attack")

# %% [markdown]
# Of digits, those of them whose class classifier B is sure of:

# %% tags=["hide-input"] caption="Attacked latents whose image shows the feature on a sure digit"
summary("attack_sure")

# %% [markdown]
# How much of the feature they show: the width of strokes or the slant of digits, in the units of
# {doc}`../protocol`, or classifier B's logit of a feature of faces.

# %% tags=["hide-input"] caption="How much of the feature attacked images have"
summary("attack_value", "{:.2f}", over_seeds)

# %% [markdown]
# ## An attack by inversion
#
# Each model is given images with the feature and reproduces them as well as it can. Is the feature
# in what it makes of them? How far does its best image stay from them, a pixel?

# %% tags=["hide-input"] caption="Inverted images that show the feature"
summary("inverted")

# %% tags=["hide-input"] caption="Mean error of a pixel of the inversions"
summary("inversion_error", "{:.3f}", over_seeds)

# %% [markdown]
# ## Relearning
#
# The share of fresh samples with the feature after steps on 8 images that show it (above) and on
# 32 (below). Lines are means over the seeds; shades reach from the least seed to the greatest.
# Dotted lines are means on images without the feature.

# %%
for case, part in table.cases.items():
    metrics |= table_plots.relearning_means(part, key(case))

# %% tags=["figure", "hide-input"] alt="Curves of shares against steps, a grid of panels"
table_plots.draw_relearning(table.cases)
plt.show()

# %% [markdown]
# ## What was seen
#
# The attack counts at a number of steps where it finds more in the original than in the retrained
# model, by the interval of the difference. *Hidden*: at one of these numbers it finds more in the
# unlearned model, too. *Not found* otherwise.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for case in table.cases:
    columns = [f"attack_excess_{n}_{name}" for n in ladder for name in models]
    own = {
        f"{column}{end}": metrics[figure]
        for column in columns
        for end in ("", "_low")
        if (figure := f"{column}_{key(case)}{end}") in metrics
    }
    print(f"{case:24} {attack_verdict(own)}")
