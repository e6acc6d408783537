"""The tables of faults: every call is there, and every test exists."""

import ast
from pathlib import Path

import pytest

import forgetting
from forgetting.book import tested_page
from forgetting.book.checkout import HERE
from forgetting.cli import main

FILES = ("faults", "silent")


def rows(file):
    return tested_page.rows_of(HERE.root / "book" / f"{file}.yaml")


def named_in(file):
    """Return the tests of a file by the names that the tables give them."""
    path = Path(__file__).with_name(f"test_{file}.py")
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    named = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {f"{file}.{name.removeprefix('test_')}" for name in named if name.startswith("test_")}


@pytest.mark.parametrize("file", FILES)
def test_every_test_of_a_table_exists(file):
    named = {row["test"] for row in rows(file)}
    there = set().union(*(named_in(file) for file in {test.split(".")[0] for test in named}))
    assert named <= there


@pytest.mark.parametrize("file", FILES)
def test_no_row_stands_twice_or_lacks_a_cell(file):
    listed = rows(file)
    assert len({tuple(row.values())[:2] for row in listed}) == len(listed)
    assert {tuple(row) for row in listed} == {tuple(listed[0])}
    assert all(isinstance(text, str) and text for row in listed for text in row.values())


def test_every_call_and_every_command_is_in_the_table_of_silent_faults():
    calls = {f"fg.{name}" for name in forgetting.__all__ if not name.startswith("_")}
    commands = {f"forgetting {name}" for name in main.commands}
    assert {row["call"] for row in rows("silent")} == calls | commands


def test_a_test_is_shown_as_its_file_and_a_sentence():
    assert tested_page.in_words("own_runs.a_name_is_kept") == "own_runs: a name is kept"
