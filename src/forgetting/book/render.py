"""Rendering: the pages become HTML."""

import os
import shutil
from pathlib import Path

import nbformat
import yaml
from pybtex.database import parse_file

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import pages
from forgetting.book.published import is_current
from forgetting.book.staging import clean_download, lecturers, staged, titles_of
from forgetting.book.stopping import run_python
from forgetting.errors import ForgettingError
from forgetting.foundation import project
from forgetting.foundation.files import write_text

CONFIG = "_config.yml"
"""Name of Jupyter Book's configuration."""

MOST_CORES = 4
"""The most cores on which Sphinx reads and writes pages."""

BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")
"""Options of the theme for buttons that lead to the repository."""

LAUNCH = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}
"""Buttons that open an executed page's notebook, where the repository has an address."""


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
    config["launch_buttons"] = LAUNCH
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
    staged_book = output / "_build" / "book"
    shutil.rmtree(staged_book, ignore_errors=True)
    shutil.copytree(checkout.root / "book", staged_book / "book")
    shutil.copy(checkout.contents, staged_book / checkout.contents.name)
    write_text(staged_book / CONFIG, configuration(checkout))
    first = lecturers(checkout)
    for entry in pages(checkout):
        name = f"{entry.name}.ipynb"
        path, built = staged_book / "book" / "runs" / name, checkout.build / "runs"
        if is_current(entry, built, checkout.build / "results", checkout):
            shutil.copy(built / name, path)
            entry = entry.model_copy(update={"outdated": ""})
        page = nbformat.read(path, as_version=4)
        nbformat.write(staged(page, entry, first[entry.template], checkout), path)
    html = output / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # pages that are no more
    program = "from jupyter_book.cli.main import main; main()"
    _run("-c", program, "config", "sphinx", str(staged_book))
    processes = 1 + min(MOST_CORES, os.cpu_count() or 1)  # the first only hands out pages
    _run(  # Sphinx itself, since `jupyter-book build` has no `-j` and uses one core
        *("-m", "sphinx", "-q", "-E", "-W", "-n", "--keep-going", "-j", str(processes)),
        *("-d", str(html.with_name(".doctrees")), str(staged_book), str(html)),
    )
    _clean_downloads(html, checkout)
    return html / "index.html"


def _run(*arguments: str) -> None:
    """Run Python in a process of its own."""
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if run_python(["-W", "ignore", *arguments], environment, "Stopped while rendering."):
        raise ForgettingError("The book could not be rendered: see the messages of Sphinx above.")


def _clean_downloads(html: Path, checkout: Checkout) -> None:
    """Take Sphinx's roles from the notebooks that pages offer to download."""
    written = [(path.stem, path.read_text(encoding="utf-8")) for path in _written(checkout)]
    titles, authors = titles_of(checkout, written), _authors(checkout)
    for path in (html / "_sources").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.write(clean_download(notebook, titles, authors), path)


def _written(checkout: Checkout) -> list[Path]:
    """Return the hand-written pages."""
    return sorted((checkout.root / "book").glob("*.md"))


def _authors(checkout: Checkout) -> dict[str, str]:
    """Return authors and year of each reference by its key."""
    entries = parse_file(checkout.root / "book" / "references.bib").entries
    authors = {}
    for key, entry in entries.items():
        names = [" ".join(person.last_names) for person in entry.persons.get("author", [])]
        several = len(names) > 2
        who = f"{names[0]} et al." if several else " and ".join(names)
        authors[key] = f"{who} {entry.fields.get('year', '')}".strip()
    return authors
