"""Carry published pages and runs over a renaming, where it is proven to be one."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jupytext
import nbformat
import yaml

from forgetting.book import templates
from forgetting.book.catalogue import PUBLISHED, RESULTS, Entry, entries
from forgetting.book.fingerprint import Renaming, computing_tree, tokens
from forgetting.book.run import records
from forgetting.errors import ForgettingError, validated
from forgetting.files import ROOT, write_text

Cells = list[nbformat.NotebookNode]


def migrate(commit: str, renaming: Renaming, log: Callable[[str], None]) -> list[str]:
    """Give pages and runs the fingerprint of today's template, where only names changed.

    A page or run is carried over if it was current at the commit, and if the computing tree that
    its template had then becomes today's by the renaming, as do its parameters. The code cells
    of such a page are replaced by today's; its outputs stay. All others are left as they are.

    Parameters
    ----------
    commit : the last commit before the renaming
    log : called with a sentence for every template whose runs are not carried over

    Returns
    -------
    The names of the pages and runs that were carried over.

    Raises
    ------
    ForgettingError
        git has no such commit.
    """
    carried = []
    with _checkout(commit) as folder:
        before = _Before(folder)
        renamed = {_renamed(name, renaming): entry for name, entry in before.runs.items()}
        for entry in _every_run():
            old = renamed.get(entry.name)
            if old is None or not _only_renamed(entry, old, before, renaming):
                log(f"{entry.name}: more than names changed.")
            elif _stored_fingerprint(entry) not in before.fingerprints(old):
                log(f"{entry.name}: it was not current at {commit}.")
            else:
                _write_fingerprint(entry)
                carried.append(entry.name)
    return carried


def _renamed(name: str, renaming: Renaming) -> str:
    """Return the name that a page, or a sweep's run of a renamed case, has today."""
    sweep, separator, label = name.partition("/")
    case, dash, values = label.partition("-")
    return sweep + separator + renaming.strings.get(case, case) + dash + values


def _only_renamed(entry: Entry, old: Entry, before: "_Before", renaming: Renaming) -> bool:
    if entry.template != old.template:
        return False
    own = renaming.of(entry.template)
    parameters = {own.names.get(name, name): value for name, value in old.parameters.items()}
    tree = own.apply(computing_tree(before.cells[old.template]))
    today = computing_tree(templates.read(entry.template).cells)
    return (
        parameters == entry.parameters
        and old.role == entry.role
        and list(tokens(tree)) == list(tokens(today))
    )


def _write_fingerprint(entry: Entry) -> None:
    """Write today's fingerprint where a page or a run keeps it, and a page's code of today."""
    if "/" in entry.name:
        path = RESULTS / f"{entry.name}.run.json"
        circumstances = json.loads(path.read_text(encoding="utf-8"))
        circumstances["fingerprint"] = entry.fingerprint(RESULTS)
        write_text(path, json.dumps(circumstances, indent=1) + "\n")
        return
    path = PUBLISHED / f"{entry.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["forgetting"]["fingerprint"] = entry.fingerprint(RESULTS)
    notebook = templates.reworded(notebook, entry.template, entry.title)
    write_text(path, nbformat.writes(notebook) + "\n")


def _stored_fingerprint(entry: Entry) -> str | None:
    """Return the fingerprint that a page or a run keeps, or None where it is missing."""
    is_page = "/" not in entry.name
    path = PUBLISHED / f"{entry.name}.ipynb" if is_page else RESULTS / f"{entry.name}.run.json"
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return (kept["metadata"].get("forgetting", {}) if is_page else kept).get("fingerprint")


def _every_run() -> list[Entry]:
    """Return all pages and runs of sweeps; those that read others' records come last."""
    runs = [run for entry in entries() for run in (entry.runs() if entry.is_sweep else [entry])]
    return sorted(runs, key=lambda run: (run.last, bool(run.reads)))


class _Before:
    """The templates, entries and records of an old commit."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.cells: dict[str, Cells] = {
            path.stem: jupytext.reads(path.read_text(encoding="utf-8"), "py:percent").cells
            for path in (folder / "notebooks").glob("*.py")
        }
        listed = yaml.safe_load((folder / "runs.yaml").read_text(encoding="utf-8"))
        self.entries = [validated(Entry, values) for values in listed]
        self.sweeps = {entry.name: entry.runs() for entry in self.entries if entry.is_sweep}
        self.runs = {entry.name: entry for entry in self.entries if not entry.is_sweep}
        self.runs |= {run.name: run for runs in self.sweeps.values() for run in runs}

    def fingerprints(self, entry: Entry) -> tuple[str, str]:
        """Return the fingerprints, of the tree and of the text, of what was current."""
        return self._fingerprint(entry), self._of_text(entry)

    def _fingerprint(self, entry: Entry) -> str:
        return entry.fingerprint_of(self.cells[entry.template], **self._read(entry))

    def _read(self, entry: Entry) -> dict[str, dict[str, dict]]:
        """Return the records that a page was made from."""
        pages = [one.name for one in self.entries if not (one.is_sweep or one.last)]
        runs = [run.name for run in self.sweeps.get(entry.reads, [])]
        return {
            "pages": records(self.results, pages) if entry.last else {},
            "runs": records(self.results, runs) if entry.reads else {},
        }

    def _of_text(self, entry: Entry) -> str:
        """Return the fingerprint that was kept until 2026-11: a hash of the code as text."""
        code = "\n".join(
            cell.source for cell in self.cells[entry.template] if cell.cell_type == "code"
        )
        made_of = [code, entry.role, entry.parameters]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        read = self._read(entry)
        for wanted, content in ((entry.last, read["pages"]), (entry.reads, read["runs"])):
            if wanted:
                digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the templates, entries and records of a commit."""
    with tempfile.TemporaryDirectory() as temporary:
        wanted = ["notebooks", "results", "runs.yaml"]
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit, *wanted], capture_output=True, check=False
        )
        if archive.returncode:
            raise ForgettingError(f"git cannot read {commit!r}: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", temporary], input=archive.stdout, check=True)
        yield Path(temporary)
