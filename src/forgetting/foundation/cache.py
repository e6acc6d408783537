"""Results of models that are expensive to compute, in the user's cache."""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from forgetting.foundation import resources
from forgetting.foundation.files import CACHE
from forgetting.foundation.kept import keep, read_kept

HOOKS = frozenset(name for name in vars(nn.Module()) if name.endswith(("_hooks", "_pre_hooks")))
"""Attributes of every module that hold functions which are called around its own."""

TORCH_OWN = frozenset(vars(nn.Module())) - HOOKS
"""Attributes of every module: tensors and parts, which are hashed separately."""

OURS = ("forgetting.", "torch.nn.modules.", "torch.nn.parameter")
"""Where the classes are written whose code is known: by the package's source, or by a version."""


def cached(
    models: Sequence[nn.Module],
    inputs: Sequence[torch.Tensor],
    name: str,
    compute: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """Return the result of a computation, from the user's cache if it has been computed before.

    The cache key covers the package's source, the version of torch, the number of threads and the
    kind of device, on which last digits depend, the file in which `compute` is written, its name,
    the values of the inputs and, of the models, classes, structure, mode, constants, weights and
    all buffers. A result is computed every time if a model holds an attribute of another type or a
    hook, if its class was given a function from elsewhere, or if `compute` is in no file.

    A model with a class from elsewhere is cached only if it has an attribute `cache_key`, a text
    which its owner changes whenever the model's code changes.

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
    digest.update(resources.source_digest())
    try:
        digest.update(_code(compute))
        for part in (part for model in models for part in _parts(model)):
            digest.update(part)
    except _UnhashableError:
        return compute()
    for tensor in inputs:
        digest.update(_bytes(tensor))
    path = CACHE / "answers" / f"{digest.hexdigest()}.safetensors"
    if (kept := read_kept(path)) is not None:
        return kept[0]
    result = compute()
    keep(path, result)
    return result


class _UnhashableError(Exception):
    """A model holds an attribute that cannot be hashed."""


def _parts(model: nn.Module) -> Iterator[bytes]:
    """Yield all that a model's results depend on: classes, structure, mode, constants, tensors."""
    key = getattr(model, "cache_key", None)
    yield f"{torch.__version__} {model} {key!r}".encode()
    for name, module in model.named_modules():
        place = type(module).__module__
        if not (place.startswith(OURS) or isinstance(key, str)):
            raise _UnhashableError
        if not isinstance(key, str) and _is_patched(type(module)):
            raise _UnhashableError
        yield f"{name}: {place}.{type(module).__qualname__}".encode()
        for attribute, value in sorted(vars(module).items()):
            if isinstance(value, torch.Tensor):
                yield f"{name}.{attribute}".encode() + _bytes(value)
            elif _is_plain(value):
                yield f"{name}.{attribute}={value!r}".encode()
            elif attribute not in TORCH_OWN and (value or attribute not in HOOKS):
                raise _UnhashableError
    for kind in (model.named_parameters, model.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            yield name.encode() + _bytes(tensor)


def _is_patched(kind: type) -> bool:
    """Return whether a class, or a base of it, was given a function from elsewhere."""
    return any(
        isinstance(value, FunctionType) and value.__module__ != base.__module__
        for base in kind.__mro__
        if base.__module__.startswith(OURS)
        for value in vars(base).values()
    )


def _is_plain(value: Any) -> bool:
    """Return whether the text of a value tells it from all others."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | BaseModel)


def _code(definition: Callable[..., Any]) -> bytes:
    """Return the content of the file in which a function is written."""
    try:
        return Path(inspect.getfile(definition)).read_bytes()
    except (OSError, TypeError) as error:
        raise _UnhashableError from error


def _bytes(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    what = repr((tensor.dtype, tuple(tensor.shape), tensor.device.type)).encode()
    return what + values.numpy().tobytes()
