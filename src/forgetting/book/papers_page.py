"""The directive `papers`: a part of a paper's table, with the figures here below the paper's."""

import json
import math
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import badge, cell, table_of
from forgetting.book.checkout import HERE
from forgetting.book.numerals import in_figures
from forgetting.book.pages import note_use
from forgetting.book.papers import Part, read_papers


class Papers(SphinxDirective):
    """A part of a paper's table, row by row; the arguments name the table and the part."""

    required_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        name, part_name = self.arguments
        path = HERE.results / "papers.json"
        self.env.note_dependency(str(path))
        parts = {table.name: table.parts for table in read_papers()}
        if part_name not in parts.get(name, {}):
            raise self.error(f"book/papers.yaml has no table {name} with a part {part_name}.")
        part = parts[name][part_name]
        rows = [
            entry
            for entry in json.loads(path.read_text(encoding="utf-8"))
            if (entry["table"], entry["part"]) == (name, part_name)
        ]
        used = {c["here"]["record"] for row in rows for c in row["cells"].values() if "here" in c}
        note_use(self.env, used)
        width = 60 // len(part.columns)
        columns = [("", 24), *((column.head, width) for column in part.columns.values())]
        columns.append(("verdict", 16))
        cells = [_cells(row, part) for row in rows]
        return table_of(self, columns, cells, ["claims"])


def _cells(row: dict[str, Any], part: Part) -> list[nodes.Node]:
    """Return the cells of a row: what it is of, each figure of both, and what they say."""
    first = nodes.container("", cell(row["row"]))
    if row["here"]:
        first += cell(f"here: {row['here']}", "rule")
    figures = [
        _figures(row["cells"][key], column.label, part) for key, column in part.columns.items()
    ]
    return [first, *figures, _verdict(row, part)]


def _figures(figures: dict[str, Any], own: str, part: Part) -> nodes.container:
    """Return a cell: the paper's figure, ours below it, and that of rounds."""
    printed = figures["paper"]
    if isinstance(printed, float):
        printed = f"{printed:.{part.decimals}f}{part.unit}"
    inner = nodes.container("", cell(f"paper: {printed or 'none'}"))
    for key, label in (("here", own), ("again", "rounds")):
        if key in figures:
            inner += cell(f"{label}: {_measured(figures[key], part)}")
    return inner


def _measured(figure: dict[str, Any], part: Part) -> str:
    """Return a figure here with its interval."""
    low, high = figure.get("interval", (math.nan, math.nan))
    value, low, high = (part.factor * x for x in (figure["value"], low, high))
    return in_figures(value, low, high, part.unit, math.isfinite(high - low) and high > low)


def _verdict(row: dict[str, Any], part: Part) -> nodes.container:
    """Return the last cell: the outcome of a rule, or how many figures lie where they should."""
    if "without" in row:
        return nodes.container("", badge("not tested yet"), cell(row["without"], "rule"))
    if "verdict" in row:
        inner = nodes.container("", badge(row["verdict"]))
        if "verdict_of_the_paper" in row:
            inner += cell(f"paper: {row['verdict_of_the_paper']}", "rule")
        return inner
    places = {key: figures["place"] for key, figures in row["cells"].items() if figures["place"]}
    n_within = sum(place == "within" for place in places.values())
    word = "holds" if n_within == len(places) else "holds in part" if n_within else "does not hold"
    inner = nodes.container("", badge(word, f"{n_within} of {len(places)} within"))
    for key, place in places.items():
        if place != "within":
            inner += cell(f"{part.columns[key].head}: {place}", "rule")
    return inner


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("papers", Papers)
    return {"parallel_read_safe": True, "version": "1"}
