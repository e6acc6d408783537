"""Templates: notebooks with a cell of parameters, executed with other values.

The source of a template is `notebooks/NAME.py` (py:percent); `notebooks/NAME.ipynb` is the
notebook generated from it. Another package adds a template through an entry point of the group
`forgetting.templates`. Names and types of parameters come from the source, because papermill
accepts a misspelt parameter without an error.
"""

import ast
import copy
import functools
import io
import os
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from pydantic import TypeAdapter, ValidationError

from forgetting.book import plugins
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.schema import PARAMETERS
from forgetting.errors import ForgettingError, ParameterError, did_you_mean
from forgetting.foundation.files import read_bytes, write_text
from forgetting.foundation.progress import tracked

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

TYPES = {kind.__name__: kind for kind in (str, int, float, bool)}
"""Types that a parameter can have, by the names that papermill reads."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell.

    Attributes
    ----------
    name, annotation : str
        Its name, and the name of its type.
    default : Any
        Str, int, float or bool.
    comment : str
        What it means.
    """

    name: str
    annotation: str
    default: Any
    comment: str

    def convert(self, text: str) -> Any:
        """Return the value that a text from the command line stands for.

        Parameters
        ----------
        text : str

        Returns
        -------
        str, int, float or bool

        Raises
        ------
        ParameterError
            The text does not have the type of the parameter, or is a whole number with a point,
            which parts thousands in some languages.
        """
        try:
            value = TypeAdapter(TYPES[self.annotation]).validate_strings(text)
        except ValidationError as error:
            raise ParameterError(
                f"{self.name} = {text!r} is no {self.annotation}: {self.comment}"
            ) from error
        if self.annotation == "int" and "." in text:
            raise ParameterError(
                f"{self.name} = {text!r} is {value} or {text.replace('.', '')}, as its point is "
                f"read: write it without. {self.comment}"
            )
        return value


def names(checkout: Checkout = HERE) -> list[str]:
    """Return the names of all templates, those of other packages included.

    Returns
    -------
    list of str
        In alphabetical order.

    Raises
    ------
    ForgettingError
        The book has none: its folder is empty or missing.
    """
    own = {path.stem for path in checkout.templates.glob("*.py")}
    if not own:
        raise ForgettingError(
            f"No template is in {checkout.templates}: restore it from git, or install the package "
            "anew."
        )
    return sorted(own | set(plugins.added()))


def source(template: str, checkout: Checkout = HERE) -> Path:
    """Return the path of a template's source.

    Raises
    ------
    ForgettingError
        No template has that name; the most similar name is given. Or the entry point of another
        package leads to no file.
    """
    own = checkout.templates / f"{template}.py"
    if own.parent == checkout.templates and os.path.isfile(own):  # not of another folder
        return own
    added = plugins.added()
    if template in added:
        return plugins.path(added[template])
    known = names(checkout)
    raise ForgettingError(f"No template is called {template!r}. {did_you_mean(template, known)}")


def read(template: str, checkout: Checkout = HERE) -> nbformat.NotebookNode:
    """Return the source of a template as a notebook that the caller may change.

    Raises
    ------
    ForgettingError
        No template has that name, or it cannot be read.
    """
    path = source(template, checkout)
    try:
        return copy.deepcopy(_parsed(read_bytes(path).decode("utf-8")))
    except Exception as error:  # whatever jupytext raises of a damaged file
        raise ForgettingError(f"{path} is no template that can be read ({error}).") from error


@functools.cache
def _parsed(text: str) -> nbformat.NotebookNode:
    """Parse the text of a template; parsing takes 0.1 s, and every run of a sweep needs it."""
    return jupytext.reads(text, "py:percent")


def parameters(template: str, checkout: Checkout = HERE) -> dict[str, Parameter]:
    """Return the parameters of a template by name, as its source declares them.

    Returns
    -------
    dict of str to Parameter
        In the order of the source.

    Raises
    ------
    ForgettingError
        No template has that name, it has no cell with the tag `parameters`, or a line of that
        cell is not of the form `name: type = literal  # comment`.
    """
    cells = read(template, checkout).cells
    cell = next((c for c in cells if "parameters" in c.metadata.get("tags", [])), None)
    if cell is None:
        raise ForgettingError(
            f"{template}.py has no parameters: give its first code cell the tag `parameters`."
        )
    lines = cell.source.splitlines()
    declared = {}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(cell.source).readline))
        body = ast.parse(cell.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ForgettingError(
            f"{template}.py, parameters cell, is no Python ({error}): mend it."
        ) from error
    for node in body:
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.annotation) not in TYPES:
            raise ForgettingError(
                f"{template}.py, parameters cell: {lines[node.lineno - 1]!r} is not of the form "
                f"`name: type = literal  # comment`, with a type of {', '.join(TYPES)}."
            )
        rows = range(node.lineno, (node.end_lineno or node.lineno) + 1)  # it may be wrapped
        comments = [t.string for t in tokens if t.type == tokenize.COMMENT and t.start[0] in rows]
        name = ast.unparse(node.target)
        try:
            default = ast.literal_eval(node.value) if node.value else None
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise ForgettingError(
                f"{template}.py, parameters cell: {name} has no literal for its default."
            ) from error
        comment = " ".join(text.lstrip("# ") for text in comments)
        declared[name] = Parameter(name, ast.unparse(node.annotation), default, comment)
    return declared


def check_names(template: str, given: Mapping[str, Any], checkout: Checkout = HERE) -> None:
    """Check that a template has all parameters that are given.

    Parameters
    ----------
    given : mapping
        Parameters by name.

    Raises
    ------
    ParameterError
        A name is unknown. The sentence gives the present name of a renamed parameter, or else the
        most similar name.
    """
    declared = parameters(template, checkout)
    for name in given:
        if name in declared:
            continue
        new = PARAMETERS.get(name)
        if new in declared:
            raise ParameterError(
                f"The parameter {name!r} of {template} is now called {new!r}: use {new}."
            )
        hint = did_you_mean(name, list(declared))
        raise ParameterError(f"{template} has no parameter {name!r}. {hint}")


def convert(template: str, given: Mapping[str, str], checkout: Checkout = HERE) -> dict[str, Any]:
    """Convert parameters from texts to their types.

    Parameters
    ----------
    given : mapping of str to str
        Texts by the names of parameters.

    Returns
    -------
    dict
        Values by name.

    Raises
    ------
    ParameterError
        A name is unknown, or a value has the wrong type.
    """
    check_names(template, given, checkout)
    declared = parameters(template, checkout)
    return {name: declared[name].convert(text) for name, text in given.items()}


def notebook_text(template: str, checkout: Checkout = HERE) -> str:
    """Return the text of the notebook that belongs to a template.

    Returns
    -------
    str
        In the format of .ipynb files.
    """
    notebook = read(template, checkout)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return str(nbformat.writes(notebook)) + "\n"


def check_notebook(template: str, checkout: Checkout = HERE) -> None:
    """Check that a template's notebook, if it has one, holds the code that a run executes.

    Raises
    ------
    ForgettingError
        The code of `NAME.ipynb` is not that of `NAME.py`, or `NAME.ipynb` is no notebook.
    """
    path = source(template, checkout)
    notebook = path.with_suffix(".ipynb")
    if not notebook.is_file():
        return
    try:
        cells = nbformat.reads(read_bytes(notebook).decode("utf-8"), as_version=4).cells
        is_same = _code(cells) == _code(read(template, checkout).cells)
    except ForgettingError:
        raise
    except Exception:  # whatever nbformat raises of a damaged file
        is_same = False
    if not is_same:
        raise ForgettingError(
            f"{notebook} was edited, or is older than {path.name}, which a run executes: carry "
            f"your change over to {path.name} and run `forgetting notebooks`, which writes the "
            f"notebook anew, or execute the notebook itself with papermill."
        )


def _code(cells: list[nbformat.NotebookNode]) -> list[str]:
    return [cell.source for cell in cells if cell.cell_type == "code"]


def write_notebooks(checkout: Checkout = HERE) -> None:
    """Write the notebook of every template of the book."""
    for path in tracked(list(checkout.templates.glob("*.py")), "writing notebooks"):
        write_text(path.with_suffix(".ipynb"), notebook_text(path.stem, checkout))
