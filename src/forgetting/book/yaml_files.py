"""The one reader of YAML files: plain values, and no key that is given twice."""

import io
from pathlib import Path
from typing import Any, TextIO

import yaml

from forgetting.errors import ForgettingError
from forgetting.foundation.files import read_bytes


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    ForgettingError
        It cannot be read, is not valid, has a tag of Python, holds itself, or gives a key twice.
    """
    try:
        text = io.StringIO(read_bytes(path).decode("utf-8"))
        text.name = str(path)  # for the place of an error
        return yaml.load(text, _Loader)
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deeply") from error
    except (OSError, ValueError, OverflowError, yaml.YAMLError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or error) from error


def read_mappings(path: Path) -> list[dict[str, Any]]:
    """Return what a YAML file holds that is a list of mappings.

    Raises
    ------
    ForgettingError
        It cannot be read, as `read_yaml` says, or it holds something else.
    """
    content = read_yaml(path)
    if not isinstance(content, list):
        raise ForgettingError(f"{path} holds no list: begin each of its entries with a dash.")
    for number, entry in enumerate(content, 1):
        if not isinstance(entry, dict):
            raise ForgettingError(
                f"{path}: entry {number} is no mapping: give it lines of the form `name: value`."
            )
    return content


class _Loader(yaml.SafeLoader):
    """A loader of YAML that refuses a key that is given twice; the last would count."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.deep_construct = True  # without it a list may hold itself

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping whose keys differ."""
        keys = []
        for key_node, _ in node.value:
            if (key := self.construct_object(key_node)) in keys:
                line = key_node.start_mark.line + 1
                raise ForgettingError(f"{self.name}, line {line}: {key} is given twice.")
            keys.append(key)
        return super().construct_mapping(node, deep)


def _unreadable(path: Path, reason: object) -> ForgettingError:
    return ForgettingError(f"{path} is not a readable YAML file ({reason}): mend it.")
