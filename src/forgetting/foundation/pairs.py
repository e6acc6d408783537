"""Parameters as texts of the form NAME=VALUE."""

from collections.abc import Iterable

from forgetting.errors import ParameterError


def read_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return parameters as texts, by name, from texts of the form NAME=VALUE.

    Raises
    ------
    ParameterError
        A text has no equals sign, or a name is given twice.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise ParameterError(f"{pair!r} is not of the form NAME=VALUE.")
        if name in given:
            raise ParameterError(
                f"{name} is given twice, as {given[name]!r} and as {value!r}: give it once."
            )
        given[name] = value
    return given
