"""How long all pages and sweeps take on so many workers, from the times of published runs."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweeps
from forgetting.book.needs import needs


@dataclass(frozen=True)
class Job:
    """A page or a run of a sweep.

    Attributes
    ----------
    template : str
        What it executes.
    seconds : float
        Of its published run, on one core.
    after : tuple of str
        The jobs whose records it reads.
    """

    template: str
    seconds: float
    after: tuple[str, ...] = ()


def all_jobs(checkout: Checkout = HERE) -> dict[str, Job]:
    """Return every page and every run of a sweep that is published, by name."""
    listed = pages(checkout)
    grids = {each.name: each.runs() for each in sweeps(checkout)}
    runs = {run.name: run for some in grids.values() for run in some}
    every = [*listed, *runs.values()]
    seconds = {entry.name: needs(entry, checkout).seconds for entry in every}
    return {
        entry.name: Job(entry.template, seconds[entry.name], _after(entry, grids, seconds))
        for entry in every
        if math.isfinite(seconds[entry.name])
    }


def _after(
    entry: Entry, grids: Mapping[str, Sequence[Entry]], seconds: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the published runs that an entry reads."""
    if entry.is_run_of_a_sweep:
        return ()
    read = grids.get(entry.reads, [])
    return tuple(run.name for run in read if math.isfinite(seconds[run.name]))


def makespan(jobs: Mapping[str, Job], workers: int) -> float:
    """Return the seconds until all jobs are done, the longest that can begin always first.

    Parameters
    ----------
    jobs : mapping of str to Job
        By name.
    workers : int
        Each does one job at a time.
    """
    waiting = {name: set(job.after) for name, job in jobs.items()}
    readers: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for other in job.after:
            readers[other].append(name)
    ready = [(-job.seconds, name) for name, job in jobs.items() if not job.after]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            name = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + jobs[name].seconds, name))
        now, done = heapq.heappop(running)
        for name in readers[done]:
            waiting[name].discard(done)
            if not waiting[name]:
                heapq.heappush(ready, (-jobs[name].seconds, name))
    return now
