"""One's own run beside the published ones: figures, and what else differs.

A published run is comparable if it has the same template. Of those, the ones count that differ
from one's own in the fewest parameters; the seed does not count, so that several seeds of one
setting stand for it together.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.differences import differing, setting_of
from forgetting.book.numerals import in_figures, read_unchanged
from forgetting.book.records import Record, is_record, read_record
from forgetting.errors import DataError, DataWarning, shortened

OF_SETS = ("fid", "kid", "precision", "recall")
"""What the names of metrics begin with that depend on how many samples there are."""

SAME_SIZE = 0.1
"""Share by which two numbers of samples may differ so that these metrics are comparable."""

SHARES = ("prevalence", "still_shown", "near_share", "class_share", "share_change")
"""What the names of metrics begin with that are shown in percent."""

SPREAD = "_std"
"""How the name of a metric's standard deviation over draws ends, which stands behind its value."""

FIRST = (
    "prevalence",
    "still_shown",
    "auc",
    "fid",
    "quantile_after_forget",
    "quantile_before_forget",
    "quantile_drop",
    "shift",
    "share_of",
    "near",
    "steps",
)
"""What the names of metrics begin with that are shown without `every`."""


@dataclass(frozen=True)
class Compared:
    """A run beside the published runs of the nearest setting.

    Attributes
    ----------
    names : list of str
        Of the published runs.
    differing : dict of str to (published, own)
        Parameters, weights and circumstances that differ.
    figures : dict of str to (published, own)
        Metrics as texts; of several published runs the mean, the least and the greatest.
    outside : list of str
        The metrics whose intervals do not touch: those of one's own run and of the published. A
        value without an interval is one that lies outside of the published.
    sizes : tuple of (published, own)
        Numbers of samples where they differ, so that distances of sets are not comparable.
    lacking : list of str
        Metrics that the published runs have and one's own has not.
    more : list of str
        Metrics that both have and that are not among the figures.
    unclear : list of str
        Figures that differ and of which no interval is published, so that none is marked.
    """

    names: list[str]
    differing: dict[str, tuple[str, str]]
    figures: dict[str, tuple[str, str]]
    outside: list[str]
    sizes: tuple[int, int] | None = None
    lacking: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what a terminal shows."""
        lines = [f"beside {shortened(self.names)}"]
        width = max(map(len, [*self.figures, *self.differing, "metric"]))
        middle = max((len(published) for published, _ in self.figures.values()), default=9)
        lines.append(f"{'metric':{width}}  {'published':{max(middle, 9)}}  here")
        for name, (published, own) in self.figures.items():
            mark = "  *" if name in self.outside else ""
            if self.sizes and name.startswith(OF_SETS):
                mark = f"  not comparable: n differs, {self.sizes[0]} -> {self.sizes[1]}"
            lines.append(f"{name:{width}}  {published:{max(middle, 9)}}  {own}{mark}")
        if self.outside:
            lines.append("* the intervals, or the range over seeds, do not touch;")
            lines.append("  a value without an interval lies outside of the published")
        if self.unclear:
            lines.append(f"not judged, for no interval is published: {shortened(self.unclear)}")
        if self.lacking:
            lines.append(f"not in this run: {shortened(self.lacking)}")
        if self.more:
            lines.append(f"with --every also: {shortened(self.more)}")
        lines += [
            f"{name:{width}}  {published}  ->  {own}"
            for name, (published, own) in self.differing.items()
        ] or ["parameters, weights, data, library and versions are the same"]
        return lines


def compare_run(path: Path, every: bool = False, checkout: Checkout = HERE) -> Compared:
    """Put a run beside the published runs of the nearest setting.

    Parameters
    ----------
    path : Path
        Its record, NAME.json.
    every : bool
        Whether all metrics are shown, and not only the first ones.

    Raises
    ------
    DataError
        The file is no record, it or a published one was changed after its run, or no published
        run has its template.
    """
    own = _read(path)
    _warn_without_circumstances(path)
    published = _nearest(own, path, checkout)
    records = [_read(checkout.results / f"{name}.json") for name in published]
    theirs = [
        name
        for name in records[0]["metrics"]
        if all(name in r["metrics"] for r in records)
        and not name.endswith(("_low", "_high"))
        and name.removesuffix(SPREAD) not in records[0]["metrics"].keys() - {name}
    ]
    both = [name for name in own["metrics"] if name in theirs]
    shown = [name for name in both if every or name.startswith(FIRST)]
    sizes = _sizes(records[0], own)
    figures, outside, unclear = {}, [], []
    for name in shown:
        values = _over([r["metrics"] for r in records], name), _over([own["metrics"]], name)
        figures[name] = (
            figure(name, values[0]) + _spread(records, name),
            figure(name, values[1]) + _spread([own], name),
        )
        if sizes and name.startswith(OF_SETS):
            continue
        if _apart(*values):
            outside.append(name)
        elif not all(map(math.isfinite, values[0])) and values[0][0] != values[1][0]:
            unclear.append(name)
    return Compared(
        list(published),
        differing(own, path, published, checkout),
        figures,
        outside,
        sizes,
        [name for name in theirs if name not in both and (every or name.startswith(FIRST))],
        [name for name in both if name not in shown],
        unclear,
    )


def _sizes(published: Record, own: Record) -> tuple[int, int] | None:
    """Return the numbers of samples of two runs, if both are known and differ."""
    for part, name in (("metrics", "n_fid"), ("parameters", "n_samples")):
        theirs, ours = (record[part].get(name) for record in (published, own))
        if theirs and ours:
            return (int(theirs), int(ours)) if abs(ours / theirs - 1) > SAME_SIZE else None
    return None


def _read(path: Path) -> Record:
    """Return a record of a run."""
    record = read_unchanged(path)
    if not {"template", "parameters", "metrics"} <= record.keys():
        raise DataError(f"{path} is no record of a run: give the NAME.json that a run left.")
    return record


def _warn_without_circumstances(path: Path) -> None:
    """Warn if nothing beside a record would show that it was changed after its run."""
    circumstances = path.with_name(f"{path.stem}.run.json")
    if not circumstances.is_file():
        warnings.warn(
            f"{circumstances} is not there: nothing shows whether {path.name} says what its run "
            "measured, nor with which versions. Copy both files.",
            DataWarning,
            stacklevel=3,
        )


def _nearest(own: Record, path: Path, checkout: Checkout) -> dict[str, Record]:
    """Return the published records of the setting that differs in the fewest parameters."""
    settings: dict[tuple[Any, ...], dict[str, Record]] = {}
    for circumstances in sorted(checkout.results.rglob("*.run.json")):
        other = circumstances.with_name(circumstances.name.replace(".run.json", ".json"))
        if not other.is_file() or other.resolve() == path.resolve():
            continue
        record = read_record(other)
        if is_record(record) and record["template"] == own["template"]:
            name = str(other.relative_to(checkout.results).with_suffix(""))
            key = tuple(sorted(setting_of(record).items()))
            runs = settings.setdefault(key, {})
            if all(record["parameters"] != other["parameters"] for other in runs.values()):
                runs[name] = record  # a run of a sweep may be published as a page as well
    if not settings:
        raise DataError(f"No run of {own['template']} is published: there is nothing beside it.")
    mine = setting_of(own)

    def distance(key: tuple[Any, ...]) -> tuple[int, int]:
        theirs = dict(key)
        differing = [n for n in {*mine, *theirs} if theirs.get(n) != mine.get(n)]
        return len(differing), -len(settings[key])

    return settings[min(settings, key=distance)]


def _over(runs: Sequence[Mapping[str, float]], name: str) -> tuple[float, float, float]:
    """Return a value with its interval, or over several runs the mean and the range."""
    values = [metrics[name] for metrics in runs]
    if len(values) > 1:
        return sum(values) / len(values), min(values), max(values)
    low, high = (runs[0].get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return values[0], low, high


def figure(name: str, value: tuple[float, float, float]) -> str:
    """Return a metric as text, a share in percent, with its interval (low, high) if it has one."""
    is_share = name.startswith(SHARES)
    factor, unit = (100.0, " %") if is_share else (1.0, "")
    first, low, high = (factor * x for x in value)
    return in_figures(first, low, high, unit, math.isfinite(high - low) and high > low)


def _spread(runs: Sequence[Record], name: str) -> str:
    """Return the standard deviation that a record has of a metric, as a text behind its value."""
    spread = runs[0]["metrics"].get(f"{name}{SPREAD}")
    return (
        "" if spread is None or len(runs) > 1 else f" ± {in_figures(spread, math.nan, math.nan)}"
    )


def _apart(theirs: tuple[float, float, float], ours: tuple[float, float, float]) -> bool:
    """Return whether two intervals do not touch; where there is none published, it is unclear."""
    low, high = (x if math.isfinite(x) else ours[0] for x in ours[1:])
    if not all(map(math.isfinite, (*theirs, low, high))):
        return False
    return theirs[2] < low or high < theirs[1]
