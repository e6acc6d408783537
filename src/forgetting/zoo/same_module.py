"""What a module is beside its weights, and whether two modules compute the same with them."""

import hashlib
import json
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from forgetting.border.adapters import AdaptedClassifier, AdaptedFlow, AdaptedGenerator
from forgetting.border.answers import uncompiled
from forgetting.errors import DataWarning
from forgetting.zoo.own_functions import VERSION, function_digest, method_digest

ADAPTERS = (AdaptedFlow, AdaptedGenerator, AdaptedClassifier, nn.DataParallel)
"""Modules that hold the model under the name `module`."""

CONSTANTS = (bool, int, float, str, tuple)
"""Types of the attributes of a module that count as its constants."""


def inner_module(model: nn.Module) -> nn.Module:
    """Return the module that adapters hold, or a model that is in none."""
    while isinstance(model, ADAPTERS):
        model = model.module
    return uncompiled(model)


def tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a model's state, without an adapter around it.

    What a module adds with `get_extra_state` is no tensor, and not tuned.
    """
    state = inner_module(model).state_dict()
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def bytes_of(tensor: torch.Tensor) -> bytes:
    """Return the values of a tensor as bytes, in the machine's order."""
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return values.numpy().tobytes()


def modules_of(model: nn.Module) -> dict[str, str]:
    """Return what each part of a model computes with beside its weights, as a text.

    It is the class, the constants, the buffers that are not saved, and the number of hooks.
    """
    return {name: _text(module) for name, module in inner_module(model).named_modules()}


def _text(module: nn.Module) -> str:
    """Return a module's class, constants, buffers that are not saved, and number of hooks."""
    facts = []
    for name, value in vars(module).items():
        if not name.startswith("_") and name != "training" and isinstance(value, CONSTANTS):
            facts.append(f"{name}={value!r}")
    for name in sorted(module._non_persistent_buffers_set):
        buffer = module._buffers[name]
        if buffer is not None:
            facts.append(f"{name}={hashlib.sha256(bytes_of(buffer)).hexdigest()[:8]}")
    if n_hooks := len(module._forward_hooks) + len(module._forward_pre_hooks):
        facts.append(f"hooks={n_hooks}")
    return f"{type(module).__name__}({', '.join(facts)})"


def facts_beside(model: nn.Module) -> dict[str, Any]:
    """Return what answers depend on beside the modules, by name, as JSON holds it.

    It is the constants and the function of adapters, tensors, arrays and functions that are plain
    attributes of a module, and the code of the owner's modules.
    """
    facts: dict[str, Any] = {}
    while isinstance(model, ADAPTERS):
        if not isinstance(model, nn.DataParallel):
            constants = {k: v for k, v in vars(model).items() if isinstance(v, CONSTANTS)}
            kind = type(model).__name__
            facts |= {f"{kind}.{name}": value for name, value in constants.items()}
            for value in vars(model).values():
                if isinstance(value, types.FunctionType):
                    facts[f"the function of {kind} in {VERSION}"] = function_digest(value)
        model = model.module
    for place, module in uncompiled(model).named_modules():
        if code := method_digest(module):
            facts[f"the code of {place or type(module).__name__} in {VERSION}"] = code
        for name, value in vars(module).items():
            if (text := _plain_text(value)) and not name.startswith("_"):
                facts[f"{place}.{name}".lstrip(".")] = text
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return {name: value for name, value in plain.items() if not name.endswith(".training")}


def _plain_text(value: Any) -> str:
    """Return the hash of a tensor or an array, or the name of a function; "" of all else."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = torch.from_numpy(np.array(value))
    if isinstance(value, torch.Tensor) and not value.is_meta:
        digest = hashlib.sha256(bytes_of(value)).hexdigest()[:8]
        return f"{value.dtype} {tuple(value.shape)} {digest}"
    is_function = isinstance(value, types.FunctionType | types.BuiltinFunctionType)
    return value.__qualname__ if is_function else ""


def warn_of_other_values(
    own: Mapping[str, torch.Tensor], saved: Mapping[str, torch.Tensor], folder: Path
) -> None:
    """Warn if a module did not take the values that were loaded into it."""
    names = [name for name, value in saved.items() if not _is_equal(own[name], value)]
    if names:
        warnings.warn(
            f"{len(names)} of the weights of {folder}, as {names[0]}, have other values in the "
            f"module: it keeps them in {own[names[0]].dtype}, where they are "
            f"{saved[names[0]].dtype}, or as one tensor with others. Answers will be others.",
            DataWarning,
            stacklevel=3,
        )


def _is_equal(own: torch.Tensor, saved: torch.Tensor) -> bool:
    """Return whether a tensor holds the values of another, whatever its number format."""
    return not own.is_meta and bytes_of(own.to(saved.dtype)) == bytes_of(saved)


def warn_of_other_modules(saved: Mapping[str, Any], own: Mapping[str, Any], folder: Path) -> None:
    """Warn if the modules of a saved model, or what was beside them, were others."""
    if saved == own:
        return
    differing = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    name = differing[0]
    warnings.warn(
        f"The weights of {folder} fit the module, but the saved model was another: "
        f"{len(differing)} of its parts differ, as {name or 'the model'}, which was "
        f"{saved.get(name, 'missing')} and is {own.get(name, 'missing')}. Answers will be others, "
        "if what differs counts.",
        DataWarning,
        stacklevel=3,
    )
