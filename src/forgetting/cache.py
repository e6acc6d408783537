"""Results of models that are expensive to compute, in the user's cache."""

import contextlib
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from forgetting.errors import ForgettingError
from forgetting.files import CACHE, replacing

TORCH_OWN = frozenset(vars(nn.Module()))
"""Attributes of every module: tensors and parts, which are hashed separately, and hooks."""


def cached(
    models: Sequence[nn.Module],
    inputs: Sequence[torch.Tensor],
    name: str,
    compute: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """Return the result of a computation, from the user's cache if it has been computed before.

    The cache key covers the models' code, structure, constants and weights, the values of the
    inputs, the file in which `compute` is written, its name, and the number of threads, on which
    last digits depend. A result is computed every time if a model holds an attribute of another
    type, or if code is in no file.

    Parameters
    ----------
    models : sequence of nn.Module
        All models on which the result depends.
    inputs : sequence of Tensor
        All tensors on which the result depends.
    name : str
        The name of the computation, with the settings on which the result depends.
    compute : callable
        Returns the result.

    Returns
    -------
    Tensor
        The result.
    """
    digest = hashlib.blake2b(f"{name} {torch.get_num_threads()}".encode(), digest_size=16)
    try:
        digest.update(_code(compute))
        for part in (part for model in models for part in _parts(model)):
            digest.update(part)
    except _UnhashableError:
        return compute()
    for tensor in inputs:
        digest.update(_bytes(tensor))
    path = CACHE / "answers" / f"{digest.hexdigest()}.safetensors"
    try:
        with safe_open(path, framework="pt") as cache:
            result: torch.Tensor = cache.get_tensor("answer")
            return result
    except (OSError, SafetensorError):
        result = compute()  # no such file, or a corrupt one
    with contextlib.suppress(ForgettingError), replacing(path) as temporary:
        save_file({"answer": result.contiguous()}, temporary)
    return result


class _UnhashableError(Exception):
    """A model holds an attribute that cannot be hashed."""


def _parts(model: nn.Module) -> Iterator[bytes]:
    """Yield all that a model's results depend on: code, structure, mode, constants, tensors."""
    yield f"{torch.__version__} {model}".encode()
    classes = {base for module in model.modules() for base in type(module).__mro__}
    for base in sorted(classes - {object}, key=str):
        if not base.__module__.startswith("torch."):
            yield _code(base)
    for name, module in model.named_modules():
        for key, value in sorted(vars(module).items()):
            if isinstance(value, torch.Tensor):
                yield f"{name}.{key}".encode() + _bytes(value)
            elif isinstance(value, bool | int | float | str | tuple | BaseModel):
                yield f"{name}.{key}={value!r}".encode()
            elif key not in TORCH_OWN and value is not None:
                raise _UnhashableError
    for name, tensor in model.state_dict().items():
        yield name.encode() + _bytes(tensor)


def _code(definition: type | Callable[..., Any]) -> bytes:
    """Return the content of the file in which a class or function is written."""
    try:
        return Path(inspect.getfile(definition)).read_bytes()
    except (OSError, TypeError) as error:
        raise _UnhashableError from error


def _bytes(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return repr((tensor.dtype, tuple(tensor.shape))).encode() + values.numpy().tobytes()
