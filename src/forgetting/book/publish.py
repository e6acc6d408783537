"""Publishing: the commands that execute pages and sweeps and render the book."""

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from forgetting.book.batch import execute
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweep
from forgetting.book.jobs import Log
from forgetting.book.render import render
from forgetting.data.sources import get_folder
from forgetting.errors import DataError, ForgettingError, did_you_mean

PACKAGE = "gan-face-generate"
"""A package with a generator of faces that others have trained; what some pages need."""


def make(log: Log, checkout: Checkout = HERE) -> Path:
    """Execute the fast pages that need no data, and render them with the published rest.

    Parameters
    ----------
    log : callable
        Receives a sentence for each page.

    Raises
    ------
    ForgettingError
        A page failed, or the book cannot be rendered.
    """
    execute(
        fast_pages(checkout),
        checkout.build / "runs",
        checkout.build / "results",
        log,
        checkout=checkout,
    )
    log(f"rendering {len(pages(checkout))} executed pages and the chapters, which takes minutes")
    return render(checkout.root, checkout)


def fast_pages(checkout: Checkout = HERE) -> list[Entry]:
    """Return the pages that `make` executes: they need no data and are not slow.

    An outdated page is shown as it was published: the runs of its table may not be there yet.
    """
    return [
        page
        for page in pages(checkout)
        if page.needs == "none" and not page.slow and not page.outdated
    ]


def publish(
    log: Log,
    only: Collection[str] = (),
    jobs_at_once: int | None = None,
    checkout: Checkout = HERE,
    again: bool = False,
    profile: str | None = None,
) -> None:
    """Execute pages with real data, and publish them with their records.

    Parameters
    ----------
    log : callable
        Receives a sentence for each page.
    only : Collection[str]
        Names of pages; all pages if it is empty.
    jobs_at_once : int, optional
        Pages at once.
    again : bool
        Execute current pages as well, for figures whose look has changed.
    profile : str, optional
        Of a cluster; the pages are executed on this machine without.

    Raises
    ------
    DataError
        The data of a page is not on this machine.
    ForgettingError
        runs.yaml lacks one of the pages, or a page failed.
    """
    wanted = select(only, checkout)
    check_data(wanted)
    folders = checkout.published, checkout.results
    execute(wanted, *folders, log, jobs_at_once, checkout, again, profile)


def select(names: Collection[str], checkout: Checkout = HERE) -> list[Entry]:
    """Return pages by their names.

    Parameters
    ----------
    names : Collection[str]
        All pages are returned if it is empty.

    Returns
    -------
    list of Entry
        In the order of runs.yaml.

    Raises
    ------
    ForgettingError
        runs.yaml lacks one of the pages; the most similar name is given.
    """
    listed = pages(checkout)
    known = [page.name for page in listed]
    for name in names:
        if name not in known:
            raise ForgettingError(f"runs.yaml has no page {name!r}. {did_you_mean(name, known)}")
    return [page for page in listed if not names or page.name in names]


def run_sweeps(
    names: Collection[str],
    log: Log,
    jobs_at_once: int | None = None,
    profile: str | None = None,
    checkout: Checkout = HERE,
) -> None:
    """Execute the runs of sweeps that are not current; their records go to results/NAME.

    An interrupted sweep continues where it stopped.

    Parameters
    ----------
    names : Collection[str]
        Names of sweeps.
    log : callable
        Receives a sentence for each run.
    jobs_at_once : int, optional
        Runs at once.
    profile : str, optional
        Of a cluster; the runs are executed on this machine without.

    Raises
    ------
    DataError
        The data of a run is not on this machine.
    ForgettingError
        runs.yaml has no such sweep, or a run failed.
    """
    runs = [run for name in dict.fromkeys(names) for run in sweep(name, checkout).runs()]
    check_data(runs)
    folders = checkout.published, checkout.results
    execute(runs, *folders, log, jobs_at_once, checkout, profile=profile)


def check_data(wanted: Collection[Entry]) -> None:
    """Check that the data of pages and runs is on this machine.

    Parameters
    ----------
    wanted : Collection[Entry]
        Pages and runs.

    Raises
    ------
    DataError
        A data set or a package is missing; the sentence names the command that fetches it.
    """
    needs = {entry.needs for entry in wanted}
    if PACKAGE in needs and find_spec(PACKAGE.replace("-", "_")) is None:
        raise DataError(f"The package {PACKAGE} is missing: run `pip install {PACKAGE}`.")
    for need, names in (("mnist", ["mnist"]), ("faces", ["celeba", "lfw"])):
        for name in names if need in needs else []:
            get_folder(name)
