"""Copies of models: what measures or tunes a model works on a copy and leaves the model alone."""

import copy
import inspect
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import nn

from forgetting.errors import ModelError

M = TypeVar("M")

CONTAINERS = list | tuple | set | frozenset


def frozen_copy(model: M) -> M:
    """Return a copy of a model in evaluation mode, whose weights take no gradient.

    Weights and buffers in another floating-point format become float32. The model is not
    changed: neither its mode, its weights, its buffers and gradients, nor anything it keeps.

    Parameters
    ----------
    model : nn.Module or any object that holds modules

    Returns
    -------
    The same type as the model.

    Raises
    ------
    ModelError
        The model cannot be copied, or its copy would compute with the model's own weights.
    """
    duplicate = independent_copy(model)
    for module in _modules(duplicate):
        module.eval().requires_grad_(False)
        _to_float32(module)
    return duplicate


def tunable_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a model in evaluation mode, whose weights take gradients.

    Weights that are frozen in the model (`requires_grad` is False) stay frozen, unless all are:
    a model whose weights are all frozen was loaded for use, and all its weights are tuned.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    nn.Module

    Raises
    ------
    ModelError
        The model cannot be copied, its copy would compute with the model's own weights, or it has
        no weights in a floating-point format.
    """
    duplicate = frozen_copy(model)
    for name in tuned_names(model):
        duplicate.get_parameter(name).requires_grad_(True)
    return duplicate


def tuned_names(model: nn.Module) -> list[str]:
    """Return the names of the weights that tuning may change, as `tunable_copy` chooses them.

    Raises
    ------
    ModelError
        The model has no weights in a floating-point format.
    """
    weights = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    if not weights:
        raise ModelError(
            f"{type(model).__name__} has no weights that can be tuned: its `parameters()` holds "
            "no floating-point tensor."
        )
    free = [name for name, parameter in weights.items() if parameter.requires_grad]
    return free or list(weights)


def independent_copy(model: M) -> M:
    """Return a deep copy of a model that shares no tensor with it.

    Tensors that a model keeps from its last call are copied without their gradient history.

    Parameters
    ----------
    model : nn.Module or any object that holds modules

    Returns
    -------
    The same type as the model.

    Raises
    ------
    ModelError
        The model cannot be copied, or its copy would compute with the model's own weights.
    """
    modules = list(_modules(model))
    for module in modules:
        _refuse_bound_functions(module)
    kept = {id(tensor): tensor for module in modules for tensor in _kept_tensors(module)}
    memo: dict[int, Any] = {key: tensor.detach().clone() for key, tensor in kept.items()}
    try:
        duplicate = copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} cannot be copied ({type(error).__name__}: {error}). Every "
            "method and measure works on a copy: make the model a module that `copy.deepcopy` "
            "can copy."
        ) from error
    before = {tensor.data_ptr() for module in modules for tensor in _tensors(module)}
    after = {tensor.data_ptr() for module in _modules(duplicate) for tensor in _tensors(module)}
    if duplicate is model or (before & after) - {0}:
        raise ModelError(
            f"A copy of {type(model).__name__} shares weights with the model, so that tuning it "
            "would change the model: its `__deepcopy__` must copy all tensors."
        )
    return duplicate


def _modules(model: Any) -> Iterator[nn.Module]:
    """Yield the modules of a model; of another object, those among its attributes."""
    if isinstance(model, nn.Module):
        yield model
    elif hasattr(model, "__dict__"):
        for value in vars(model).values():
            if isinstance(value, nn.Module):
                yield value


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _kept_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    """Yield the tensors with a gradient history among a module's attributes.

    Such are the last input that a module keeps, and the weight that `weight_norm` computes.
    """
    for part in module.modules():
        values = vars(part).values()
        yield from (tensor for tensor in _inside(values) if not tensor.is_leaf)


def _inside(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested containers."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, dict):
            yield from _inside(value.values())
        elif isinstance(value, CONTAINERS):
            yield from _inside(value)


def _refuse_bound_functions(model: nn.Module) -> None:
    """Raise an error where a module has a function of its own that computes with its weights.

    A copy of the module would keep that function, and with it the weights of the original.
    """
    weights = {id(tensor) for tensor in _tensors(model)}
    for path, part in model.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, FunctionType) and weights & _reached(value):
                where = f"{path}.{name}".lstrip(".")
                raise ModelError(
                    f"`{where}` of {type(model).__name__} is a function that was assigned to the "
                    "model and computes with the model itself, so that a copy would use the "
                    "model's own weights. Write it as a method, or give it to `as_flow` or "
                    "`as_generator` with the model as its first argument: "
                    "as_flow(flow, log_prob=lambda flow, images: ...)."
                )


def _reached(function: FunctionType) -> set[int]:
    """Return the ids of all weights that a function reaches by its closure and globals."""
    try:
        variables = inspect.getclosurevars(function)
    except ValueError:  # a cell that is still empty
        return set()
    values = [*variables.nonlocals.values(), *variables.globals.values()]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    values += [value.__self__ for value in values if inspect.ismethod(value)]
    modules = [value for value in values if isinstance(value, nn.Module)]
    reached = {id(tensor) for module in modules for tensor in _tensors(module)}
    return reached | {id(value) for value in values if isinstance(value, torch.Tensor)}


def _to_float32(module: nn.Module) -> None:
    formats = {tensor.dtype for tensor in _tensors(module) if tensor.is_floating_point()}
    if formats - {torch.float32}:
        module.float()
