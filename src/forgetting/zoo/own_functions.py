"""Which code of its owner a model computes with, as a hash that this version of Python can tell.

A class may keep its name and its weights while its `forward` becomes another.
"""

import dis
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any

from torch import nn

ENTRIES = ("forward", "log_prob")
"""Methods by which a model computes."""

VERSION = f"Python {sys.version_info.major}.{sys.version_info.minor}{' -O' * sys.flags.optimize}"
"""Hashes of bytecode compare within a version."""

OTHERS = ("torch", "forgetting")
"""Packages whose code is not the owner's."""

PLAIN = (bool, int, float, str, bytes, tuple, type(None))
"""Types of values that belong to a function, as a default or from around it."""


def method_digest(module: nn.Module) -> str:
    """Return a hash of the methods by which a module computes; "" of a class of `OTHERS`.

    They are its entries, and the methods of its class that these name, and so on.
    """
    kind = type(module)
    if kind.__module__.partition(".")[0] in OTHERS:
        return ""
    reached: dict[str, types.FunctionType] = {}
    names = list(ENTRIES)
    while names:
        name = names.pop()
        method = getattr(kind, name, None)
        if name in reached or not isinstance(method, types.FunctionType):
            continue
        if method.__module__.partition(".")[0] not in OTHERS:
            reached[name] = method
            names += method.__code__.co_names
    return _hash(f"{name} {_text(reached[name])}" for name in sorted(reached))


def function_digest(function: types.FunctionType) -> str:
    """Return a hash of what a function computes, without its name, its place and its docstring."""
    return _hash([_text(function)])


def _text(function: types.FunctionType) -> str:
    """Return the code of a function, and the plain values that it has by default or around it."""
    around = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *around]
    plain = [repr(value) for value in values if isinstance(value, PLAIN)]
    inner = [_text(value) for value in values if isinstance(value, types.FunctionType)]
    return f"{_code_text(function.__code__)} {plain} {inner}"


def _code_text(code: types.CodeType) -> str:
    """Return the instructions of a code object, with what they load."""
    steps = [f"{step.opname} {_operand(step.argval)}" for step in dis.get_instructions(code)]
    return "\n".join(steps)


def _operand(value: Any) -> str:
    """Return what an instruction takes as a text, which does not depend on the process."""
    if isinstance(value, types.CodeType):
        return _code_text(value)
    return str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _is_full(cell: types.CellType) -> bool:
    """Return whether a cell holds a value, as that of a name that is not yet bound does not."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _hash(texts: Iterator[str] | list[str]) -> str:
    """Return the first digits of a hash of texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]
