"""In which precision networks run: bfloat16 where the machine multiplies in it, else float32."""

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16.

    PyTorch emulates it on a processor that does not, which costs many times what float32 does.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        onednn = torch.backends.mkldnn.is_available()
        return onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return True


def autocast_context(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which networks run; bfloat16 is float32 where there is none."""
    low = precision == "bfloat16" and has_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=low)
