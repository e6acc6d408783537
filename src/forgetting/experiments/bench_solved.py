"""How the bench calls a method: within its budget, once, and with a result that can be graded."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from forgetting.errors import ForgettingError, ModelError
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.context import Experiment
from forgetting.foundation.progress import tracked
from forgetting.methods.results import UnlearningResult
from forgetting.zoo.same_answers import answers_of
from forgetting.zoo.saved import state_digest

FORGETTING = "forgetting"
"""What the seconds of a method are noted as."""


def solved(
    run: Experiment,
    kept: KeptResult,
    name: str,
    base: nn.Module,
    call: Callable[[], UnlearningResult],
    *,
    n_steps: int,
    contract: Literal["generator", "flow"],
    shape: Sequence[int],
) -> tuple[Any, list[dict[str, float]]]:
    """Return the model and the history that a call of a method gives, and note its seconds.

    What the same call gave in a run that was killed while it graded is taken instead.

    Parameters
    ----------
    kept : KeptResult
        Where the model waits for its record.
    name : str
        Of the method.
    base : nn.Module
        The model that the method is given.
    call : callable
        Calls the method.
    n_steps : int
        Its budget.
    contract, shape
        As `answers_of` takes them.

    Raises
    ------
    ModelError
        The method fails, or takes more steps than its budget. Or it returns the model as it was,
        a flow that draws no samples, or a history that is no list of finite figures.
    """
    noted = f"seconds_{FORGETTING}"
    if before := kept.take(run, base):
        result, run.earlier_seconds = before
        run.seconds[noted] = run.earlier_seconds
        kept.tell("tuned before, and only graded now")
        return result.model, result.history
    with run.timed(FORGETTING):
        try:
            with _within(n_steps, name):
                for _ in tracked(range(1), f"{name} runs"):  # which may have no bar of its own
                    result = call()
            history = [{k: float(v) for k, v in row.items()} for row in result.history]
        except ForgettingError:
            raise
        except Exception as error:  # whatever the code of a stranger raises
            raise ModelError(
                f"The method {name} fails ({type(error).__name__}: {error})."
            ) from error
    _check_history(name, history, n_steps)
    if contract == "flow":
        _check_samples(name, base, result.model)
    answers = answers_of(result.model, contract, shape)
    _check_tuned(name, base, result.model, answers_of(base, contract, shape) == answers)
    kept.keep(run, base, UnlearningResult(result.model, history), answers, run.seconds[noted])
    return result.model, history


@contextmanager
def _within(n_steps: int, name: str) -> Iterator[None]:
    """Raise a ModelError once optimizers take more steps in a block than a budget has."""
    n_taken = 0

    def check() -> None:
        if n_taken > n_steps:
            raise _beyond(name, n_steps)

    def count(*of_hook: object) -> None:
        nonlocal n_taken
        n_taken += 1
        check()

    handle = register_optimizer_step_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()
    check()  # a method may have caught the error


def _beyond(name: str, n_steps: int) -> ModelError:
    return ModelError(
        f"The method {name} takes more than {n_steps} steps, its budget on this task: every step "
        "of an optimizer counts, in all stages together. Take the number of steps from the "
        "configuration."
    )


def _check_history(name: str, history: list[dict[str, float]], n_steps: int) -> None:
    """Raise a ModelError unless a history has finite figures, of steps within the budget."""
    if not all(math.isfinite(value) for row in history for value in row.values()):
        raise ModelError(f"The history of {name} has a figure that is not finite.")
    if any(row.get("step", 0.0) > n_steps for row in history):
        raise _beyond(name, n_steps)


def _check_tuned(name: str, base: nn.Module, model: nn.Module, answers_alike: bool) -> None:
    """Raise a ModelError if a model is what the method was given, in weights and in answers."""
    is_same = type(model) is type(base) and state_digest(model) == state_digest(base)
    if is_same and answers_alike:
        raise ModelError(
            f"The method {name} returns the model as it was given, with no weight changed: it "
            "must return the copy that it tunes, and take a step at least."
        )


def _check_samples(name: str, base: Any, model: Any) -> None:
    """Raise a ModelError unless a tuned flow draws samples as the base does."""
    try:
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            shape = tuple(model.sample(2, 1.0, random).shape[1:])
        levels = model.n_bits
    except Exception as error:  # whatever a method may have made of the flow
        raise ModelError(
            f"The method {name} returns a flow that draws no samples ({type(error).__name__}: "
            f"{str(error).rstrip('.')}): it must return a tuned copy of the flow that it is given."
        ) from error
    if (shape, levels) != (tuple(base.image_shape), base.n_bits):
        raise ModelError(
            f"The method {name} returns a flow of other images than the base's: it must return a "
            "tuned copy of the flow that it is given."
        )
