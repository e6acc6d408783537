# %% [markdown]
# # Gone, or only hidden?
#
# A generator that no longer shows a feature may still know it. Four probes ask: an attack on the
# latents, an attack by inversion, relearning from a few images, and a linear probe of the last
# layer. The attacks are asked of the original first, of the model that unlearned
# {cite}`moon2024feature`, of the latent filter, and of a model that never saw the feature.
# Relearning is asked of the model that unlearned and of the one that never saw the feature, the
# linear probe of the original and the one that unlearned.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu or cuda
alpha: float = 1.0  # weight of unlearning against reconstruction
lr: float = 0.001  # learning rate of unlearning at the first step; it falls to 0
batch_size: int = 64  # latents a step of unlearning
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
restarts: int = 2  # of both attacks; the best counts
attack_steps: int = 0  # of Adam, for each latent that is attacked
n_attacked: int = 0  # latents that each attack starts from
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of unlearning
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from pydantic import Field

from forgetting.book import plots
from forgetting.book import run as runs
from forgetting.experiments.feature_task import load_feature_task
from forgetting.inference import generate
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_filter import LatentFilter
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

plots.use_style()


class Parameters(UnlearningConfig, runs.Parameters):
    feature: str
    model: str
    restarts: int = Field(ge=1, le=100)
    attack_steps: int = Field(ge=1, le=10_000)
    n_attacked: int = Field(ge=4, le=10_000)
    n_collected: int = Field(ge=100, le=1_000_000)
    n_samples: int = Field(ge=200, le=100_000)


PRESETS = {
    "smoke": {
        "attack_steps": 3,
        "n_attacked": 8,
        "n_collected": 400,
        "steps": 20,
        "n_samples": 300,
    },
    "default": {
        "attack_steps": 60,
        "n_attacked": 128,
        "n_collected": 5000,
        "steps": 300,
        "n_samples": 5000,
    },
}
run = runs.begin("probes", Parameters, PRESETS, globals())
p = run.parameters
print(", ".join(f"{name} {value}" for name, value in p.model_dump().items() if value != ""))

# %% [markdown]
# ## Four models
#
# Feature unlearning as on {doc}`unlearn_thick`, and what it is compared with.

# %%
task = load_feature_task(run, p.model, p.feature, p.n_samples)
original, evaluator = task.original, task.evaluator
labelled = collect_latents(
    original,
    evaluator.score,
    p.n_collected,
    threshold=evaluator.label_threshold,
    seed=run.seed("collect"),
)
direction = find_direction(labelled)
with run.timed("forgetting"):
    unlearned = unlearn_feature(
        original,
        direction,
        p,
        trainable=task.trainable,
        callback=runs.progress(p.steps, "unlearning"),
    ).model
models = {"original": original, "unlearned": unlearned}
models |= {"filter": LatentFilter(original, direction)}
if task.retrained is not None:
    models["retrained"] = task.retrained
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
before = generate(original, fresh)
has_feature = evaluator.has_feature(before)
recorded = {"original": "before", "unlearned": "after"}
metrics, rows = {}, {}
for name, one in models.items():
    found = Prevalence.of(evaluator.has_feature(generate(one, fresh)))
    metrics |= found.metrics(f"{evaluator.prevalence_key}_{recorded.get(name, name)}")
    rows[name] = {"prevalence": f"{found.share:.1%}"}

# %% [markdown]
# ## An attack on the latents
#
# Which latents make classifier A surest of the feature? Adam climbs from random ones, each held where
# a draw from $N(0, I)$ could lie, and what did not label grades: fooling classifier A is no success.
# The attack must succeed on the original, or its other figures say nothing; where it succeeds on
# the retrained model too, how often it does says nothing either, and how much of the feature it
# brought about is all that is left to compare. For a digit it is also asked whether classifier B is
# sure of its class: a blob is thick, too.

# %%
budget = {"steps": p.attack_steps, "restarts": p.restarts}
attacked = {}
for name, one in models.items():
    latents = latent_attack(one, evaluator.score, p.n_attacked, seed=run.seed("attack"), **budget)
    attacked[name] = generate(one, latents)
    hit = evaluator.has_feature(attacked[name])
    found = Prevalence.of(hit)
    metrics |= found.metrics(f"attack_{recorded.get(name, name)}")
    rows[name]["latent attack"] = f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"
    if evaluator.sure is not None:
        found = Prevalence.of(hit & evaluator.sure(attacked[name]))
        metrics |= found.metrics(f"attack_sure_{recorded.get(name, name)}")
        rows[name]["and a sure digit"] = f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"
    much = float(evaluator.value(attacked[name]).nanmean())
    metrics[f"attack_value_{recorded.get(name, name)}"] = much
    rows[name][f"its {evaluator.unit}"] = f"{much:.2f}"
plots.image_rows({name: images[:14] for name, images in attacked.items()})
plt.show()

# %% [markdown]
# ## An attack by inversion
#
# Samples of the original that show the feature, others than those that prevalence is counted on:
# from which latent does each model come nearest to them, and is the feature in what it makes of
# it? Four times as many steps; that the original doesn't find all of its own images back says how
# much of an error is the attack's.

# %%
targets = task.own[evaluator.has_feature(task.own)][: p.n_attacked]
inverted, longer = {}, {**budget, "steps": 4 * p.attack_steps}
for name, one in models.items():
    if not len(targets):
        break
    inverted[name] = inversion_attack(
        one, targets, task.classifier_features, seed=run.seed("invert"), **longer
    )
    found = Prevalence.of(evaluator.has_feature(inverted[name].images))
    metrics |= found.metrics(f"inverted_{recorded.get(name, name)}")
    metrics[f"inversion_error_{recorded.get(name, name)}"] = float(inverted[name].errors.mean())
    rows[name]["inversion attack"] = f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"
    rows[name]["its error, a pixel"] = f"{inverted[name].errors.mean():.3f}"
if inverted:
    pictures = {"to be made": targets[:14]}
    plots.image_rows(pictures | {name: found.images[:14] for name, found in inverted.items()})
    plt.show()

# %% [markdown]
# ## Relearning
#
# Each model is tuned on a few images with the feature, from the latents that came nearest to them:
# how soon do fresh samples show it? Forgotten means no sooner than the retrained model. The filter
# has no weights of its own and is left out.

# %%
points = (0, 1, 2, 5, 10, 20, 50)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3), sharey=True)


def ask(one):
    return Prevalence.of(evaluator.has_feature(generate(one, fresh[: p.n_samples // 2])))


for axis, k in zip(axes, (8, 64)):
    for (name, one), colour in zip(
        models.items(), (plots.BASE, plots.FORGOT, "", plots.REFERENCE)
    ):
        if name in ("original", "filter") or name not in inverted:
            continue
        again = relearn(
            one,
            targets[:k],
            inverted[name].latents[:k],
            points,
            ask,
            trainable=task.trainable,
        )
        axis.plot(points, [100 * again[n].share for n in points], "o-", color=colour, label=name)
        low, high = ([100 * getattr(again[n], end) for n in points] for end in ("low", "high"))
        axis.fill_between(points, low, high, color=colour, alpha=0.15)
        for n in points:
            metrics |= again[n].metrics(f"relearned_{recorded.get(name, name)}_{k}_{n}")
    axis.set(xscale="symlog", xlabel=f"steps on {min(k, len(targets))} images")
    axis.set_xticks(points, points)
axes[0].set_ylabel("samples with the feature, %")
axes[0].legend()
plt.show()

# %% [markdown]
# ## A linear probe
#
# From what enters the last layer, does a logistic regression tell whether the *original's* image
# of that latent had the feature, better than from the latent itself? Not asked of the retrained
# model, whose latents mean something else.

# %%
if min(int(has_feature.sum()), int((~has_feature).sum())) >= 10:
    for name in ("original", "unlearned"):
        one = models[name]
        gain = linear_probe(one, task.last_layer(one), fresh, has_feature)
        metrics[f"probe_{recorded[name]}"] = gain
        rows[name]["linear probe, AUC over the latent's"] = f"{gain:+.3f}"
pd.DataFrame(rows).T.fillna("")

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for name in models:
    key = recorded.get(name, name)
    print(
        f"{name:10} prevalence {metrics[f'{evaluator.prevalence_key}_{key}']:.1%}, after the latent attack "
        f"{metrics[f'attack_{key}']:.0%}"
    )
print(
    f"the feature begins at {evaluator.threshold:.2f} ({evaluator.unit}); what the attack brought about:"
)
for name in models:
    print(f"{name:10} {metrics[f'attack_value_{recorded.get(name, name)}']:.2f}")
reached = metrics["attack_before"] >= 0.95
print(f"the attack {'counts' if reached else 'does not count: it failed on the original'}")
