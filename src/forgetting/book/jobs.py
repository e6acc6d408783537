"""Jobs: Snakemake executes pages and runs, here or on a cluster, each in its own process.

The records decide what is to be executed, so Snakemake's own files last for one command. Every
command has a folder of its own with the plan, a log and an outcome of each job.
"""

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT

import psutil

from forgetting.book import stopping
from forgetting.book.checkout import Checkout
from forgetting.book.entries import Entry
from forgetting.book.job import PACKAGE, read_outcome
from forgetting.book.needs import Needs, needs
from forgetting.book.profiles import WORKFLOW, find_profile, snakemake
from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation.files import check_writable, write_text

Log = Callable[[str], None]

PREFIX = "FORGETTING_"
"""Of the variables of the environment that jobs receive, also where a cluster passes none."""

MINUTE = 60.0
"""Seconds after which a line says what is under way, if no job ended meanwhile."""

POLL = 0.5
"""Seconds between two looks at the outcomes."""

RETRIES = 2
"""How often a job starts again that left no outcome, each time with more memory and minutes."""

STOPPED = "Stopped. What is finished is kept: run the same command again."

PATIENCE = 60.0
"""Seconds that Snakemake has to end by itself, and to take its jobs back if somebody stops it."""


def run(
    wanted: list[Entry],
    folder: Path,
    results: Path,
    log: Log,
    jobs_at_once: int | None,
    profile: str | None,
    checkout: Checkout,
) -> None:
    """Execute pages and runs as jobs, several at once, and report at the end.

    A page that reads the records of a sweep waits for those runs of it that are among the jobs.
    What took longest when it was published begins. A job that the system ends begins again, with
    more memory.

    Parameters
    ----------
    wanted : list of Entry
        Pages and runs of sweeps.
    folder, results : Path
        Folders of executed pages and of records.
    log : callable
        Receives a sentence for each job that ends, one a minute, and the report.
    jobs_at_once : int, optional
        By default as many as cores and memory allow, or as the profile says.
    profile : str, optional
        Of a cluster, as `forgetting.book.profiles.find_profile` takes it; the jobs run on this
        machine without.

    Raises
    ------
    ForgettingError
        Snakemake or the profile is missing, or some jobs failed; all others are executed first.
    """
    if not wanted:
        return
    if find_spec("snakemake") is None:
        raise ForgettingError("This needs snakemake: run `pip install 'forgetting[book]'` first.")
    where = None if profile is None else find_profile(profile)
    start = snakemake(where, [checkout.root, checkout.shipped, folder, results])
    threads = _threads()
    workers = jobs_at_once or max(1, (os.cpu_count() or 1) // threads)
    place = checkout.build / "jobs"
    check_writable(place)
    scratch = Path(tempfile.mkdtemp(prefix="", dir=place)).resolve()
    failed: list[str] = []
    try:
        needed = {entry.name: needs(entry, checkout) for entry in wanted}
        _write_plan(scratch, wanted, needed, threads, folder, results, checkout)
        expected = "" if where else _expected(needed, workers)
        at_once = f"by the profile {profile}" if where else f"{workers} at once"
        log(f"to execute: {len(wanted)}, {at_once}{expected}")
        command = start + _arguments(scratch, jobs_at_once, workers * threads, where)
        failed = _follow(scratch, list(needed), command, log)
    finally:
        if not failed:
            shutil.rmtree(scratch, ignore_errors=True)
    if failed and not (scratch / "logs").exists():
        raise ForgettingError(f"Snakemake began no job: its log is {scratch / 'snakemake.log'}")
    if failed:
        raise ForgettingError(*(line for each in failed for line in each.splitlines()))


def _threads() -> int:
    """Return the threads of a job: OMP_NUM_THREADS, or one.

    Raises
    ------
    ParameterError
        The variable is no whole number of threads.
    """
    text = os.environ.get("OMP_NUM_THREADS") or "1"
    if not re.fullmatch("[1-9][0-9]{0,3}", text):
        raise ParameterError(f"OMP_NUM_THREADS = {text!r}: give a number from 1, or unset it.")
    return int(text)


def _write_plan(
    scratch: Path,
    wanted: list[Entry],
    needed: dict[str, Needs],
    threads: int,
    folder: Path,
    results: Path,
    checkout: Checkout,
) -> None:
    """Write what the Snakefile and the jobs read."""
    longest_first = sorted(wanted, key=lambda entry: needed[entry.name].seconds, reverse=True)
    runs: dict[str, list[str]] = {}
    for entry in wanted:
        if entry.is_run_of_a_sweep:
            runs.setdefault(entry.name.partition("/")[0], []).append(entry.name)
    jobs = {
        entry.name: {
            "entry": entry.model_dump(mode="json"),
            "priority": -rank,
            "mem_mb": needed[entry.name].mem_mb,
            "minutes": needed[entry.name].minutes,
            "after": runs.get(entry.reads, []),
        }
        for rank, entry in enumerate(longest_first)
    }
    packaged = str(checkout.packaged.resolve()) if checkout.packaged else ""
    plan = {
        "package": PACKAGE,
        "threads": threads,
        "environment": {key: os.environ[key] for key in os.environ if key.startswith(PREFIX)},
        "folder": str(folder.resolve()),
        "results": str(results.resolve()),
        "checkout": {"root": str(checkout.root.resolve()), "packaged": packaged},
        "jobs": jobs,
    }
    write_text(scratch / "plan.json", json.dumps(plan, indent=1))
    shutil.copy(WORKFLOW / "Snakefile", scratch)  # where a pod sees it


def _arguments(
    scratch: Path, jobs_at_once: int | None, cores: int, profile: Path | None
) -> list[str]:
    """Return the arguments of Snakemake."""
    command = ["--snakefile", str(scratch / "Snakefile"), "--keep-going"]
    command += ["--scheduler", "greedy", "--workflow-profile", "none"]
    command += ["--retries", str(RETRIES)]  # in the Snakefile, a job on a node would retry as well
    if profile is None:
        memory = psutil.virtual_memory().available // 2**20
        return [*command, "--cores", str(cores), "--resources", f"mem_mb={memory}"]
    limit = ["--jobs", str(jobs_at_once)] if jobs_at_once else []
    return [*command, "--profile", str(profile), *limit]


def _expected(needed: dict[str, Needs], workers: int) -> str:
    """Return how long jobs take if every one takes as long as it did when published."""
    seconds = sum(each.seconds for each in needed.values()) / workers
    return f", about {seconds / 60:.0f} min" if MINUTE <= seconds < math.inf else ""


def _follow(scratch: Path, names: list[str], command: list[str], log: Log) -> list[str]:
    """Run Snakemake and log what becomes of jobs; return a sentence for each that failed."""
    is_here = "--profile" not in command
    environment = {key: text for key, text in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
    if is_here:  # what a job leaves behind that is stopped goes away with the folder
        environment["TMPDIR"] = str(scratch / "tmp")
        (scratch / "tmp").mkdir()

    def take_back(process: subprocess.Popen[bytes]) -> None:
        if not is_here:
            process.send_signal(SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)

    started = time.monotonic()
    command = [*command, "--directory", str(scratch)]
    failed, n_done, told = [], 0, started
    with (
        (scratch / "snakemake.log").open("wb") as output,
        stopping.python(command, environment, STOPPED, output, take_back) as process,
    ):
        for name, sentence in _outcomes(scratch, names, process):
            minutes = (time.monotonic() - started) / 60
            if name:
                n_done += 1
                told = time.monotonic()
                failed += [f"{name}: {sentence}"] if sentence else []
                end = "failed" if sentence else "executed"
                log(f"{name}: {end} ({n_done}/{len(names)}, {minutes:.1f} min)")
            elif time.monotonic() - told > MINUTE:
                told = time.monotonic()
                begun = [each for each in names if _log_of(scratch, each).exists()]
                under_way = [each for each in begun if read_outcome(scratch, each) is None]
                log(f"under way: {_some(under_way)} ({n_done}/{len(names)}, {minutes:.1f} min)")
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    minutes = (time.monotonic() - started) / 60
    log(f"executed: {n_done - len(failed)}, failed: {len(failed)}, in {minutes:.1f} min")
    return failed


def _outcomes(
    scratch: Path, names: list[str], process: subprocess.Popen[bytes]
) -> Iterator[tuple[str, str]]:
    """Yield each job with its outcome as it ends, and an empty name at every look between."""
    waiting = list(names)
    while waiting:
        has_ended = process.poll() is not None
        for name in list(waiting):
            outcome = read_outcome(scratch, name)
            if outcome is None and has_ended:
                outcome = _without_outcome(scratch, name)
            if outcome is not None:
                waiting.remove(name)
                yield name, outcome
        if waiting:
            yield "", ""
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL)


def _without_outcome(scratch: Path, name: str) -> str:
    """Return the sentence for a job that left no outcome though Snakemake has ended."""
    if (path := _log_of(scratch, name)).exists():
        return (
            "its process ended without an outcome, perhaps because memory or time ran out. Its "
            f"log is {path}"
        )
    return f"it did not begin. The log of Snakemake is {scratch / 'snakemake.log'}"


def _log_of(scratch: Path, name: str) -> Path:
    return scratch / "logs" / f"{name}.log"


def _some(names: list[str], most: int = 8) -> str:
    """Return names for a line, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
