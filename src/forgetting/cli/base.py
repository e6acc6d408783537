"""What all commands share: how errors are printed, and types of arguments."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation import project, resources
from forgetting.foundation.files import is_path

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Command(click.Command):
    """A command that takes an option once, unless it may be repeated."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises
        ------
        ParameterError
            An option is given twice, of which one value would be lost.
        """
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        once = [each for each in order if isinstance(each, click.Option) and not each.multiple]
        if twice := [each for each in once if once.count(each) > 1 and not each.is_flag]:
            raise ParameterError(f"{twice[0].opts[0]} is given twice: give it once.")
        return super().parse_args(ctx, args)


def check_current_folder() -> None:
    """Raise a ForgettingError if the current folder is deleted."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise ForgettingError("The current folder is deleted: change to another one.") from error


@contextmanager
def usage_in_one_line() -> Iterator[None]:
    """Make one line of what can be printed of an error of usage, whatever an argument holds."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # which shows the help
    except click.UsageError as error:
        sentence = str(ForgettingError(error.format_message()))
        raise click.UsageError(sentence, error.ctx) from error


class Commands(click.Group):
    """Commands that report an expected error as one sentence, with exit code 1."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments before the name of a command."""
        with usage_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, and print an expected error as a sentence."""
        try:
            check_current_folder()
            with usage_in_one_line():
                return super().invoke(ctx)
        except ForgettingError as error:
            sentence = str(error)
        except ModuleNotFoundError as error:
            sentence = f"This needs {error.name}: run `pip install 'forgetting[book]'` first."
        click.echo(f"forgetting: {sentence}", err=True)
        sys.exit(1)


class OfACheckout(Command):
    """A command that works on the files of a checkout, which a wheel does not hold."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, or say that it needs a checkout."""
        if resources.checkout() is None:
            raise ForgettingError(
                f"`forgetting {self.name}` needs a checkout of the book: clone "
                f"{project.REPOSITORY or 'its repository'}, and see its CONTRIBUTING.md."
            )
        return super().invoke(ctx)


SETTINGS = {
    "unlearn": {
        "until_gone": "forgetting.methods.until_gone_config.UntilGoneConfig",
        "moon2024": "forgetting.methods.feature_unlearning.UnlearningConfig",
    },
    "tame": {"taming": "forgetting.methods.taming_config.TamingConfig"},
}
"""Where the settings of each command's methods are, by command and method."""


class WithSettings(Command):
    """A command whose help ends with the settings that its option `-p` takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings of each method, with their defaults."""
        for method, place in SETTINGS[str(self.name)].items():
            module, _, name = place.rpartition(".")
            fields = getattr(import_module(module), name).model_fields
            with formatter.section(f"Settings of {method}"):
                formatter.write_dl(
                    [
                        (f"{key}={field.default}", field.description or "")
                        for key, field in fields.items()
                        if key != "seed"
                    ]
                )


def device_option(default: str) -> Callable[[FunctionT], FunctionT]:
    """Return the option that names a device."""
    return click.option(
        "--device", default=default, show_default=True, help="auto, cpu, cuda, cuda:N or mps."
    )


def require(names: tuple[str, ...], every: bool, kind: str) -> None:
    """Raise an error unless things are named, or all are wanted.

    Raises
    ------
    ForgettingError
        Neither or both.
    """
    if bool(names) == every:
        raise ForgettingError(f"Name at least one {kind}, or use --all; not both.")


class NamedPath(click.Path):
    """A path whose name is not empty, as that of an unset variable is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("the path is empty: give . if you mean the current folder", param, ctx)
        if not is_path(os.path.realpath(value)):
            self.fail(f"{value!r} cannot be a path on this system", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = NamedPath(path_type=Path, resolve_path=True)
FILE = NamedPath(path_type=Path, exists=True, dir_okay=False)
