"""What a command or a run prints, on a page: a real text in place of a typed one.

A Sphinx extension with two directives:

- ``{compared}`` puts the record of an example beside the published runs, as `forgetting compare`
  does. Its argument is a path from the folder of the book.
- ``{printed}`` shows what a cell of a published run prints. Its arguments are the name of the run
  and how the first line of the output begins.
"""

from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.beside import compare_run
from forgetting.book.checkout import HERE
from forgetting.book.pages import note_use
from forgetting.errors import ForgettingError


class Terminal(SphinxDirective):
    """A block of text that is what a person sees who does the same."""

    def run(self) -> list[nodes.Node]:
        """Return the text, or report why there is none."""
        try:
            text = self.text()
        except ForgettingError as error:
            raise self.error(str(error)) from error
        block = nodes.literal_block(text, text, language="text", classes=["terminal"])
        self.set_source_info(block)
        return [block]

    def text(self) -> str:
        """Return what is shown."""
        raise NotImplementedError


class ComparedDirective(Terminal):
    """An example's record beside the published runs."""

    required_arguments = 1

    def text(self) -> str:
        """Return the lines of `forgetting compare`."""
        path = HERE.root / "book" / self.arguments[0]
        self.env.note_dependency(str(path))
        compared = compare_run(path)
        note_use(self.env, compared.names)
        return "\n".join(compared.lines())


class PrintedDirective(Terminal):
    """The output of a cell of a published run."""

    required_arguments = 2
    final_argument_whitespace = True

    def text(self) -> str:
        """Return the output."""
        name, beginning = self.arguments
        path = HERE.published / f"{name}.ipynb"
        self.env.note_dependency(str(path))
        note_use(self.env, {name})
        return printed(path, beginning)


def printed(path: Path, beginning: str) -> str:
    """Return what a cell of an executed notebook prints, the first cell that prints it.

    Parameters
    ----------
    path : Path
        Of the notebook.
    beginning : str
        How the first line of the output begins.

    Raises
    ------
    ForgettingError
        There is no such notebook, or no such output in it.
    """
    if not path.is_file():
        raise ForgettingError(f"{path} does not exist: publish the run first.")
    texts = [
        output.text.rstrip()
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.text.lstrip().startswith(beginning)
    ]
    if not texts:
        raise ForgettingError(f"{path}: no output begins with {beginning!r}.")
    return texts[0]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx."""
    app.add_directive("compared", ComparedDirective)
    app.add_directive("printed", PrintedDirective)
    return {"parallel_read_safe": True, "version": "1"}
