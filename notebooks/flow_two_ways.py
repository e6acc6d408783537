# %% [markdown]
# # Two ways to make a flow forget a feature
#
# A flow has a density and a latent space. Taming {cite}`malnick2024taming` pushes at the density.
# In the latent space a feature has a direction, which can be unlearned {cite}`moon2024feature`.
# Neither paper compares the two. Here both take the same attribute from the same flow.

# %% tags=["parameters"]
feature: str = "Smiling"  # Bangs, Eyeglasses, Smiling, Wearing_Hat, Male or Blond_Hair
model: str = "faces-glow"  # a flow of the zoo
source: str = "auto"  # of taming: celeba (its labels), latent (the flow's own faces) or auto
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
temperature: float = 0.7  # of all samples
lr: float = 0.0001  # of feature unlearning: of Adam at the first step; it falls to 0
batch_size: int = 16  # latents a step of feature unlearning
precision: str = "bfloat16"  # of the passes of feature unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of feature unlearning
max_steps: int = 0  # of taming
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.book import run as runs
from forgetting.border.adapters import AtTemperature
from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.inference import generate
from forgetting.experiments import grading, unlearning
from forgetting.experiments.attribute_images import FaceFlowParameters, load_attribute_images
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    absent_fid_metrics,
    fid_metrics,
)
from forgetting.experiments.watching import SampleWatch
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter
from forgetting.methods.taming import TamingConfig, tame

plots.use_style()


class Parameters(UnlearningConfig, FaceFlowParameters, unlearning.FeatureParameters):
    max_steps: int = Field(ge=1)


PRESETS = {
    "smoke": {"n_collected": 200, "steps": 2, "max_steps": 2, "n_samples": 200},
    "default": {"n_collected": 5000, "steps": 200, "max_steps": 200, "n_samples": 5000},
}
run = runs.begin("flow_two_ways", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## Along the direction
#
# Classifier A labels the flow's samples. The direction is the difference of the mean latents, as
# for a VAE. It lies in as many dimensions as the image has values. How much of it is noise shows
# in the agreement of the directions of two halves of the samples.

# %%
task = load_feature_task(run, p.model, p.feature, p.n_samples, p.temperature)
original, evaluator = task.original, task.evaluator
labelled = unlearning.collect_task_latents(run, task, p.n_collected)
direction = find_direction(labelled)
agreement = labelled.agreement()
print(f"agreement {agreement:.3f}, threshold {direction.projection_threshold:.2f}")
with run.timed("unlearning"):
    show = runs.progress(p.steps, "unlearning")
    unlearned = unlearn_feature(original, direction, p, trainable=task.trainable, callback=show)

# %% tags=["hide-input", "figure"] alt="Curves of the loss terms against steps, log scale"
unlearning_plots.loss_terms(unlearned.history)
plt.show()

# %% [markdown]
# ## By the density
#
# Taming takes images that show the attribute and images that lack it. They come from CelebA or,
# without its data, from the flow itself at a temperature of 1, labelled by classifier A. Other
# images without the attribute, which neither flow nor taming has seen, show what became of their
# likelihood.
#
# What a method costs depends on how far it goes. The tamed flow is therefore also copied early.
# Every tenth step, classifier A looks for the attribute in its samples. The copy is made once it
# finds no more than in the unlearned flow's.

# %%
flow = original.flow
faces = load_attribute_images(
    run,
    p.source,
    flow,
    task.classifier_a,
    [p.feature],
    n_drawn=(p.n_samples, p.n_samples),
    streams=("to tame on", "to ask about"),
)
watched = run.latents("watch", 1000, original.latent_dim)


def sample(tuned):
    """Return samples of a flow, from the same latents at every call."""
    return generate(AtTemperature(tuned, p.temperature), watched)


def share_by_a(images):
    """Return the share of images in which classifier A finds the attribute."""
    return {"prevalence_a": float((evaluator.score(images) > 0).float().mean())}


shares = {
    name: share_by_a(generate(model, watched))["prevalence_a"]
    for name, model in (("before", original), ("after", unlearned.model))
}
watch = SampleWatch(
    run,
    sample,
    share_by_a,
    every=10,
    last_step=p.max_steps,
    until=lambda row: row["prevalence_a"] <= shares["after"],
    then=runs.progress(p.max_steps, "taming"),
)
config = TamingConfig(max_steps=p.max_steps, stop_within=0, precision="bfloat16", seed=p.seed)
with run.timed("taming"):
    tamed = tame(flow, faces.showing, faces.lacking, config, callback=watch)

# %%
steps_early, tamed_early = watch.kept
shares["tamed_as_far"] = watch.rows[-1]["prevalence_a"]
metrics = {f"prevalence_a_{key}": share for key, share in shares.items()}
metrics |= {"steps_tamed_as_far": steps_early, "agreement": agreement}
metrics["n_forget"] = len(faces.showing)
print(f"{p.feature} by classifier A: {shares['before']:.1%}, unlearned {shares['after']:.1%}")
print(f"after {steps_early} of {p.max_steps} steps of taming {shares['tamed_as_far']:.1%}")

# %% [markdown]
# ## What became of the samples, and of the density
#
# The same latents go through every model. The table shows prevalence by classifier B with its
# interval. FID on classifier A's features compares with the original's own samples that lack the
# attribute. *FID, absent* is that of the samples alone in which classifier B finds none, so that
# the share that is left does not count. Where the attribute was present, the table counts other
# attributes that flipped. Where it was absent, it shows the mean change of a pixel. The shift is
# that of images without the attribute, in standard deviations of their likelihoods. The filter
# leaves the density as it was.

# %%
models = {
    "original": original,
    "filter": LatentFilter(original, direction),
    "unlearned": unlearned.model,
    "tamed as far": AtTemperature(tamed_early, p.temperature),
    "tamed": AtTemperature(tamed.model, p.temperature),
}
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
graded = grading.grade_samples(evaluator, models, fresh)
metrics |= grading.grading_metrics(evaluator, graded)
reference = FidelityReference.of(task)
metrics |= fid_metrics(reference, graded) | absent_fid_metrics(reference, graded)
metrics |= unlearning.locality_metrics(
    evaluator, graded, ("flipped_present", "l1_absent", "share_change")
)
likely = mean_bits_per_dim(flow, faces.unseen, 1, run.seed("noise"))
for name in ("unlearned", "tamed as far", "tamed"):
    shift = mean_bits_per_dim(models[name].flow, faces.unseen, 1, run.seed("noise")) - likely
    key = f"shift_random_sigma_{grading.record_key(name)}"
    metrics[key] = float(shift.mean() / likely.std())

# %% tags=["hide-input", "figure"] caption="What each model shows, and what else changed"
unlearning_tables.methods_table(metrics, ["floor", *graded])

# %% [markdown]
# The first block shows twelve latents whose samples had the attribute, the second twelve whose
# samples lacked it.

# %% tags=["hide-input", "figure", "samples"] alt="A row a model; columns share a latent"
unlearning_plots.paired_samples(graded)
plt.show()

# %% [markdown]
# ## What was seen
#
# Each method has one setting and one seed here. A method that leaves more of the attribute may
# stay nearer to the flow's own samples for that reason alone. The fair comparison is that of
# *unlearned* and *tamed as far*.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, unlearned.history)
for name, samples in graded.items():
    key = f"fid_{grading.record_key(name)}"
    distance = f", FID {metrics[key]:.0f}" if key in metrics else ""
    print(f"{name:12} {p.feature} {samples.prevalence.share:.1%}{distance}")
