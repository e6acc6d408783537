"""Registries: a new file is enough, another package adds through an entry point."""

import sys
from importlib.metadata import EntryPoint

import pytest

from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation import registry
from forgetting.foundation.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a registry of a package of two modules."""
    folder = tmp_path / "some_wing"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from forgetting.foundation.registry import Registry\n"
        "ENTRIES = Registry('thing', 'some_wing')\n"
    )
    for name in ("second", "first"):
        (folder / f"{name}.py").write_text(
            f"from some_wing import ENTRIES\nENTRIES.register('{name}')(len)\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("thing", "some_wing")
    for name in [name for name in sys.modules if name.startswith("some_wing")]:
        del sys.modules[name]


def test_every_module_of_the_package_is_an_entry(package):
    from some_wing import ENTRIES

    assert list(ENTRIES) == ["first", "second"]
    assert ENTRIES["first"] is len
    assert "third" not in ENTRIES


def test_another_package_adds_an_entry(package, monkeypatch):
    point = EntryPoint("mine", "builtins:max", "some_wing")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point][: group == "some_wing"])
    assert package["mine"] is max


def test_another_package_names_a_module_that_registers_its_entries(package, monkeypatch, tmp_path):
    (tmp_path / "their_thing.py").write_text(
        "from some_wing import ENTRIES\nENTRIES.register('theirs')(sum)\n"
    )
    point = EntryPoint("anything", "their_thing", "some_wing")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    from some_wing import ENTRIES

    assert list(ENTRIES) == ["first", "second", "theirs"]
    assert ENTRIES["theirs"] is sum
    del sys.modules["their_thing"]


@pytest.mark.parametrize("value", ["no_such_module", "builtins:nothing"])
def test_what_cannot_be_imported_is_refused_at_every_look_up(package, monkeypatch, value):
    point = EntryPoint("mine", value, "some_wing")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    for _ in range(2):
        with pytest.raises(ForgettingError, match=rf"The thing 'mine' of .*'{value}' \("):
            len(package)


def test_an_unknown_entry_is_refused_with_the_most_similar_name(package):
    package.register("gradient_ascent")(len)
    with pytest.raises(ParameterError, match=r"no thing 'gradient'. Did you mean gradient_ascent"):
        package["gradient"]


def test_two_entries_of_one_name_are_refused(package):
    package.register("mine")(len)
    package.register("mine")(len)
    with pytest.raises(ParameterError, match="Two entries of some_wing are called 'mine'"):
        package.register("mine")(max)
