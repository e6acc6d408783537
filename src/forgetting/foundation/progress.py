"""A bar over anything that takes long, in a terminal only."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def tracked(things: Sequence[T], name: str) -> Iterable[T]:
    """Return things with a bar that says how many are done and how long the rest takes.

    The bar is on stderr, goes away at the end, and does not appear where stderr is no terminal.

    Parameters
    ----------
    things : sequence
        What is gone through.
    name : str
        Text before the bar.
    """
    return tqdm(things, desc=name, file=sys.stderr, disable=None, leave=False)
