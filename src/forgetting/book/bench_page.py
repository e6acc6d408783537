"""The directives `bench-tasks` and `bench`: the tasks of the bench, and its published runs."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import cell, table_of
from forgetting.book.checkout import HERE
from forgetting.book.numerals import in_minutes
from forgetting.book.records import read_record
from forgetting.experiments.bench import TASKS
from forgetting.experiments.bench_task import BenchTask

FOLDER = "benched"
"""Folder of the records below `results`."""

KINDS = {type(task).__name__: type(task) for task in TASKS.values()}
"""The classes of tasks, by name."""


class BenchTasks(SphinxDirective):
    """A table of all tasks, with the content as its caption."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        columns = (("task", 30), ("takes a", 18), ("model", 20), ("terms", 32))
        rows: list[list[nodes.Node]] = [
            [
                cell(f"{name}@{task.version}"),
                cell(task.takes.__name__),
                cell(task.model),
                cell(_terms(task)),
            ]
            for name, task in TASKS.items()
        ]
        return table_of(self, columns, rows, ["claims"])


class Bench(SphinxDirective):
    """A sortable table of the published runs of one class of tasks."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        if self.arguments[0] not in KINDS:
            raise self.error(f"The bench has no tasks {self.arguments[0]}: {', '.join(KINDS)}.")
        kind = KINDS[self.arguments[0]]
        rows: list[list[nodes.Node]] = []
        for path in sorted((HERE.results / FOLDER).glob("bench_*[0-9].json")):
            self.env.note_dependency(str(path))
            record = read_record(path)
            given = record["parameters"]
            task = TASKS.get(given["task"])
            if not isinstance(task, kind):
                continue
            noted = read_record(path.with_suffix(".run.json"))
            rows.append(
                [
                    cell(f"{given['task']}@{given['version']}"),
                    cell(given["method"]),
                    cell(str(given["seed"])),
                    *map(cell, task.cells(record["metrics"])),
                    cell(in_minutes(noted["seconds"])),
                ]
            )
        if not rows:
            raise self.error(f"results/{FOLDER} has no run of a {kind.__name__}.")
        heads = ["task", "method", "seed", *kind.headings, "whole run"]
        return table_of(self, [(head, 10) for head in heads], rows, ["claims", "sortable"])


def _terms(task: BenchTask) -> str:
    """Return the terms of a task in a line: what it forgets, and its sizes."""
    known = {"version", "model"}
    given = task.model_dump().items()
    return ", ".join(f"{key} {value}" for key, value in given if key not in known and value != "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx."""
    app.add_directive("bench-tasks", BenchTasks)
    app.add_directive("bench", Bench)
    return {"parallel_read_safe": True, "version": "1"}
