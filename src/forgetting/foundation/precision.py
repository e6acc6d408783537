"""The precision of networks: bfloat16 on a processor that multiplies in it, else float32."""

import contextlib
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16.

    PyTorch emulates bfloat16 on any other processor, at many times the cost of float32. Of
    kinds of device other than CPU and CUDA nothing is known.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        onednn = torch.backends.mkldnn.is_available()
        return bool(onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def autocast_context(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """Return the context in which networks run in a precision, whatever the caller's autocast is.

    Parameters
    ----------
    precision : "float32" or "bfloat16"
        The number format; bfloat16 falls back to float32 on a device without it.
    device : torch.device
        The device of the networks.
    """
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    is_low = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=is_low)
