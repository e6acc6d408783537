"""Bars over what takes long, where somebody looks: in a terminal or in a notebook.

A bar appears after two seconds, has one line of stderr, and goes away at the end. A bar within
another takes its line meanwhile. Phases stand before the names of the bars within them.

Where stderr is no terminal, no bar fills the log. What takes over a minute says so in a plain
line, and then says in one line a minute how far it is. The same objects count for both.
"""

import builtins
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")

Advance = Callable[[dict[str, float], object], None]
"""What a method calls at every step, with the step's figures and the model so far."""

DELAY = 2.0
"""Seconds after which a bar appears."""

INTERVAL = 0.5
"""Seconds between two states of a bar."""

AS_LINES = "lines"
"""Value of TQDM_DISABLE with which there are lines in the place of bars, also in a kernel. It
switches off all other bars of tqdm, as any value does."""

MINUTE = 60.0
"""Seconds between two lines in a log, and what takes longer has a first line at once."""

SURE = 5.0
"""Seconds after which the speed of something tells how long it takes."""

MARK = "\r"
"""How a line of a kernel begins, so that whoever started it tells it from warnings."""

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
    if not _way():
        return things
    return _counted(things, bar(len(things) if isinstance(things, Sized) else total, name))


def progress(total: int, name: str) -> Advance | None:
    """Return a callback for a method that moves a bar, or None where progress is switched off.

    The bar counts steps, and has the loss. In taming with a stopping rule, it shows the share of
    images within the rule, how far outside the farthest lies, and how far retained images moved.

    Parameters
    ----------
    total : int
        Steps that the method takes at most.
    name : str
        Text before the bar.
    """
    if not _way():
        return None
    line = bar(total, name, unit="step")

    def advance(row: dict[str, float], model: object) -> None:
        place, note = row["step"], f"loss={row['loss']:.3g}" if "loss" in row else ""
        if "farthest" in row:
            line.total, line.bar_format, place = 1, OF_THE_RULE, row["within"]
            note = (
                f"farthest {row['farthest']:.2g} sigma off, others moved {row['shift']:.2f}, "
                f"step {row['step']:.0f} of at most {total}"
            )
        line.set_description_str(_full(name), refresh=False)
        line.set_postfix_str(note, refresh=False)
        line.update(place - line.n)
        if row["step"] >= total:
            line.close()

    return advance


def bar(total: int | None, name: str, unit: str = "it", start: int = 0) -> tqdm:
    """Return a bar to be moved by `update`; in a log it tells its state in plain lines.

    Parameters
    ----------
    total : int or None
        What the bar counts to; None if that is not clear.
    name, unit : str
        Text before the bar, and what it counts.
    start : int
        What is done already.
    """
    way = _way()
    options: dict[str, Any] = {"total": total, "initial": start, "desc": _full(name), "unit": unit}
    options |= {"file": sys.stderr, "disable": not way, "leave": False, "miniters": 0}
    if way == "lines":
        # At position 1, since tqdm returns to the start of the line at 0 when a bar is closed.
        return _Told(**options, delay=0, mininterval=DELAY, position=1)
    return _Line(**options, delay=DELAY, mininterval=INTERVAL, position=0)


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


class _Told(tqdm):
    """A bar that is never drawn: at times it tells in a plain line how far it is."""

    monitor_interval = 0
    began: float | None = None
    told: float | None = None

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Tell the state, if what goes on takes over a minute and the last line is that old."""
        del pos
        now, state = time.monotonic(), self.format_dict
        if msg is not None:  # the bar is closed
            return True
        _Told.began = now if _Told.began is None else _Told.began
        left = self._seconds_left(state)
        if _Told.told is None:
            whole = state["elapsed"] + (left or 0.0)
            is_due = now - _Told.began > (SURE if whole > MINUTE else MINUTE)
        else:
            is_due = now - _Told.told >= MINUTE
        if is_due:
            _Told.told = now
            mark = MARK if _in_kernel() else ""
            print(f"{mark}{self._line(state, left)}", file=self.fp, flush=True)
        return True

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        """Return a function that draws nothing."""
        del file
        return lambda text: None

    def _line(self, state: dict[str, Any], left: float | None) -> str:
        """Return a plain line on the state."""
        name = self.desc.removesuffix(": ")
        if self.bar_format == OF_THE_RULE:
            return f"{name}: {self.n:.0%} within the rule, {self.postfix}"
        end = f" of {self.total:,}" if self.total else f" after {_time(state['elapsed'])}"
        return f"{name}: {self.n:,}{end}" + (f", {_time(left)} left" if left is not None else "")

    def _seconds_left(self, state: dict[str, Any]) -> float | None:
        """Return how long the rest takes at the speed so far; None if that is not clear."""
        n_done = self.n - self.initial
        if not self.total or n_done <= 0 or self.bar_format == OF_THE_RULE:
            return None
        return float(state["elapsed"] * max(self.total - self.n, 0) / n_done)


def _time(seconds: float) -> str:
    """Return a time for a log, in minutes from one minute and a half on."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _counted(things: Iterable[T], line: tqdm) -> Iterator[T]:
    """Yield things, and move a bar after each."""
    with line:
        for thing in things:
            yield thing
            line.update()


def _full(name: str) -> str:
    """Return the name of a bar after those of the phases that it is in."""
    return ", ".join([*_phases.get(), name])


def _way() -> Literal["", "bars", "lines"]:
    """Return how progress shows: not at all, as bars, or as lines where stderr is no terminal.

    The command line sets TQDM_DISABLE where its stderr is no terminal.
    """
    if is_off := os.environ.get("TQDM_DISABLE"):
        return "lines" if is_off == AS_LINES else ""
    return "bars" if _in_kernel() or sys.stderr.isatty() else "lines"


def _in_kernel() -> bool:
    return hasattr(builtins, "__IPYTHON__")  # IPython sets it
