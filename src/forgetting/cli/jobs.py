"""The commands that execute many pages or runs as jobs, here or on a cluster."""

import click

from forgetting.cli.base import OfACheckout, require

jobs_option = click.option(
    "--jobs", type=click.IntRange(1), help="Jobs at once [as many as cores and memory allow]."
)

profile_option = click.option(
    "--profile",
    metavar="NAME",
    help="Execute on a cluster: slurm, or a folder with a profile, such as a copy of kubernetes.",
)


@click.command(cls=OfACheckout)
@click.argument("names", nargs=-1)
@jobs_option
@profile_option
@click.option("--again", is_flag=True, help="Execute current pages, too.")
def publish(names: tuple[str, ...], jobs: int | None, profile: str | None, again: bool) -> None:
    """Execute and publish the pages NAMES, or all, with real data.

    They go to book/runs, and their records to results. Current pages are not executed.
    """
    from forgetting.book import publish as publishing

    publishing.publish(click.echo, names, jobs, again=again, profile=profile)


@click.command(cls=OfACheckout)
@click.argument("names", nargs=-1)
@click.option("--all", "all_sweeps", is_flag=True, help="Execute every sweep of runs.yaml.")
@jobs_option
@profile_option
def sweep(names: tuple[str, ...], all_sweeps: bool, jobs: int | None, profile: str | None) -> None:
    """Execute the missing runs of the sweeps NAMES.

    Records go to results/NAME. An interrupted sweep continues where it stopped.
    """
    require(names, all_sweeps, "sweep of runs.yaml")
    from forgetting.book import entries
    from forgetting.book import publish as publishing

    wanted = [entry.name for entry in entries.sweeps()] if all_sweeps else names
    publishing.run_sweeps(wanted, click.echo, jobs, profile)
