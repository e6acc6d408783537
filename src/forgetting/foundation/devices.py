"""Devices: which one computes, and what is done elsewhere or otherwise on some of them."""

import re
from collections.abc import Sequence

import torch
from torch import nn

from forgetting.errors import ParameterError, quoted

DEVICE = r"^(auto|cpu|cuda(:(0|[1-9][0-9]{0,3}))?|mps)$"
"""How a device is named: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""

COMPLETE = ("cpu", "cuda")
"""Kinds of device with float64, fused optimizers and right gradients in the layout channels-last.

MPS has no float64, and some versions of torch lack the others there: batch norm and the
activations return wrong gradients in silence (pytorch issues 107214 and 175189).
"""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        `cpu`, `cuda`, `cuda:N`, `mps` or `auto`: the first of cuda, mps and cpu that is here.

    Raises
    ------
    ParameterError
        The name is none of these, or there is no such device here.
    """
    if not isinstance(name, str) or not re.fullmatch(DEVICE, name):
        raise ParameterError(f"device = {quoted(name)}: give auto, cpu, cuda, cuda:N or mps.")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if n_gpus else "mps" if has_mps else "cpu")
    kind, _, number = name.partition(":")
    if (kind == "cuda" and not n_gpus) or (kind == "mps" and not has_mps):
        raise ParameterError(f"device = {name!r}, but torch finds no such GPU here: use auto.")
    if kind == "cuda" and int(number or 0) >= n_gpus:
        raise ParameterError(f"device = {name!r}, but the last GPU here is cuda:{n_gpus - 1}.")
    return torch.device(name)


def is_complete(device: torch.device) -> bool:
    """Return whether a device has float64, fused optimizers and the layout channels-last."""
    return device.type in COMPLETE


def as_float64(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in float64, differentiably: on the CPU if its device has no float64."""
    return (tensor if is_complete(tensor.device) else tensor.cpu()).double()


def adam(weights: Sequence[nn.Parameter], lr: float, *, eps: float = 1e-8) -> torch.optim.Adam:
    """Return an optimizer of weights, fused where their device has that."""
    is_fused = all(is_complete(weight.device) for weight in weights)
    return torch.optim.Adam(weights, lr, eps=eps, fused=is_fused)


def mend_layout(module: nn.Module) -> None:
    """Take the layout channels-last from weights where it has no right gradients."""
    for weight in module.parameters():
        if not is_complete(weight.device):
            weight.data = weight.data.contiguous()


def fast_layout(images: torch.Tensor) -> torch.Tensor:
    """Return images (B, C, H, W) in the fastest memory layout with right gradients there."""
    is_safe = is_complete(images.device)
    return images.contiguous(
        memory_format=torch.channels_last if is_safe else torch.contiguous_format
    )
