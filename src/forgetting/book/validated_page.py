"""The directive `validated`: the pages that were executed again, and what was found."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import badge, cell, link_to, table_of
from forgetting.book.checkout import HERE
from forgetting.book.entries import Entry, pages
from forgetting.book.validated import FILE, digest_of, read_validations

SHORT = 30.0
"""Seconds within which reading records ends, and hardly anything else."""

COLUMNS = (("page", 30), ("verdict", 12), ("where", 26), ("found", 32))


class Validated(SphinxDirective):
    """A table of the pages that were executed again, after a sentence that counts them."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the sentence, and the table with the content as its caption."""
        self.env.note_dependency(str(HERE.results / FILE))
        noted, listed = read_validations(), pages()
        shown = [page for page in listed if page.name in noted]
        shown.sort(key=lambda page: noted[page.name].get("seconds", 0.0), reverse=True)
        if not shown:
            raise self.error(f"results/{FILE} has no page: run `forgetting validate --note`.")
        n_agree = sum(noted[page.name]["agrees"] for page in shown)
        n_read = sum(noted[page.name].get("seconds", 0.0) < SHORT for page in shown)
        n_since = sum(noted[page.name]["page"] != digest_of(page) for page in shown)
        counted = f"Of {len(listed)} executed pages {len(shown)} were validated. "
        counted += (
            "All agreed with what was published."
            if n_agree == len(shown)
            else f"{n_agree} agreed with what was published, and {len(shown) - n_agree} did not."
        )
        counted += (
            f" {n_read} of them took under half a minute, which is enough for reading records and "
            "for little else."
        )
        if n_since:
            counted += (
                f" {n_since} were published anew since, and are not validated as they stand."
            )
        rows = [_cells(page, noted[page.name]) for page in shown]
        table = table_of(self, COLUMNS, rows, ["claims"])
        return [nodes.paragraph("", counted), *table]


def _cells(page: Entry, entry: dict[str, Any]) -> list[nodes.Node]:
    """Return the cells of a row: page, verdict, where and how long, and differences."""
    verdict = "agrees" if entry["agrees"] else "differs"
    word = badge("holds" if entry["agrees"] else "does not hold", verdict)
    where = nodes.container("", *map(cell, _where(entry)))
    found = nodes.container("", *map(cell, _differences(page, entry)))
    link = nodes.paragraph("", "", link_to(f"runs/{page.name}"))
    return [link, word, where, found]


def _where(entry: dict[str, Any]) -> list[str]:
    """Return on what a page was published and executed again, and in how many minutes."""
    then, now = entry["published"], entry.get("executed")
    if now is None:
        return ["was not executed to its end"]
    names = ("cpu", "device", "python", "torch")
    labels = dict(zip(names, ("", "", "Python ", "PyTorch "), strict=True))
    lines = [", ".join(f"{labels[name]}{now[name]}" for name in names)]
    if others := [f"{labels[name]}{then[name]}" for name in names if then[name] != now[name]]:
        lines.append(f"published on {', '.join(others)}")
    minutes = entry["seconds"] / 60
    return [*lines, f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{entry['seconds']:.0f} s"]


def _differences(page: Entry, entry: dict[str, Any]) -> list[str]:
    """Return how many metrics are equal, the farthest, and what else a page says."""
    lines = []
    if "metrics" in entry:
        lines.append(f"{entry['equal']} of {entry['metrics']} metrics are equal")
    if "farthest" in entry:
        name, then, now = entry["farthest"]
        digits = next((n for n in range(4, 16) if f"{then:.{n}g}" != f"{now:.{n}g}"), 16)
        lines.append(f"farthest: {name}, {then:.{digits}g} and {now:.{digits}g}")
    lines += entry["differences"]
    if entry["page"] != digest_of(page):
        lines.append("the page was published anew since")
    return lines


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("validated", Validated)
    return {"parallel_read_safe": True, "version": "1"}
