# %% [markdown]
# # What taming does to generation
#
# A tamed flow finds some photographs unlikely. Does it draw the person less often? And what else
# does it draw otherwise? Likelihood is a number that nobody sees; this page looks at samples,
# at the neighbourhood of the forgotten images, and at the weights {cite}`malnick2024taming`.

# %% tags=["parameters"]
source: str = "auto"  # lfw (a real person), latent (one that the flow draws) or auto
person: str = ""  # a name of LFW, or the number of a latent; empty: the first
n_forget: int = 4  # images of the person to forget, 1 to 15
model: str = "faces-glow"  # a flow of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
lr: float = 0.0001  # learning rate of Adam; the paper takes 0.00005
eps: float = 0.00001  # of Adam; the paper takes 0.00000001
max_grad_norm: float = 2.0  # of a step; 0, as in the paper: any
retain_batch_size: int = 16  # images to retain a step; the paper takes 8
settle_within: float = 0.06  # go on until the retained moved less than this, in sigma
precision: str = "bfloat16"  # of a step's forward pass; or float32
max_steps: int = 0  # at most
n_likelihood_reference: int = 0  # random images that give mean and sigma
n_samples: int = 0  # samples for each distance
n_around: int = 0  # samples at each distance from the forgotten latents
n_kid: int = 0  # faces of others that KID is taken to

# %% tags=["hide-input"]
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import torch
from pydantic import Field
from scipy.stats import chi, spearmanr

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.experiments.person_splits import (
    choose_forget_images,
    load_person_splits,
    quantiles,
    similarity_filter,
)
from forgetting.experiments.samples import cached_samples
from forgetting.inference import embeddings, features, generate
from forgetting.methods.taming import TamingConfig, tame
from forgetting.metrics.fidelity import fid, kid
from forgetting.metrics.likelihood import compare
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo import references as reference

plots.use_style()


class Parameters(TamingConfig, runs.Parameters):
    source: Literal["auto", "lfw", "latent"]
    person: str
    n_forget: int = Field(ge=1, le=15)
    model: str
    n_likelihood_reference: int = Field(ge=20, le=5000)
    n_samples: int = Field(ge=70, le=50_000)
    n_around: int = Field(ge=4, le=1000)
    n_kid: int = Field(ge=70, le=10_000)


PRESETS = {
    "smoke": {
        "max_steps": 2,
        "n_likelihood_reference": 40,
        "n_samples": 70,
        "n_around": 4,
        "n_kid": 70,
    },
    "default": {
        "max_steps": 1000,
        "n_likelihood_reference": 400,
        "n_samples": 500,
        "n_around": 40,
        "n_kid": 1000,
    },
}
run = runs.begin("taming_generation", Parameters, PRESETS, globals())
p = run.parameters

# %% [markdown]
# ## Three flows
#
# The base; the tamed flow; and a *control*, tuned for as many steps on the same images to
# retain, with the same weight on them, but with nothing to forget. A change
# that the control shows, too, comes of tuning, not of forgetting.

# %%
base = run.load(p.model, "glow")
embedding, classifier_a = run.load("faces-embedding"), run.load("faces-classifier-a")
size = base.image_shape[-1]
person = load_person_splits(
    p.source,
    p.person,
    base,
    embedding,
    p.n_likelihood_reference,
    run.generator("sets"),
    n_retain=2 * p.n_likelihood_reference if p.preset == "smoke" else 2048,
)
forget = choose_forget_images(person, p.n_forget, quantiles(person, base))
tamed = tame(base, forget, person.retain, p, callback=runs.progress(p.max_steps, "tame"))
steps = tamed.history[-1]["step"]
control = tame(
    base,
    forget,
    person.retain,
    p.model_copy(update={"max_steps": steps}),
    callback=runs.progress(steps, "control"),
    steer=lambda step, model: torch.zeros(len(forget)),
)
flows = {"before": base, "after": tamed.model, "control": control.model}
metrics = {"n_forget": len(forget), "steps": steps, "within": tamed.history[-1]["within"]}
print(f"{person.name}: {len(forget)} images, {steps} steps, {metrics['within']:.0%} within")

# %% [markdown]
# ## Samples from the same latents
#
# FID and KID to real held-out faces (without the data, KID to other samples of the base), beside
# their floors, those of as many training faces (of what is retained, for KID), at several
# temperatures, three draws of latents each; a change within the spread between draws is
# no change. *Near* is the share of samples more like the person than 99 of 100 faces of others
# are. A flow's FID depends steeply on the temperature: where tuning only makes the samples a
# little cooler, FID rises below the best temperature, falls above it, and the lowest FID stays.

# %% tags=["hide-input"]
real = run.statistics(f"{size}.all", reference.FACES)
real_faces = run.record(reference.FACES)
metrics["fid_floor"] = reference.floor(real_faces, f"{size}.all", p.n_samples)
if person.showable:
    unseen = cached_samples(base, p.n_kid, 1.0, run.seed("KID"))
else:
    order = torch.randperm(len(person.others), generator=run.generator("KID"))
    unseen = person.others[order[: p.n_kid]]
others = features(classifier_a, unseen)
order = torch.randperm(len(person.retain), generator=run.generator("floor of KID"))
metrics["kid_floor"] = kid(features(classifier_a, person.retain[order[: p.n_samples]]), others)
is_near = similarity_filter(person, embedding)
rows = []
temperatures = (0.5, 0.7, 0.8, 0.9, 1.0)
for temperature in temperatures:
    for name, flow in flows.items():
        counted, found = [], {"fid": [], "kid": []}
        for draw in range(3):
            images = cached_samples(flow, p.n_samples, temperature, run.seed(f"draw {draw}"))
            seen = features(classifier_a, images)
            found["fid"].append(fid(seen, real))
            found["kid"].append(kid(seen, others))
            counted.append(is_near(images))
        end = f"{name}_t{round(10 * temperature)}"
        for measure_name, values in found.items():
            values = torch.tensor(values)
            metrics[f"{measure_name}_{end}"] = float(values.mean())
            metrics[f"{measure_name}_{end}_std"] = float(values.std())
        metrics |= Prevalence.of(torch.cat(counted)).metrics(f"near_{end}")
        has_feature = [
            f"{metrics[f'{m}_{end}']:.0f} ± {metrics[f'{m}_{end}_std']:.0f}" for m in found
        ]
        rows.append((temperature, name, *has_feature, f"{metrics[f'near_{end}']:.1%}"))
floors = f"FID {metrics['fid_floor']:.1f}, KID {metrics['kid_floor']:.0f}"
print(f"floors, of {p.n_samples:,} images: {floors}")
table = pd.DataFrame(rows, columns=["T", "flow", "FID", "KID", "near"])
table.set_index(["T", "flow"])

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6.4, 3))
for name, colour in zip(flows, (plots.BASE, plots.FORGOT, plots.REFERENCE)):
    ends = [f"{name}_t{round(10 * t)}" for t in temperatures]
    values, spread = ([metrics[f"fid_{end}{s}"] for end in ends] for s in ("", "_std"))
    axis.errorbar(temperatures, values, spread, marker="o", color=colour, label=name)
    metrics[f"fid_best_{name}"] = min(values)
axis.set(xlabel="temperature of the samples", ylabel="FID, mean of three draws", yscale="log")
axis.legend()
plt.show()

# %% tags=["hide-input"]
show = {name: flow.sample(14, 0.7, run.generator("show")) for name, flow in flows.items()}
plots.image_rows(show)
plt.show()

# %% [markdown]
# ## Around the forgotten images
#
# A flow has an exact latent for every image. From the base's latent of each forgotten image, go
# a distance $r$ towards a random one, and let base and tamed flow decode the same point: how like
# the forgotten image is what comes out?
#
# And where does each flow have its latents of the forgotten images? The norms of random latents
# lie close together, and at a temperature below 1 they are smaller by that factor: an image whose
# latent lies further out than any of them is one that the flow hardly ever draws; what looks
# nearly like it may have another latent.

# %% tags=["hide-input"]
radii = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
latents = base.encode(forget.to(run.device)).cpu()
own = embeddings(embedding, forget)
eps = torch.randn(p.n_around, base.latent_dim, generator=run.generator("around"))
around = {name: [] for name in flows}
for r in radii:
    z = (1 - r**2) ** 0.5 * latents[:, None] + 0.7 * r * eps
    for name, flow in flows.items():
        images = generate(flow, z.flatten(0, 1))
        like = embeddings(embedding, images).reshape(len(forget), p.n_around, -1)
        similarity = (like * own[:, None]).sum(2).mean(1)
        around[name].append(similarity)
        metrics[f"similarity_{name}_r{round(10 * r)}"] = float(similarity.mean())
for name in ("before", "after"):
    metrics[f"latent_norm_{name}"] = float(
        flows[name].encode(forget.to(run.device)).norm(dim=1).mean()
    )
typical = chi.ppf([0.01, 0.99], base.latent_dim)

# %% [markdown]
# ## Who became unlikely?
#
# If taming understood the person, an image would lose the more likelihood, the more it resembles
# the person. Left, what the section before measured: likeness on the way from the forgotten
# images; right, how far each image's likelihood moved.

# %% tags=["hide-input"]
sets = {name: images for name, images in person.sets.items() if name != "random"}
result = compare(
    base, tamed.model, sets, person.likelihood_reference, draws=1, seed=run.seed("noise")
)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
for (name, values), colour in zip(around.items(), (plots.BASE, plots.FORGOT, plots.REFERENCE)):
    left.plot(radii, [float(v.mean()) for v in values], "o-", color=colour, label=name)
left.set(xlabel="distance r from the forgotten latent", ylabel="similarity to the image")
left.legend()
centre = embeddings(embedding, person.candidates).mean(0)
like, moved = [], []
for (name, images), colour in zip(
    sets.items(), (plots.FORGOT, plots.BASE, plots.REFERENCE, plots.FAINT)
):
    x = embeddings(embedding, images) @ centre
    y = (result.after[name] - result.before[name]) / result.base.std
    right.plot(x, y, ".", ms=4, color=colour, label=name.replace("_", " "))
    like.append(x)
    moved.append(y)
right.axhline(0, color="black", lw=0.8)
right.set(xlabel="similarity to the person", ylabel="shift, sigma of the base")
right.legend(fontsize=8)
plt.show()
metrics["shift_similarity_rank"] = spearmanr(torch.cat(like), torch.cat(moved)).statistic

# %% [markdown]
# ## Which layers moved
#
# The change of each step's weights as a share of their size, from the image's end to the latent's;
# lines divide the blocks.


# %% tags=["hide-input"]
def kinds(flow):
    for block in flow.blocks:
        for step in block.steps:
            first, _, second, _, last = step.coupling.network
            yield {
                "mixing": step.mixing,
                "first convolution": first,
                "second": second,
                "last": last,
            }


def moved_by(old, new):
    pairs = list(zip(old.parameters(), new.parameters()))
    change = sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5
    return change / sum(float(a.square().sum()) for a, _ in pairs) ** 0.5


figure, axis = plt.subplots(figsize=(8, 3))
layers = [
    {name: moved_by(old[name], new[name]) for name in old}
    for old, new in zip(kinds(base), kinds(tamed.model))
]
for name, colour in zip(layers[0], (plots.BASE, plots.FORGOT, plots.REFERENCE, plots.FAINT)):
    values = [layer[name] for layer in layers]
    axis.plot(values, color=colour, label=name)
    metrics[f"moved_{name.split()[0]}"] = sum(values) / len(values)
for edge in range(1, base.config.n_blocks):
    axis.axvline(edge * base.config.n_steps - 0.5, color="black", lw=0.6)
axis.set(xlabel="step of flow", ylabel="relative change", yscale="log")
axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
plt.show()

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, tamed.history)
for name in flows:
    values = [metrics[f"fid_{name}_t{t}"] for t in (5, 7, 9, 10)]
    print(f"{name:8} FID " + ", ".join(f"{v:.0f}" for v in values) + " at T = 0.5, 0.7, 0.9, 1")
shares = [metrics[f"near_{name}_t7"] for name in ("before", "after")]
print(f"samples near the person, T = 0.7: {shares[0]:.1%} -> {shares[1]:.1%}")
faded = [metrics[f"similarity_{name}_r0"] for name in ("before", "after")]
print(f"similarity of the forgotten latent's image: {faded[0]:.2f} -> {faded[1]:.2f}")
print(f"rank correlation of shift and similarity {metrics['shift_similarity_rank']:+.2f}")
norms = [metrics[f"latent_norm_{name}"] for name in ("before", "after")]
print(f"latent norm of the forgotten {norms[0]:.1f} -> {norms[1]:.1f}")
print(f"98 of 100 random latents have a norm of {typical[0]:.1f} to {typical[1]:.1f}")
