"""The one reader of JSON files whose content is an object: values by name."""

import json
from pathlib import Path
from typing import Any

from forgetting.foundation.files import read_bytes


def read_object(path: Path, *texts: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Parameters
    ----------
    path : Path
        The file.
    *texts : str
        Names whose values must be texts.

    Raises
    ------
    ValueError
        The file cannot be read, is not in UTF-8, is no JSON of finite numbers, holds another kind
        of value, or lacks a text; the message says which, as a part of a sentence.
    """
    try:
        content = json.loads(read_bytes(path).decode("utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not a text in UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no values by name")
    for name in texts:
        if not isinstance(content.get(name), str):
            raise ValueError(f"it has no text {name!r}")
    return content


def object_in(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object that an object holds under a name, or an empty one where it has none.

    Raises
    ------
    ValueError
        It holds another kind of value.
    """
    value = content.get(name, {})
    if not isinstance(value, dict):
        raise ValueError(f"its {name} are no values by name")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no finite number")
