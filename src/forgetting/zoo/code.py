"""Which code a training runs: by this a checkpoint tells whether it may go on."""

import ast
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from forgetting.zoo.learner import Learner

COMMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
"""Parts of a syntax tree that may begin with a docstring."""


def code_digest(learner: Learner) -> str:
    """Return a hash of how a model learns: its losses, what goes on around a step, and its parts.

    It covers the syntax trees of the files in which these are written, without comments and
    docstrings, the names of the functions, and the structure and configuration of the model. What
    these files import is not covered.
    """
    digest = hashlib.blake2b(f"{learner.model}".encode(), digest_size=16)
    functions = [*learner.parts().items(), ("start", learner.start), ("after", learner.after)]
    files: set[Path] = set()
    for part, given in functions:
        for function in _within(given):
            digest.update(f"{part} {function.__module__}.{function.__qualname__}".encode())
            files |= _files(function)
    for name, module in learner.model.named_modules():
        digest.update(f"{name} {getattr(module, 'config', None)!r}".encode())
        if not type(module).__module__.startswith("torch."):
            files |= _files(type(module))
    for file in sorted(files):
        digest.update(_tree(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def _within(given: Any) -> Iterator[Callable[..., Any]]:
    """Yield a function, or those of which a partial function is made; of a wrapper the inner."""
    if isinstance(given, functools.partial):
        for part in (given.func, *given.args, *given.keywords.values()):
            yield from _within(part)
    elif callable(given) and hasattr(given, "__qualname__"):
        yield inspect.unwrap(given)


def _files(definition: Any) -> set[Path]:
    """Return the file in which a function or a class is written; none of one without a file."""
    try:
        file = Path(inspect.getfile(definition))
    except (OSError, TypeError):
        return set()
    return {file} if file.is_file() else set()


def _tree(text: str) -> str:
    """Return the syntax tree of Python code, without docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, COMMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
