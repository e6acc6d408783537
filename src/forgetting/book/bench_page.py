"""The directives `bench` and `bench-columns`: the published runs, and what their columns say."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.bench_tasks import FOLDER
from forgetting.book.cells import cell, table_of
from forgetting.book.checkout import HERE
from forgetting.book.numerals import in_minutes
from forgetting.book.records import read_record
from forgetting.experiments.bench import TASKS
from forgetting.experiments.bench_task import BenchTask

KINDS = {type(task).__name__: type(task) for task in TASKS.values()}
"""The classes of tasks, by name."""


class BenchColumns(SphinxDirective):
    """A list of the columns of one class of tasks, with a sentence on each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        columns = kind_of(self).columns
        return self.parse_text_to_nodes(
            "\n".join(f"- **{head}**: {sentence}" for head, sentence in columns.items())
        )


class Bench(SphinxDirective):
    """A sortable table of the published runs of one class of tasks."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        kind = kind_of(self)
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
        heads = ["task", "method", "seed", *kind.columns, "whole run"]
        return table_of(self, [(head, 10) for head in heads], rows, ["claims", "sortable"])


def kind_of(directive: SphinxDirective) -> type[BenchTask]:
    """Return the class of tasks that the argument of a directive names."""
    name = directive.arguments[0]
    if name not in KINDS:
        raise directive.error(f"The bench has no tasks {name}: {', '.join(KINDS)}.")
    return KINDS[name]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx."""
    app.add_directive("bench-columns", BenchColumns)
    app.add_directive("bench", Bench)
    return {"parallel_read_safe": True, "version": "1"}
