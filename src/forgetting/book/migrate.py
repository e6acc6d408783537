"""Carry published pages and runs over a renaming, where it is proven that only names changed."""

import ast
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat

from forgetting.book import templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, entries
from forgetting.book.execution import reworded
from forgetting.book.fingerprint import Renaming, computing_tree, tokens
from forgetting.book.git import commit_of, git
from forgetting.book.proof import read_proofs
from forgetting.book.records import Record, digest
from forgetting.book.yaml_files import read_mappings, read_yaml
from forgetting.errors import ForgettingError, validated
from forgetting.foundation.files import write_text


def migrate(
    commit: str,
    renaming: Renaming,
    log: Callable[[str], None],
    executed: Path | None = None,
    checkout: Checkout = HERE,
) -> list[str]:
    """Give published pages and runs the present fingerprint where only names have changed.

    A page or run is carried over under three conditions. It was current at the commit, or has
    been carried over from there by the renaming. The renaming turns its parameters into the
    present ones. The renaming turns the computing tree that its template had then into the
    present one; for runs of a sweep, equal records of one run from before and after the change
    serve as well. The page receives the present code and keeps its outputs.

    Parameters
    ----------
    commit : str
        The last commit before the renaming.
    renaming : Renaming
    log : callable
        Receives a sentence for every page or run that is not carried over.
    executed : Path, optional
        Folder of such records, as `proof.read_proofs` takes it. The proofs go to
        `results/proofs`.

    Returns
    -------
    list of str
        The names of the pages and runs that were carried over.

    Raises
    ------
    ForgettingError
        git cannot read the commit, or a pair of records proves nothing.
    """
    carried = []
    proofs = read_proofs(executed, commit, checkout) if executed else {}
    with _checked_out(commit, checkout) as folder:
        before = _Before(Checkout(folder))
        renamed = {_renamed(name, renaming): entry for name, entry in before.runs.items()}
        for entry in _all_runs(checkout):
            old = renamed.get(entry.name)
            sweep = entry.name.partition("/")[0] if entry.is_run_of_a_sweep else ""
            if old is None or not _is_same_run(entry, old, renaming):
                log(f"{entry.name}: its parameters changed.")
            elif sweep not in proofs and not _only_names_changed(
                entry, before, renaming, checkout
            ):
                log(f"{entry.name}: more than names changed.")
            elif _stored_fingerprint(entry, checkout) not in (
                before.fingerprint(old),
                before.renamed_fingerprint(entry, renaming),
            ):
                log(f"{entry.name}: it was not current at {commit}.")
            else:
                _carry_over(entry, checkout)
                carried.append(entry.name)
    for proof in proofs.values():
        path = checkout.results / "proofs" / f"{proof.sweep}.json"
        write_text(path, proof.model_dump_json(indent=1) + "\n")
    return carried


def read_renaming(path: Path) -> Renaming:
    """Return the renaming that a YAML file holds.

    Parameters
    ----------
    path : Path
        A mapping with the fields of `Renaming`.

    Returns
    -------
    Renaming

    Raises
    ------
    ForgettingError
        The file cannot be read, or it holds something else.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ForgettingError(
            f"{path} holds no renaming: it needs a mapping with some of "
            f"{', '.join(Renaming.model_fields)}."
        )
    return validated(Renaming, content)


def _renamed(name: str, renaming: Renaming) -> str:
    """Return the present name of a page, or of a run whose case was renamed."""
    sweep, separator, label = name.partition("/")
    case, dash, values = label.partition("-")
    return sweep + separator + renaming.strings.get(case, case) + dash + values


def _is_same_run(entry: Entry, old: Entry, renaming: Renaming) -> bool:
    """Return whether template, role and renamed parameters are the present ones."""
    own = renaming.of(entry.template)
    parameters = {own.names.get(name, name): value for name, value in old.parameters.items()}
    return (old.template, old.role, parameters) == (
        entry.template,
        entry.role,
        entry.parameters,
    )


def _only_names_changed(
    entry: Entry, before: "_Before", renaming: Renaming, checkout: Checkout
) -> bool:
    """Return whether the renaming turns the old tree of a template into the present one."""
    tree = before.renamed_tree(entry.template, renaming)
    present = computing_tree(templates.read(entry.template, checkout).cells)
    return list(tokens(tree)) == list(tokens(present))


def _carry_over(entry: Entry, checkout: Checkout) -> None:
    """Store the present fingerprint with a page or a run; give a page its present code."""
    record = _json(checkout.results / f"{entry.name}.json")
    made_from = {
        "fingerprint": entry.fingerprint(checkout),
        "record": digest(record),
    }
    if entry.is_run_of_a_sweep:
        path = checkout.results / f"{entry.name}.run.json"
        circumstances = json.loads(path.read_text(encoding="utf-8")) | made_from
        write_text(path, json.dumps(circumstances, indent=1) + "\n")
        return
    path = checkout.published / f"{entry.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["forgetting"] |= made_from
    notebook = reworded(notebook, entry.template, entry.title, checkout)
    write_text(path, nbformat.writes(notebook) + "\n")


def _stored_fingerprint(entry: Entry, checkout: Checkout) -> str | None:
    """Return the fingerprint that is stored with a page or a run, or None where there is none."""
    if entry.is_run_of_a_sweep:
        path = checkout.results / f"{entry.name}.run.json"
        return _json(path).get("fingerprint") if path.is_file() else None
    path = checkout.published / f"{entry.name}.ipynb"
    metadata = _json(path)["metadata"].get("forgetting", {}) if path.is_file() else {}
    fingerprint: str | None = metadata.get("fingerprint")
    return fingerprint


def _json(path: Path) -> Record:
    """Return what a JSON file holds, whatever the schema of a record in it."""
    content: Record = json.loads(path.read_text(encoding="utf-8"))
    return content


def _all_runs(checkout: Checkout) -> list[Entry]:
    """Return all pages and all runs of sweeps; those that read other records come last."""
    listed = entries(checkout)
    runs = [run for entry in listed for run in (entry.runs() if entry.is_sweep else [entry])]
    return sorted(runs, key=lambda run: bool(run.reads))


class _Before:
    """Templates, entries and records as they were at an old commit.

    Attributes
    ----------
    runs : dict of str to Entry
        All pages and all runs of sweeps, by name.
    """

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        content = read_mappings(checkout.runs_file)
        for values in content:
            values.pop("last", None)  # which the front page had while a template made it
        listed = [validated(Entry, values) for values in content]
        self._sweeps = {entry.name: entry.runs() for entry in listed if entry.is_sweep}
        self.runs = {entry.name: entry for entry in listed if not entry.is_sweep}
        self.runs |= {run.name: run for runs in self._sweeps.values() for run in runs}

    def cells(self, template: str) -> list[nbformat.NotebookNode]:
        """Return the cells that a template had."""
        cells: list[nbformat.NotebookNode] = templates.read(template, self._checkout).cells
        return cells

    def fingerprint(self, entry: Entry) -> str:
        """Return the fingerprint that a page or run had if it was current."""
        runs = [run.name for run in self._sweeps.get(entry.reads, [])] if entry.reads else []
        return entry.fingerprint_of(self.cells(entry.template), self._records(runs))

    def renamed_tree(self, template: str, renaming: Renaming) -> ast.Module:
        """Return the computing tree that a template had, with the present names."""
        return renaming.of(template).apply(computing_tree(self.cells(template)))

    def renamed_fingerprint(self, entry: Entry, renaming: Renaming) -> str:
        """Return the fingerprint of a present run after the renaming alone.

        A page that reads other records has none: these have changed, too.
        """
        return entry.fingerprint_of_tree(self.renamed_tree(entry.template, renaming), {})

    def _records(self, names: list[str]) -> dict[str, Record]:
        """Return records in the schema that they had then."""
        paths = {name: self._checkout.results / f"{name}.json" for name in names}
        return {name: _json(path) for name, path in paths.items() if path.is_file()}


@contextmanager
def _checked_out(commit: str, checkout: Checkout) -> Iterator[Path]:
    """Yield a temporary folder with the templates, entries and records of a commit."""
    parts = ["notebooks", "results", "runs.yaml"]
    with tempfile.TemporaryDirectory() as temporary:
        archive = git(checkout.root, "archive", commit_of(checkout.root, commit), *parts)
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(temporary, filter="data")
        yield Path(temporary)
