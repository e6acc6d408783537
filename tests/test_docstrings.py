"""Docstrings follow numpydoc: all of them in form, those of the front door with every section."""

import importlib
import inspect
import pkgutil

import pytest
from numpydoc.validate import validate

import forgetting

LEFT_OUT = {
    "ES01",  # a first line may say all
    "EX01",  # examples are for the front door
    "PR01",  # a name and its annotation may say all
    "PR04",  # "as X takes it" needs no type
    "PR07",
    "RT01",  # the first line says what is returned
    "RT02",
    "RT03",
    "RT04",  # names of a record's entries stand where numpydoc expects a type
    "RT05",
    "SA01",
    "YD01",  # as RT01
}


def public():
    """Yield the full names of all public classes, functions and methods."""
    for module in pkgutil.walk_packages(forgetting.__path__, "forgetting."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            is_own = getattr(thing, "__module__", None) == module.name
            if name.startswith("_") or not is_own:
                continue
            if inspect.isfunction(thing):
                yield f"{module.name}.{name}"
            elif inspect.isclass(thing):
                yield f"{module.name}.{name}"
                for part, function in vars(thing).items():
                    if not part.startswith("_") and inspect.isfunction(function):
                        yield f"{module.name}.{name}.{part}"


def test_every_public_docstring_has_the_form_of_numpydoc():
    names = list(public())
    assert len(names) > 500
    found = {
        name: [text for code, text in validate(name)["errors"] if code not in LEFT_OUT]
        for name in names
    }
    assert {name: errors for name, errors in found.items() if errors} == {}


@pytest.mark.parametrize("name", [n for n in forgetting.__all__ if n != "__version__"])
def test_the_front_door_is_documented_with_parameters_returns_and_examples(name):
    thing = getattr(forgetting, name)
    errors = validate(f"{thing.__module__}.{thing.__qualname__}")["errors"]
    assert [text for code, text in errors if code not in ("ES01", "SA01")] == []
