"""The base of every method's settings."""

from collections.abc import Mapping
from typing import Any

from forgetting.border.options import Configuration
from forgetting.errors import ParameterError, did_you_mean, validated


class Settings(Configuration):
    """Settings of a method."""


def checked_settings(
    kind: type[Settings], settings: Mapping[str, Any], title: str
) -> dict[str, Any]:
    """Return settings of a method as their types, texts among them.

    Parameters
    ----------
    kind : type
        The settings that the method has.
    settings : mapping
        Some of them, by name.
    title : str
        The method, as a sentence begins with it.

    Raises
    ------
    ParameterError
        The method has no such setting, or not with this value.
    """
    for name in settings:
        if name not in kind.model_fields:
            hint = did_you_mean(name, sorted(kind.model_fields))
            raise ParameterError(f"{title} has no setting {name!r}. {hint}")
    config = validated(kind, settings)
    return {name: getattr(config, name) for name in settings}
