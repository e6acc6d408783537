"""The house: imports go down, rooms keep to what they may use, the drawing is of today's code."""

import ast
import re

import pytest

from forgetting.book import architecture
from forgetting.foundation.files import ROOT

HEAVY = {"jupytext", "nbformat", "papermill", "IPython", "ipywidgets", "matplotlib", "seaborn"}
NOT_BELOW_THE_BOOK = HEAVY | {"pandas", "sphinx", "rich"}
"""What only the book needs: a model can be made to forget without it."""


def imports_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_no_room_imports_from_above_or_beside_it():
    assert architecture.survey().upward() == []


def test_every_file_stands_in_a_room_and_is_short():
    rooms = {room for floor in architecture.FLOORS for room in floor}
    for path in architecture.SOURCE.rglob("*.py"):
        room = path.relative_to(architecture.SOURCE).with_suffix("").parts[0]
        assert room in rooms | {"__init__"}, path
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


@pytest.mark.parametrize("room", [r for floor in architecture.FLOORS[2:] for r in floor], ids=str)
def test_rooms_below_the_book_need_no_jupyter_no_pandas_and_no_plots(room):
    paths = [architecture.SOURCE / f"{room}.py", *(architecture.SOURCE / room).rglob("*.py")]
    for path in paths:
        if path.is_file():
            assert not NOT_BELOW_THE_BOOK & set(imports_of(path)), path


def test_an_import_from_above_is_noticed(tmp_path):
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "taming.py").write_text(
        "def tame():\n    from forgetting.experiments import samples\n"
    )
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "run.py").write_text("from forgetting import methods, errors\n")
    house = architecture.survey(tmp_path)
    assert house.imports == {
        ("methods", "experiments"): 1,
        ("book", "methods"): 1,
        ("book", "errors"): 1,
    }
    assert house.upward() == [("methods", "experiments")]


def test_the_drawing_has_an_arrow_or_a_name_for_every_import():
    house = architecture.survey()
    arrows = re.findall(r"<title>(\w+) imports (\w+): (\d+)", architecture.svg(house, "light"))
    told = {(room, other): int(n) for room, other, n in arrows}
    assert all(architecture._floors_between(pair) == 1 for pair in told)  # no room in the way
    for room in house.rooms:
        names = re.findall(r"(\w+) (\d+)", architecture._further(house, room))
        told |= {(room, other): int(n) for other, n in names}
    assert told == house.imports


def test_the_drawing_is_of_today():
    house = architecture.survey()
    for theme in architecture.THEMES:
        path = ROOT / "book" / "_static" / f"architecture-{theme}.svg"
        drawn = path.read_text(encoding="utf-8")
        assert drawn == architecture.svg(house, theme), "run `forgetting notebooks`"
