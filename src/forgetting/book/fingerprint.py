"""What a published page depends on: the syntax tree of its template's computing cells.

Names, calls, arguments, literals and control flow belong to it. Layout, comments, docstrings,
prose, imports, annotations of functions and figure cells do not. Neither do the bounds of
parameters, nor the preset of seconds that no page is made with. A page is no longer current when
its template's tree changes. A `Renaming` turns an old tree into the tree that the renamed template
must have, so that a page survives a renaming by proof.
"""

import ast
import copy
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import nbformat
from pydantic import BaseModel, ConfigDict

FIGURE = "figure"
"""Tag of cells that only draw: a change in them needs no new execution."""

SMOKE = "smoke"
"""The preset of seconds, which only tries a template: its values reach no published page."""

IGNORED_FIELDS = frozenset({"kind", "type_comment", "type_params", "type_ignores", "ctx"})
"""Fields of syntax trees that do not affect the result, or that some versions of Python lack."""


class Renaming(BaseModel):
    """New names by old names; a name that is not listed stays.

    Attributes
    ----------
    names : dict of str to str
        Variables, functions, classes and parameters.
    attributes, keywords : dict of str to str
        Names after a dot, and of keyword arguments, where they differ from `names`.
    strings : dict of str to str
        Complete string literals, such as keys of metrics and names of models.
    templates : dict of str to Renaming
        Additional names of single templates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: dict[str, str] = {}
    attributes: dict[str, str] = {}
    keywords: dict[str, str] = {}
    strings: dict[str, str] = {}
    templates: dict[str, "Renaming"] = {}

    def of(self, template: str) -> "Renaming":
        """Return the renaming of one template: the common names and its own.

        Returns
        -------
        Renaming
        """
        own = self.templates.get(template, Renaming())
        kinds = ("names", "attributes", "keywords", "strings")
        return Renaming(**{kind: getattr(self, kind) | getattr(own, kind) for kind in kinds})

    def apply(self, tree: ast.Module) -> ast.Module:
        """Return a copy of a computing tree with every name and string renamed.

        Parameters
        ----------
        tree : ast.Module
            Ast.Module Of the template before the renaming.

        Returns
        -------
        ast.Module
        """
        renamed: ast.Module = _Renamer(self).visit(copy.deepcopy(tree))
        return renamed


class _Renamer(ast.NodeTransformer):
    """Renames every name and every string in a syntax tree."""

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
    """Removes the parts of a syntax tree that do not affect the result."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Leave out `= Field(...)`: bounds say which runs are allowed, not what they give."""
        value = node.value
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Field":
            node.value = None
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        items = [
            (key, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if not (isinstance(key, ast.Constant) and key.value == SMOKE)
        ]
        node.keys, node.values = [key for key, _ in items], [value for _, value in items]
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def computing_tree(cells: Iterable[nbformat.NotebookNode]) -> ast.Module:
    """Return the syntax tree of the computing cells of a notebook.

    Parameters
    ----------
    cells : iterable of nbformat.NotebookNode
        All cells, in order.

    Returns
    -------
    ast.Module
        Shared by all callers: copy it before a change, as `Renaming.apply` does.

    Raises
    ------
    SyntaxError
        A code cell is not valid Python.
    """
    code = (
        cell.source
        for cell in cells
        if cell.cell_type == "code" and FIGURE not in cell.metadata.get("tags", [])
    )
    return _parsed("\n".join(code))


@functools.cache
def _parsed(code: str) -> ast.Module:
    """Parse code once: every run of a sweep needs the tree of the same template."""
    tree: ast.Module = _Computing().visit(ast.parse(code))
    return tree


def fingerprint(tree: ast.Module, circumstances: Any) -> str:
    """Return a hash of a computing tree and of the circumstances of its execution.

    Parameters
    ----------
    tree : ast.Module
        Ast.Module Computing tree of a template.
    circumstances : object
        Role, parameters and the records that the run reads, as JSON can hold them.

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    digest = hashlib.sha256("\n".join(tokens(tree)).encode())
    digest.update(json.dumps(circumstances, sort_keys=True).encode())
    return digest.hexdigest()


def outputs_digest(notebook: nbformat.NotebookNode) -> str:
    """Return a hash of what the cells of an executed notebook have shown, in their order.

    A page carries it, so that outputs which were changed since its execution are noticed.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Without messages on stderr.

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    shown = [cell.outputs for cell in notebook.cells if cell.get("outputs")]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def tokens(value: Any) -> Iterator[str]:
    """Yield a syntax tree as texts that are the same in every version of Python.

    Parameters
    ----------
    value : object
        A tree, or a part of one.

    Yields
    ------
    str
    """
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
