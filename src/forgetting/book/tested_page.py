"""The directive `tested`: what can go wrong, and the tests that bring it about."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import cell, table_of
from forgetting.book.checkout import HERE
from forgetting.book.yaml_files import read_yaml

COLUMNS = {
    "call": ("call", 18),
    "wrong": ("what could be wrong", 38),
    "fault": ("fault", 36),
    "expected": ("expected", 30),
    "test": ("test", 40),
}
"""Heads and relative widths of the columns that there are."""


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file of faults, or of faults by call.

    Parameters
    ----------
    path : Path
        A YAML list of rows, or a mapping from a call to its rows.
    """
    content = read_yaml(path)
    if isinstance(content, list):
        return content
    return [{"call": call, **row} for call, rows in content.items() for row in rows]


def in_words(test: str) -> str:
    """Return FILE.NAME of a test as the file and a sentence."""
    file, _, name = test.partition(".")
    return f"{file}: {name.replace('_', ' ')}"


class Tested(SphinxDirective):
    """A table of faults and their tests. The argument is the name of a YAML file in `book/`."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        path = HERE.root / "book" / f"{self.arguments[0]}.yaml"
        if not path.is_file():
            raise self.error(f"There is no file {path.name} in book/.")
        self.env.note_dependency(str(path))
        rows = rows_of(path)
        columns = [COLUMNS[name] for name in rows[0]]
        return table_of(self, columns, [_cells(row) for row in rows], ["claims"])


def _cells(row: dict[str, str]) -> list[nodes.Node]:
    """Return the cells of a row."""
    shown = {**row, "test": in_words(row["test"])}
    return [
        nodes.paragraph("", "", nodes.literal(text, text)) if name == "call" else cell(text)
        for name, text in shown.items()
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("tested", Tested)
    return {"parallel_read_safe": True, "version": "1"}
