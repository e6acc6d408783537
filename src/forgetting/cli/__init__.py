"""The command line: run templates, train models, fetch data, make and check the book."""

import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from forgetting import __version__
from forgetting.cli.base import FILE, FOLDER, Commands, OfACheckout, device_option, require
from forgetting.cli.bench import bench
from forgetting.cli.jobs import publish, sweep
from forgetting.cli.own_models import audit, tame, unlearn
from forgetting.cli.records import migrate, upgrade
from forgetting.errors import ForgettingError
from forgetting.foundation import memory
from forgetting.foundation.files import CACHE, ROOT, expanded
from forgetting.foundation.pairs import read_pairs


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make image generators forget, and measure whether they did."""
    memory.keep_memory()
    for variable in ("FORGETTING_DATA", "FORGETTING_ZOO"):
        if folder := os.environ.get(variable):  # notebooks run in the folder of the checkout
            os.environ[variable] = os.path.abspath(expanded(folder))
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # each kernel would warn
    if not sys.stderr.isatty():  # bars would fill a log; `foundation.progress` has lines then
        os.environ.setdefault("TQDM_DISABLE", "lines")


@main.command()
@click.argument("template", required=False)
@click.option(
    "--from",
    "record",
    type=FILE,
    help="Take the template and its parameters from a record; -p changes some of them, and "
    "another preset brings its own sizes.",
)
@click.option(
    "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a parameter; may be repeated."
)
@click.option("--name", help="Name of the run [made from the template and its parameters].")
@click.option(
    "--output",
    type=FOLDER,
    default=ROOT / "_build" / "my_runs",
    help="Folder for the notebook and its record [_build/my_runs].",
)
def run(
    template: str | None,
    record: Path | None,
    pairs: tuple[str, ...],
    name: str | None,
    output: Path,
) -> None:
    """Execute TEMPLATE with your own parameters.

    `forgetting templates` lists all templates and their parameters. A run whose name is taken is
    refused.
    """
    from forgetting.book import own_runs, templates

    given = changes = read_pairs(pairs)
    if record is not None:
        template, recorded = own_runs.of_record(record, template)
        given = own_runs.with_changes(template, recorded, given)
    if template is None:
        raise ForgettingError("Name a template, or give `--from` a record.")
    values = templates.convert(template, given)
    templates.check_notebook(template)
    name = own_runs.name_run(template, given, name)
    from forgetting.book import execution, headline  # only now, because it takes seconds

    notebook = output / f"{name}.ipynb"
    with own_runs.claimed(output, name):
        click.echo(execution.announcement(template, values))
        done = execution.execute(
            template,
            values,
            notebook,
            name=name,
            results=output,
        )
    told = own_runs.not_as_recorded(record, changes, done) if record else []
    click.echo("\n".join([*headline.lines(done), *told]))
    click.echo(execution.closing(notebook, output / f"{name}.json"))


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
@click.argument("names", nargs=-1)
@click.option("--all", "all_models", is_flag=True, help="Train every model of the zoo.")
@click.option("--threads", type=click.IntRange(1), help="Number of CPU threads [all].")
@device_option("cpu")
@click.option("--devices", type=click.IntRange(1), default=1, help="Devices for a batch [1].")
@click.option("--again", is_flag=True, help="Train models that the zoo already has, too.")
def train(names: tuple[str, ...], all_models: bool, **settings: Any) -> None:
    """Train the models NAMES of the zoo.

    An interrupted training continues where it stopped.
    """
    require(names, all_models, "model of the zoo")
    if settings["devices"] > 1 and len(names) != 1:
        raise ForgettingError("Several devices train one model at a time: name one.")
    from forgetting.zoo import train as training

    for name in training.names() if all_models else names:
        if not training.train_entry(name, **settings):
            click.echo(f"The zoo has {name}; `forgetting train {name} --again` trains it again.")


@main.command()
@click.argument("dataset", type=click.Choice(["mnist", "celeba", "lfw", "face-api"]))
@click.option(
    "--to",
    "folder",
    type=FOLDER,
    default=CACHE / "data",
    help="Folder for the files [your cache, which is searched without FORGETTING_DATA].",
)
def data(dataset: Any, folder: Path) -> None:
    """Download DATASET, or the networks that grade faces (face-api)."""
    from forgetting.data.digits import download_mnist
    from forgetting.data.faces import download_faces
    from forgetting.zoo.face_api import download_face_api

    fetch = {"mnist": download_mnist, "face-api": download_face_api}
    n = fetch.get(dataset, partial(download_faces, dataset))(folder)
    click.echo(f"{dataset} is in {folder}" + (f": {n:,} images" if n else ""))


@main.command(cls=OfACheckout)
@click.option("--render-only", is_flag=True, help="Render the pages without executing any.")
def book(render_only: bool) -> None:
    """Execute the fast pages, and render the book.

    Pages that take long or need data are rendered in their published form.
    """
    from forgetting.book.publish import make
    from forgetting.book.render import render

    click.echo(render() if render_only else make(click.echo))


@main.command(cls=OfACheckout)
@click.argument("names", nargs=-1)
@click.option("--again", is_flag=True, help="Execute pages that agreed before, too.")
@click.option("--shard", default="1/1", metavar="K/N", help="Take the K-th of N parts.")
@click.option("--note", is_flag=True, help="Note the verdicts in results/, for the book.")
def validate(names: tuple[str, ...], again: bool, shard: str, note: bool) -> None:
    """Execute published pages again, and compare.

    The pages are NAMES, or all. Words must be the same; numbers may differ within what the record
    of the page allows. The exit code is 1 if a page differs. A stopped validation continues.
    """
    from forgetting.book import validation

    if not (match := re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", shard)):
        raise ForgettingError(f"--shard takes K/N, as in 2/6, not {shard!r}.")
    part = int(match[1]), int(match[2])
    if differing := validation.validate(click.echo, names, again, part, is_noted=note):
        raise ForgettingError(f"These pages differ: {', '.join(differing)}.")


@main.command()
@click.argument("records", nargs=-1, required=True, type=FILE)
@click.option("--every", is_flag=True, help="Show every metric that both have.")
def compare(records: tuple[Path, ...], every: bool) -> None:
    """Put runs of your own beside the published ones.

    RECORDS are the files NAME.json that runs left. A published run of the nearest setting stands
    beside each, with intervals, and what differs in parameters, weights and versions. Beside each
    stands NAME.run.json, the circumstances of the run, such as its seconds; among several files
    it is passed over.
    """
    from forgetting.book.beside import compare_run

    runs = [record for record in records if not record.name.endswith(".run.json")]
    for record in runs or records:
        click.echo(f"\n{record}")
        click.echo("\n".join(compare_run(record, every).lines()))


@main.command(cls=OfACheckout)
def notebooks() -> None:
    """Write every template as a notebook, and draw the architecture."""
    from forgetting.book import architecture, templates
    from forgetting.book.checkout import HERE

    templates.write_notebooks()
    architecture.draw(HERE.root / "book" / "_static")


@main.command(cls=OfACheckout)
def claims() -> None:
    """Judge the claims and the tables of both papers anew.

    What stands beside them comes from the records.
    """
    from forgetting.book.claims import CLAIMS
    from forgetting.book.papers import PAPERS

    PAPERS.write()
    for claim in CLAIMS.write():
        click.echo(f"{claim['verdict']:15} {claim['claim']}")


@main.command(cls=OfACheckout)
def pictures() -> None:
    """Make the pictures of the chapters anew, from models of the zoo."""
    from forgetting.book.pictures import write_pictures

    for path in write_pictures():
        click.echo(path)


@main.command(cls=OfACheckout)
def contents() -> None:
    """Write the executed pages into _toc.yml.

    The fields `below` and `after` in runs.yaml give their places. The page on the bench gets the
    present tasks.
    """
    from forgetting.book.bench_tasks import write_page
    from forgetting.book.contents import write_contents

    write_contents()
    write_page()


@main.command(cls=OfACheckout)
def check() -> None:
    """Report what does not agree in this checkout.

    Weights, notebooks, the table of contents, pages and sweeps are checked. The exit code is 1 if
    something does not agree.
    """
    from forgetting.book import check as checking

    for note in checking.code_moved_on():
        click.echo(f"note: {note}")
    problems = checking.report()
    for problem in problems:
        click.echo(problem)
    click.echo(f"problems: {len(problems)}" if problems else "Everything agrees.")
    sys.exit(bool(problems))


for _command in (audit, bench, tame, unlearn, publish, sweep, upgrade, migrate):
    main.add_command(_command)
