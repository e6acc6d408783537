"""The kernel of a run: this Python, without what a user has set for other notebooks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

from ipykernel import kernelspec
from traitlets.config import Config

from forgetting.book import templates
from forgetting.book.run import INLINE
from forgetting.errors import ForgettingError
from forgetting.foundation import resources
from forgetting.foundation.environment import variables
from forgetting.foundation.progress import AS_LINES, MARK

Result = TypeVar("Result")

CONFIG = Config(
    {
        "KernelManager": {"transport_encryption": "auto"},
        "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
    }
)
"""Configuration of kernels: without encryption each prints a warning, and a slow one prints that
it was interrupted when it is shut down. Errors of cells are no messages of this log."""


ERASE_THE_REST, UP = "\x1b[K", "\x1b[A"
"""What a terminal is sent to empty the line from the cursor on, and to go to the line above."""


STARTS = 3
"""How often a run begins whose kernel ends before its first cell."""


QUIET: tuple[dict[str, str], None] = {"TQDM_DISABLE": "1"}, None
"""What `progress` returns, for a kernel that tells nothing."""


class BarsBelow:
    """A stream that shows the bars of a kernel in a terminal, on the line below papermill's bar.

    All else that a kernel writes to stderr is in the notebook.
    """

    def __init__(self, terminal: TextIO) -> None:
        """Take the terminal, such as `sys.stderr`."""
        self._terminal = terminal

    def write(self, text: str) -> None:
        """Show the last state of the bars in a text."""
        if "\r" in text:
            width = shutil.get_terminal_size().columns - 1
            line = text.rpartition("\r")[2].partition("\n")[0].rstrip()[:width]
            self._terminal.write(f"\n{line}{ERASE_THE_REST}\r{UP}")

    def flush(self) -> None:
        """Send what was written to the terminal."""
        self._terminal.flush()


class LinesOnly:
    """A stream that passes on the lines in which a kernel tells its progress, and nothing else."""

    def __init__(self, log: TextIO) -> None:
        """Take the log, such as `sys.stderr`."""
        self._log = log

    def write(self, text: str) -> None:
        """Pass on the lines on progress of a text."""
        for line in text.split("\n"):
            if line.startswith(MARK):
                print(line.removeprefix(MARK), file=self._log)

    def flush(self) -> None:
        """Send what was written to the log."""
        self._log.flush()


def progress(stderr: TextIO) -> tuple[dict[str, str], BarsBelow | LinesOnly | None]:
    """Return variables for a kernel that tells its progress, and the stream that shows it.

    Parameters
    ----------
    stderr : TextIO
        A terminal gets bars, a log lines; nothing is shown where the user's TQDM_DISABLE is set.
    """
    if os.environ.get("TQDM_DISABLE", AS_LINES) != AS_LINES:
        return {}, None
    if stderr.isatty():
        return {}, BarsBelow(stderr)
    return {"TQDM_DISABLE": AS_LINES}, LinesOnly(stderr)


def check_package(folder: Path) -> None:
    """Raise an error unless a notebook that is executed in a folder imports this package.

    A command of another copy than the installed one may find its package in the folder in which
    it is called, or by PYTHONPATH; its notebooks are executed elsewhere.

    Raises
    ------
    ForgettingError
        It imports another, whose code would make the figures.
    """
    question = "import importlib.util as u; print(u.find_spec('forgetting').origin)"
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=folder, capture_output=True, check=False
    )
    imported = Path(os.fsdecode(done.stdout.strip())).resolve().parent
    if done.returncode or imported != resources.PACKAGE:
        raise ForgettingError(
            f"The command is that of the package in {resources.PACKAGE}, and its notebook would "
            f"import {'none' if done.returncode else f'the one in {imported}'}: set PYTHONPATH to "
            f"{resources.PACKAGE.parent}, or call the command of that one."
        )


def begun(execute: Callable[[], Result]) -> Result:
    """Execute a notebook, again if its kernel ends before the first cell.

    Jupyter picks free ports and leaves them to the kernel, which takes them a second later. Of two
    kernels that begin at once and were given one port, the later one ends.

    Parameters
    ----------
    execute : callable
        Executes the notebook.

    Raises
    ------
    RuntimeError
        The kernel ended before the first cell each of `STARTS` times.
    """
    for _ in range(STARTS - 1):
        try:
            return execute()
        except RuntimeError as error:
            if "died before replying" not in str(error):
                raise
    return execute()


@contextmanager
def environment(folder: Path, **more: str) -> Iterator[None]:
    """Set the variables with which a kernel is that of this interpreter, and restore them.

    The user may have another kernel of the same name, a backend of matplotlib in MPLBACKEND, which
    would draw no picture into a notebook, startup files of Python and IPython, and filters of
    warnings in PYTHONWARNINGS, which would make errors of notes. None of them counts.

    Parameters
    ----------
    folder : Path
        Of the run; it receives the description of the kernel, and the profile.
    **more : str
        Further variables of the run.
    """
    kernelspec.write_kernel_spec(folder / "kernels" / templates.KERNEL["name"])
    places = filter(None, [str(folder), os.environ.get("JUPYTER_PATH")])
    values = {
        "JUPYTER_PATH": os.pathsep.join(places),
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": INLINE,
        "PYTHONSTARTUP": "",
        "PYTHONWARNINGS": "",
        **more,
    }
    with variables(values):
        yield
