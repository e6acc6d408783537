"""What in a checkout does not agree with the rest."""

import json
import subprocess

from forgetting.book import templates
from forgetting.book.catalogue import PUBLISHED, RESULTS, entries, is_current, is_worded, pages
from forgetting.errors import ForgettingError
from forgetting.files import ROOT
from forgetting.zoo import store as zoo


def report() -> list[str]:
    """Return a sentence for everything in the checkout that does not agree with the rest."""
    problems = []
    for name in zoo.names():
        try:
            zoo.tensors(name)
        except ForgettingError as error:
            problems.append(str(error))
    for name in templates.names():
        path = templates.FOLDER / f"{name}.ipynb"
        if not path.is_file() or path.read_text(encoding="utf-8") != templates.notebook_text(name):
            problems.append(f"{path.name} is not the twin of {name}.py: run `make notebooks`.")
    for entry in pages():
        current = is_current(entry, PUBLISHED, RESULTS)
        if current and entry.outdated:
            problems.append(f"The page {entry.name} is current: take `outdated` out of runs.yaml.")
        elif not current and not entry.outdated:
            problems.append(
                f"The page {entry.name} is not current: its template, parameters or weights have "
                "moved on. Run `make publish`."
            )
        elif current and not is_worded(entry, PUBLISHED):
            problems.append(
                f"The page {entry.name} has other words than its template. Run `make publish`: "
                "it will not be executed for it."
            )
    for entry in entries():
        runs = entry.runs() if entry.is_sweep else []
        stale = [run for run in runs if not is_current(run, PUBLISHED, RESULTS)]
        if stale and not entry.outdated:
            problems.append(
                f"{len(stale)} of the {len(runs)} runs of the sweep {entry.name} are not current. "
                f"Run `forgetting sweep {entry.name}`."
            )
    return problems


def code_moved_on() -> list[str]:
    """Return a sentence for every page, or sweep, that was made with another library than this.

    This is no error: a changed docstring changes no result. It is said so that a reader can ask.
    """
    moved, known = [], {}
    for entry in entries():
        runs = entry.runs() if entry.is_sweep else [entry]
        since = []
        for run in runs:
            path = RESULTS / f"{run.name}.run.json"
            if path.is_file():
                since.append(str(json.loads(path.read_text(encoding="utf-8"))["revision"]))
        for revision in {*since} - {*known}:
            known[revision] = _library_is_that_of(revision)
        older = [revision for revision in since if not known[revision]]
        if older:
            where = f"{len(older)} of its {len(runs)} runs" if entry.is_sweep else older[0]
            moved.append(f"{entry.name}: the library is not that of {where}, as far as git knows.")
    return moved


def _library_is_that_of(revision: str) -> bool:
    """Return whether the library is as it was at a revision; it is not where git can't tell.

    It can't where a run was made with what was not committed.
    """
    command = ["git", "-C", str(ROOT), "diff", "--quiet", revision, "--", "src"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
