"""The directives `job-classes` and `workers`: what the published grid costs, and takes."""

import statistics
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import cell, table_of
from forgetting.book.makespan import Job, all_jobs, makespan
from forgetting.book.numerals import in_minutes

WORKERS = (1, 2, 10, 100, 1000)
"""Numbers of workers for which the time is simulated."""

HOUR = 3600.0


class JobClasses(SphinxDirective):
    """A table of the jobs by template, with the content as its caption."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, the dearest templates first."""
        classes: dict[str, list[float]] = {}
        for job in all_jobs().values():
            classes.setdefault(job.template, []).append(job.seconds)
        rows: list[list[nodes.Node]] = [
            [
                cell(template),
                cell(f"{len(seconds)}"),
                cell(in_minutes(statistics.median(seconds))),
                cell(in_minutes(max(seconds))),
                cell(f"{sum(seconds) / HOUR:.1f}"),
            ]
            for template, seconds in sorted(classes.items(), key=lambda item: -sum(item[1]))
        ]
        heads = ("template", "jobs", "median", "longest", "core-hours")
        return table_of(self, [(head, 20) for head in heads], rows, ["claims", "sortable"])


class Workers(SphinxDirective):
    """A table of what so many workers take, with the content as its caption."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        jobs = all_jobs()
        alone = makespan(jobs, 1)
        rows = [self._cells(jobs, workers, alone) for workers in WORKERS]
        heads = ("workers", "time", "times faster", "efficiency")
        return table_of(self, [(head, 25) for head in heads], rows, ["claims"])

    def _cells(self, jobs: dict[str, Job], workers: int, alone: float) -> list[nodes.Node]:
        """Return the cells of a row."""
        seconds = makespan(jobs, workers)
        time = in_minutes(seconds) if seconds < HOUR else f"{seconds / HOUR:.1f} hours"
        times = alone / seconds
        return [
            cell(f"{workers:,}"),
            cell(time),
            cell(f"{times:.1f}"),
            cell(f"{times / workers:.0%}"),
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx."""
    app.add_directive("job-classes", JobClasses)
    app.add_directive("workers", Workers)
    return {"parallel_read_safe": True, "version": "1"}
