"""The table of contents: hand-written pages in _toc.yml, executed pages where runs.yaml puts them.

An executed page is a section `below` another page, or follows `after` another page on the same
level. Both kinds of pages can be named; pages that share a place stand in the order of runs.yaml.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages
from forgetting.book.yaml_files import read_yaml
from forgetting.errors import ForgettingError, did_you_mean
from forgetting.foundation.files import write_text

RUNS = "book/runs/"
"""How the address of an executed page begins."""

NOTE = """\
# Hand-written pages are listed here. Executed pages (book/runs/...) stand where runs.yaml places
# them: `forgetting contents` writes them.
"""


def contents(checkout: Checkout = HERE) -> str:
    """Return the text of _toc.yml with every executed page in its place.

    Returns
    -------
    str
        YAML as Jupyter Book reads it.

    Raises
    ------
    ForgettingError
        A page has no place, two places, or a place next to a page that is not in the contents.
    """
    toc = read_yaml(checkout.contents)
    listed = [page for page in pages(checkout) if f"{RUNS}{page.name}" != toc["root"]]
    tree = _Tree(listed)
    lines = [f"format: {toc['format']}", f"root: {toc['root']}", "parts:"]
    for part in toc["parts"]:
        lines += [f"  - caption: {part['caption']}", "    chapters:"]
        lines += tree.lines(part["chapters"], "      ")
    tree.check_complete()
    return NOTE + "\n".join(lines) + "\n"


def write_contents(checkout: Checkout = HERE) -> None:
    """Write every executed page into _toc.yml, where runs.yaml places it.

    Raises
    ------
    ForgettingError
        The place of a page is missing or wrong.
    """
    write_text(checkout.contents, contents(checkout))


class _Tree:
    """The executed pages by the pages that they stand below or after."""

    def __init__(self, listed: Iterable[Entry]) -> None:
        self._below: dict[str, list[str]] = {}
        self._after: dict[str, list[str]] = {}
        self._places: dict[str, str] = {}
        self._placed: set[str] = set()
        for page in listed:
            if bool(page.below) == bool(page.after):
                raise ForgettingError(
                    f"runs.yaml, {page.name}: a page needs one place in the contents. Give it "
                    "either `below` or `after`, with the name of another page."
                )
            places = self._below if page.below else self._after
            places.setdefault(page.below or page.after, []).append(page.name)
            self._places[page.name] = page.below or page.after

    def lines(self, chapters: list[dict[str, Any]], indent: str) -> list[str]:
        """Return the lines of chapters, given the hand-written pages among them."""
        lines: list[str] = []
        for chapter in chapters:
            if not chapter["file"].startswith(RUNS):
                lines += self._page(chapter["file"], chapter.get("sections", []), indent)
        return lines

    def check_complete(self) -> None:
        """Raise a ForgettingError where a page has not found its place."""
        for name in self._places.keys() - self._placed:
            place = self._places[name]
            hint = did_you_mean(place, sorted(self._placed - {name}))
            raise ForgettingError(
                f"runs.yaml, {name}: {place!r} is not a page of the contents. {hint}"
            )

    def _page(self, file: str, sections: list[dict[str, Any]], indent: str) -> Iterator[str]:
        name = file.rpartition("/")[2]
        self._placed.add(name)
        yield f"{indent}- file: {file}"
        below = self._below.get(name, [])
        inner = self.lines(sections, f"{indent}    ")
        for section in below:
            inner += self._page(f"{RUNS}{section}", [], f"{indent}    ")
        if inner:
            yield f"{indent}  sections:"
            yield from inner
        for follower in self._after.get(name, []):
            yield from self._page(f"{RUNS}{follower}", [], indent)
