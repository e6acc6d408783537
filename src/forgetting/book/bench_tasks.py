"""The tasks of the bench as help and page list them: what each is, and how long it took."""

from collections.abc import Mapping
from dataclasses import dataclass

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.numerals import in_minutes
from forgetting.book.records import read_record
from forgetting.experiments.bench import TASKS
from forgetting.experiments.bench_task import BenchTask
from forgetting.foundation.files import write_text

FOLDER = "benched"
"""Folder of the published records below `results`."""

PAGE = "bench.md"
"""The page that lists the tasks, below `book`."""

BEGIN, END = "```{table} The tasks of the bench", "```\n"
"""Between these the page has the tasks."""


@dataclass(frozen=True)
class Row:
    """A task as a list shows it.

    Attributes
    ----------
    name : str
    takes : str
        Class of the methods.
    model : str
        Of the zoo.
    subject : str
        What is to be forgotten, with its source.
    budget, terms : str
        What the bench sets in the method's configuration, and the other terms.
    time : str
        How long a seed took in the published runs; empty where there is none.
    """

    name: str
    takes: str
    model: str
    subject: str
    budget: str
    terms: str
    time: str

    @property
    def text(self) -> str:
        """What the task is, in a line."""
        parts = f"a {self.takes} on {self.model}", self.subject, self.time
        return "; ".join(part for part in parts if part)


def listed(checkout: Checkout = HERE) -> list[Row]:
    """Return a row for every task."""
    seconds: dict[str, list[float]] = {}
    for path in sorted((checkout.results / FOLDER).glob("bench_*[0-9].run.json")):
        record = read_record(path.with_name(path.name.replace(".run", "")))
        noted = read_record(path)
        if "seconds" in noted:
            seconds.setdefault(record["parameters"]["task"], []).append(noted["seconds"])
    return [
        Row(
            name,
            task.takes.__name__,
            task.model,
            _named({key: value for key, value in terms.items() if isinstance(value, str)}),
            _named(task.budget),
            _named({key: value for key, value in terms.items() if not isinstance(value, str)}),
            _range(seconds.get(name, [])),
        )
        for name, task in TASKS.items()
        for terms in [_terms(task)]
    ]


def table(checkout: Checkout = HERE) -> str:
    """Return the rows as the page has them, in Markdown."""
    heads = ("task", "a seed took", "takes a", "model", "budget", "other terms")
    rows = [
        (
            *(f"`{row.name}`", row.time, row.takes, f"{row.model}: {row.subject}"),
            *(row.budget, row.terms),
        )
        for row in listed(checkout)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ("---",) * len(heads), *rows))


def is_page_current(checkout: Checkout = HERE) -> bool:
    """Return whether the page has the present table; a checkout without the page lacks none."""
    path = checkout.root / "book" / PAGE
    return not path.is_file() or path.read_text(encoding="utf-8") == _page_text(checkout)


def _page_text(checkout: Checkout) -> str:
    """Return the page with the present table."""
    text = (checkout.root / "book" / PAGE).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{table(checkout)}\n{end}{after}"


def write_page(checkout: Checkout = HERE) -> None:
    """Write the present table into the page, unless it stands there."""
    if not is_page_current(checkout):
        write_text(checkout.root / "book" / PAGE, _page_text(checkout))


def _terms(task: BenchTask) -> dict[str, object]:
    """Return the terms of a task that are no part of the budget, by name."""
    apart = {"model", *task.budget}
    return {k: v for k, v in task.model_dump().items() if k not in apart and v != ""}


def _named(values: Mapping[str, object]) -> str:
    """Return values with their names, in a line."""
    texts = {k: " ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in values.items()}
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def _range(seconds: list[float]) -> str:
    """Return from the shortest to the longest of some times; empty if there is none."""
    if not seconds:
        return ""
    low, high = in_minutes(min(seconds)), in_minutes(max(seconds))
    return high if low == high else f"{low.split(' minute')[0]} to {high}"
