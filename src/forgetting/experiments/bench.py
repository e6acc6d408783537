"""The bench: any method that unlearns a feature, on named tasks with fixed terms."""

import hashlib
import inspect
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from forgetting.errors import ForgettingError, ModelError, ParameterError, did_you_mean
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.grading import (
    deciding_fid,
    give_verdict,
    grade_samples,
    grading_metrics,
)
from forgetting.experiments.own_files import code_files, function_of
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    outside_fid_metrics,
)
from forgetting.experiments.unlearning import collect_task_latents, locality_metrics
from forgetting.methods import METHODS, Method
from forgetting.methods.direction import find_direction
from forgetting.methods.finetune import FinetuneConfig


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
    seeds: tuple[int, ...] = Field(min_length=1)


class BenchParameters(BenchTask, Parameters):
    """What a record of the bench names: the task with its terms, and the method.

    `settings` are the method's, as JSON, and `code` is a hash of the files that it is written in.
    """

    task: str
    method: str
    settings: str
    code: str


FULL = {
    "version": 1,
    "n_collected": 5000,
    "n_samples": 5000,
    "steps": 300,
    "batch_size": 64,
    "seeds": (0, 1, 2),
}
"""The size of a task whose figures count."""

SMALL = FULL | {"n_collected": 2000, "n_samples": 2000, "seeds": (0,)}
"""The size of a task that shows within minutes whether a method works."""

QUICK = "_quick"
"""How the name of a small task ends."""

TASKS = {
    "digits_vae_thick": BenchTask(model="digits-vae", feature="thick", **FULL),
    "digits_vae_left_slant": BenchTask(model="digits-vae", feature="left_slant", **FULL),
    "digits_gan_thick": BenchTask(model="digits-gan", feature="thick", **FULL),
    "digits_gan_left_slant": BenchTask(model="digits-gan", feature="left_slant", **FULL),
    "faces_vae_bangs": BenchTask(model="faces-vae", feature="Bangs", **FULL),
    "faces_gan_bangs": BenchTask(model="faces-gan", feature="Bangs", **FULL),
    "faces_style_gan_bangs": BenchTask(model="faces-style-gan", feature="Bangs", **FULL),
    "digits_vae_thick_quick": BenchTask(model="digits-vae", feature="thick", **SMALL),
    "digits_gan_thick_quick": BenchTask(model="digits-gan", feature="thick", **SMALL),
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


def code_digest(method: Method[Any]) -> str:
    """Return a hash of a method's code: of its package, or of its file and what lies beside it."""
    digest = hashlib.blake2b(digest_size=16)
    for path in code_files(inspect.unwrap(method.function).__module__):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def settings_of(task: BenchTask, method: Method[Any], seed: int) -> FinetuneConfig:
    """Return a method's defaults with the budget of a task: its steps and batch size.

    Raises
    ------
    ParameterError
        The method's configuration has no field for the budget.
    """
    fields = method.configuration.model_fields
    budget = {"steps": task.steps, "batch_size": task.batch_size, "seed": seed}
    if missing := [name for name in budget if name not in fields]:
        raise ParameterError(
            f"The configuration of {method.name} has no field {missing[0]!r}, which the bench "
            "sets: derive the configuration from FinetuneConfig."
        )
    config: FinetuneConfig = method.configuration(**budget)
    return config


def run_task(
    run: Experiment, task: BenchTask, method: Method[Any], config: FinetuneConfig
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Unlearn the feature of a task by a method, and grade what is left.

    Parameters
    ----------
    run : Experiment
        Gives the seeds, and notes weights and the seconds of forgetting.
    config : FinetuneConfig
        Of the method, as `settings_of` returns it.

    Returns
    -------
    metrics : dict of str to float
        As `grading_metrics`, `fid_metrics`, `outside_fid_metrics` and `locality_metrics` name
        them.
    history : list of dict
        The method's.

    Raises
    ------
    ParameterError
        The method follows a gradient that the feature does not have.
    ModelError
        The method fails, or its result or its history cannot be used.
    """
    loaded = load_feature_task(run, task.model, task.feature, task.n_samples)
    if method.needs_score and not loaded.has_gradient:
        raise ParameterError(
            f"{method.name} follows a gradient, and classifier A has no {task.feature}: choose "
            "another task."
        )
    with run.timed("forgetting"):
        direction = find_direction(collect_task_latents(run, loaded, task.n_collected))
        try:
            result = method(
                loaded.original,
                direction,
                loaded.evaluator.score if method.needs_score else None,
                config,
                trainable=loaded.trainable,
            )
            history = [{k: float(v) for k, v in row.items()} for row in result.history]
        except ForgettingError:
            raise
        except Exception as error:  # whatever the code of a stranger raises
            raise ModelError(
                f"The method {method.name} fails ({type(error).__name__}: {error})."
            ) from error
    if not all(math.isfinite(value) for row in history for value in row.values()):
        raise ModelError(f"The history of {method.name} has a figure that is not finite.")
    models = {"original": loaded.original, "unlearned": result.model}
    if loaded.retrained is not None:
        models["retrained"] = loaded.retrained
    latents = run.latents("fresh", task.n_samples, loaded.original.latent_dim)
    graded = grade_samples(loaded.evaluator, models, latents)
    reference = FidelityReference.of(loaded)
    metrics = grading_metrics(loaded.evaluator, graded)
    metrics |= fid_metrics(reference, graded) | outside_fid_metrics(loaded, graded)
    return metrics | locality_metrics(loaded.evaluator, graded), history


def bench_row(parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Return the cells of a run in the table of the bench, as `HEADINGS` names them.

    Parameters
    ----------
    parameters, metrics : mapping
        Of its record.
    """
    verdict = give_verdict(metrics)
    words = [] if verdict is None else [verdict.word, *["damaged"] * bool(verdict.is_damaged)]
    never = "prevalence_retrained" if "prevalence_retrained" in metrics else "prevalence_floor"
    shares = [metrics.get(name) for name in ("prevalence_before", "prevalence_after", never)]
    fids = [deciding_fid(metrics, key) for key in ("after", "floor")]
    return [
        f"{parameters['task']}@{parameters['version']}",
        parameters["method"],
        str(parameters["seed"]),
        *("" if share is None else f"{share:.2%}" for share in shares),
        *("" if fid is None else f"{fid:.2f}" for fid in fids),
        ", ".join(words),
    ]


HEADINGS = ("task", "method", "seed", "before", "after", "none is", "FID", "floor", "verdict")
"""Of the table of the bench: shares by the first grader, FID where samples are enough for it."""
