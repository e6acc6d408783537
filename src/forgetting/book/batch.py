"""Many pages and runs: those that are not current are executed, several at once."""

import math
import os
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat

from forgetting.book import execution, stopping, templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweeps
from forgetting.book.published import is_current, is_worded
from forgetting.book.records import digest, read_record, read_records
from forgetting.book.run import files
from forgetting.errors import ForgettingError
from forgetting.foundation.files import write_text, write_texts

Log = Callable[[str], None]

MINUTE = 60.0
"""Seconds after which a line says what is under way, if no page was finished meanwhile."""

STOPPED = "Stopped. What is finished is kept: run the same command again."


def execute(
    wanted: list[Entry],
    folder: Path,
    results: Path,
    log: Log,
    jobs_at_once: int | None = None,
    checkout: Checkout = HERE,
    again: bool = False,
) -> None:
    """Execute every page and run that is not current, several at once.

    Current pages stay; a page whose template changed only in its text receives the new text and
    keeps its outputs. A run of a sweep is copied where a current page or run has the same
    parameters. What was executed before an interruption stays as well.

    Pages share the cores: as many run at once as there are cores, four at most, each with its
    part of the threads, or with OMP_NUM_THREADS. Two pages with one thread each take less time
    than one after the other with two threads. What took longest when it was published begins, so
    that no core waits long for the last page.

    Parameters
    ----------
    wanted : list of Entry
        Pages and runs of sweeps.
    folder, results : Path
        Folders of executed pages and of records.
    log : callable
        Receives a sentence for each page.
    jobs_at_once : int, optional
        Pages at once.
    again : bool
        Execute current pages as well.

    Raises
    ------
    ForgettingError
        Some pages failed; all others that do not read their records are executed first. Or the
        system ended a process.
    """
    stale = []
    for entry in wanted:
        if again:
            stale.append(entry)
        elif is_current(entry, folder, results, checkout):
            if entry.is_run_of_a_sweep or is_worded(entry, folder, checkout):
                log(f"{entry.name}: current")
            else:
                _reword(entry, folder, checkout)
                log(f"{entry.name}: current, with the new text of its template")
        elif source := _take(entry, folder, results, checkout):
            log(f"{entry.name}: copied from {source}")
        else:
            stale.append(entry)
    stale.sort(key=lambda entry: _published_seconds(entry, checkout), reverse=True)
    under_way = {entry.name.partition("/")[0] for entry in stale if entry.is_run_of_a_sweep}
    first = [entry for entry in stale if entry.reads not in under_way]
    tables = [entry for entry in stale if entry.reads in under_way]
    started = time.monotonic()
    for wave in (first, tables):
        _execute_wave(wave, folder, results, log, jobs_at_once, checkout, started)


def _published_seconds(entry: Entry, checkout: Checkout) -> float:
    """Return how long a page or run took when it was published; infinity if it never was."""
    path = checkout.results / f"{entry.name}.run.json"
    return float(read_record(path)["seconds"]) if path.is_file() else math.inf


def _execute_wave(
    wave: list[Entry],
    folder: Path,
    results: Path,
    log: Log,
    jobs_at_once: int | None,
    checkout: Checkout,
    started: float,
) -> None:
    """Execute pages that do not read each other's records."""
    cores = os.cpu_count() or 1
    workers = jobs_at_once or min(4, cores)
    threads = max(1, cores // workers)
    if not wave:
        return
    log(f"to execute: {len(wave)}, {workers} at once{_expected(wave, workers, checkout)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        begin = (threads, scratch)
        with (
            ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker, begin) as pool,
            stopping.stoppable(STOPPED, stopping.workers),
        ):
            with stopping.held_back():
                jobs = {
                    pool.submit(execute_entry, entry, folder, results, checkout): entry.name
                    for entry in wave
                }
            try:
                failed = _follow(jobs, workers, log, started)
            except BrokenProcessPool as error:
                raise ForgettingError(
                    "The system ended the process of a page, perhaps because memory ran out. The "
                    "pages executed so far are kept: run the same command again."
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if failed:
        raise ForgettingError("\n".join(failed))


def _expected(wave: list[Entry], workers: int, checkout: Checkout) -> str:
    """Return how long a wave takes if every page takes as long as it did when published."""
    seconds = sum(_published_seconds(entry, checkout) for entry in wave) / workers
    return f", about {seconds / 60:.0f} min" if MINUTE <= seconds < math.inf else ""


def _follow(jobs: dict[Future[None], str], workers: int, log: Log, started: float) -> list[str]:
    """Log what becomes of jobs, and what is under way; return a sentence for each that failed."""
    failed, running, n_done = [], list(jobs), 0
    while running:
        done, _ = wait(running, MINUTE, FIRST_COMPLETED)
        minutes = (time.monotonic() - started) / 60
        if not done:
            names = [jobs[job] for job in running if job.running()][:workers]
            log(f"under way: {', '.join(names)} ({n_done}/{len(jobs)}, {minutes:.1f} min)")
        for job in [job for job in running if job in done]:
            running.remove(job)
            n_done += 1
            name, error = jobs[job], job.exception()
            place = f"({n_done}/{len(jobs)}, {minutes:.1f} min)"
            if error is None:
                log(f"{name}: executed {place}")
            elif isinstance(error, ForgettingError):
                failed.append(f"{name}: {error}")
                log(f"{name}: failed {place}")
            else:
                raise error
    return failed


def _take(run: Entry, folder: Path, results: Path, checkout: Checkout) -> str:
    """Copy the record of a run from a current page or run with the same parameters.

    Returns the name of that page or run, or an empty text where there is none.
    """
    if not run.is_run_of_a_sweep:
        return ""
    runs = [single for entry in sweeps(checkout) for single in entry.runs()]
    for other in (*pages(checkout), *runs):
        same = _setting(other, checkout) == _setting(run, checkout)
        if same and is_current(other, folder, results, checkout):
            stored = read_records(results, [other.name, f"{other.name}.run"])
            fingerprint = run.fingerprint(checkout)
            record = {**stored[other.name], "name": run.name}
            circumstances = {
                **stored[f"{other.name}.run"],
                "fingerprint": fingerprint,
                "record": digest(record),
            }
            write_texts(files(results, run.name, record, circumstances))
            return other.name
    return ""


def _setting(entry: Entry, checkout: Checkout) -> tuple[str, str, dict[str, Any]]:
    """Return what an entry executes: template, role, and the values of all parameters."""
    declared = templates.parameters(entry.template, checkout)
    defaults = {name: parameter.default for name, parameter in declared.items()}
    return entry.template, entry.role, defaults | entry.parameters


def _begin_worker(threads: int, scratch: str) -> None:
    """Prepare a process that executes pages.

    In a session of its own it gets no Ctrl-C of the terminal, and whoever ends it removes what it
    leaves in the folder.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping.SIGNALS)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ["JUPYTER_RUNTIME_DIR"] = str(Path(scratch) / "kernels")
    tempfile.tempdir = scratch


def execute_entry(entry: Entry, folder: Path, results: Path, checkout: Checkout = HERE) -> None:
    """Execute one page or one run of a sweep.

    Parameters
    ----------
    entry : Entry
        A run of a sweep leaves a record and no notebook.
    folder, results : Path
        Folders of executed pages and of records.

    Raises
    ------
    ForgettingError
        See `forgetting.book.execution.execute`.
    """
    execution.execute(
        entry.template,
        entry.parameters,
        None if entry.is_run_of_a_sweep else folder / f"{entry.name}.ipynb",
        name=entry.name,
        role=entry.role,
        results=results,
        title=entry.title,
        metadata={"fingerprint": entry.fingerprint(checkout)},
        progress=False,
        checkout=checkout,
    )


def _reword(entry: Entry, folder: Path, checkout: Checkout) -> None:
    """Give a page the present text of its template."""
    path = folder / f"{entry.name}.ipynb"
    page = nbformat.read(path, as_version=4)
    page = execution.reworded(page, entry.template, entry.title, checkout)
    write_text(path, nbformat.writes(page) + "\n")
