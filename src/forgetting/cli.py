"""The command line: run a template, train a model, fetch data, make and check the book."""

import hashlib
import os
import re
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from forgetting import __version__
from forgetting.errors import ForgettingError
from forgetting.files import CACHE, ROOT

LONGEST_NAME = 150
"""Characters of a run's name that is made of its parameters; file systems take 255 bytes."""


class _Commands(click.Group):
    """Commands whose foreseen errors are one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ForgettingError as error:
            click.echo(f"forgetting: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make image generators forget, and measure whether they did."""
    if os.environ.get("FORGETTING_DATA"):  # notebooks run in the checkout's folder
        os.environ["FORGETTING_DATA"] = str(Path(os.environ["FORGETTING_DATA"]).resolve())


@main.command()
@click.argument("template")
@click.option("-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; repeatable.")
@click.option("--name", help="Name of the run; made of template and parameters if not given.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, resolve_path=True),
    default=ROOT / "_build" / "my_runs",
    help="Folder for the notebook and its record [_build/my_runs].",
)
def run(template: str, pairs: tuple[str, ...], name: str | None, output: Path) -> None:
    """Execute TEMPLATE with other parameters; `forgetting templates` lists them."""
    from forgetting.book import templates

    given = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ForgettingError(f"-p takes NAME=VALUE, not {pair!r}.")
        given[key] = value
    templates.source(template)
    values = templates.convert(template, given)
    click.echo(templates.announcement(template, values))
    name = name or "-".join([template, *(f"{k}={v}" for k, v in given.items())])
    name = re.sub(r"[^\w=.+-]", "_", name)
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    notebook = output / f"{name}.ipynb"
    metrics = templates.execute(template, values, notebook, name=name, results=output)["metrics"]
    table = Table("measure", "value", title=name)
    for key, value in metrics.items():
        if not key.endswith(("_low", "_high")):
            table.add_row(key, f"{value:.4g}")
    console = Console()
    console.print(table)
    console.print(f"notebook  {notebook}\nrecord    {output / name}.json", soft_wrap=True)


@main.command("templates")
def list_templates() -> None:
    """List the templates and their parameters."""
    from forgetting.book import templates

    for template in templates.names():
        click.secho(template, bold=True)
        for parameter in templates.parameters(template).values():
            head = f"{parameter.name}: {parameter.annotation} = {parameter.default!r}"
            click.echo(f"  {head:<52} {parameter.comment}")


@main.command()
@click.argument("name")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [all].")
@click.option("--again", is_flag=True, help="Train it although the zoo has it.")
def train(name: str, threads: int | None, again: bool) -> None:
    """Train the zoo's entry NAME, or go on with a training that was interrupted."""
    from forgetting.zoo.train import train_entry

    if not train_entry(name, threads=threads, again=again):
        click.echo(f"The zoo has {name}; `forgetting train {name} --again` makes it anew.")


@main.command()
@click.argument("dataset", type=click.Choice(["mnist", "celeba", "lfw"]))
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, resolve_path=True),
    default=CACHE / "data",
    help="Folder [the user's cache, where it is found without FORGETTING_DATA].",
)
def data(dataset: str, folder: Path) -> None:
    """Download a DATASET."""
    from forgetting.data.digits import download_mnist
    from forgetting.data.faces import download_faces

    if dataset == "mnist":
        download_mnist(folder)
    else:
        download_faces(dataset, folder)
    click.echo(f"{dataset} is in {folder}")


@main.command()
@click.option("--render-only", is_flag=True, help="Render the pages as they are.")
def book(render_only: bool) -> None:
    """Execute the pages that need no data, and render the book."""
    from forgetting.book import publish as publishing

    click.echo(publishing.render() if render_only else publishing.make(click.echo))


@main.command()
@click.argument("names", nargs=-1)
@click.option("--jobs", type=click.IntRange(1), help="Pages at once [the cores, four at most].")
def publish(names: tuple[str, ...], jobs: int | None) -> None:
    """Execute all pages (or NAMES) with real data into book/runs and results."""
    from forgetting.book import publish as publishing

    publishing.publish(click.echo, names, jobs)


@main.command()
@click.argument("name")
@click.option("--jobs", type=click.IntRange(1), help="Runs at once [the cores, four at most].")
def sweep(name: str, jobs: int | None) -> None:
    """Execute the runs of the sweep NAME of runs.yaml that are missing, into results/NAME."""
    from forgetting.book import publish as publishing

    publishing.run_sweep(name, click.echo, jobs)


@main.command()
def notebooks() -> None:
    """Write the .ipynb twin of every template."""
    from forgetting.book import templates

    templates.write_notebooks()


@main.command()
def check() -> None:
    """Verify weights, twins and published pages; report what does not agree."""
    from forgetting.book import check as checking

    for note in checking.code_moved_on():
        click.echo(f"note: {note}")
    problems = checking.report()
    for problem in problems:
        click.echo(problem)
    click.echo(f"{len(problems)} to look at" if problems else "everything agrees")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
