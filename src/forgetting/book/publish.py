"""Publishing: pages and runs of sweeps are executed where they are not current, and rendered."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat

from forgetting.book import templates
from forgetting.book.catalogue import (
    PUBLISHED,
    RESULTS,
    Entry,
    entries,
    is_current,
    is_worded,
    pages,
    sweep,
)
from forgetting.book.run import records
from forgetting.data.digits import mnist_folder
from forgetting.data.faces import faces_folder
from forgetting.errors import DataError, ForgettingError, did_you_mean
from forgetting.files import ROOT, replacing, write_text

BUILD = ROOT / "_build"
PICTURE = ROOT / "book" / "_static" / "finding.png"


def execute(
    wanted: list[Entry],
    folder: Path,
    results: Path,
    log: Callable[[str], None],
    jobs_at_once: int | None = None,
) -> None:
    """Execute every page that is not current, some at a time; what was executed before is kept.

    A page whose template has only other words gets these, and keeps its outputs. A run of a sweep
    that a page or another sweep has made already is taken from there.

    Pages share the cores: as many at once as there are cores, four at most, each with its part
    of the threads (or as many as OMP_NUM_THREADS says). Two pages of one thread are done sooner
    than one after the other with two.

    Raises
    ------
    ForgettingError
        Some failed: said when all others that don't read their records are done. Or a process was
        killed.
    """
    stale = []
    for entry in wanted:
        if not is_current(entry, folder, results):
            if twin := _take(entry, folder, results):
                log(f"{entry.name}: taken from {twin}")
            else:
                stale.append(entry)
            continue
        if "/" in entry.name or is_worded(entry, folder):
            log(f"{entry.name}: current")
        else:
            _reword(entry, folder)
            log(f"{entry.name}: current, in other words")
    cores = os.cpu_count() or 1
    workers = jobs_at_once or min(4, cores)
    started = time.monotonic()
    first = [entry for entry in stale if not (entry.last or entry.reads)]
    waves = first, [e for e in stale if e.reads], [e for e in wanted if e.last and stale]
    for wave in waves:
        failed = []
        with ProcessPoolExecutor(
            workers, get_context("spawn"), _set_threads, (max(1, cores // workers),)
        ) as pool:
            jobs = {pool.submit(_execute, entry, folder, results): entry for entry in wave}
            try:
                for number, job in enumerate(as_completed(jobs), 1):
                    minutes = (time.monotonic() - started) / 60
                    where = f"({number}/{len(jobs)}, {minutes:.1f} min)"
                    if error := job.exception():
                        if not isinstance(error, ForgettingError):
                            raise error
                        failed.append(f"{jobs[job].name}: {error}")
                        log(f"{jobs[job].name}: failed {where}")
                    else:
                        log(f"{jobs[job].name}: executed {where}")
            except BrokenProcessPool as error:
                raise ForgettingError(
                    "A page's process was killed, perhaps for want of memory. What was executed "
                    "is kept: run the same command again."
                ) from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if failed:
            raise ForgettingError("\n".join(failed))


def _take(run: Entry, folder: Path, results: Path) -> str:
    """Copy a run's record from a current page or run of the same parameters; say which."""
    if "/" not in run.name:
        return ""
    sweeps = [one for entry in entries() if entry.is_sweep for one in entry.runs()]
    for twin in (*pages(), *sweeps):
        if _what(twin) == _what(run) and is_current(twin, folder, results):
            found = records(results, [twin.name, f"{twin.name}.run"])
            record = {**found[twin.name], "name": run.name}
            fingerprint = run.fingerprint(results)
            circumstances = {**found[f"{twin.name}.run"], "fingerprint": fingerprint}
            for name, content in ((run.name, record), (f"{run.name}.run", circumstances)):
                write_text(results / f"{name}.json", json.dumps(content, indent=1) + "\n")
            return twin.name
    return ""


def _what(entry: Entry) -> tuple[str, str, dict[str, Any]]:
    """Return what an entry executes: template, role, and the values of all parameters."""
    defaults = {name: one.default for name, one in templates.parameters(entry.template).items()}
    return entry.template, entry.role, defaults | entry.parameters


def _set_threads(threads: int) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _execute(entry: Entry, folder: Path, results: Path) -> None:
    templates.execute(
        entry.template,
        entry.parameters,
        None if "/" in entry.name else folder / f"{entry.name}.ipynb",
        name=entry.name,
        role=entry.role,
        results=results,
        title=entry.title,
        metadata={"fingerprint": entry.fingerprint(results)},
        progress=False,
    )


def make(log: Callable[[str], None]) -> Path:
    """Execute what needs no data and is not slow, take the published page of the rest, render.

    Returns
    -------
    The path of the rendered book's first page.
    """
    wanted = [entry for entry in pages() if entry.needs == "none" and not entry.slow]
    execute(wanted, BUILD / "runs", BUILD / "results", log)
    return render()


def publish(
    log: Callable[[str], None], only: tuple[str, ...] = (), jobs_at_once: int | None = None
) -> None:
    """Execute every page with real data into book/runs and results: the published figures.

    Raises
    ------
    DataError
        A page needs data that is not here.
    """
    known = [entry.name for entry in pages()]
    for name in only:
        if name not in known:
            raise ForgettingError(f"runs.yaml has no page {name!r}. {did_you_mean(name, known)}")
    wanted = [entry for entry in pages() if not only or entry.name in only or entry.last]
    _check_data(wanted)
    execute(wanted, PUBLISHED, RESULTS, log, jobs_at_once)
    _write_picture()


def run_sweep(name: str, log: Callable[[str], None], jobs_at_once: int | None = None) -> None:
    """Execute those runs of a sweep that are not current; their records go to results/NAME.

    Stopped at any moment, it goes on where it was.

    Raises
    ------
    DataError
        A run needs data that is not here.
    """
    wanted = sweep(name).runs()
    _check_data(wanted)
    execute(wanted, PUBLISHED, RESULTS, log, jobs_at_once)


def _check_data(wanted: list[Entry]) -> None:
    if any(entry.needs == "mnist" for entry in wanted) and mnist_folder() is None:
        raise DataError("Publishing needs the full MNIST set: run `forgetting data mnist` first.")
    if any(entry.needs == "faces" for entry in wanted):
        for name in ("celeba", "lfw"):
            faces_folder(name)


def render(output: Path = ROOT) -> Path:
    """Render the book to `output`/_build/html.

    A current page of _build/runs, executed here, stands before the published one.

    Raises
    ------
    ForgettingError
        Sphinx warned (warnings are errors) or failed; its words stand above.
    """
    staged = output / "_build" / "book"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(ROOT / "book", staged / "book")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, staged / name)
    for entry in pages():
        name = f"{entry.name}.ipynb"
        if is_current(entry, BUILD / "runs", BUILD / "results"):
            shutil.copy(BUILD / "runs" / name, staged / "book" / "runs" / name)
        elif entry.outdated:
            _say_outdated(staged / "book" / "runs" / name, entry.outdated)
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(staged), "-q", "-W", "-n"]
    command += ["--keep-going", "--path-output", str(output)]
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise ForgettingError("The book could not be rendered; Sphinx says above what is wrong.")
    return output / "_build" / "html" / "index.html"


def _say_outdated(path: Path, reason: str) -> None:
    """Say below a page's title that its template has changed since it was executed."""
    notebook = nbformat.read(path, as_version=4)
    title, _, text = notebook.cells[0].source.partition("\n")
    words = f"The code of this page has changed since it was executed: {reason}"
    notebook.cells[0].source = f"{title}\n\n```{{note}}\n{words}\n```\n{text}"
    nbformat.write(notebook, path)


def _reword(entry: Entry, folder: Path) -> None:
    path = folder / f"{entry.name}.ipynb"
    page = nbformat.read(path, as_version=4)
    page = templates.reworded(page, entry.template, entry.title)
    write_text(path, nbformat.writes(page) + "\n")


def _write_picture() -> None:
    """Take the figure of the first page for the README."""
    page = nbformat.read(PUBLISHED / "introduction.ipynb", as_version=4)
    for cell in page.cells:
        if "picture" in cell.metadata.get("tags", []):
            for out in cell.outputs:
                if "image/png" in out.get("data", {}):
                    with replacing(PICTURE) as temporary:
                        temporary.write_bytes(base64.b64decode(out.data["image/png"]))
