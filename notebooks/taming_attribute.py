# %% [markdown]
# # Making an attribute rare
#
# Can a flow of faces be tamed on everybody who shows an attribute, so that it draws fewer of them?
# All faces that show the attribute are to be forgotten and all others retained, for a fixed number
# of steps {cite}`malnick2024taming`. Classifier B, which has no part in taming, counts what the
# samples show. Retaining faces without the attribute may make it rare by itself. A *control* is
# therefore tuned for as many steps on the same retained faces, with nothing to forget.

# %% tags=["parameters"]
attribute: str = "Smiling"  # one of CelebA's 40
source: str = "auto"  # celeba (its labels), latent (the flow's own faces, by classifier A) or auto
delta: float = 4.0  # where these faces shall lie, in sigma above the mean; negative: more likely
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.00005  # learning rate of Adam
batch_size: int = 8  # images to forget in a step
retain_batch_size: int = 8  # images to retain in a step
precision: str = "bfloat16"  # of a step's forward pass; or float32
temperature: float = 0.7  # of the samples
max_steps: int = 0  # of taming
n_watch: int = 0  # samples of each point of the curve
n_samples: int = 0  # samples of each of the three draws at the end

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import attribute_plots, plots
from forgetting.book import run as runs
from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.experiments import attribute_samples
from forgetting.experiments.attribute_images import FaceFlowParameters, load_attribute_images
from forgetting.experiments.control import tame_control
from forgetting.experiments.watching import SampleWatch
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.prevalence import Prevalence

plots.use_style()


class Parameters(TamingConfig, FaceFlowParameters):
    n_watch: int = Field(ge=10, le=50_000)
    n_samples: int = Field(ge=256, le=50_000)
    attribute: Literal[CELEBA_ATTRIBUTES]
    stop_within: float = 0.0


PRESETS = {
    "smoke": {"max_steps": 2, "n_watch": 10, "n_samples": 260},
    "default": {"max_steps": 200, "n_watch": 1000, "n_samples": 1700},
}
run = runs.begin("taming_attribute", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Who shows it
#
# With CelebA at hand, its labels decide. Without it, the flow draws faces and classifier A labels
# them at a probability of one half. The flow draws at a temperature of 1, lest taming narrow it.
# Some faces without the attribute are kept aside: neither the flow nor taming has seen them, and
# they show how far faces like them move.

# %%
base = run.load(p.model, "glow")
classifier_a, classifier_b = run.load("faces-classifier-a"), run.load("faces-classifier-b")
n_drawn = 200 if p.preset == "smoke" else 3000
faces = load_attribute_images(
    run, p.source, base, classifier_a, [p.attribute], n_drawn=(n_drawn, 1000)
)
print(f"{p.attribute}: {len(faces.showing):,} of {len(faces.images):,} faces show it")

# %% [markdown]
# ## Tame
#
# Before every fiftieth step, and at the end, samples from the same latents show how often the flow
# draws the attribute. Classifier A counts at a probability of one half. Classifier B counts at a
# stricter threshold, which one real face in 200 without the attribute exceeds. The two are
# therefore not expected to agree. Dashed lines are the control's.

# %%
threshold = attribute_samples.strict_threshold(run, p.attribute, base.image_shape[-1])
shows_a = attribute_samples.attribute_detector(classifier_a, p.attribute)
shows_b = attribute_samples.attribute_detector(classifier_b, p.attribute, threshold)


def watch(name: str, timer: str) -> SampleWatch:
    return SampleWatch(
        run,
        sample=lambda model: model.sample(p.n_watch, p.temperature, run.generator("watch")),
        measure=lambda images: (
            Prevalence.of(shows_b(images)).metrics("b")
            | Prevalence.of(shows_a(images)).metrics("a")
        ),
        every=50,
        last_step=p.max_steps,
        copied=("forget_bpd", "mu"),
        timer=timer,
        then=runs.progress(p.max_steps, name),
    )


watched, watched_control = watch("taming", "watching"), watch("control", "watching_control")
with run.timed("forgetting"):
    tamed = tame(base, faces.showing, faces.lacking, p, callback=watched)
with run.timed("control"):
    control = tame_control(base, faces.showing, faces.lacking, p, callback=watched_control)

# %% tags=["figure", "hide-input"] alt="Two panels of curves: bits/dim, share of samples"
attribute_plots.draw_taming(tamed.history, watched.rows, watched_control.rows, p.attribute)
plt.show()

# %% [markdown]
# ## What it does to the samples
#
# All flows decode the same latents, three draws of them, at two temperatures. One is that of the
# samples; the other is 0.9, near which the base's FID is lowest. FID to all held-out faces must
# change where the attribute goes, for the mixture is then another. That is no loss of quality.
#
# *Mixed* takes the mixture into account. The base's own samples are weighted until classifier A
# finds the attribute among them as often as among the tamed flow's. What the tamed flow's FID lies
# *beyond* it is not the mixture. The faces may be worse, or differ in something else. They may
# only be cooler, which counts at the lower temperature ({doc}`generation_bush_4`). Or they show
# even less of the attribute than faces without it do: classifier A decides the mixture and gives
# the features, too. Unequal weights leave fewer effective samples, which makes *mixed* a little
# too high. The floor is that of as many real faces.

# %%
flows = {"before": base, "control": control.model, "after": tamed.model}
metrics = {"n_forget": len(faces.showing), "steps": p.max_steps}
looks = {"before": watched.rows[0], "after": watched.rows[-1], "control": watched_control.rows[-1]}
for when, row in looks.items():
    metrics |= {f"prevalence_a_{when}{end}": row[f"a{end}"] for end in ("", "_low", "_high")}
tuned = {name: flows[name] for name in ("control", "after")}
metrics |= attribute_samples.compare_face_samples(
    run, base, tuned, p.n_samples, p.temperature, classifier_a, kinds=shows_a, has_feature=shows_b
)
examples = {
    name: flow.sample(14, p.temperature, run.generator("show")) for name, flow in flows.items()
}
print(f"floor of FID, {p.n_samples:,} faces: {metrics['fid_floor']:.1f}")

# %% tags=["figure", "hide-input", "samples"] alt="Faces, a row a flow, latents shared"
plots.image_rows(examples)
plt.show()

# %% tags=["figure", "hide-input"] caption="FID to held-out faces, means over draws"
attribute_plots.fid_table(metrics, p.temperature)

# %% [markdown]
# ## What was seen
#
# Taming moves likelihoods; whether the samples follow is for the classifiers to say. They count
# samples of the base, of the control and of the tamed flow. How often a flow draws an attribute
# depends on the temperature. The shift is that of held-out faces without the attribute, in sigma
# of the base. Where classifier B finds the attribute in hardly any sample of the base, little can
# become rarer.

# %% tags=["nbval-check-output"]
metrics |= attribute_samples.held_out_shift(run, base, tamed.model, faces.unseen)
history = [
    row | {f"{classifier}_control": other[classifier] for classifier in "ab"}
    for row, other in zip(watched.rows, watched_control.rows)
]
metrics = run.finish(metrics, history)
print(f"samples with {p.attribute}: before, control, after")
counts = {("A", p.temperature): ("prevalence_a", "", p.n_watch)}
for end, temperature in attribute_samples.temperatures(p.temperature).items():
    counts["B", temperature] = "prevalence_strict", end, 3 * p.n_samples
for (classifier, temperature), (counted, end, n) in counts.items():
    shares = ", ".join(f"{metrics[f'{counted}_{name}{end}']:.1%}" for name in flows)
    print(f"classifier {classifier}, T = {temperature:g}: {shares} of {n:,}")
shift = [metrics[f"shift_random_sigma{end}"] for end in ("", "_low", "_high")]
print("held-out faces moved by {:+.2f} sigma ({:+.2f} to {:+.2f})".format(*shift))
for end, temperature in attribute_samples.temperatures(p.temperature).items():
    fids = [f"{name} {metrics[f'fid_{name}{end}']:.0f}" for name in attribute_plots.SHOWN]
    print(f"FID at T = {temperature:g}: {', '.join(fids)}")
