"""The bench: any method that makes a model forget, on named tasks with fixed terms."""

import hashlib
import inspect
import json
from typing import Any

from forgetting.errors import ModelError, ParameterError, did_you_mean, validated
from forgetting.experiments.bench_taming import PersonBenchTask, RareBenchTask
from forgetting.experiments.bench_task import BenchTask, settings_of
from forgetting.experiments.bench_unlearning import FeatureBenchTask
from forgetting.experiments.context import Parameters
from forgetting.experiments.own_files import code_files, function_of
from forgetting.methods import METHODS
from forgetting.methods.method import AnyMethod
from forgetting.methods.taming_registry import TAMING_METHODS

FULL = {
    "version": 2,
    "n_collected": 5000,
    "n_samples": 5000,
    "steps": 300,
    "batch_size": 64,
    "attack_steps": 60,
    "n_attacked": 128,
    "seeds": (0, 1, 2),
}
"""The size of a task whose figures count."""

SMALL = FULL | {"n_collected": 2000, "n_samples": 2000, "attack_steps": 0, "seeds": (0,)}
"""The size of a task that shows within minutes whether a method works."""

PERSON = {
    "version": 2,
    "model": "faces-glow",
    "max_steps": 1000,
    "n_forget": 4,
    "n_likelihood_reference": 400,
    "n_samples": 500,
    "draws": 5,
    "seeds": (0, 1, 2),
}
"""The size of a task on a person whose figures count."""

RARE = {
    "version": 1,
    "model": "faces-glow",
    "max_steps": 200,
    "n_samples": 1700,
    "temperature": 0.7,
    "seeds": (0, 1, 2),
}
"""The size of a task on an attribute whose figures count."""

QUICK = "_quick"
"""How the name of a small task ends."""

TASKS: dict[str, BenchTask] = {
    "digits_vae_thick": FeatureBenchTask(model="digits-vae", feature="thick", **FULL),
    "digits_vae_left_slant": FeatureBenchTask(model="digits-vae", feature="left_slant", **FULL),
    "digits_gan_thick": FeatureBenchTask(model="digits-gan", feature="thick", **FULL),
    "digits_gan_left_slant": FeatureBenchTask(model="digits-gan", feature="left_slant", **FULL),
    "faces_vae_bangs": FeatureBenchTask(model="faces-vae", feature="Bangs", **FULL),
    "faces_gan_bangs": FeatureBenchTask(model="faces-gan", feature="Bangs", **FULL),
    "faces_style_gan_bangs": FeatureBenchTask(model="faces-style-gan", feature="Bangs", **FULL),
    "digits_vae_thick_quick": FeatureBenchTask(model="digits-vae", feature="thick", **SMALL),
    "digits_gan_thick_quick": FeatureBenchTask(model="digits-gan", feature="thick", **SMALL),
    "faces_glow_bush": PersonBenchTask(
        source="lfw", person="George_W_Bush", retrained="faces-glow-no-bush", **PERSON
    ),
    "faces_glow_powell": PersonBenchTask(
        source="lfw", person="Colin_Powell", retrained="", **PERSON
    ),
    "faces_glow_smiling": RareBenchTask(source="celeba", attribute="Smiling", **RARE),
    "faces_glow_latent_quick": PersonBenchTask(
        source="latent", person="0", retrained="", **PERSON | {"draws": 1, "seeds": (0,)}
    ),
}
"""The present version of every task, by name."""


class BenchParameters(Parameters):
    """What a record of the bench names: the task, its terms as JSON, and the method.

    `settings` are the method's, as JSON, and `code` is a hash of the files that it is written in.
    """

    task: str
    version: int
    terms: str
    method: str
    settings: str
    code: str


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


def load_method(place: str) -> AnyMethod[Any]:
    """Return a registered method, or one that a decorator of the study makes in a user's file.

    Parameters
    ----------
    place : str
        A name in `METHODS` or `TAMING_METHODS`, or FILE.py:METHOD.

    Raises
    ------
    ParameterError
        There is no such method or file, or a method of that name exists.
    ModelError
        The file fails, or what it names is no method.
    """
    registered = {**METHODS, **TAMING_METHODS}  # first, so that a file cannot take a name of these
    if ":" not in place:
        if place not in registered:
            raise ParameterError(
                f"There is no method {place!r}. {did_you_mean(place, sorted(registered))}"
            )
        return registered[place]
    with function_of(place) as method:
        if not isinstance(method, AnyMethod):
            raise ModelError(
                f"{place} is a {type(method).__name__}, not a method: decorate the function "
                "with @unlearning_method of forgetting.methods.registry, or with @taming_method "
                "of forgetting.methods.taming_registry."
            )
        return method


def tasks_of(method: AnyMethod[Any], names: tuple[str, ...], is_quick: bool) -> dict[str, Any]:
    """Return the tasks that are wanted of a method, by name.

    Parameters
    ----------
    names : tuple of str
        Of tasks; without any, all that such a method can solve.
    is_quick : bool
        Whether these are the small ones.

    Raises
    ------
    ParameterError
        There is no such task, or it is not one for such a method.
    """
    if not names:
        return {
            name: task
            for name, task in TASKS.items()
            if isinstance(method, task.takes) and name.endswith(QUICK) == is_quick
        }
    found = {name: find_task(name) for name in names}
    for name, task in found.items():
        if not isinstance(method, task.takes):
            raise ParameterError(
                f"{method.name} is a {type(method).__name__}, and {name} takes a "
                f"{task.takes.__name__}: choose another task."
            )
    return found


def parameters_of(
    name: str, task: BenchTask, method: AnyMethod[Any], seed: int, device: str
) -> tuple[Any, BenchParameters]:
    """Return the settings of a method for a seed of a task, and what the record names.

    Raises
    ------
    ParameterError
        The method's configuration has no field for the budget, or there is no such device.
    """
    config = settings_of(task, method, seed)
    given = {
        **{"task": name, "version": task.version, "terms": task.model_dump_json()},
        **{"method": method.name, "settings": json.dumps(config.model_dump(mode="json"))},
        **{"code": code_digest(method), "seed": seed, "device": device},
    }
    return config, validated(BenchParameters, given)


def code_digest(method: AnyMethod[Any]) -> str:
    """Return a hash of a method's code: of its package, or of its file and what lies beside it."""
    digest = hashlib.blake2b(digest_size=16)
    for path in code_files(inspect.unwrap(method.function).__module__):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
