"""Errors that are sentences: what is wrong, where, and what to do about it."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

LONGEST_WORD, LONGEST_LINE = 400, 2000
"""Characters of a word, such as a path, and of a line beyond which the middle is left out."""


class ForgettingError(Exception):
    """Base of every error that a user can mend; the command line prints it without a trace.

    Each argument is one line, whatever a name or a value in it holds. An end of a line becomes a
    blank, other characters that steer a terminal are written as Python writes them, and long words
    lose their middle.
    """

    def __init__(self, *lines: object) -> None:
        super().__init__(*(_one_line(str(line)) for line in lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class ParameterError(ForgettingError):
    """A parameter is unknown, misspelt, of the wrong type or out of range."""


class DataError(ForgettingError):
    """A data set is missing, incomplete or unreadable."""


class WeightsError(ForgettingError):
    """A weights file is missing, corrupt, or not what its record says."""


class ModelError(ForgettingError):
    """A model does not keep the contract of a flow, a generator or a classifier."""


class DataWarning(UserWarning):
    """Something in a data set that a loader leaves out or changes, and goes on."""


class TrainingError(ForgettingError):
    """A training cannot go on (a loss that is not finite, a checkpoint of another training)."""


LISTED = 60
"""Options that a sentence lists; of more it gives the number."""

N_NAMED = 5
"""Files that a sentence names; of more it gives the number."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def validated(model: type[M], values: Mapping[str, Any]) -> M:
    """Return a configuration made of values, or say in one sentence each what is not allowed.

    Raises
    ------
    ParameterError
        A name is unknown, or a value is of the wrong type or out of range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        sentences = []
        for problem in error.errors():
            name = ".".join(
                str(part) if isinstance(part, str) else quoted(part) for part in problem["loc"]
            )
            message = problem["msg"][0].lower() + problem["msg"][1:]
            if name:
                sentences.append(f"{name} = {quoted(problem['input'])}: {message}.")
            else:  # of several values that do not go together
                sentences.append(f"{message.removeprefix('value error, ')}.")
        raise ParameterError(" ".join(sentences)) from error


def quoted(value: object) -> str:
    """Return a value as Python writes it, or its type where it cannot be written.

    A whole number of thousands of digits cannot, nor can what holds one.
    """
    try:
        return repr(value)
    except Exception:  # whatever the code of a stranger raises
        return f"<{type(value).__name__} that cannot be written>"


def _one_line(text: str) -> str:
    """Return a text in which all characters can be printed, without the middle of long words."""
    text = " ".join(line.strip() for line in text.strip("\n").split("\n"))
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    words = (_without_middle(word, LONGEST_WORD) for word in text.split(" "))
    return _without_middle(" ".join(words), LONGEST_LINE)


def _without_middle(text: str, n: int) -> str:
    """Return a text of at most n characters, of which the beginning and the end stay."""
    return text if len(text) <= n else f"{text[: n * 2 // 3]}...{text[3 - n // 3 :]}"


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a sentence with the name that is most similar to a misspelt one, or with all."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"There are: {shortened(names, LISTED)}."


def shortened(names: Sequence[str], n: int = N_NAMED) -> str:
    """Return a list of names for a sentence: the first n, and the number of the rest."""
    rest = f" and {len(names) - n:,} more" if len(names) > n else ""
    return ", ".join(names[:n]) + rest


def check_option(name: str, value: object, allowed: Sequence[T]) -> T:
    """Return the allowed option that a value is, or say in one sentence what is allowed.

    Parameters
    ----------
    name : str
        The parameter, as the caller writes it.
    value : object
        Text and numbers are never equal; 64.0 is 64.
    allowed : sequence
        The options, all texts or all numbers.

    Raises
    ------
    ParameterError
        The value is none of the options; the most similar one is named.
    """
    for option in allowed:
        kind = str if isinstance(option, str) else Real
        if isinstance(value, kind) and not isinstance(value, bool) and value == option:
            return option
    text = value if isinstance(value, str) else quoted(value)
    hint = did_you_mean(text, [str(option) for option in allowed])
    if text in allowed:
        hint = f"Write it as a text: {text!r}."
    raise ParameterError(f"{name} = {quoted(value)} is not allowed. {hint}")


def warn_if_fewer(wanted: int, available: int, what: str) -> None:
    """Warn that all are taken where fewer than wanted are there.

    Parameters
    ----------
    what : str
        What is counted, in the plural: "digits of the likelihood reference".
    """
    if wanted > available:
        text = f"{wanted:,} {what} are wanted and {available:,} are there: all are taken."
        warnings.warn(text, DataWarning, stacklevel=3)
