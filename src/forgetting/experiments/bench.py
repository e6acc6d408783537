"""The bench: any method that unlearns a feature, on named tasks whose terms never change."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from forgetting.errors import ModelError, ParameterError, did_you_mean
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.grading import grade_samples, grading_metrics
from forgetting.experiments.own_files import function_of
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    outside_fid_metrics,
)
from forgetting.experiments.unlearning import collect_task_latents, locality_metrics
from forgetting.methods import METHODS, Method
from forgetting.methods.direction import find_direction


class BenchTask(BaseModel):
    """A task of the bench; another value of a field makes another version.

    The retrained model is that of the zoo, and the graders are those of the study.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    model: str
    feature: str
    n_collected: int = Field(ge=100)
    n_samples: int = Field(ge=200)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)


class BenchParameters(BenchTask, Parameters):
    """What a record of the bench names: the task with its terms, and the method."""

    task: str
    method: str


TASKS = {
    "digits_vae_thick": BenchTask(
        version=1,
        model="digits-vae",
        feature="thick",
        n_collected=5000,
        n_samples=5000,
        steps=300,
        batch_size=64,
    ),
    "digits_gan_thick": BenchTask(
        version=1,
        model="digits-gan",
        feature="thick",
        n_collected=5000,
        n_samples=5000,
        steps=300,
        batch_size=64,
    ),
}
"""The present version of every task, by name."""


def find_task(name: str) -> BenchTask:
    """Return a task of the bench.

    Raises
    ------
    ParameterError
        There is no such task; the most similar name is named.
    """
    if name not in TASKS:
        raise ParameterError(f"The bench has no task {name!r}. {did_you_mean(name, list(TASKS))}")
    return TASKS[name]


def load_method(place: str) -> Method[Any]:
    """Return a registered method, or one that a user's file makes with `unlearning_method`.

    Parameters
    ----------
    place : str
        A name in `METHODS`, or FILE.py:METHOD.

    Raises
    ------
    ParameterError
        There is no such method or file, or a method of that name exists.
    ModelError
        The file fails, or what it names is no method.
    """
    if ":" not in place:
        return METHODS[place]
    len(METHODS)  # the registered names come first, so that the file cannot take one
    with function_of(place) as method:
        if not isinstance(method, Method):
            raise ModelError(
                f"{place} is a {type(method).__name__}, not a method: decorate the function "
                "with @unlearning_method of forgetting.methods.registry."
            )
        return method


def run_task(run: Experiment, task: BenchTask, method: Method[Any]) -> dict[str, float]:
    """Unlearn the feature of a task by a method, and grade what is left.

    The method has its own defaults, apart from the budget: steps and batch size of the task.

    Parameters
    ----------
    run : Experiment
        Gives the seeds, and notes weights and the seconds of tuning.

    Returns
    -------
    dict of str to float
        As `grading_metrics`, `fid_metrics`, `outside_fid_metrics` and `locality_metrics` name
        them.

    Raises
    ------
    ParameterError
        The method's configuration has no field for the budget, or the method follows a gradient
        that the feature does not have.
    """
    fields = method.configuration.model_fields
    budget = {"steps": task.steps, "batch_size": task.batch_size, "seed": run.seed("tune")}
    if missing := [name for name in budget if name not in fields]:
        raise ParameterError(
            f"The configuration of {method.name} has no field {missing[0]!r}, which the bench "
            "sets: derive the configuration from FinetuneConfig."
        )
    loaded = load_feature_task(run, task.model, task.feature, task.n_samples)
    if method.needs_score and not loaded.has_gradient:
        raise ParameterError(
            f"{method.name} follows a gradient, and classifier A has no {task.feature}: choose "
            "another task."
        )
    direction = find_direction(collect_task_latents(run, loaded, task.n_collected))
    with run.timed("tuning"):
        result = method(
            loaded.original,
            direction,
            loaded.evaluator.score if method.needs_score else None,
            method.configuration(**budget),
            trainable=loaded.trainable,
        )
    models = {"original": loaded.original, "unlearned": result.model}
    if loaded.retrained is not None:
        models["retrained"] = loaded.retrained
    latents = run.latents("fresh", task.n_samples, loaded.original.latent_dim)
    graded = grade_samples(loaded.evaluator, models, latents)
    reference = FidelityReference.of(loaded)
    metrics = grading_metrics(loaded.evaluator, graded)
    metrics |= fid_metrics(reference, graded) | outside_fid_metrics(loaded, graded)
    return metrics | locality_metrics(loaded.evaluator, graded)
