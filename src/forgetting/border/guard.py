"""A guard on a call: which tensors it computes with, and which it changes."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from forgetting.border.copies import storage


class TouchedError(Exception):
    """A call computes with a tensor that it must leave alone."""


class Guard(TorchDispatchMode):
    """Looks at every operation of a block before it is carried out.

    An operation that reads or writes a tensor of the model that was copied raises a
    `TouchedError`: a function that was assigned to the model, a hook or a closure holds it. So
    does one that computes with a weight from elsewhere that takes gradients. Any other tensor
    from elsewhere may be read. Where the block changes one, `restore` undoes the change.
    """

    def __init__(
        self,
        own: Iterable[nn.Module | torch.Tensor],
        given: Iterable[nn.Module | torch.Tensor] = (),
        *,
        may_use_weights: bool = False,
    ) -> None:
        """Prepare a guard.

        Parameters
        ----------
        own : iterable
            Tensors that the block may use and change: the copy's and its inputs.
        given : iterable
            Tensors of the model that was copied. Modules among both are left out.
        may_use_weights : bool
            Whether the block may read weights from elsewhere that take gradients.
        """
        super().__init__()
        self._own = {storage(value) for value in own if isinstance(value, torch.Tensor)} | {0}
        self._given = {storage(value) for value in given if isinstance(value, torch.Tensor)}
        self._may_use_weights = may_use_weights
        self._outside: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch's compiler, which takes a second to import, is not needed."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation on tensors that may be used."""
        kwargs = kwargs or {}
        for tensor in _tensors((args, kwargs)):
            self._look_at(tensor)
        result = func(*args, **kwargs)
        self._own |= {storage(tensor) for tensor in _tensors(result)}
        return result

    def _look_at(self, tensor: torch.Tensor) -> None:
        place = storage(tensor)
        if place in self._own or place in self._outside:
            return
        if place in self._given:
            raise TouchedError("a tensor of the model itself")
        if tensor.requires_grad and not self._may_use_weights:
            raise TouchedError("weights that are not among its `parameters()`")
        self._outside[place] = (tensor, tensor.detach().clone())

    def restore(self) -> bool:
        """Undo what the block changed elsewhere, and return whether there was anything."""
        changed = [
            (tensor, before)
            for tensor, before in self._outside.values()
            if not torch.equal(tensor.nan_to_num(), before.nan_to_num())
        ]
        for tensor, before in changed:
            tensor.detach().copy_(before)
        return bool(changed)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]
