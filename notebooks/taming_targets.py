# %% [markdown]
# # Target distributions: the table
#
# Is a target met on fresh samples, whatever the seed, and does a judge agree that had no part in
# it? Several targets, several seeds each: made of the records of as many runs of
# {doc}`target_smiling`'s template, and of nothing typed.

# %% tags=["parameters"]
sweep: str = "tame_targets"  # a sweep of runs.yaml
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu or cuda

# %% tags=["hide-input"]
import pandas as pd

from forgetting import book, runs
from forgetting.evaluation.tables import interval
from forgetting.methods.target_distribution import Target


class Parameters(runs.Parameters):
    sweep: str


run = runs.begin("taming_targets", Parameters, {"smoke": {}, "default": {}}, globals())
judge = run.load("faces-judge-a")
entry = book.sweep(run.parameters.sweep)
found = runs.records(book.RESULTS, [one.name for one in entry.runs()])
for record in found.values():
    run.weights |= record["weights"]
of_case = {
    case: [record for name, record in found.items() if name.split("/")[1].startswith(f"{case}-")]
    for case in entry.cases
}
print(f"{len(found)} of {len(entry.runs())} runs of {len(of_case)} targets")

# %% [markdown]
# ## What was asked, and what came
#
# Shares of samples in percent, means over the seeds with the 95 % t-interval of the mean; judge A
# steered, with other samples, and judge B had no part in it. Each at a probability of one half:
# how far B lies from A on the base is how far it may lie from A afterwards.

# %% tags=["hide-input"]
rows, metrics = {}, {"n_runs": sum(map(len, of_case.values()))}
for case, records in of_case.items():
    seeds = pd.DataFrame([record["metrics"] for record in records])
    target = Target.parse(records[0]["parameters"]["target"], judge.attributes)
    for i, name in enumerate(target.combinations):
        cells = {"target": f"{100 * float(target.shares[i]):.1f}"}
        for key in ("a_before", "a_after", "b_before", "b_after"):
            mean, low, high = interval(seeds[f"share_{key}_{i}"])
            cells[f"{key[0].upper()}, {key[2:]}"] = (
                f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            )
            metrics |= {f"share_{key}_{i}_{case}": mean}
        rows[(case.replace("_", " "), name)] = cells
pd.DataFrame(rows).T

# %% [markdown]
# ## What it took, and what it cost
#
# *Farthest* is the largest distance, in points, of a share from its target by judge A: of the
# means over seeds, and of the worst seed. FID is taken to all held-out faces, at the temperature
# of the samples and at 0.9: it grows where the mixture moves away from theirs, too.

# %% tags=["hide-input"]
rows = {}
for case, records in of_case.items():
    seeds = pd.DataFrame([record["metrics"] for record in records])
    n = len([key for key in seeds if key.startswith("target_")])
    off = [abs(seeds[f"share_a_after_{i}"].mean() - seeds[f"target_{i}"][0]) for i in range(n)]
    metrics |= {f"farthest_{case}": max(off), f"farthest_seed_{case}": seeds.farthest.max()}
    metrics |= {f"met_{case}": seeds.met.mean(), f"steps_{case}": seeds.steps.mean()}
    fids = {}
    for end, label in (("", "FID at 0.7"), ("_t9", "FID at 0.9")):
        both = [interval(seeds[f"fid_{when}{end}"]) for when in ("before", "after")]
        metrics |= {f"fid_{when}{end}_{case}": f[0] for when, f in zip(("before", "after"), both)}
        fids[label] = " → ".join(
            f"{mean:.0f} ({low:.0f} to {high:.0f})" for mean, low, high in both
        )
    rows[case.replace("_", " ")] = {
        "seeds": len(seeds),
        "said to be met": f"{seeds.met.mean():.0%}",
        "farthest, mean": f"{100 * max(off):.1f}",
        "farthest, worst seed": f"{100 * seeds.farthest.max():.1f}",
        "steps": f"{seeds.steps.min():.0f} to {seeds.steps.max():.0f}",
        **fids,
    }
pd.DataFrame(rows).T

# %% [markdown]
# ## What was seen

# %%
# NBVAL_CHECK_OUTPUT
metrics = run.finish(metrics, [])
for case in of_case:
    print(
        f"{case:16} farthest from its target {100 * metrics[f'farthest_{case}']:.1f} points over "
        f"the seeds, {100 * metrics[f'farthest_seed_{case}']:.1f} in the worst of them"
    )
