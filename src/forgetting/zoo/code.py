"""Which code a training runs: by this a checkpoint tells whether it may go on."""

import ast
import functools
import hashlib
import inspect
import sys
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
    these files import is not covered; of that `imported_digests` returns hashes.
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


def imported_digests(learner: Learner, loop: str) -> dict[str, str]:
    """Return a hash of each module that a training imports and `code_digest` does not cover.

    They are those of the packages in which the losses, the parts of the model and the loop are
    written, and what they import in turn, by their names.

    Parameters
    ----------
    learner : Learner
        The model and how it learns.
    loop : str
        The module of the loop.
    """
    given = [*learner.parts().values(), learner.start, learner.after]
    definitions: list[Any] = [function for part in given for function in _within(part)]
    definitions += [type(module) for module in learner.model.modules()]
    own = [each for each in definitions if not str(each.__module__).startswith("torch.")]
    names = [loop, *(str(each.__module__) for each in own)]
    packages = {name.partition(".")[0] for name in names}
    covered = {file for each in own for file in _files(each)}
    digests: dict[str, str] = {}
    seen: set[str] = set()
    while names:
        name = names.pop()
        file = _source(name) if name.partition(".")[0] in packages else None
        if name in seen or file is None:
            continue
        seen.add(name)
        text = file.read_text(encoding="utf-8")
        if file not in covered:
            digests[name] = hashlib.blake2b(_tree(text).encode(), digest_size=16).hexdigest()
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        names += _imported(ast.parse(text), package)
    return dict(sorted(digests.items()))


def _source(name: str) -> Path | None:
    """Return the file of a module, by its name; None where there is no such module."""
    top, _, rest = name.partition(".")
    places = getattr(sys.modules.get(top), "__path__", None)
    if not places:  # a module that is in no package
        file = getattr(sys.modules.get(top), "__file__", None)
        return Path(file) if file and not rest else None
    place = Path(next(iter(places)), *filter(None, rest.split(".")))
    return next(
        (file for file in (Path(f"{place}.py"), place / "__init__.py") if file.is_file()), None
    )


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the names of what a file in a package imports, of which some are no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            name = ".".join([*above, *filter(None, [node.module])])
            yield from (name, *(f"{name}.{alias.name}" for alias in node.names))


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
