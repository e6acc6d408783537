"""Bars over what takes long, where somebody looks: in a terminal or in a notebook.

A bar appears after two seconds, has one line of stderr, and goes away at the end. A bar within
another takes its line meanwhile. Phases stand before the names of the bars within them.
"""

import builtins
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")

Advance = Callable[[dict[str, float], object], None]
"""What a method calls at every step, with the step's figures and the model so far."""

DELAY = 2.0
"""Seconds after which a bar appears."""

INTERVAL = 0.5
"""Seconds between two states of a bar."""

OF_THE_RULE = "{desc}: {percentage:3.0f}%|{bar}| within the rule{postfix} [{elapsed}]"
"""A bar that does not count steps, but says how near the stopping rule is."""

_phases: ContextVar[tuple[str, ...]] = ContextVar("phases", default=())


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Put a name before the names of all bars within, such as that of a round.

    Parameters
    ----------
    name : str
        What is going on.
    """
    token = _phases.set((*_phases.get(), name))
    try:
        yield
    finally:
        _phases.reset(token)


def tracked(things: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
    """Return things with a bar that says how many are done and how long the rest takes.

    Parameters
    ----------
    things : iterable
        What is gone through.
    name : str
        Text before the bar.
    total : int, optional
        Number of things that have no length.
    """
    if not _is_watched():
        return things
    return _counted(things, bar(len(things) if isinstance(things, Sized) else total, name))


def progress(total: int, name: str) -> Advance | None:
    """Return a callback for a method that moves a bar, or None where nobody looks.

    The bar counts steps, and has the loss. In taming with a stopping rule, it shows the share of
    images within the rule, how far outside the farthest lies, and how far retained images moved.

    Parameters
    ----------
    total : int
        Steps that the method takes at most.
    name : str
        Text before the bar.
    """
    if not _is_watched():
        return None
    line = bar(total, name, unit="step")

    def advance(row: dict[str, float], model: object) -> None:
        place, note = row["step"], f"loss={row['loss']:.3g}" if "loss" in row else ""
        if "farthest" in row:
            line.total, line.bar_format, place = 1, OF_THE_RULE, row["within"]
            note = (
                f"farthest {row['farthest']:.2g} sigma off, others moved {row['shift']:.2f}, "
                f"step {row['step']:.0f}"
            )
        line.set_description_str(_full(name), refresh=False)
        line.set_postfix_str(note, refresh=False)
        line.update(place - line.n)
        if row["step"] >= total:
            line.close()

    return advance


def bar(total: int | None, name: str, unit: str = "it", start: int = 0) -> tqdm:
    """Return a bar to be moved by `update`; it shows nothing where nobody looks.

    Parameters
    ----------
    total : int or None
        What the bar counts to; None if that is not clear.
    name, unit : str
        Text before the bar, and what it counts.
    start : int
        What is done already.
    """
    return _Line(
        total=total,
        initial=start,
        desc=_full(name),
        unit=unit,
        file=sys.stderr,
        disable=not _is_watched(),
        leave=False,
        delay=DELAY,
        mininterval=INTERVAL,
        miniters=0,
        position=0,
    )


class _Line(tqdm):
    """A bar that shares one line with all others, and so writes over what the last one left."""

    n_shown = 0

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        """Return a function that replaces the line."""

        def show(text: str) -> None:
            print("\r" + text.ljust(_Line.n_shown), end="", file=file, flush=True)
            _Line.n_shown = len(text)

        return show


def _counted(things: Iterable[T], line: tqdm) -> Iterator[T]:
    """Yield things, and move a bar after each."""
    with line:
        for thing in things:
            yield thing
            line.update()


def _full(name: str) -> str:
    """Return the name of a bar after those of the phases that it is in."""
    return ", ".join([*_phases.get(), name])


def _is_watched() -> bool:
    """Return whether somebody looks at stderr, in a terminal or in a notebook.

    The command line sets the variable of tqdm where its stderr is no terminal.
    """
    if os.environ.get("TQDM_DISABLE"):
        return False
    return hasattr(builtins, "__IPYTHON__") or sys.stderr.isatty()  # IPython sets it in a kernel
