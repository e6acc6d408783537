"""Commands that bring records of an earlier version to the present one."""

from pathlib import Path

import click

from forgetting.cli.base import FILE, FOLDER, Command, OfACheckout


@click.command(cls=Command)
@click.argument("folder", type=FOLDER)
def upgrade(folder: Path) -> None:
    """Bring the records in FOLDER to the present schema.

    An earlier version of forgetting wrote them. Subfolders are included.
    """
    from forgetting.book.records import SCHEMA
    from forgetting.book.schema import upgrade_folder

    for path in (upgraded := upgrade_folder(folder)):
        click.echo(path)
    click.echo(f"records of schema {SCHEMA} written: {len(upgraded)}")


@click.command(cls=OfACheckout)
@click.argument("commit")
@click.argument("renaming", metavar="MAP.yaml", type=FILE)
@click.option(
    "--executed",
    type=FOLDER,
    help="Records of one run of each sweep, in the subfolders before and after.",
)
def migrate(commit: str, renaming: Path, executed: Path | None) -> None:
    """Carry published pages over a renaming of code.

    COMMIT is the last commit before the renaming. MAP.yaml holds the new names by the old ones,
    in the sections names, attributes, keywords, strings and templates. A page is carried over if
    these names turn its old code into the present code, and stays as it is otherwise. The runs of
    a sweep are also carried over where one of them has the same record before and after.
    """
    from forgetting.book import migrate as migrating

    names = migrating.read_renaming(renaming)
    carried = migrating.migrate(commit, names, click.echo, executed)
    for name in carried:
        click.echo(f"{name}: carried over")
    click.echo(f"pages and runs carried over: {len(carried)}")
