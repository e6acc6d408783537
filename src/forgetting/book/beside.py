"""One's own run beside the published ones: figures, and what else differs.

A published run is comparable if it has the same template. Of those, the ones count that differ
from one's own in the fewest parameters; the seed does not count, so that several seeds of one
setting stand for it together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.numerals import in_figures
from forgetting.book.schema import Record, digest, read_record
from forgetting.errors import DataError, shortened

NO_SETTING = ("seed", "device")
"""Parameters that may differ between runs of one setting."""

FIRST = (
    "prevalence",
    "still_shown",
    "auc",
    "fid",
    "quantile",
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
        The metrics whose intervals do not touch: those of one's own run and of the published.
    """

    names: list[str]
    differing: dict[str, tuple[str, str]]
    figures: dict[str, tuple[str, str]]
    outside: list[str]

    def lines(self) -> list[str]:
        """Return what a terminal shows."""
        lines = [f"beside {shortened(self.names)}"]
        width = max(map(len, [*self.figures, *self.differing, "metric"]))
        middle = max((len(published) for published, _ in self.figures.values()), default=9)
        lines.append(f"{'metric':{width}}  {'published':{max(middle, 9)}}  here")
        for name, (published, own) in self.figures.items():
            mark = "  *" if name in self.outside else ""
            lines.append(f"{name:{width}}  {published:{max(middle, 9)}}  {own}{mark}")
        if self.outside:
            lines.append("* the intervals, or the range over seeds, do not touch")
        lines += [
            f"{name:{width}}  {published}  ->  {own}"
            for name, (published, own) in self.differing.items()
        ] or ["parameters, weights and versions are the same"]
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
        The file is no record or was changed after its run, or no published run has its template.
    """
    own = _read(path)
    published = _nearest(own, path, checkout)
    records = list(published.values())
    names = [name for name in own["metrics"] if all(name in r["metrics"] for r in records)]
    shown = [n for n in names if not n.endswith(("_low", "_high"))]
    shown = [n for n in shown if every or n.startswith(FIRST)]
    figures, outside = {}, []
    for name in shown:
        theirs, ours = _over([r["metrics"] for r in records], name), _over([own["metrics"]], name)
        figures[name] = _text(name, theirs), _text(name, ours)
        if _apart(theirs, ours):
            outside.append(name)
    return Compared(list(published), _differing(own, path, published, checkout), figures, outside)


def _read(path: Path) -> Record:
    """Return a record of a run."""
    record = read_record(path)
    if not {"template", "parameters", "metrics"} <= record.keys():
        raise DataError(f"{path} is no record of a run: give the NAME.json that a run left.")
    circumstances = path.with_name(f"{path.stem}.run.json")
    noted = read_record(circumstances) if circumstances.is_file() else {}
    if noted.get("record", digest(record)) != digest(record):
        raise DataError(
            f"{path} says something else than when its run ended, by {circumstances.name}: bring "
            "the record back as it was, or make the run again."
        )
    return record


def _nearest(own: Record, path: Path, checkout: Checkout) -> dict[str, Record]:
    """Return the published records of the setting that differs in the fewest parameters."""
    settings: dict[tuple[Any, ...], dict[str, Record]] = {}
    for circumstances in sorted(checkout.results.rglob("*.run.json")):
        other = circumstances.with_name(circumstances.name.replace(".run.json", ".json"))
        if not other.is_file() or other.resolve() == path.resolve():
            continue
        record = read_record(other)
        if record["template"] == own["template"]:
            name = str(other.relative_to(checkout.results).with_suffix(""))
            key = tuple(sorted(_setting(record).items()))
            runs = settings.setdefault(key, {})
            if all(record["parameters"] != other["parameters"] for other in runs.values()):
                runs[name] = record  # a run of a sweep may be published as a page as well
    if not settings:
        raise DataError(f"No run of {own['template']} is published: there is nothing beside it.")
    mine = _setting(own)

    def distance(key: tuple[Any, ...]) -> tuple[int, int]:
        theirs = dict(key)
        differing = [n for n in {*mine, *theirs} if theirs.get(n) != mine.get(n)]
        return len(differing), -len(settings[key])

    return settings[min(settings, key=distance)]


def _setting(record: Record) -> dict[str, str]:
    """Return the parameters that make the setting of a run, as texts."""
    return {n: str(v) for n, v in record["parameters"].items() if n not in NO_SETTING}


def _over(runs: Sequence[Mapping[str, float]], name: str) -> tuple[float, float, float]:
    """Return a value with its interval, or over several runs the mean and the range."""
    values = [metrics[name] for metrics in runs]
    if len(values) > 1:
        return sum(values) / len(values), min(values), max(values)
    low, high = (runs[0].get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return values[0], low, high


def _text(name: str, value: tuple[float, float, float]) -> str:
    is_share = name.startswith(("prevalence", "still_shown", "near_share", "class_share"))
    factor, unit = (100.0, " %") if is_share else (1.0, "")
    first, low, high = (factor * x for x in value)
    return in_figures(first, low, high, unit, math.isfinite(high - low) and high > low)


def _apart(theirs: tuple[float, float, float], ours: tuple[float, float, float]) -> bool:
    """Return whether two intervals do not touch; a value without one cannot tell."""
    if not all(math.isfinite(x) for x in (*theirs, *ours)):
        return False
    return theirs[2] < ours[1] or ours[2] < theirs[1]


def _differing(
    own: Record, path: Path, published: Mapping[str, Record], checkout: Checkout
) -> dict[str, tuple[str, str]]:
    """Return parameters, weights and circumstances that differ from the first published run."""
    name, record = next(iter(published.items()))
    seeds = map(str, sorted({r["parameters"].get("seed", 0) for r in published.values()}))
    theirs = {n: str(v) for n, v in record["parameters"].items()} | {"seed": ", ".join(seeds)}
    ours = {n: str(v) for n, v in own["parameters"].items()}
    theirs |= {f"weights of {n}": h[:12] for n, h in record["weights"].items()}
    ours |= {f"weights of {n}": h[:12] for n, h in own.get("weights", {}).items()}
    theirs |= _circumstances(checkout.results / f"{name}.run.json")
    ours |= _circumstances(path.with_name(f"{path.stem}.run.json"))
    return {
        key: (theirs.get(key, "–"), ours.get(key, "–"))
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key)
    }


def _circumstances(path: Path) -> dict[str, str]:
    """Return processor, threads and versions of a run; nothing where they are not there."""
    if not path.is_file():
        return {}
    noted = read_record(path)
    kept = {name: str(noted[name]) for name in ("cpu", "threads", "device") if name in noted}
    return kept | {name: str(version) for name, version in noted.get("versions", {}).items()}
