"""What a job needs: memory and minutes, from the records of earlier runs."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from forgetting.book.checkout import Checkout
from forgetting.book.entries import Entry
from forgetting.book.records import read_record

UNKNOWN_MIB, UNKNOWN_MINUTES = 4096, 240
"""What a job is given of whose template no run is published."""

MORE_MEMORY, MORE_TIME, MINUTES = 1.25, 3.0, 10
"""By what the published memory and time are multiplied, and minutes that every job has beside."""


@dataclass(frozen=True)
class Needs:
    """What a job needs, from earlier records: its own, else the largest of its template.

    Attributes
    ----------
    seconds : float
        Of its own published run; infinite if there is none.
    mem_mb, minutes : int
        Memory and time that a cluster gives it, with a reserve.
    """

    seconds: float
    mem_mb: int
    minutes: int


def needs(entry: Entry, checkout: Checkout) -> Needs:
    """Return what a page or run needs.

    Parameters
    ----------
    entry : Entry
        A page or a run of a sweep.
    """
    path = checkout.results / f"{entry.name}.run.json"
    own = read_record(path) if path.is_file() else None
    known = [own] if own else _of_template(entry.template, checkout)
    peaks = [noted["peak_mib"] for noted in known if "peak_mib" in noted]
    longest = max((noted["seconds"] for noted in known if "seconds" in noted), default=None)
    return Needs(
        own["seconds"] if own and "seconds" in own else math.inf,
        math.ceil(MORE_MEMORY * max(peaks)) if peaks else UNKNOWN_MIB,
        UNKNOWN_MINUTES if longest is None else MINUTES + math.ceil(MORE_TIME * longest / 60),
    )


@cache
def _of_template(template: str, checkout: Checkout) -> list[dict[str, Any]]:
    """Return the circumstances of all published runs of a template."""
    noted = []
    for path in sorted(checkout.results.rglob("*.run.json")):
        record = path.with_name(path.name.replace(".run.json", ".json"))
        if record.is_file() and read_record(record).get("template") == template:
            noted.append(read_record(path))
    return noted
