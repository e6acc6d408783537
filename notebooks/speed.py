# %% [markdown]
# # How fast?
#
# Forgetting shall take minutes on a laptop. The page gives the cost of a step of taming, and of
# the whole way to the stopping rule. Beside it stands a loop that does what the authors' public
# code does at every step {cite}`malnick2024taming`. The Glow stands beside the same one made by
# normflows.
#
# The figures are those of `make bench`, measured turn by turn in one run on an otherwise idle
# machine. Ratios can be compared with those of another machine.

# %% tags=["parameters"]
seed: int = 0  # of nothing here; every template has it
preset: str = "default"  # smoke or default: here the same
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps

# %% tags=["hide-input"]
import pandas as pd

from forgetting.book import run as runs
from forgetting.book.catalogue import RESULTS

run = runs.begin("speed", runs.Parameters, {"smoke": {}, "default": {}}, globals())
measured = runs.records(RESULTS / "bench", ["taming", "taming-float32", "glow"])
for name, record in measured.items():
    versions = ", ".join(f"{library} {version}" for library, version in record["versions"].items())
    print(f"{name}: {record['threads']} threads of {record['cores']}, {versions}")

# %% [markdown]
# ## A step of taming, and the way to the rule
#
# Both loops tame the faces Glow on the same images, at the authors' learning rate. Ours evaluates
# the flow less often and computes the base's likelihoods beforehand. Its coupling networks run in
# bfloat16, where the public loop runs in float32. The images are the flow's own, drawn around one
# latent.
#
# *To the rule* is until every image to forget lies within $0.15\,|\delta|\,\sigma$ of its
# threshold. The public loop measures that with fresh noise every time, ours with one fixed draw.
# Their numbers of steps may therefore differ. It ran once.
#
# *A step* is one without reason to check the stopping rule on all images. *On the way* is the mean
# step until the rule is met, with all checks. *To the rule* is the whole way, with as many steps
# as each loop took. *Default* is ours with the settings of the pages on persons: it retains more a
# step, and goes on until the retained images have settled. Photographs of real people can take
# several times as many steps ({doc}`tame_people_table`).
#
# Not every processor multiplies in bfloat16. The second table is of one that does not, where ours
# runs in float32 as well.


# %% tags=["hide-input"] caption="A step of taming in bfloat16, and the way to the rule"
def three_digits(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text, with three significant digits."""
    return rows.rename(lambda name: name.replace("_", " ")).map(lambda value: f"{value:.3g}")


taming = pd.DataFrame(measured["taming"]["rows"])
times_faster = taming.loc["seconds_to_the_rule_public"] / taming.loc["seconds_to_the_rule_ours"]
taming.loc["times_faster_to_the_rule"] = times_faster
three_digits(taming)

# %% tags=["hide-input"] caption="The same in float32"
float32 = pd.DataFrame(measured["taming-float32"]["rows"])
three_digits(float32)

# %% [markdown]
# ## The Glow
#
# Images a second in training (forward, backward, Adam) and in sampling, with the range over
# rounds. *Share of the ceiling* compares the operations of a step in a second with those that
# large convolutions reach on the same machine in the same precision.

# %% tags=["hide-input"] caption="Images a second of the Glow, and share of the ceiling"
glow = measured["glow"]
rows = {
    name: {
        "a second": f"{row['rate']:.3g} ({row['low']:.3g} to {row['high']:.3g})",
        "share of the ceiling": f"{row['share_of_ceiling']:.0%}"
        if "share_of_ceiling" in row
        else "",
    }
    for name, row in glow["rows"].items()
    if not name.startswith("ceiling")
}
pd.DataFrame(rows).T

# %% tags=["hide-input"] caption="Peak memory of training the Glow"
memory = pd.Series(glow["memory_mib"]).rename("peak memory of training, MiB")
memory.map(lambda value: f"{value:,.0f}").to_frame()

# %% [markdown]
# ## The paper's size
#
# Nothing here was trained at the paper's size. What such a training takes is counted: the recipe
# `faces-glow-128` takes one step on tensors that have shapes and no values. Its networks run in
# bfloat16. Its activations are kept for the backward pass, or computed a second time, as the
# recipe does.
#
# A multiply-add is two operations. *Activations that wait* live between the forward and the
# backward pass. *Memory at the peak* holds them, the gradients, the weights, their average and
# Adam's moments. What the libraries of a GPU take comes on top, and so do the training images, a
# byte a value.
#
# A count of operations is no time. The hours assume the peak of the GPU's data sheet, for dense
# matrices, and a share of it. The share was measured on our processor. It is the lowest that the
# Glow reached, in bfloat16, of what large convolutions reach there. No GPU was measured. The
# authors' hours are their seconds a step times the same number of steps. Which GPU they used is
# not known.
#
# On a GPU, `forgetting train faces-glow-128 --device cuda` trains this Glow. With `--devices 2`
# two GPUs share each batch, and likewise more, where `forgetting[devices]` is installed. The share
# of each device draws its own noise. A test compares two processes on a processor with one that
# computes the same shares. No training on several GPUs was tried.

# %% tags=["hide-input"] caption="A training at the paper's size, counted"
counted = runs.records(RESULTS / "bench", ["paper-size"])["paper-size"]
gpu, sizes = counted["gpu"], counted["config"]
utilisation = min(
    row["share_of_ceiling"] for name, row in glow["rows"].items() if "training, bfloat16" in name
)
hours_of_steps = counted["steps"] / 3600
large = pd.DataFrame(counted["rows"]).astype(float)
large.loc["peak"] += counted["state"]
large.loc["seconds"] = large.loc["operations"] / (gpu["teraflops"] * 1e12 * utilisation)
large.loc["hours"] = large.loc["seconds"] * hours_of_steps
names = {
    "operations": ("operations of a step, TFLOP", 1e12),
    "activations": ("activations that wait, GB", 1e9),
    "peak": ("memory at the peak, GB", 1e9),
    "seconds": (f"seconds a step on one {gpu['name']}, estimated", 1),
    "hours": (f"hours for all steps on one {gpu['name']}, estimated", 1),
}
hours_of_the_paper = counted["seconds_of_the_paper"] * hours_of_steps
print(
    f"{sizes['image_size']} px, K = {sizes['n_steps']}, L = {sizes['n_blocks']}, width "
    f"{sizes['width']}: {counted['parameters'] / 1e6:.1f} million parameters; "
    f"{counted['steps']:,} steps of {counted['batch_size']} images\n"
    f"{gpu['name']}: {gpu['teraflops']:.0f} TFLOP/s, of which {utilisation:.0%} are assumed\n"
    f"the authors: {counted['seconds_of_the_paper']} s a step, {hours_of_the_paper:.0f} hours"
)
shown = pd.DataFrame({text: large.loc[key] / unit for key, (text, unit) in names.items()}).T
three_digits(shown.rename(columns="activations {}".format))

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = {}
for column, row in measured["taming"]["rows"].items():
    size = int(column.split()[0])
    metrics |= {f"{key}_{size}": float(value) for key, value in row.items()}
    metrics[f"times_faster_to_the_rule_{size}"] = float(times_faster[column])
for column, row in float32.items():
    size = column.split()[0]
    metrics |= {f"float32_{key}_{size}": float(value) for key, value in row.items()}
for name, value in glow["ratios"].items():
    key = "".join(letter if letter.isalnum() else " " for letter in name).split()
    metrics["ratio_" + "_".join(key).lower()] = value
for way, column in large.items():
    metrics |= {f"paper_size_{key}_{way}": float(value) for key, value in column.items()}
metrics["paper_size_parameters"] = float(counted["parameters"])
metrics["paper_size_utilisation"] = utilisation
metrics["paper_size_hours_of_the_authors"] = hours_of_the_paper
metrics = run.finish(metrics, [])
for column, row in measured["taming"]["rows"].items():
    print(
        f"{column}: a step {row['times_faster_a_step']:.1f} times as fast, in the mean of the way "
        f"{row['times_faster_on_the_way']:.1f};\n    to the rule in "
        f"{row['seconds_to_the_rule_ours']:.0f} s, at the settings for people in "
        f"{row['seconds_to_the_rule_default']:.0f} s, the public loop in "
        f"{row['seconds_to_the_rule_public']:.0f} s"
    )
for column, row in float32.items():
    print(
        f"{column}, in float32: a step {row['times_faster_a_step']:.1f} times as fast;\n"
        f"    to the rule at the settings for people in {row['seconds_to_the_rule_default']:.0f} s"
    )
for name, value in glow["ratios"].items():
    print(f"{name}: {value:.2f}")
