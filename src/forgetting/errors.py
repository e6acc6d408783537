"""Errors that are sentences: what is wrong, where, and what to do about it."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError


class ForgettingError(Exception):
    """Base of every error that a user can mend; the command line prints it without a trace."""


class ParameterError(ForgettingError):
    """A parameter is unknown, misspelt, of the wrong type or out of range."""


class DataError(ForgettingError):
    """A data set is missing, incomplete or unreadable."""


class WeightsError(ForgettingError):
    """A weights file is missing, corrupt, or not what its record says."""


class ModelError(ForgettingError):
    """A model does not keep the contract of a flow, a generator or a classifier."""


class TrainingError(ForgettingError):
    """A training cannot go on (a loss that is not finite, a checkpoint of another training)."""


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: Mapping[str, Any]) -> M:
    """Return a configuration made of values, or say in one sentence each what is not allowed.

    Raises
    ------
    ParameterError
        A name is unknown, or a value is of the wrong type or out of range.
    """
    try:
        return model(**values)
    except ValidationError as error:
        sentences = []
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"])) or "parameters"
            message = problem["msg"][0].lower() + problem["msg"][1:]
            sentences.append(f"{name} = {problem['input']!r}: {message}.")
        raise ParameterError(" ".join(sentences)) from error


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a sentence with the name that is most similar to a misspelt one, or with all."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names)}."
