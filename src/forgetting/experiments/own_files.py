"""Python files of users: executed, with the modules that lie beside them."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forgetting.errors import ModelError, ParameterError, did_you_mean
from forgetting.foundation.files import expanded

_BESIDE: dict[str, Path] = {}
"""Modules that files of users imported from beside them, and the folder of each file."""


@contextmanager
def function_of(place: str) -> Iterator[Callable[..., Any]]:
    """Give what FILE.py:NAME names, while the modules beside the file can be imported.

    Parameters
    ----------
    place : str
        FILE.py:NAME; the file is executed.

    Raises
    ------
    ParameterError, ModelError
        As `call_function` raises them, also for what fails inside the context.
    """
    file, _, name = place.rpartition(":")
    path = expanded(file)
    folder = path.resolve().parent
    if not file.endswith(".py") or not name:
        raise ParameterError(f"{place!r} is not of the form FILE.py:FUNCTION.")
    if not os.path.isfile(path):
        raise ParameterError(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look a class's module up
    for key in [key for key, other in _BESIDE.items() if other != folder]:
        del _BESIDE[key]
        sys.modules.pop(key, None)
    present = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if not callable(function):
            functions = [key for key, value in vars(module).items() if callable(value)]
            hint = did_you_mean(name, functions) if functions else "It has no function."
            raise ParameterError(f"{path} has no function {name!r}. {hint}")
        yield function
    except (ParameterError, ModelError):
        raise
    except SystemExit as error:
        raise ModelError(
            f"{place} ends Python (SystemExit: {error}): put what the file shall do as a program "
            'under `if __name__ == "__main__"`.'
        ) from error
    except Exception as error:
        raise ModelError(f"{place} fails ({type(error).__name__}: {error}).") from error
    finally:
        sys.path.remove(str(folder))
        _BESIDE.update({key: folder for key in sys.modules.keys() - present if _lies(key, folder)})


def code_files(name: str) -> list[Path]:
    """Return the files in which a module's code is: all of its package, or those beside it.

    Parameters
    ----------
    name : str
        Of an imported module. Of a file that `function_of` executed these are the file, and what
        it imported from beside it.
    """
    top = sys.modules[name.partition(".")[0]]
    if places := getattr(top, "__path__", None):
        return sorted(path for place in places for path in Path(place).rglob("*.py"))
    files = [getattr(sys.modules.get(each), "__file__", None) for each in (name, *_BESIDE)]
    return sorted({Path(file) for file in files if file})


def _lies(name: str, folder: Path) -> bool:
    """Return whether an imported module, or the package that it is of, lies in a folder."""
    outer = sys.modules.get(name.partition(".")[0])
    places = [getattr(outer, "__file__", None), *getattr(outer, "__path__", ())]
    return any(place and Path(place).resolve().parent == folder for place in places)
