"""Validation: the published pages are executed again, and their marked cells compared.

nbval executes a page in a process of its own; `forgetting.book.comparison` compares. The names of
pages that agree are kept in `_build/validation`, so that a stopped validation continues.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import nbformat

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry
from forgetting.book.kernel import check_package
from forgetting.book.publish import check_data, select
from forgetting.book.records import read_record, read_records
from forgetting.book.run import CONTEXT, RECORDED_VERSIONS
from forgetting.book.validated import CHECKED, digest_of, has_note, note
from forgetting.data import sources
from forgetting.errors import DataError, ForgettingError
from forgetting.foundation import resources
from forgetting.foundation.files import check_writable, write_text
from forgetting.zoo import store as zoo

SLOWER = 20
"""How many times as long as the published run a cell may take; at least `PATIENCE` seconds."""

PATIENCE = 1200
"""Seconds that a cell may take in any case."""


def validate(
    log: Callable[[str], None],
    names: Collection[str] = (),
    again: bool = False,
    shard: tuple[int, int] = (1, 1),
    checkout: Checkout = HERE,
    is_noted: bool = False,
) -> list[str]:
    """Execute published pages again and compare their marked cells with the published outputs.

    Pages that agreed in an earlier validation of the same page, weights, library, versions of
    packages and folder of data are not executed again. An outdated page is skipped, and so is a
    page whose data is not on this machine.

    Parameters
    ----------
    log : callable
        Receives a line for each page, and lines with the differences.
    names : Collection[str]
        Names of pages; all pages if it is empty.
    again : bool
        Whether to execute pages that agreed before.
    shard : tuple of int
        (k, n) takes the k-th of n parts of the pages, counted from 1.
    is_noted : bool
        Whether the verdicts go to `results/validation.json`, which the book shows.

    Returns
    -------
    list of str
        The pages that differ.

    Raises
    ------
    ForgettingError
        runs.yaml lacks one of the pages, there is no such shard, nbval is not installed, or a file
        cannot be written.
    DataError
        The data of a named page is not on this machine.
    """
    if importlib.util.find_spec("nbval") is None:
        raise ForgettingError("Validation needs nbval: run `pip install 'forgetting[test]'`.")
    part, n_parts = shard
    if not 1 <= part <= n_parts:
        raise ForgettingError(f"There is no shard {part} of {n_parts}: take 1 to {n_parts}.")
    chosen = select(names, checkout)
    if n_parts > len(chosen):
        raise ForgettingError(
            f"--shard divides {len(chosen)} pages, and {n_parts} parts are more: take fewer parts."
        )
    wanted = chosen[part - 1 :: n_parts]
    if names:
        check_data(wanted)
    check_package(checkout.root)
    folder = checkout.build / "validation"
    check_writable(folder)
    state = _State(folder / "state.json", checkout)
    started, differing = time.monotonic(), []
    for number, page in enumerate(wanted, 1):
        if reason := _reason_to_skip(page):
            log(f"{page.name}: skipped, {reason}")
        elif not again and state.has_agreed(page) and (not is_noted or has_note(page, checkout)):
            log(f"{page.name}: agreed before")
        else:
            lines = _differences(page, folder, checkout)
            minutes = (time.monotonic() - started) / 60
            verdict = "differs" if lines else "agrees"
            log(f"{page.name}: {verdict} ({number}/{len(wanted)}, {minutes:.1f} min)")
            for line in lines:
                log(f"  {line}")
            state.note(page, agrees=not lines)
            if is_noted:
                note(page, folder, lines, checkout)
            differing += [page.name] if lines else []
    return differing


def _reason_to_skip(page: Entry) -> str:
    if page.outdated:
        return f"because its code has changed since it was executed: {page.outdated}"
    try:
        check_data([page])
    except DataError as error:
        return f"because its data is missing. {error}"
    return ""


def _differences(page: Entry, folder: Path, checkout: Checkout) -> list[str]:
    """Execute a page, and return lines that say how it differs from the published one."""
    published = checkout.published / f"{page.name}.ipynb"
    if not _has_checked_cell(published):
        return [f"{published.name} has no cell that is tagged {CHECKED} and has outputs."]
    circumstances = checkout.results / f"{page.name}.run.json"
    known = read_record(circumstances) if circumstances.is_file() else {}
    report = folder / f"{page.name}.xml"
    for path in (report, folder / f"{page.name}.json", folder / f"{page.name}.run.json"):
        path.unlink(missing_ok=True)
    context = {
        "name": page.name,
        "role": page.role,
        "folder": str(folder),
        "results": str(checkout.results),
    }
    threads = os.environ.get("OMP_NUM_THREADS", str(known.get("threads", 1)))
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "--nbval-lax"]
    command += ["--nbval-current-env", "--noconftest", "-p", "forgetting.book.comparison"]
    command += ["--nbval-cell-timeout", str(max(PATIENCE, SLOWER * known.get("seconds", 0.0)))]
    command += ["-p", "no:cacheprovider", "-q", "--color=no", "-o", "addopts=", "--maxfail=1"]
    command += ["--rootdir", str(checkout.root), f"--junitxml={report}", str(published)]
    done = subprocess.run(
        command,
        env={**os.environ, CONTEXT: json.dumps(context), "OMP_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return []
    failures = ElementTree.parse(report).getroot().iter("failure") if report.is_file() else ()
    lines = [line for failure in failures for line in _told(failure.text or "")]
    output = (done.stdout + done.stderr).splitlines()[-20:]
    return lines or ["The page could not be executed:", *output]


def _has_checked_cell(notebook: Path) -> bool:
    """Return whether a notebook can be read, and has an output that an execution can miss."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (AttributeError, OSError, ValueError, nbformat.ValidationError):
        return False
    tagged = (cell for cell in cells if CHECKED in cell.metadata.get("tags", []))
    return any(cell.get("outputs") for cell in tagged)


def _told(failure: str) -> list[str]:
    """Return the lines of nbval's message that say what differs, or the error of a cell."""
    _, _, lines = failure.partition("Traceback:\n")
    shown = [line for line in lines.splitlines() if line.strip()]
    return shown if "Cell outputs differ" in failure else ["A cell failed:", *shown[-1:]]


class _State:
    """The pages that have agreed, kept in a file."""

    def __init__(self, path: Path, checkout: Checkout) -> None:
        self._path, self._checkout = path, checkout
        self._library = hashlib.sha256(resources.source_digest())
        versions = {name: version(name) for name in RECORDED_VERSIONS}
        self._library.update(repr((versions, os.environ.get(sources.VARIABLE))).encode())
        try:
            self._agreed = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self._agreed = {}

    def has_agreed(self, page: Entry) -> bool:
        """Return whether the page, as it is now, has agreed with the present library."""
        return self._agreed.get(page.name) == self._key(page)

    def note(self, page: Entry, *, agrees: bool) -> None:
        """Keep the verdict on a page."""
        self._agreed.pop(page.name, None)
        if agrees:
            self._agreed[page.name] = self._key(page)
        write_text(self._path, json.dumps(self._agreed, indent=1) + "\n")

    def _key(self, page: Entry) -> str:
        digest = self._library.copy()
        digest.update(digest_of(page, self._checkout).encode())
        record = read_records(self._checkout.results, [page.name]).get(page.name, {})
        for name in record.get("weights", {}):
            digest.update(f"{name} {zoo.record(name)['sha256'] if zoo.has(name) else ''}".encode())
        return digest.hexdigest()
