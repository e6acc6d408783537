"""Copies of models: what measures or tunes a model works on a copy and leaves the model alone."""

import collections
import copy
import functools
import inspect
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from forgetting.errors import ModelError
from forgetting.foundation.devices import mend_layout

CONTAINERS = (list, tuple, set, frozenset, collections.deque)

ATOMS = (type(None), str, bytes, int, float, complex, type, types.FunctionType, types.ModuleType)
"""What `copy.deepcopy` does not copy, or what holds neither a module nor a tensor."""


@torch.inference_mode(False)
def frozen_copy(model: Any) -> Any:
    """Return a copy of a model in evaluation mode, whose weights take no gradient.

    A model without a float32 weight becomes float32, its buffers with it. Where a device has no
    right gradients in the layout channels-last, the weights get the usual one. The model is not
    changed: neither its mode, its weights, buffers and gradients, nor anything else it keeps.

    Parameters
    ----------
    model : nn.Module
        Modules that are in no `nn.ModuleList`, but in a plain list or in another object, count.

    Raises
    ------
    ModelError
        The model is no module, cannot be copied, or its copy would share weights with it.
    """
    check_module(model)
    duplicate, held = _independent_copy(model)
    freeze(duplicate)
    for module in _outermost(held):
        module.eval()
        formats = {p.dtype for p in module.parameters() if p.is_floating_point()}
        if formats and torch.float32 not in formats:
            module.float()
        mend_layout(module)
    return duplicate


def check_module(model: Any) -> None:
    """Raise a ModelError unless a model is a module."""
    if isinstance(model, type):
        raise ModelError(f"The model is the class {model.__name__}: give an instance of it.")
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"{type(model).__name__} is no torch.nn.Module: write it as one, or give the module "
            "that it holds to `as_flow`, `as_generator` or `as_classifier` with a function."
        )


@torch.inference_mode(False)
def tunable_copy(model: Any, trainable: Callable[[nn.Module], nn.Module] | None = None) -> Any:
    """Return a copy of a model in evaluation mode, of which some weights take gradients.

    These are the floating-point weights of the part that `trainable` picks. Weights that are
    frozen in the model (`requires_grad` is False) stay frozen, unless all of the part are: such a
    part was loaded for use, and all its weights are tuned.

    Parameters
    ----------
    model : nn.Module
        The model; it is not changed.
    trainable : callable, optional
        Returns, of the copy, the part that is tuned; without it all is tuned.

    Raises
    ------
    ModelError
        The model cannot be copied, `trainable` returns no part of the copy, or the part has no
        floating-point weight.
    """
    duplicate = frozen_copy(model)
    name = name_of(model)
    try:
        part = duplicate if trainable is None else trainable(duplicate)
    except Exception as error:
        raise ModelError(
            f"`trainable` fails on a copy of {name} ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(part, nn.Module):
        raise ModelError(
            f"`trainable` returns {type(part).__name__} of a copy of {name}: it must return a "
            "module of the copy that it is given."
        )
    own = {id(parameter) for parameter in duplicate.parameters()}
    weights = [parameter for parameter in part.parameters() if parameter.is_floating_point()]
    if not weights:
        raise ModelError(
            f"{type(part).__name__} has no weights that can be tuned: its `parameters()` holds "
            "no floating-point tensor."
        )
    if not own.issuperset(map(id, weights)):
        raise ModelError(
            f"`trainable` returns weights that are not those of the copy of {name} that it is "
            "given: it must use its argument, not the model itself."
        )
    is_free = {
        id(tuned)
        for given, tuned in zip(model.parameters(), duplicate.parameters(), strict=True)
        if given.requires_grad
    }
    for parameter in [p for p in weights if id(p) in is_free] or weights:
        parameter.requires_grad_(True)
    return duplicate


@torch.inference_mode(False)
def averaged_copy(first: Any, second: Any, part: float) -> Any:
    """Return a copy of a model, whose weights go a part of the way to those of another.

    Parameters
    ----------
    first, second : nn.Module
        Two models of one architecture.
    part : float
        0 gives the first model's weights, 1 the second's.
    """
    model = frozen_copy(first)
    with torch.no_grad():
        for weight, end in zip(model.parameters(), second.parameters(), strict=True):
            if weight.is_floating_point():
                weight.lerp_(end, part)
    return model


def name_of(model: Any) -> str:
    """Return the class of a model; of one that holds a `module`, both classes."""
    inner = getattr(model, "module", None)
    name = type(model).__name__
    return f"{name}({type(inner).__name__})" if isinstance(inner, nn.Module) else name


def free_weights(model: nn.Module) -> list[nn.Parameter]:
    """Return the weights of a model that take gradients."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def freeze(model: nn.Module) -> nn.Module:
    """Put a model into evaluation mode, without gradients for its weights, and return it."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def device_of(model: Any) -> torch.device:
    """Return the device of a model's weights, or of its buffers; the CPU if it has neither."""
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        return tensor.device
    return torch.device("cpu")


def on_device_of(model: Any, images: torch.Tensor) -> torch.Tensor:
    """Return images on the device of a model; as they are for what is no module."""
    return images.to(device_of(model)) if isinstance(model, nn.Module) else images


def contents(*values: Any) -> Iterator[nn.Module | torch.Tensor]:
    """Yield each module and tensor in values once: themselves, their attributes, their items."""
    seen: dict[int, Any] = {}  # keeps what is made on the way alive, so that no id comes twice
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, ATOMS) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, torch.Tensor | nn.Module):
            yield value
        waiting.extend(_held(value))


def storage(tensor: torch.Tensor) -> int:
    """Return the address of a tensor's values; views of one tensor have the same. 0: none."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # a sparse tensor, or one without values
        return 0


def _held(value: Any) -> Iterable[Any]:
    """Return what a deep copy of an object copies with it."""
    if isinstance(value, torch.Tensor):
        return ()
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, CONTAINERS):
        return value
    if isinstance(value, nn.Module):
        tensors = (*value._parameters.values(), *value._buffers.values())
        return [*vars(value).values(), *value.children(), *tensors]
    if inspect.ismethod(value):
        return (value.__self__,)
    if isinstance(value, functools.partial):
        return (value.func, value.args, value.keywords)
    kinds = type(value).__mro__ if type(value).__module__ != "builtins" else ()
    slots = (name for kind in kinds for name in vars(kind).get("__slots__", ()))
    values = (getattr(value, name, None) for name in slots)
    return [*getattr(value, "__dict__", {}).values(), *values]


def _independent_copy(
    model: nn.Module,
) -> tuple[nn.Module, list[nn.Module | torch.Tensor]]:
    """Return a deep copy that shares no module and no weight with a model, and its contents.

    Tensors that a model keeps from its last call are copied without their gradient history.
    """
    name = name_of(model)
    given = list(contents(model))
    tensors = [value for value in given if isinstance(value, torch.Tensor)]
    if any(map(is_lazy, tensors)):
        raise ModelError(f"{name} has weights without values: call it once on a batch.")
    memo: dict[int, Any] = {id(t): t.detach().clone() for t in tensors if not t.is_leaf}
    try:
        with torch.no_grad():
            duplicate = copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(
            f"{name} cannot be copied ({type(error).__name__}: {error}). Every method and measure "
            "works on a copy: make the model a module that `copy.deepcopy` can copy."
        ) from error
    held = list(contents(duplicate))
    if not _identities(given).isdisjoint(_identities(held)):
        raise ModelError(
            f"A copy of {name} shares weights or modules with the model, so that tuning it would "
            "change the model: its `__deepcopy__` must copy them all."
        )
    own, copied = _named_tensors(model), _named_tensors(duplicate)
    if own.keys() != copied.keys() or not all(is_same(own[k], copied[k]) for k in own):
        raise ModelError(
            f"A copy of {name} has other weights or buffers than the model: its `__deepcopy__` "
            "must copy them as they are."
        )
    return duplicate, held


def _named_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return all weights and buffers of a model by name."""
    return dict([*model.named_parameters(), *model.named_buffers()])


def is_same(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors have the same format, place and values; nan equals nan."""
    facts = [(each.dtype, each.device, each.shape) for each in (tensor, other)]
    if facts[0] != facts[1]:
        return False
    pair = (each.detach().nan_to_num() for each in (tensor, other))
    return tensor.is_meta or torch.equal(*pair)


def _outermost(held: list[nn.Module | torch.Tensor]) -> list[nn.Module]:
    """Return those modules that are not among the `modules()` of one before them."""
    outermost: list[nn.Module] = []
    inside: set[int] = set()
    for value in held:
        if isinstance(value, nn.Module) and id(value) not in inside:
            outermost.append(value)
            inside |= set(map(id, value.modules()))
    return outermost


def _identities(values: Iterable[nn.Module | torch.Tensor]) -> set[int]:
    """Return the ids of modules and the addresses of their weights and buffers."""
    modules = [value for value in values if isinstance(value, nn.Module)]
    own = (t for m in modules for t in (*m._parameters.values(), *m._buffers.values()))
    return {*map(id, modules), *(storage(tensor) for tensor in own if tensor is not None)} - {0}
