"""Checks of a checkout: what in it does not agree with the rest."""

import json

from forgetting.book import bench_tasks, templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.claims import CLAIMS
from forgetting.book.contents import contents
from forgetting.book.entries import entries, pages, sweeps
from forgetting.book.git import commit_of, git
from forgetting.book.papers import PAPERS
from forgetting.book.published import differing, is_current, is_worded
from forgetting.book.records import read_records
from forgetting.errors import DataError, ForgettingError
from forgetting.foundation.progress import tracked
from forgetting.zoo import store as zoo


def report(checkout: Checkout = HERE) -> list[str]:
    """Return a sentence for everything in a checkout that does not agree with the rest.

    Returns
    -------
    list of str
        About weights, notebooks, the table of contents, pages and sweeps.
    """
    problems = []
    for name in tracked(zoo.names(), "checking weights"):
        try:
            zoo.tensors(name)
        except ForgettingError as error:
            problems.append(str(error))
    for source in tracked(sorted(checkout.templates.glob("*.py")), "checking notebooks"):
        path, text = source.with_suffix(".ipynb"), templates.notebook_text(source.stem, checkout)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            problems.append(
                f"{path.name} is not the notebook of {source.name}: run `forgetting notebooks`."
            )
    if checkout.contents.read_text(encoding="utf-8") != contents(checkout):
        problems.append(
            f"{checkout.contents.name} does not list the pages where runs.yaml places them: run "
            "`forgetting contents`."
        )
    if not bench_tasks.is_page_current(checkout):
        problems.append(
            f"{bench_tasks.PAGE} lists other tasks than the bench: run `forgetting contents`."
        )
    problems += CLAIMS.check(checkout) + PAPERS.check(checkout)
    return problems + _pages(checkout) + _sweeps(checkout)


def _pages(checkout: Checkout) -> list[str]:
    problems = []
    for page in tracked(pages(checkout), "checking pages"):
        current = is_current(page, checkout.published, checkout.results, checkout)
        if current and page.outdated:
            problems.append(
                f"The page {page.name} is current: remove `outdated` from its entry in runs.yaml."
            )
        elif not current and not page.outdated:
            problems.append(
                f"The page {page.name} is not current: its template, parameters or weights have "
                f"changed. Run `forgetting publish {page.name}`."
            )
        elif current and not is_worded(page, checkout.published, checkout):
            problems.append(
                f"The text of the page {page.name} is not that of its template: run `forgetting "
                f"publish {page.name}`, which does not execute the page for this."
            )
    return problems


def _sweeps(checkout: Checkout) -> list[str]:
    problems = []
    for sweep in tracked(sweeps(checkout), "checking sweeps"):
        runs = sweep.runs()
        n_stale = sum(
            not is_current(run, checkout.published, checkout.results, checkout) for run in runs
        )
        if n_stale and not sweep.outdated:
            problems.append(
                f"{n_stale} of the {len(runs)} runs of the sweep {sweep.name} are not current. "
                f"Run `forgetting sweep {sweep.name}`."
            )
        noted = read_records(checkout.results, [f"{run.name}.run" for run in runs])
        if differences := differing(sweep, noted):
            problems.append(
                f"The runs of the sweep {sweep.name} differ in {'; '.join(differences)}, so that "
                "a mean over them says nothing. Delete the records of one kind, and run "
                f"`forgetting sweep {sweep.name}`."
            )
    return problems


def code_moved_on(checkout: Checkout = HERE) -> list[str]:
    """Return a sentence for every page and sweep that an earlier state of the library made.

    This is not an error, because a changed docstring changes no result.

    Returns
    -------
    list of str
    """
    notes: list[str] = []
    is_same: dict[str, bool] = {}
    for entry in tracked(entries(checkout), "comparing with earlier states"):
        runs = entry.runs() if entry.is_sweep else [entry]
        revisions = []
        for run in runs:
            path = checkout.results / f"{run.name}.run.json"
            if path.is_file():
                circumstances = json.loads(path.read_text(encoding="utf-8"))
                revisions.append(str(circumstances["revision"]))
        for revision in {*revisions} - {*is_same}:
            is_same[revision] = _is_library_of(revision, checkout)
        older = [revision for revision in revisions if not is_same[revision]]
        if older:
            origin = f"{len(older)} of its {len(runs)} runs" if entry.is_sweep else older[0]
            notes.append(
                f"{entry.name}: the library differs from that of {origin}, as far as git can tell."
            )
    return notes


def _is_library_of(revision: str, checkout: Checkout) -> bool:
    """Return whether the library is the same as at a revision, and False where git cannot tell.

    git cannot tell where a run was made with files that were not committed.
    """
    try:
        git(checkout.root, "diff", "--quiet", commit_of(checkout.root, revision), "--", "src")
    except DataError:
        return False
    return True
