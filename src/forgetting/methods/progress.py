"""A progress bar for methods, shown in terminals and notebooks only."""

import builtins
import sys

from torch import nn
from tqdm import tqdm

from forgetting.methods.results import Callback


def progress(total: int, name: str) -> Callback:
    """Return a callback for a method that moves a progress bar on stderr.

    The bar has the loss and, in taming, the share of images within the rule. It appears in a
    terminal and in a notebook, also when papermill executes the notebook; a log gets no bar.

    Parameters
    ----------
    total : int
        Steps that the method takes at most.
    name : str
        Text before the bar.
    """
    in_notebook = hasattr(builtins, "__IPYTHON__")  # IPython sets it, in a kernel as well
    if_terminal = None  # by which tqdm hides the bar where stderr is no terminal
    bar = tqdm(
        total=total,
        desc=name,
        unit="step",
        file=sys.stderr,
        disable=False if in_notebook else if_terminal,
    )

    def advance(row: dict[str, float], model: nn.Module) -> None:
        bar.update(row["step"] - bar.n)
        bar.set_postfix({key: f"{row[key]:.3g}" for key in ("loss", "within") if key in row})
        if bar.n >= total:
            bar.close()

    return advance
