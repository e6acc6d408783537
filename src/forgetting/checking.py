"""What in a checkout does not agree with the rest."""

import json
import subprocess

from forgetting import templates, zoo
from forgetting.book import PUBLISHED, RESULTS, entries, is_current, is_worded, pages
from forgetting.errors import ForgettingError
from forgetting.files import ROOT


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
        if not path.is_file() or path.read_text(encoding="utf-8") != templates.twin(name):
            problems.append(f"{path.name} is not the twin of {name}.py: run `make notebooks`.")
    for entry in pages():
        if not is_current(entry, PUBLISHED, RESULTS):
            problems.append(
                f"The page {entry.name} is not current: its template, parameters or weights have "
                "moved on. Run `make publish`."
            )
        elif not is_worded(entry, PUBLISHED):
            problems.append(
                f"The page {entry.name} has other words than its template. Run `make publish`: "
                "it will not be executed for it."
            )
    for entry in entries():
        runs = entry.runs() if entry.is_sweep else []
        stale = [run for run in runs if not is_current(run, PUBLISHED, RESULTS)]
        if stale:
            problems.append(
                f"{len(stale)} of the {len(runs)} runs of the sweep {entry.name} are not current. "
                f"Run `forgetting sweep {entry.name}`."
            )
    return problems


def code_moved_on() -> list[str]:
    """Return a sentence for every published run whose library code has changed since.

    This is no error: a changed docstring changes no result. It is said so that a reader can ask.
    """
    moved = []
    for entry in pages():
        path = RESULTS / f"{entry.name}.run.json"
        if not path.is_file():
            continue
        revision = json.loads(path.read_text(encoding="utf-8"))["revision"]
        commit = str(revision).removesuffix("-dirty")
        command = ["git", "-C", str(ROOT), "diff", "--quiet", commit, "--", "src"]
        code = subprocess.run(command, capture_output=True, check=False).returncode
        if code:
            moved.append(
                f"{entry.name}: the library has changed since {revision}, where it was published."
            )
    return moved
