"""A model is built no larger than the weights that it gets, whatever its record says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy

ROOM = 10
"""Values that may be built for each that is loaded: some are built twice, and some replaced."""


@contextmanager
def room_for(n_values: int) -> Iterator[None]:
    """Stop the building of a model that becomes far larger than what is loaded into it.

    A record that is damaged may name any size: of a billion layers no machine comes to the end.

    Parameters
    ----------
    n_values : int
        Loaded into the model that the block builds, or a bound of their number.

    Raises
    ------
    ValueError
        The model is too large.
    """
    most = ROOM * n_values
    thread, built = threading.get_ident(), 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal built
        if threading.get_ident() == thread and parameter is not None and not is_lazy(parameter):
            built += max(1, parameter.numel())
        if built > most:
            raise ValueError(f"it is far larger than its {n_values:,} weights")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
