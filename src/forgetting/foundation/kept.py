"""A tensor in the user's cache, with a checksum: a damaged file is told, and never used."""

import contextlib
import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from forgetting.errors import DataWarning, ForgettingError
from forgetting.foundation.files import check_ends, replacing

TENSOR, CHECKSUM = "tensor", "checksum"


def read_kept(path: Path) -> tuple[torch.Tensor, dict[str, str]] | None:
    """Return a tensor that was kept, and the texts about it; None if there is none.

    A `DataWarning` says where a file is damaged; it counts as missing.
    """
    if not path.exists():
        return None
    with contextlib.suppress(OSError, SafetensorError, RuntimeError):
        check_ends(path)
        with safe_open(path, framework="pt") as file:
            about = dict(file.metadata() or {})
            tensor: torch.Tensor = file.get_tensor(TENSOR)
        if about.pop(CHECKSUM, "") == _checksum(tensor, about):
            return tensor, about
    warnings.warn(
        f"The cache {path} is damaged: what it held is computed anew.", DataWarning, stacklevel=3
    )
    return None


def keep(path: Path, tensor: torch.Tensor, about: Mapping[str, str] | None = None) -> None:
    """Write a tensor and texts about it to the user's cache, if the cache can be written to."""
    tensor, texts = tensor.contiguous(), dict(about or {})
    metadata = texts | {CHECKSUM: _checksum(tensor, texts)}
    with contextlib.suppress(ForgettingError), replacing(path) as temporary:
        save_file({TENSOR: tensor}, temporary, metadata)


def _checksum(tensor: torch.Tensor, about: Mapping[str, str]) -> str:
    """Return a hash of a tensor's values and of the texts about it."""
    what = repr((tensor.dtype, tuple(tensor.shape), sorted(about.items())))
    digest = hashlib.blake2b(what.encode(), digest_size=16)
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
