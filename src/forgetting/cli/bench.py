"""The bench: a method of anyone's on the named tasks of the study."""

import json
from pathlib import Path

import click

from forgetting.cli.base import FOLDER, Command, device_option


@click.command(cls=Command)
@click.argument("method", metavar="NAME|FILE.py:METHOD")
@click.option("--task", "names", multiple=True, help="Of the bench; may be repeated [all].")
@click.option("--quick", is_flag=True, help="The small tasks instead: minutes, not hours.")
@device_option("auto")
@click.option("--output", type=FOLDER, required=True, help="Folder for the records.")
def bench(method: str, names: tuple[str, ...], quick: bool, device: str, output: Path) -> None:
    """Run a method of your own on the tasks of the bench.

    METHOD in FILE.py is a function that @unlearning_method decorates. Every seed of a task leaves
    a record in the folder, which names the task, its version and its terms. A run whose record is
    there is not repeated, so that an interrupted call goes on.
    """
    from forgetting.book.records import read_record
    from forgetting.book.run import Run
    from forgetting.errors import ParameterError, validated
    from forgetting.experiments import bench as the_bench
    from forgetting.experiments.own_table import text_table
    from forgetting.foundation.files import sha256
    from forgetting.foundation.progress import phase

    if names and quick:
        raise ParameterError("Give either --task or --quick: --quick chooses the tasks.")
    chosen = the_bench.load_method(method)
    file = sha256(Path(method.rpartition(":")[0]).expanduser()) if ":" in method else ""
    wanted = names or [n for n in the_bench.TASKS if n.endswith(the_bench.QUICK) == quick]
    tasks = {name: the_bench.find_task(name) for name in wanted}
    rows: list[list[str]] = [list(the_bench.HEADINGS)]
    for name, task in tasks.items():
        for seed in task.seeds:
            config = the_bench.settings_of(task, chosen, seed)
            given = {
                **task.model_dump(),
                **{"task": name, "method": chosen.name, "seed": seed, "device": device},
                **{"settings": json.dumps(config.model_dump(mode="json")), "file": file},
            }
            parameters = validated(the_bench.BenchParameters, given)
            expected = parameters.model_dump(mode="json")
            records = map(read_record, sorted(output.glob("bench_*[0-9].json")))
            done = [each for each in records if each["parameters"] == expected]
            if done:
                metrics = done[0]["metrics"]
            else:
                run = Run(f"bench_{name}_{seed}", parameters)
                run.folder = output
                with phase(f"{name}, seed {seed}"):
                    metrics = run.finish(*the_bench.run_task(run, task, chosen, config))
            rows.append(the_bench.bench_row(expected, metrics))
    click.echo(text_table(rows))
    click.echo(f"records in {output}")
