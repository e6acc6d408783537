# %% [markdown]
# # The paper's own attack
#
# The appendix of {cite:t}`moon2024feature` attacks the latents: from a random one, small steps
# make a classifier surer of the feature, and never leave a ball around it. The paper says that
# its unlearned model resists better. Here the attack is run with four radii on the original, on
# models that unlearned, on the latent filter, and on a model that never saw the feature.

# %% tags=["parameters"]
feature: str = "thick"  # thick or left_slant of digits; Bangs, Eyeglasses, Smiling ... of faces
model: str = "digits-vae"  # a generator of the zoo
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke (seconds) or default (minutes); fills what is 0
device: str = "auto"  # auto, cpu, cuda, cuda:1 or mps
radius: float = 0.8  # of the largest ball; the others have its half, quarter and eighth
restarts: int = 2  # the first from the centre, the others from random points of the ball
attack_steps: int = 0  # of the gradient, in each ball
n_attacked: int = 0  # latents that are attacked
alpha: float = 1.0  # weight of unlearning against reconstruction
lr: float = 0.001  # learning rate of unlearning at the first step; it falls to 0
batch_size: int = 64  # latents a step of unlearning
precision: str = "bfloat16"  # of the generators' passes in unlearning; or float32
n_collected: int = 0  # samples that classifier A labels
steps: int = 0  # of unlearning in a single pass, and of each round
rounds: int = 0  # of unlearning until the feature is gone, at most
n_samples: int = 0  # fresh samples in every measure

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from pydantic import Field

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.book import run as runs
from forgetting.experiments import balls, grading, unlearning, unlearning_methods
from forgetting.experiments.feature_task import load_feature_task
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature

plots.use_style()


class Parameters(UnlearningConfig, unlearning_methods.RoundParameters):
    radius: float = Field(gt=0, le=10)
    restarts: int = Field(ge=1, le=100)
    attack_steps: int = Field(ge=1, le=10_000)
    n_attacked: int = Field(ge=4, le=10_000)


PRESETS = {
    "smoke": unlearning.PRESETS["smoke"] | {"attack_steps": 2, "n_attacked": 8},
    "default": unlearning.PRESETS["default"] | {"attack_steps": 20, "n_attacked": 256},
}
run = runs.begin("ball_attack", Parameters, PRESETS, globals())
p = run.parameters
print(p.line())

# %% [markdown]
# ## Five models
#
# Both methods work as on {doc}`unlearn_thick`: *unlearned* is the single pass, and *until
# gone* the rounds.

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
metrics = grading.grading_metrics(evaluator, grading.grade_samples(evaluator, models, fresh))

# %% [markdown]
# ## The attack, as it is meant
#
# All models start from the same random latents. A step moves every coordinate by the same amount,
# in the direction in which classifier A becomes surer of the feature. What leaves the ball of the
# maximum norm is put back on its surface. What counts is another classifier or a measurement: of a
# digit, the feature and a class that classifier B is sure of.
#
# The filter is attacked twice. *Through* its edit the gradient passes what the filter does to a
# latent. *Around* it the attacker holds the original weights, and begins where the filter left the
# latent.

# %%
budget = balls.BallBudget(p.radius, p.attack_steps, p.restarts)
centres = run.latents("attack", p.n_attacked, original.latent_dim)
attacked = balls.with_filter_around(models, direction, centres)
outcomes = balls.attack_in_balls(task, attacked, budget, run.seed("restarts"))
metrics |= unlearning.recorded(outcomes) | balls.ball_excess(outcomes)

# %% tags=["hide-input", "figure"] alt="Curves of success against the radius, one a model"
unlearning_plots.ball_curves(outcomes)
plt.show()

# %% tags=["hide-input", "figure", "samples"] alt="Images from the largest ball, a row a model"
plots.image_rows({name: outcome.images[:14] for name, outcome in outcomes.items()})
plt.show()

# %% tags=["hide-input", "figure"] caption="Attacked latents that show the feature, by the radius"
radii = [balls.hundredths(radius) for radius in (0.0, *budget.radii)]
unlearning_tables.balls_table(metrics, list(outcomes), radii)

# %% [markdown]
# ## The attack, as it is printed
#
# Taken literally, Algorithm 1 goes the other way, away from the feature. Its projection leaves out
# the centre, so that all latents end in one ball around 0, whatever they began with.

# %%
names = ("original", "unlearned")
literal = {name: attacked[name] for name in names}
printed = balls.attack_in_balls(task, literal, budget, run.seed("restarts"), "printed")
metrics |= unlearning.recorded(printed, "printed_")

# %% [markdown]
# ## What was seen

# %% tags=["nbval-check-output"]
metrics = run.finish(metrics, [])
for name, outcome in outcomes.items():
    shares = ", ".join(f"{share.share:.0%}" for share in outcome.prevalence.values())
    print(f"{name:13} shows the feature in {shares}")
print("in balls of radius", ", ".join(f"{radius:g}" for radius in (0, *budget.radii)))
for name, outcome in printed.items():
    print(f"{name:13} as printed, largest ball: {outcome.prevalence[p.radius].share:.0%}")
