"""The control of taming: tuned as long on the same retained images, with nothing to forget."""

import torch
from torch import nn

from forgetting.methods import Callback, TamingResult
from forgetting.methods.taming import TamingConfig, tame


def tame_control(
    flow: nn.Module,
    forget: torch.Tensor,
    retain: torch.Tensor,
    config: TamingConfig,
    *,
    steps: int | None = None,
    callback: Callback | None = None,
) -> TamingResult:
    """Tune a copy of a flow as taming would, but with no pressure on the images to forget.

    What the control does to samples comes from retaining alone; only what taming does beyond it
    is forgetting. The images to forget go through the flow at every step, with a gradient of
    zero. The control thus takes the same time and the same random draws.

    Parameters
    ----------
    flow : Module
        As `tame` takes it.
    forget, retain : Tensor
        The sets that the tamed flow was given.
    config : TamingConfig
        The tamed flow's configuration; its stopping rule does not apply.
    steps : int or None
        How many steps the tamed flow took. None: `config.max_steps`.
    callback : Callback or None
        As `tame` takes it.

    Returns
    -------
    TamingResult : the control and its history, as `tame` returns them

    Raises
    ------
    DataError, TrainingError
        As `tame` raises them.
    """
    if steps is not None:
        config = config.model_copy(update={"max_steps": steps})
    no_pressure = torch.zeros(len(forget))
    return tame(
        flow, forget, retain, config, callback=callback, steer=lambda step, model: no_pressure
    )
