"""The bench: a method of anyone's on the named tasks of the study."""

from pathlib import Path

import click

from forgetting.cli.base import FOLDER, Command, device_option


@click.command(cls=Command)
@click.argument("method", metavar="NAME|FILE.py:METHOD")
@click.option(
    "--task", "name", default="digits_vae_thick", show_default=True, help="Of the bench."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all random draws.")
@device_option("auto")
@click.option("--output", type=FOLDER, required=True, help="Folder for the record.")
def bench(method: str, name: str, seed: int, device: str, output: Path) -> None:
    """Run a method of your own on a task of the bench.

    METHOD in FILE.py is a function that @unlearning_method decorates. A record in the folder
    holds what the graders find, and names the task and its version.
    """
    from forgetting.book.run import Run
    from forgetting.errors import validated
    from forgetting.experiments.bench import (
        BenchParameters,
        find_task,
        load_method,
        run_task,
    )
    from forgetting.experiments.grading import give_verdict

    task, chosen = find_task(name), load_method(method)
    parameters = {"task": name, "method": chosen.name, "seed": seed, "device": device}
    run = Run(f"bench_{name}", validated(BenchParameters, parameters | task.model_dump()))
    run.folder = output
    metrics = run.finish(run_task(run, task, chosen), [])
    verdict = give_verdict(metrics)
    shares = [metrics[f"prevalence_{key}"] for key in ("before", "after")]
    fids = [metrics[f"fid_{key}"] for key in ("after", "floor")]
    click.echo(
        f"{chosen.name}, {name}@{task.version}: prevalence {shares[0]:.2%} -> {shares[1]:.2%}, "
        f"FID {fids[0]:.2f} (floor {fids[1]:.2f}), {verdict.word if verdict else 'no verdict'}"
    )
    click.echo(f"record    {output / run.name}.json")
