"""Looks at a copy that is tuned, such as those of callbacks, which must not disturb its tuning."""

import contextlib
from collections.abc import Iterator

from torch import nn

from forgetting.border.copies import is_same
from forgetting.errors import TrainingError


@contextlib.contextmanager
def undisturbed(
    duplicate: nn.Module, what: str = "What is called while a model is tuned"
) -> Iterator[None]:
    """Restore, after a block that looks at a model, all its weights, buffers and modes.

    Hooks, modules and functions `forward` are not restored, as what they do is unknown.

    Parameters
    ----------
    duplicate : nn.Module
        The model.
    what : str
        What runs in the block, as the sentence of an error begins with it.

    Raises
    ------
    TrainingError
        The block changed weights of the model, or replaced them, so that an optimizer would no
        longer move them. Or it left a hook, or replaced a module or a function `forward`, so that
        what is tuned from then on, and returned, computes something else.
    """
    modes = [(module, module.training) for module in duplicate.modules()]
    free = [(weight, weight.requires_grad) for weight in duplicate.parameters()]
    weights = dict(duplicate.named_parameters())
    values = {name: weight.detach().clone() for name, weight in weights.items()}
    steps = _computation(duplicate)
    buffers = [(buffer, buffer.detach().clone()) for buffer in duplicate.buffers()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for weight, is_free in free:
            weight.requires_grad_(is_free)
        for buffer, value in buffers:
            if not is_same(buffer, value):
                buffer.detach().copy_(value)
    now = dict(duplicate.named_parameters())
    same = {
        k for k, value in values.items() if now.get(k) is weights[k] and is_same(now[k], value)
    }
    if changed := sorted((values.keys() | now.keys()) - same):
        for name in values.keys() & set(changed):
            owner, _, last = name.rpartition(".")
            weights[name].data = values[name]
            duplicate.get_submodule(owner)._parameters[last] = weights[name]
        raise TrainingError(
            f"{what} changed or replaced weights of a model that it may only look at, such as "
            f"{changed[0]}: change a copy, as `copy.deepcopy` makes one."
        )
    if steps != (left := _computation(duplicate)):
        name = next(n for n in (*steps, *left) if steps.get(n) != left.get(n))
        raise TrainingError(
            f"{what} added or removed a hook, or replaced a module or its `forward`, in a model "
            f"that it may only look at: {name or 'the model itself'}. Remove the hook before the "
            "call ends, or change a copy, as `copy.deepcopy` makes one."
        )


def _computation(model: nn.Module) -> dict[str, tuple[object, ...]]:
    """Return what tells, of each module by its name, whether it still calls the same code."""
    return {
        name: (module, vars(module).get("forward"), *_hooks(module))
        for name, module in model.named_modules()
    }


def _hooks(module: nn.Module) -> list[object]:
    """Return the hooks of a module that may change what it computes."""
    kinds = (module._forward_pre_hooks, module._forward_hooks, module._backward_hooks)
    return [hook for kind in (*kinds, module._backward_pre_hooks) for hook in kind.values()]
