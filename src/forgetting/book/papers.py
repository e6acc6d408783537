"""The tables of both papers, row by row, with the study's figures beside theirs.

`book/papers.yaml` has the papers' figures and the names of ours, `results/papers.json` has both
with what they say, and the directive `papers` shows them.
"""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.claims import Relation, compared, verdict
from forgetting.book.judged import JudgedFile
from forgetting.book.numerals import Results
from forgetting.book.yaml_files import read_mappings
from forgetting.errors import ForgettingError, validated

Printed = float | str | None
"""A figure of a paper: a number, a bound such as "< 0.01", or nothing."""

Place = Literal["within", "higher here", "lower here"]


class Column(BaseModel):
    """A column of a table: its head, the metric here that stands beside it, and its label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str
    metric: str = ""
    label: str = "here"
    again: bool = False


class Part(BaseModel):
    """Columns of a table that belong together, and what is compared in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, Column]
    unit: str = ""
    decimals: int = 2
    rule: tuple[str, Relation, str] | None = None
    margin: float = 0.0

    @property
    def factor(self) -> float:
        """What turns a figure of a record into the unit of the part."""
        return 100.0 if self.unit == " %" else 1.0


class OtherPlace(BaseModel):
    """Where a row's figures of one part stand, if it is not the row's record, or why nowhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str = ""
    without: str = ""

    @model_validator(mode="after")
    def _is_one(self) -> "OtherPlace":
        if bool(self.record) == bool(self.without):
            raise ValueError("give another record, or say why in `without`")
        return self


class PaperRow(BaseModel):
    """A row: the paper's figures for every part, and the record here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    figures: dict[str, list[Printed]]
    here: str = ""
    record: str = ""
    case: str = ""
    again: str = ""
    elsewhere: dict[str, OtherPlace] = {}
    without: str = ""

    def metric(self, column: Column, case: str) -> str:
        """Return the name of the metric of a column in one case of the row."""
        return f"{column.metric}_{case}" if case else column.metric


class PaperTable(BaseModel):
    """A table of a paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    paper: Literal["moon2024feature", "malnick2024taming"]
    place: str
    parts: dict[str, Part]
    rows: list[PaperRow]

    @model_validator(mode="after")
    def _is_whole(self) -> "PaperTable":
        """Refuse a row whose figures are not those of the columns, or that says nothing."""
        for row in self.rows:
            lengths = {name: len(part.columns) for name, part in self.parts.items()}
            if {name: len(figures) for name, figures in row.figures.items()} != lengths:
                raise ValueError(f"{row.row}: its figures are not those of the columns")
            if unknown := sorted(row.elsewhere.keys() - self.parts.keys()):
                raise ValueError(f"{row.row}: `elsewhere` names {unknown[0]!r}, which is no part")
            if bool(row.record) == bool(row.without):
                raise ValueError(f"{row.row}: give it a record, or say why in `without`")
        return self

    def beside(self, results: Results) -> list[dict[str, Any]]:
        """Return every row of every part with the figures of both, and what they say.

        Raises
        ------
        DataError
            A record or a metric is missing.
        """
        return [
            self._row(row, name, part, results)
            for name, part in self.parts.items()
            for row in self.rows
        ]

    def _row(self, row: PaperRow, part_name: str, part: Part, results: Results) -> dict[str, Any]:
        """Return a row of a part."""
        entry: dict[str, Any] = {"table": self.name, "paper": self.paper, "place": self.place}
        entry |= {"part": part_name, "row": row.row, "here": row.here}
        theirs = dict(zip(part.columns, row.figures[part_name], strict=True))
        cells: dict[str, Any] = {column: {"paper": theirs[column]} for column in part.columns}
        entry["cells"] = cells
        other = row.elsewhere.get(part_name, OtherPlace(record=row.record, without=row.without))
        if other.without:
            return entry | {"without": other.without}
        values = {}
        for key, column in part.columns.items():
            name = row.metric(column, row.case if other.record == row.record else "")
            cells[key]["here"], values[key] = _ours(results, other.record, name, part)
            if column.again and row.again:
                name = row.metric(column, row.again)
                cells[key]["again"], _ = _ours(results, row.record, name, part)
        if part.rule is None:
            for key in part.columns:
                cells[key]["place"] = place_of(theirs[key], values[key], part.decimals)
            return entry
        one, relation, than = part.rule
        bound = tuple(x + part.margin for x in values[than])
        entry["verdict"] = verdict([compared(values[one], relation, bound)])
        first, second = theirs[one], theirs[than]
        if isinstance(first, float) and isinstance(second, float):
            outcome = compared((first,) * 3, relation, (second + part.margin,) * 3)
            entry["verdict_of_the_paper"] = verdict([outcome])
        return entry


def _ours(
    results: Results, record: str, metric: str, part: Part
) -> tuple[dict[str, Any], tuple[float, ...]]:
    """Return a figure here, as a record has it, and with its interval in the unit of the part."""
    value, low, high = results.value(record, metric)
    figure = {"record": record, "metric": metric, "value": value}
    if math.isfinite(high - low):
        figure["interval"] = [low, high]
    return figure, tuple(part.factor * x for x in (value, low, high))


def place_of(printed: Printed, value: tuple[float, ...], decimals: int) -> Place | None:
    """Return where a figure here lies beside a paper's.

    Parameters
    ----------
    printed : float, str or None
        The paper's: a number, a bound such as "< 0.01", or nothing.
    value : (centre, low, high)
        The figure here; without an interval its ends are NaN.
    decimals : int
        To which the paper rounds. Every number that rounds to the printed one counts as the same.

    Returns
    -------
    "within", "higher here", "lower here" or None
        Within: the interval here holds the paper's figure, or reaches below its bound. None where
        the paper has no figure.

    Raises
    ------
    ForgettingError
        The paper's figure is a text, but no bound.
    """
    if printed is None:
        return None
    centre, low, high = value
    low, high = (low, high) if math.isfinite(high - low) else (centre, centre)
    if isinstance(printed, str):
        sign, _, bound = printed.partition(" ")
        if sign != "<":
            raise ForgettingError(
                f"A figure of a paper is a number or '< number', not {printed!r}."
            )
        return "within" if low < float(bound) else "higher here"
    half = 0.5 * 10**-decimals
    if low > printed + half:
        return "higher here"
    return "lower here" if high < printed - half else "within"


def read_papers(checkout: Checkout = HERE) -> list[PaperTable]:
    """Return the tables of book/papers.yaml.

    Raises
    ------
    ForgettingError
        A table is malformed.
    """
    path = checkout.root / "book" / "papers.yaml"
    return [validated(PaperTable, values) for values in read_mappings(path)]


def printed(name: str, part: str, column: str, checkout: Checkout = HERE) -> list[float]:
    """Return a column of a paper's table, a figure a row; NaN where it has no number."""
    (table,) = (table for table in read_papers(checkout) if table.name == name)
    index = list(table.parts[part].columns).index(column)
    figures = [row.figures[part][index] for row in table.rows]
    return [figure if isinstance(figure, float) else math.nan for figure in figures]


def paper_rows(checkout: Checkout = HERE) -> list[dict[str, Any]]:
    """Return every row of both papers with the present records beside it.

    Raises
    ------
    ForgettingError
        A table is malformed, or a record or metric is missing.
    """
    results = Results(checkout.results)
    return [row for table in read_papers(checkout) for row in table.beside(results)]


PAPERS = JudgedFile("papers", paper_rows)
"""Rows of both papers, as results/papers.json holds them."""
