"""Rendering: the pages become HTML."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import pages
from forgetting.book.published import is_current
from forgetting.errors import ForgettingError
from forgetting.foundation import project
from forgetting.foundation.files import write_text

CONFIG = "_config.yml"
"""Name of Jupyter Book's configuration."""

BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")
"""Options of the theme for buttons that lead to the repository."""


def configuration(checkout: Checkout = HERE) -> str:
    """Return Jupyter Book's configuration, with buttons to the repository if it has an address.

    Returns
    -------
    str
        YAML.
    """
    text = (checkout.root / CONFIG).read_text(encoding="utf-8")
    if not project.REPOSITORY:
        return text
    config = yaml.safe_load(text)
    config["repository"] = {"url": project.REPOSITORY, "branch": project.BRANCH}
    config["html"] |= dict.fromkeys(BUTTONS, True)
    return yaml.safe_dump(config, sort_keys=False)


def render(output: Path = HERE.root, checkout: Checkout = HERE) -> Path:
    """Render the book to `_build/html`, and return its first page.

    A current page in `_build/runs`, which was executed here, replaces the published page.

    Parameters
    ----------
    output : Path
        Folder that will hold `_build/html`.

    Raises
    ------
    ForgettingError
        Sphinx failed, or gave a warning.
    """
    staged = output / "_build" / "book"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(checkout.root / "book", staged / "book")
    shutil.copy(checkout.contents, staged / checkout.contents.name)
    write_text(staged / CONFIG, configuration(checkout))
    for entry in pages(checkout):
        name = f"{entry.name}.ipynb"
        built = checkout.build / "runs"
        if is_current(entry, built, checkout.build / "results", checkout):
            shutil.copy(built / name, staged / "book" / "runs" / name)
        elif entry.outdated:
            _mark_outdated(staged / "book" / "runs" / name, entry.outdated)
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", program, "build", str(staged)]
    command += ["-q", "-W", "-n", "--keep-going", "--path-output", str(output)]
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise ForgettingError("The book could not be rendered: see the messages of Sphinx above.")
    return output / "_build" / "html" / "index.html"


def _mark_outdated(path: Path, reason: str) -> None:
    """Add a note below the title of a page whose template has changed since its execution."""
    notebook = nbformat.read(path, as_version=4)
    title, _, text = notebook.cells[0].source.partition("\n")
    note = f"The code of this page has changed since it was executed: {reason}"
    notebook.cells[0].source = f"{title}\n\n```{{note}}\n{note}\n```\n{text}"
    nbformat.write(notebook, path)
