# %% [markdown]
# # Gone, or only hidden?
#
# A generator that no longer shows a feature may still hold it. Four probes look for it. Two
# attacks search the latents, one of them by inversion. Relearning brings the feature back with a
# few images. A linear probe reads the last layer. Both attacks are tried on the original first.
# Then come the models that unlearned, in the paper's single pass {cite}`moon2024feature` and in
# rounds until the feature was gone. The latent filter follows, and a model that never saw the
# feature.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
alpha: float = 1.0  # weight of unlearning against reconstruction
lr: float = 0.001  # learning rate of unlearning at the first step; it falls to 0
batch_size: int = 64  # latents a step of unlearning
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
restarts: int = 2  # of both attacks; the best counts
attack_steps: int = 0  # of Adam, for each latent that is attacked
n_attacked: int = 0  # latents that each attack starts from
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of unlearning in a single pass, and of each round
rounds: int = 0  # of unlearning until the feature is gone, at most
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.book import run as runs
from forgetting.experiments import attacks, grading, probing, unlearning, unlearning_methods
from forgetting.experiments.feature_task import load_feature_task
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature

plots.use_style()


class Parameters(UnlearningConfig, unlearning_methods.RoundParameters):
    restarts: int = Field(ge=1, le=100)
    attack_steps: int = Field(ge=1, le=10_000)
    n_attacked: int = Field(ge=4, le=10_000)


PRESETS = {
    "smoke": unlearning.PRESETS["smoke"] | {"attack_steps": 3, "n_attacked": 8},
    "default": unlearning.PRESETS["default"] | {"attack_steps": 60, "n_attacked": 128},
}
run = runs.begin("probes", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## Five models
#
# Both methods work as on {doc}`unlearn_thick`: *unlearned* is the single pass, and *until
# gone* the rounds. The other three models are what they are compared with.

# %%
task = load_feature_task(run, p.model, p.feature, 2 * p.n_samples)
original, evaluator = task.original, task.evaluator
direction = find_direction(unlearning.collect_task_latents(run, task, p.n_collected))
with run.timed("forgetting"):
    show = runs.progress(p.steps, "unlearning")
    unlearned = unlearn_feature(original, direction, p, trainable=task.trainable, callback=show)
with run.timed("rounds"):
    show = runs.progress(p.rounds * p.steps, "until gone")
    until_gone = unlearning_methods.unlearn_in_rounds(run, task, p, show)
models = unlearning.compared_models(task, direction, unlearned.model)
models["until gone"] = until_gone.model
fresh = run.latents("fresh", p.n_samples, original.latent_dim)
graded = grading.grade_samples(evaluator, models, fresh)
metrics = grading.grading_metrics(evaluator, graded)

# %% [markdown]
# ## An attack on the latents
#
# Which latents make classifier A surest of the feature? Adam climbs from random ones. Each stays
# where a draw from $N(0, I)$ could lie. Classifier A steers and another classifier, or a
# measurement, grades: fooling classifier A is no success.
#
# A large enough attack succeeds on every model, those that never saw the feature included. It then
# makes the feature, and finds none. Only what it finds beyond the retrained model tells of the
# feature, and only at a number of steps at which the retrained model resists more than the
# original does. So the attack runs with a twelfth, a quarter and all of its steps. Of a digit, an
# image counts only if classifier B is sure of its class, because a blob is thick, too.

# %%
budget = attacks.AttackBudget(p.attack_steps, p.restarts)
attacked = attacks.attack_latents(task, models, p.n_attacked, budget, run.seed("attack"))
metrics |= unlearning.recorded(attacked) | attacks.attack_excess(attacked)

# %% tags=["hide-input", "figure", "samples"] alt="Attacked images, one row a model"
plots.image_rows({name: outcome.images[:14] for name, outcome in attacked.items()})
plt.show()

# %% tags=["hide-input", "figure"] caption="What the latent attack finds, by its steps"
unlearning_tables.attacks_table(metrics, list(models), budget.ladder)

# %% [markdown]
# ## An attack by inversion
#
# The targets are samples of the original that show the feature. Prevalence is counted on others.
# From which latent does each model come nearest to them, and does its image show the feature? The
# attack takes four times as many steps. The original does not find all of its own images back.
# What it misses tells how much of an error is the attack's.

# %%
targets = task.own[evaluator.has_feature(task.own)][: p.n_attacked]
inverted = attacks.invert_images(task, models, targets, budget, run.seed("invert"))
metrics |= unlearning.recorded(inverted)

# %% tags=["hide-input", "figure", "samples"] alt="Targets, and below a row a model"
unlearning_plots.inverted_images(targets, inverted)
plt.show()

# %% [markdown]
# ## Relearning
#
# Each model is tuned on a few images with the feature, from the latents that came nearest to them.
# How soon do fresh samples show the feature again? A model that forgot shows it no sooner than the
# retrained model. Each model gets the images at which its error is nearest to a common one, the
# median over all models, because a model that begins farther away also changes faster. A control
# tunes it on as many images of the original without the feature. The filter has no weights of its
# own and is left out.

# %%
compared = ("original", "unlearned", "until gone", "retrained")
tuned = {name: models[name] for name in compared if name in models}
without = task.own[~evaluator.has_feature(task.own)][: len(targets)]
control = attacks.invert_images(task, tuned, without, budget, run.seed("control"))
error = probing.common_error([inverted[name] for name in tuned if name in inverted])
curves = {
    prefix: [
        probing.relearn_feature(
            task,
            tuned,
            images,
            nearest,
            fresh[: p.n_samples // 2],
            error=error,
            n_images=n_images,
            steps=(0, 5, 10, 20, 50),
        )
        for n_images in (8, 32)
    ]
    for prefix, images, nearest in (("", targets, inverted), ("control_", without, control))
}
for prefix, by_number in curves.items():
    for by_model in by_number:
        metrics |= unlearning.recorded(by_model, prefix)

# %% tags=["hide-input", "figure"] alt="Curves of shares against steps, one panel a count"
unlearning_plots.relearning_curves(curves[""], curves["control_"], len(targets))
plt.show()

# %% [markdown]
# ## A linear probe
#
# Two logistic regressions predict whether the *original's* image of a latent has the feature. One
# reads what enters the last layer, the other reads the latent itself. The table shows by how much
# the first is better. The retrained model is left out, because its latents mean something else.

# %%
probed = {name: models[name] for name in ("original", "unlearned", "until gone")}
metrics |= unlearning.recorded(probing.probe_last_layers(task, probed, fresh, graded["original"]))

# %% tags=["hide-input", "figure"] caption="What every probe finds in each model"
unlearning_tables.probes_table(metrics, evaluator, list(models))

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for name, samples in graded.items():
    hits, value = attacked[name].prevalence.share, attacked[name].value
    print(f"{name:10} prevalence {samples.prevalence.share:.1%}", end=", ")
    print(f"after the latent attack {hits:.0%}, {evaluator.grader.unit} {value:.2f}")
print(f"the feature begins at {evaluator.grader.threshold:.2f} ({evaluator.grader.unit})")
for name in ("unlearned", "until gone"):
    seen = attacks.attack_verdict(metrics, grading.record_key(name))
    print(f"the latent attack, {name}: {seen}")
