# %% [markdown]
# # What taming does to generation
#
# A tamed flow finds some photographs unlikely. Does it draw the person less often? What else does
# it draw differently? Nobody sees a likelihood. This page looks at samples, at the neighbourhood
# of the forgotten images, and at the weights {cite}`malnick2024taming`.

# %% tags=["parameters"]
source: str = "auto"  # lfw (a real person), latent (one that the flow draws) or auto
person: str = ""  # a name of LFW, or the number of a latent; empty: the first
n_forget: int = 4  # images of the person to forget, 1 to 15
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
lr: float = 0.0001  # of Adam; the paper takes 0.00005
eps: float = 0.00001  # of Adam; the paper takes 0.00000001
max_grad_norm: float = 2.0  # of a step's gradient; 0, as in the paper: no limit
retain_batch_size: int = 16  # images to retain in a step; the paper takes 8
settle_within: float = 0.06  # go on until retained images moved less than this, in sigma
precision: str = "bfloat16"  # of a step's forward pass; or float32
max_steps: int = 0  # at most
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each distance
n_draws: int = 0  # draws of latents for each distance
n_around: int = 0  # samples at each distance from the forgotten latents
n_kid: int = 0  # faces of others that KID is taken to

# %% tags=["hide-input"]
from functools import partial
from typing import Literal

import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, taming_plots
from forgetting.book import run as runs
from forgetting.border import inference
from forgetting.experiments import generation, mixture, person_task
from forgetting.experiments.control import tame_control
from forgetting.experiments.person_splits import similarity_filter
from forgetting.methods.taming import tame
from forgetting.metrics.likelihood import compare
from forgetting.zoo import references

plots.use_style()


class Parameters(person_task.PersonTamingParameters):
    source: Literal["auto", "lfw", "latent"]
    n_draws: int = Field(ge=2, le=20)
    n_around: int = Field(ge=4, le=1000)
    n_kid: int = Field(ge=128, le=10_000)


PRESETS = {
    "smoke": person_task.PRESETS["smoke"] | {"n_draws": 2, "n_around": 4, "n_kid": 150},
    "default": person_task.PRESETS["default"] | {"n_draws": 3, "n_around": 40, "n_kid": 1000},
}
run = runs.begin("taming_generation", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Three flows
#
# The base, the tamed flow, and a *control*. The control is tuned for as many steps on the same
# images to retain, with the same weight on them. It has nothing to forget. A change that the
# control shows as well comes from tuning, not from forgetting.

# %%
task = person_task.load_person_task(run, p)
base, person, forget = task.base, task.person, task.forget
tamed = tame(base, forget, person.retain, p, callback=runs.progress(p.max_steps, "tame"))
steps, within = tamed.history[-1]["step"], tamed.history[-1]["within"]
bar = runs.progress(steps, "control")
control = tame_control(base, forget, person.retain, p, steps=steps, callback=bar)
flows = {"before": base, "after": tamed.model, "control": control.model}
metrics = {"n_forget": len(forget), "steps": steps, "within": within}
print(f"{person.name}: {len(forget)} images, {steps} steps, {within:.0%} within")

# %% [markdown]
# ## Samples from the same latents
#
# FID is taken to real held-out faces, and KID to the same faces or, without the data, to other
# samples of the base. Their floors are the distances of as many training faces; for KID, of faces
# that are retained. Samples are drawn at several temperatures, from several draws of latents each.
# A change within the spread between draws is no change. *Near* is the share of samples more
# similar to the person than 99 of 100 faces of others.
#
# A flow's FID depends steeply on the temperature. Where tuning only makes the samples a little
# cooler, FID rises below the best temperature and falls above it, while the lowest FID stays.

# %%
draws = [run.seed(f"draw {draw}") for draw in range(p.n_draws)]
subset, temperatures = f"{base.image_shape[-1]}.all", (0.5, 0.7, 0.8, 0.9, 1.0)
metrics["fid_floor"] = references.floor(run.record(references.FACES), subset, p.n_samples)
others = generation.kid_features(run, person, base, task.classifier_a, p.n_kid)
metrics["kid_floor"] = generation.kid_floor(run, person, others, task.classifier_a, p.n_samples)
metrics |= generation.samples_by_temperature(
    flows,
    temperatures,
    p.n_samples,
    seeds=draws,
    reference=run.statistics(subset, references.FACES),
    others=others,
    classifier=task.classifier_a,
    is_near=similarity_filter(person, task.embedding),
)
floors = f"FID {metrics['fid_floor']:.1f}, KID {metrics['kid_floor']:.0f}"
print(f"floors, of {p.n_samples:,} images: {floors}")

# %% tags=["figure", "hide-input"] caption="FID, KID and nearness, by temperature and flow"
taming_plots.temperature_table(metrics, flows, temperatures)

# %% tags=["figure", "hide-input"] alt="Curves of FID against temperature, one a flow"
taming_plots.fid_by_temperature(metrics, flows, temperatures)
plt.show()

# %% tags=["figure", "hide-input", "samples"] alt="A row of samples a flow, latents shared"
taming_plots.sample_rows(flows, 0.7, run)
plt.show()

# %% [markdown]
# ## Which data set samples look like
#
# The flow learned CelebA, which has celebrities, and LFW, which has the people to forget. A tamed
# flow may come to draw more faces like those of one of them. FID to the mixture of both then
# moves, however good the faces are. A logistic regression on classifier A's features tells unseen
# faces of the two apart. *Like LFW* is the share of the samples at T = 0.7 that it takes for LFW.
# The other columns are FID on the features of a network from outside, to unseen faces of CelebA,
# of LFW, and of both.

# %%
drawn = generation.samples_of_draws(flows, p.n_samples, 0.7, draws)
features = partial(inference.features, task.classifier_a)
metrics |= mixture.mixture_metrics(person, drawn, features, run.generator("mixture"))
print(mixture.mixture_line(metrics))

# %% tags=["figure", "hide-input"] caption="Which data set the flows' samples look like"
taming_plots.mixture_table(metrics, flows)

# %% [markdown]
# ## Around the forgotten images
#
# A flow has an exact latent for every image. From the base's latent of each forgotten image, go a
# distance $r$ towards a random one, and let all flows decode the same point. How similar is the
# result to the forgotten image?
#
# Where does each flow have its latents of the forgotten images? The norms of random latents lie
# close together, and at a temperature below 1 they shrink by that factor. A flow hardly ever draws
# an image whose latent lies further out than any of them. An image that looks nearly the same may
# have another latent.

# %%
radii = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
latents = base.encode(forget.to(run.device)).cpu()
metrics |= generation.similarity_around(
    flows, latents, forget, task.embedding, radii, p.n_around, run.generator("around")
)
both = {"before": base, "after": tamed.model}
metrics |= generation.latent_norms(both, forget)

# %% [markdown]
# ## Who became unlikely?
#
# If taming understood the person, the images most similar to the person would lose the most
# likelihood. Other people's photographs come from the same data set as the person's, and may fall
# with them. So unseen faces of each data set are compared, too. The left panel shows the
# similarity measured before, on the way from the forgotten images. The right panel shows how far
# each image's likelihood moved.

# %%
sets = {name: images for name, images in person.sets.items() if name != "random"}
unseen = mixture.unseen_sets(person, run.generator("unseen"))
noise = {"draws": 1, "seed": run.seed("noise")}
comparison = compare(base, tamed.model, sets | unseen, person.likelihood_reference, **noise)
points = generation.shift_by_similarity(comparison, sets, person, task.embedding)
metrics["shift_similarity_rank"] = generation.rank_correlation(points)
metrics |= mixture.data_set_metrics(comparison, unseen)

# %% tags=["figure", "hide-input"] alt="Left, curves by radius; right, a cloud of points"
taming_plots.similarity_panel(metrics, flows, radii, points)
plt.show()

# %% [markdown]
# ## Which layers moved
#
# The change of each step's weights is given as a share of their norm. Steps are counted from the
# image's end to the latent's; lines divide the blocks.

# %%
changes = generation.layer_changes(base, tamed.model)
for name, shares in changes.items():
    metrics[f"moved_{name.split()[0]}"] = sum(shares) / len(shares)

# %% tags=["figure", "hide-input"] alt="Four curves of change across the flow's steps"
taming_plots.layer_curves(changes, base.config.n_steps)
plt.show()

# %% [markdown]
# ## What was seen
#
# An arrow leads from the base to the tamed flow.

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, tamed.history)
for name in flows:
    fids = ", ".join(f"{metrics[f'fid_{name}_t{tenths}']:.0f}" for tenths in (5, 7, 9, 10))
    print(f"{name:8} FID {fids} at T = 0.5, 0.7, 0.9, 1")
before, after = (metrics[f"near_{name}_t7"] for name in both)
print(f"samples near the person, T = 0.7: {before:.1%} -> {after:.1%}")
before, after = (metrics[f"similarity_{name}_r0"] for name in both)
print(f"similarity of the forgotten latent's image: {before:.2f} -> {after:.2f}")
for name in unseen:
    ends = (metrics[f"shift_{name}_sigma{end}"] for end in ("", "_low", "_high"))
    print("unseen faces of {} moved by {:+.3f} sigma ({:+.3f} to {:+.3f})".format(name, *ends))
for name in flows:
    if f"like_lfw_{name}" in metrics:
        print(f"{name:8} like LFW {metrics[f'like_lfw_{name}']:.1%}")
print(f"rank correlation of shift and similarity {metrics['shift_similarity_rank']:+.2f}")
before, after = (metrics[f"latent_norm_{name}"] for name in both)
print(f"latent norm of the forgotten {before:.1f} -> {after:.1f}")
low, high = generation.typical_norms(base.latent_dim)
print(f"98 of 100 random latents have a norm of {low:.1f} to {high:.1f}")
