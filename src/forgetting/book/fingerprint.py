"""What a published page depends on: the syntax tree of its template's computing cells.

Layout, comments, docstrings, prose, imports, the annotations of functions and figure cells do not
count. Names, calls, arguments, literals and control flow do: a page whose template changed in one
of them is not current. A `Renaming` turns an old tree into the tree that the renamed template
must have, so that a page survives a renaming by proof.
"""

import ast
import copy
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import nbformat
from pydantic import BaseModel, ConfigDict

FIGURE = "figure"
"""Tag of cells that draw and compute nothing: they may change without another execution."""

IGNORED_FIELDS = frozenset({"kind", "type_comment", "type_params", "type_ignores", "ctx"})
"""Fields of syntax trees that say nothing of what is computed, or that not every Python has."""


class Renaming(BaseModel):
    """Old names by their new ones; what is not listed stays as it is.

    Attributes
    ----------
    names : of variables, functions, classes and parameters
    attributes, keywords : names after a dot, and of keyword arguments, where they differ from
        `names`
    strings : whole string literals, such as keys of metrics and names of models
    templates : the same for single templates, on top of the common ones
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: dict[str, str] = {}
    attributes: dict[str, str] = {}
    keywords: dict[str, str] = {}
    strings: dict[str, str] = {}
    templates: dict[str, "Renaming"] = {}

    def of(self, template: str) -> "Renaming":
        """Return the renaming of one template: the common names and its own."""
        own = self.templates.get(template, Renaming())
        kinds = ("names", "attributes", "keywords", "strings")
        return Renaming(**{kind: getattr(self, kind) | getattr(own, kind) for kind in kinds})

    def apply(self, tree: ast.Module) -> ast.Module:
        """Return a copy of a computing tree with every name and string renamed."""
        return _Renamer(self).visit(copy.deepcopy(tree))


class _Renamer(ast.NodeTransformer):
    """Apply a renaming to every place of a syntax tree where a name or a string stands."""

    def __init__(self, renaming: Renaming) -> None:
        self._names, self._strings = renaming.names, renaming.strings
        self._attributes = renaming.names | renaming.attributes
        self._keywords = renaming.names | renaming.keywords

    def generic_visit(self, node: ast.AST) -> ast.AST:
        names = {ast.Attribute: self._attributes, ast.keyword: self._keywords}.get(
            type(node), self._names
        )
        for field in ("id", "attr", "arg", "name"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                setattr(node, field, names.get(value, value))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [names.get(name, name) for name in node.names]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = self._strings.get(node.value, node.value)
        return super().generic_visit(node)


class _Computing(ast.NodeTransformer):
    """Drop what computes nothing."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if docstring else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def computing_tree(cells: Iterable[nbformat.NotebookNode]) -> ast.Module:
    """Return the syntax tree of what the cells of a notebook compute.

    Raises
    ------
    SyntaxError
        A code cell is not Python.
    """
    code = (
        cell.source
        for cell in cells
        if cell.cell_type == "code" and FIGURE not in cell.metadata.get("tags", [])
    )
    return _Computing().visit(ast.parse("\n".join(code)))


def fingerprint(tree: ast.Module, circumstances: Any) -> str:
    """Return a hash of a computing tree and of what it is executed with.

    Parameters
    ----------
    circumstances : role, parameters and records that the run reads; anything that JSON can hold
    """
    digest = hashlib.sha256("\n".join(tokens(tree)).encode())
    digest.update(json.dumps(circumstances, sort_keys=True).encode())
    return digest.hexdigest()


def tokens(value: Any) -> Iterator[str]:
    """Yield a tree as text that is the same in every version of Python."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for field, inner in ast.iter_fields(value):
            if field not in IGNORED_FIELDS and inner is not None and inner != []:
                yield field
                yield from tokens(inner)
        yield ")"
    elif isinstance(value, list):
        yield "["
        for item in value:
            yield from tokens(item)
        yield "]"
    else:
        yield repr(value)
