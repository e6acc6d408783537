"""What a stranger's model raises while it is tuned, as a sentence."""

import contextlib
from collections.abc import Iterator

from forgetting.errors import ForgettingError, TrainingError


@contextlib.contextmanager
def failing_in_a_sentence(what: str, step: int, *, first: int, lr: float) -> Iterator[None]:
    """Raise what a model raises in a block at a step of its tuning as a TrainingError.

    The model passed the preflight: after a step, its weights are what it fails with.

    Parameters
    ----------
    what : str
        The tuning, as a sentence begins with it.
    step, first : int
        The number of the step, and that of the first one.
    lr : float
        The learning rate.

    Raises
    ------
    TrainingError
        The block raises an error that is no sentence of the library.
    """
    try:
        yield
    except ForgettingError:
        raise
    except Exception as error:
        message = str(error).strip().split("\n")[0].rstrip(".:")
        remedy = "Is there enough memory for a whole batch?"
        if step > first:
            remedy = (
                "If its weights have become too large, or values that it cannot take, lower the "
                f"learning rate (now {lr:g})."
            )
        raise TrainingError(
            f"{what}: the model fails at step {step} ({type(error).__name__}: {message}). {remedy}"
        ) from error
