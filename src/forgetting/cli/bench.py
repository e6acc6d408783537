"""The bench: a method of anyone's on the named tasks of the study."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from forgetting.cli.base import FOLDER, Command, device_option


class WithTasks(Command):
    """A command whose help ends with the tasks of the bench."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each task is, and how long its published runs took."""
        from forgetting.book.bench_tasks import listed

        with formatter.section("Tasks, and how long a published run of a seed took on one core"):
            formatter.write_dl([(row.name, row.text) for row in listed()])


@click.command(cls=WithTasks)
@click.argument("method", metavar="NAME|FILE.py:METHOD")
@click.option("--task", "names", multiple=True, help="Of the bench; may be repeated [all].")
@click.option("--quick", is_flag=True, help="The small tasks instead: minutes, not hours.")
@device_option("auto")
@click.option("--output", type=FOLDER, required=True, help="Folder for the records.")
def bench(method: str, names: tuple[str, ...], quick: bool, device: str, output: Path) -> None:
    """Run a method of your own on the tasks of the bench.

    METHOD in FILE.py is a function that @unlearning_method or @taming_method decorates. Every seed
    of a task leaves a record in the folder, which names the task, its version and its terms. A run
    is not repeated whose record is there, with the same code of the method, and a model that was
    tuned before a call was interrupted is only graded.
    """
    from forgetting.book.bench_tasks import FOLDER as PUBLISHED
    from forgetting.book.checkout import HERE
    from forgetting.book.run import Run
    from forgetting.errors import ParameterError
    from forgetting.experiments import bench as the_bench
    from forgetting.experiments.bench_kept import KeptResult
    from forgetting.experiments.own_table import text_table
    from forgetting.foundation.files import check_writable
    from forgetting.foundation.progress import phase

    if names and quick:
        raise ParameterError("Give either --task or --quick: --quick chooses the tasks.")
    chosen = the_bench.load_method(method)
    runs = [
        (task, seed, *the_bench.parameters_of(name, task, chosen, seed, device))
        for name, task in the_bench.tasks_of(chosen, names, quick).items()
        for seed in task.seeds
    ]
    there = _records(output)
    check_writable(output)
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    sentences: dict[str, str] = {}
    stars = False
    published = _records(HERE.results / PUBLISHED)
    for task, seed, config, parameters in runs:
        expected = parameters.model_dump(mode="json")
        name = f"{parameters.task}, seed {seed}"
        called = f"bench_{chosen.name.replace(' ', '_')}_{parameters.task}_{seed}"
        kept = KeptResult(output / f"{called}.tuned", partial(_tell, name))
        metrics = next((r["metrics"] for r in there if r["parameters"] == expected), None)
        if metrics is not None:
            click.echo(f"{name}: its record is there")
        else:
            run = Run(called, parameters)
            run.folder = output
            with phase(name):
                metrics = run.finish(*task.run(run, chosen, config, kept))
        kept.remove()
        cells = task.cells(metrics)
        shown = [f"{head} {cell}" for head, cell in zip(task.columns, cells, strict=True) if cell]
        click.echo(f"{name}: {', '.join(shown)}")
        sentences |= task.columns
        named = f"{parameters.task}@{task.version}"
        rows = tables.setdefault(tuple(task.columns), [])
        rows.append([named, chosen.name, str(seed), *cells])
        alike = {name: expected[name] for name in ("task", "version", "terms", "seed")}
        for record in published:
            if {name: record["parameters"].get(name) for name in alike} == alike:
                others = task.cells(record["metrics"])
                rows.append([named, f"{record['parameters']['method']}*", str(seed), *others])
                stars = True
    for headings, rows in tables.items():
        click.echo("\n" + text_table([["task", "method", "seed", *headings], *rows]))
    click.echo("\n* published by the study" if stars else "")
    for head, sentence in sentences.items():
        click.echo(f"{head}: {sentence}")
    click.echo(f"records in {output}")


def _tell(name: str, line: str) -> None:
    """Print a line on a run."""
    click.echo(f"{name}: {line}")


def _records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the bench in a folder.

    Raises
    ------
    DataError
        A file of that name is none, or was changed after its run.
    """
    from forgetting.book.records import digest, read_record
    from forgetting.errors import DataError

    records = []
    for path in sorted(folder.glob("bench_*[0-9].json")):
        record, beside = read_record(path), path.with_suffix(".run.json")
        noted = read_record(beside) if beside.is_file() else {}
        if noted.get("record") != digest(record):
            raise DataError(
                f"{path} is no record of the bench, or was changed after its run: move it "
                "elsewhere."
            )
        records.append(record)
    return records
