"""A second device that computes on the CPU, and is as narrow as devices come.

Its name is `meta`. It refuses float64, random draws, and tensors of the CPU beside its own, as a
GPU does; it has no autocast and no fused optimizer.
"""

import contextlib

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")

DRAWS = {"rand", "randn", "randint", "randperm", "bernoulli_", "normal_", "uniform_"} | {
    "rand_like",
    "randn_like",
    "randint_like",
    "multinomial",
    "bernoulli",
    "native_dropout",
    "exponential_",
    "random_",
}

TRANSFERS = {"_to_copy", "copy_", "_local_scalar_dense", "is_same_size"}
"""Operations that take tensors of two devices, or bring a number back."""


class Elsewhere(torch.Tensor):
    """A tensor on the second device, which holds the tensor of the CPU that has its values."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )

    def __init__(self, values):
        self.values = values

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return carry_out(func, args, kwargs or {})

    def tolist(self):
        return self.values.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl


@contextlib.contextmanager
def second_device():
    """Run a block in which `.to("meta")` moves tensors and modules to the second device."""
    replaces = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Construction(), _Dispatch():
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(replaces)


class _Construction(TorchFunctionMode):
    """Makes tensors of numbers on the CPU, and moves them: torch gives `meta` no values."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        place = kwargs.get("device")
        if func is torch.Tensor.new_tensor:
            place = place or args[0].device
            func, args = torch.tensor, (args[1],)
        if func is torch.tensor and place is not None:
            return func(*args, **{**kwargs, "device": "cpu"}).to(place)
        return func(*args, **kwargs)


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return carry_out(func, args, kwargs or {})


def carry_out(func, args, kwargs):
    """Carry out an operation as the second device, or the CPU, would."""
    name = func.overloadpacket.__name__
    given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
    ours = [tensor for tensor in given if isinstance(tensor, Elsewhere)]
    wanted = kwargs.get("device")
    is_here = torch.device(wanted) == DEVICE if wanted is not None else bool(ours)
    others = [tensor for tensor in given if not isinstance(tensor, Elsewhere) and tensor.ndim]
    if ours and others and name not in TRANSFERS | {"index", "index_put_"}:
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device")
    if ours and name.startswith("_fused"):
        raise RuntimeError(f"{name}: the device has no fused optimizer")
    if is_here and name in DRAWS:
        raise AssertionError(f"{name} draws on the device")
    if name == "_efficientzerotensor":  # has no values to hold; a second derivative makes it
        func = torch.ops.aten.zeros.default
    args, kwargs = tree_map(_values, (args, kwargs))
    if wanted is not None and is_here:
        kwargs["device"] = torch.device("cpu")
    result = func(*args, **kwargs)
    if name == "copy_":
        is_here = isinstance(given[0], Elsewhere)
    if not is_here:
        return result
    return tree_map(lambda value: _placed(value, given), result)


def _values(value):
    return value.values if isinstance(value, Elsewhere) else value


def _placed(value, given):
    """Return a result on the second device; one that is an argument stays that argument."""
    if not isinstance(value, torch.Tensor):
        return value
    if value.dtype == torch.float64:
        raise TypeError("the device has no float64")
    for tensor in given:
        if isinstance(tensor, Elsewhere) and tensor.values is value:
            return tensor
    return Elsewhere(value)
