"""How validation compares outputs: text exactly, numbers within what the page's record allows.

On another kind of processor the last digits of sums differ, and training carries the difference
into the figures. A number may therefore differ by

    half a unit of its last printed digit
    + the larger of: the half-width of the interval that the record has for this metric,
      `RELATIVE` times the published number.

A metric has an interval where the record has NAME_low and NAME_high, or NAME_std, its standard
deviation. A printed number belongs to a metric if the metric, or an end of its interval, rounds to
it. Among several such metrics the one whose name shares most words with the line counts, and then
the one with the smallest interval. A metric without an interval counts only with a shared word.

The functions at the end are hooks for pytest: nbval executes the cells of a notebook, and cells
with the tag `nbval-check-output` are compared as described here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgetting.book.records import read_record

RELATIVE = 0.02
"""Share of a number without an interval by which it may differ on another processor.

Pages made on a processor of AMD were executed again on one of Intel: the FID of the GAN of digits
that unlearned thick strokes is 1.2 % higher there. Two runs are published twice, from executions
at different times: their printed figures without an interval differ by up to 0.7 %, and those with
one by up to 0.3 of its half-width.
"""

NUMBER = re.compile(
    r"(?<![\w.])(?<!\w-)[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)(?: ?%| points\b)?"
)
"""A printed number with its sign and its percent sign or `points`; no digit within a word."""

IGNORED = ("image/", "application/vnd.jupyter.widget")
"""How the types of outputs begin that are not compared: figures, and widgets with random names."""


@dataclass(frozen=True)
class Printed:
    """A number as a page prints it, without the spaces around it."""

    text: str

    @property
    def digits(self) -> str:
        """The number without its percent sign, commas and `points`."""
        return self.text.removesuffix("points").rstrip("% ").replace(",", "")

    @property
    def value(self) -> float:
        """The number; that of `5 %` is 5."""
        return float(self.digits)

    @property
    def unit(self) -> float:
        """One unit of the last printed digit."""
        mantissa, _, exponent = self.digits.partition("e")
        return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))

    @property
    def unit_name(self) -> str:
        """What follows the number: `%`, `points` or nothing."""
        return next((end for end in ("%", "points") if self.text.endswith(end)), "")

    @property
    def scale(self) -> int:
        """Factor between a metric and the number: 100 for percent and points, else 1."""
        return 100 if self.unit_name else 1


def half_width(printed: Printed, line: str, metrics: Mapping[str, float]) -> float:
    """Return the half-width of the interval of the metric that a number belongs to.

    Parameters
    ----------
    printed : Printed
        The published number.
    line : str
        The line that holds it.
    metrics : mapping of str to float
        Metrics of the page's record, intervals included.

    Returns
    -------
    float
        In units of the number; 0 where no metric with an interval rounds to it.
    """
    words = set(re.findall(r"[a-z0-9]+", line.lower()))
    candidates = []
    for name, value in metrics.items():
        parts = set(name.lower().split("_"))
        if printed.text in parts:  # a label, as in `4 images` for NAME_4_images
            return 0.0
        low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
        deviation = metrics.get(f"{name}_std")
        if low is not None and high is not None:
            values, half = [value, low, high], (high - low) / 2
        elif deviation is not None:
            values, half = [value, deviation], deviation
        else:
            values, half = [value], 0.0
        n_shared = len(words & parts)
        counts = (half or n_shared) and not parts & {"low", "high", "std"}
        if counts and any(_rounds_to(printed.scale * end, printed) for end in values):
            candidates.append((-n_shared, half * printed.scale))
    return min(candidates, default=(0, 0.0))[1]


def _rounds_to(value: float, printed: Printed) -> bool:
    return abs(value - printed.value) <= 0.5 * printed.unit * (1 + 1e-6)


def differences(published: str, here: str, metrics: Mapping[str, float]) -> list[str]:
    """Compare two texts: words exactly, numbers within what is allowed.

    Parameters
    ----------
    published, here : str
        The published output of a cell and the new one.
    metrics : mapping of str to float
        Metrics of the page's record, intervals included.

    Returns
    -------
    list of str
        Lines for a person: each line of text that differs, and each number that differs by more
        than is allowed, with the published number, the new one and what is allowed. Empty where
        the texts agree.
    """
    old, new = published.rstrip().splitlines(), here.rstrip().splitlines()
    if len(old) != len(new):
        return [f"{len(old)} lines are published and {len(new)} are here:", *new]
    lines = []
    for published_line, line in zip(old, new, strict=True):
        if _words(published_line) != _words(line):
            lines += [f"published: {published_line}", f"here:      {line}"]
        else:
            rows = list(_rows(published_line, line, metrics))
            lines += [published_line.strip(), *rows] if rows else []
    return lines


def _words(line: str) -> str:
    """Return a line with a mark for each number; spaces before numbers only align columns."""
    marked = NUMBER.sub("\0", line.rstrip())
    return re.sub(r" *\0", "\0", marked)


def _rows(published_line: str, line: str, metrics: Mapping[str, float]) -> Iterator[str]:
    """Yield a row for each number that differs by more than is allowed."""
    numbers = (map(Printed, NUMBER.findall(text)) for text in (published_line, line))
    for old, new in zip(*numbers, strict=True):
        margin = max(half_width(old, published_line, metrics), RELATIVE * abs(old.value))
        allowed = 0.5 * old.unit + margin
        same_unit = old.unit_name == new.unit_name
        is_close = abs(new.value - old.value) <= allowed * (1 + 1e-9)
        if not (same_unit and is_close):
            yield f"  published {old.text}, here {new.text}, allowed ± {allowed:.3g}"


def _texts(outputs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the texts of a cell's outputs by their type, without messages on stderr."""
    texts: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            if output["name"] != "stderr":
                texts.setdefault("printed", []).append(output["text"])
        elif output["output_type"] in ("display_data", "execute_result"):
            for kind, content in output["data"].items():
                if not kind.startswith(IGNORED):
                    texts.setdefault(kind, []).append(str(content))
    return {kind: parts for kind, parts in texts.items() if kind != "printed" or "".join(parts)}


def compare_outputs(
    published: Sequence[Mapping[str, Any]],
    here: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, float],
) -> list[str]:
    """Compare the outputs of a cell: words exactly, numbers within what is allowed.

    Parameters
    ----------
    published, here : sequence of mapping
        Published and new outputs, in the notebook format. Figures are not compared.
    metrics : mapping of str to float
        Metrics of the page's record, intervals included.

    Returns
    -------
    list of str
        Lines for a person; empty where the outputs agree.
    """
    old, new = _texts(published), _texts(here)
    counts = [{kind: len(parts) for kind, parts in texts.items()} for texts in (old, new)]
    if counts[0] != counts[1]:
        return [f"The kinds of output differ: {counts[0]} is published, {counts[1]} is here."]
    return [
        line
        for kind, parts in old.items()
        for before, after in zip(parts, new[kind], strict=True)
        for line in differences(before, after, metrics)
    ]


def metrics_of(notebook: Path) -> dict[str, float]:
    """Return the metrics of a page's record, which lies beside the page or among the results.

    Parameters
    ----------
    notebook : Path
        An executed page.

    Returns
    -------
    dict of str to float
        Empty where the notebook has no record: its numbers are then compared without intervals.

    Raises
    ------
    DataError
        The record is unreadable or not of the present schema.
    """
    up = notebook.resolve().parents
    folders = [up[0], *(folder / "results" for folder in up[1:3])]
    for path in (folder / f"{notebook.stem}.json" for folder in folders):
        if path.is_file():
            metrics: dict[str, float] = read_record(path)["metrics"]
            return metrics
    return {}


def pytest_itemcollected(item: Any) -> None:
    """Compare the outputs of a notebook's cell as this module does, not as nbval does.

    Parameters
    ----------
    item : Any
        Pytest.Item A cell, if it has outputs to compare.
    """
    if not hasattr(item, "compare_outputs"):
        return

    def compare(here: Sequence[Any], published: Sequence[Any], skip_compare: Any = None) -> bool:
        item.comparison_traceback = compare_outputs(published, here, metrics_of(item.path))
        return not item.comparison_traceback

    item.compare_outputs = compare
