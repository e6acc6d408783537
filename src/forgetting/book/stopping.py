"""One Ctrl-C or SIGTERM ends a command with all processes that it has started."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import IO

import psutil

from forgetting.errors import ForgettingError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal, a scheduler and a terminal that closes send."""


class StoppedError(ForgettingError):
    """Somebody stopped the command."""


@contextmanager
def stoppable(sentence: str, children: Callable[[], Iterable[int]]) -> Iterator[None]:
    """End processes if the block fails, and raise a StoppedError if a signal stops it.

    The processes must be in sessions of their own, so that a terminal's Ctrl-C reaches this
    process alone, and not kernels and workers that would print what broke off.

    Parameters
    ----------
    sentence : str
        Of the error.
    children : callable
        Returns the numbers of the processes; those that they have started end as well.

    Raises
    ------
    StoppedError
        A signal came.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # a second one would break off the end
        raise StoppedError(sentence)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except BaseException:
        end(children())
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(numbers: Iterable[int]) -> None:
    """End processes, and those that they have started, such as kernels."""
    family = []
    for number in numbers:
        try:
            parent = psutil.Process(number)
            family += [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in family:  # parents first, so that none starts another
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)


@contextmanager
def python(
    arguments: Iterable[str],
    environment: Mapping[str, str],
    sentence: str,
    output: IO[bytes] | None = None,
    before: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python in a process that ends with the block at the latest.

    Parameters
    ----------
    arguments : iterable of str
        Of Python.
    environment : mapping of str to str
        All variables.
    sentence : str
        Of the error if somebody stops it.
    output : file, optional
        Takes what the process prints; it prints where this one does otherwise.
    before : callable
        Called with the process before the signal ends it.

    Raises
    ------
    StoppedError
        A signal came.
    """
    started: list[subprocess.Popen[bytes]] = []

    def children() -> list[int]:
        for process in started:
            before(process)
        return [process.pid for process in started]

    with stoppable(sentence, children):
        started.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
        yield started[0]
        end(process.pid for process in started if process.poll() is None)


def run_python(arguments: Iterable[str], environment: Mapping[str, str], sentence: str) -> int:
    """Run Python in a process that ends with this one, and return its exit code.

    Parameters
    ----------
    arguments, environment, sentence
        As `python` takes them.

    Raises
    ------
    StoppedError
        A signal came.
    """
    with python(arguments, environment, sentence) as process:
        return process.wait()
