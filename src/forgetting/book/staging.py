"""Executed pages as the book shows them: what a reader needs, and no lecture twice.

The published notebooks stay as they were executed. The copies that Sphinx reads get alternative
texts, captions and a closing section, and lose the lecture that an earlier page of their template
holds.
"""

import re
from collections.abc import Mapping, Sequence

import nbformat

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.colab import with_installation
from forgetting.book.entries import Entry, pages, sweeps
from forgetting.book.numerals import in_minutes
from forgetting.book.records import read_record
from forgetting.book.validated import CHECKED

ALT, CAPTION = "alt", "caption"
"""What a template's cell says of its figures and of its tables, in its metadata."""

HIDDEN = ("parameters", "injected-parameters")
SHOWING_IMAGES = re.compile(
    r"plots\.(image_\w+|sample_rows|paired_samples|latent_walks|inverted_images|person_rows"
    r"|draw_(samples|real|closest|interpolations))\("
)
"""What code calls that shows images of models; a dark page turns plots, but no images."""


def lecturers(checkout: Checkout = HERE) -> dict[str, str]:
    """Return the first page of each template, which holds its lecture, by template."""
    first: dict[str, str] = {}
    for entry in pages(checkout):
        first.setdefault(entry.template, entry.name)
    return first


def staged(
    notebook: nbformat.NotebookNode,
    entry: Entry,
    lecturer: str,
    checkout: Checkout = HERE,
) -> nbformat.NotebookNode:
    """Return an executed page as the book shows it.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The published page; it is changed in place.
    entry : Entry
        The page's entry in runs.yaml.
    lecturer : str
        Name of the page that holds the lecture of the template.
    """
    if entry.outdated:
        _note(
            notebook, f"The code of this page has changed since it was executed: {entry.outdated}"
        )
    elif reason := next((s.outdated for s in sweeps(checkout) if s.name == entry.reads), ""):
        _note(notebook, f"The runs that this page reads are of an earlier code: {reason}")
    if lecturer != entry.name:
        _leave_out_lecture(notebook, lecturer)
    notebook.cells = with_installation(notebook.cells)
    heading = entry.title
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+ (.+)$", cell.source, flags=re.M)
            heading = found[-1] if found else heading
            continue
        tags = cell.metadata.setdefault("tags", [])
        if any(tag in tags for tag in HIDDEN) and "remove-cell" not in tags:
            tags.append("hide-input")
        if SHOWING_IMAGES.search(cell.source) and "samples" not in tags:
            tags.append("samples")  # a page that is older than the tag of its template
        if CHECKED in tags and "remove-cell" not in tags:
            tags.append("hide-input")
        _describe(cell, heading, entry.title)
    notebook.cells.append(nbformat.v4.new_markdown_cell(run_it_yourself(entry, checkout)))
    notebook.cells[-1]["id"] = "run-it-yourself"
    return notebook


def run_it_yourself(entry: Entry, checkout: Checkout = HERE) -> str:
    """Return the closing section of an executed page: its command, and how long it takes.

    Returns
    -------
    str
        Markdown.
    """
    given = "".join(f" -p {name}={_quoted(value)}" for name, value in entry.parameters.items())
    path = checkout.results / f"{entry.name}.run.json"
    took = ""
    if path.is_file():
        noted = read_record(path)
        threads, length = noted["threads"], in_minutes(noted["seconds"])
        took = f" The published run took {length} with {threads} thread{'s' * (threads > 1)}."
    data = {"mnist": "MNIST", "faces": "CelebA and LFW"}.get(entry.needs, "")
    is_given = entry.parameters.get("source") not in (None, "auto", "latent", "photograph")
    needs = f" It needs {data} ({{doc}}`../rerun`)." if data else ""
    if data and not is_given:
        needs = (
            f" Its figures are of {data} ({{doc}}`../rerun`); without them other images take "
            "their place."
        )
    return (
        "## Run it yourself\n\n"
        f"```sh\nforgetting run {entry.template}{given}\n```\n\n"
        f"Another value after `-p` is another run.{took}{needs} "
        f"`forgetting validate {entry.name}` executes this page again and compares. "
        f"All figures are in `results/{entry.name}.json`, and {{doc}}`../metrics` explains them."
    )


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if re.search(r"[^\w./:-]", text) else text


def _note(notebook: nbformat.NotebookNode, note: str) -> None:
    """Add a note below the title."""
    title, _, text = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n```{{note}}\n{note}\n```\n{text}"


def _leave_out_lecture(notebook: nbformat.NotebookNode, lecturer: str) -> None:
    """Leave out all text but headings; an earlier page explains the steps."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            lines = cell.source.splitlines()
            kept = [line for line in lines if re.match(r"#+ ", line)]
            if index == 0:
                notes = re.findall(r"```\{note\}.*?```", cell.source, flags=re.S)
                where = f"{{doc}}`{lecturer}` explains the steps. This page has what they gave."
                kept += [*notes, f"```{{note}}\n{where}\n```"]
            cell.source = "\n\n".join(kept)
    notebook.cells = [c for c in notebook.cells if c.cell_type != "markdown" or c.source]


def _describe(cell: nbformat.NotebookNode, heading: str, title: str) -> None:
    """Give the figures of a cell an alternative text, and its tables a caption."""
    alt = cell.metadata.get(ALT) or f"{heading}: figure of the page “{title}”."
    caption = cell.metadata.get(CAPTION) or heading
    cell.metadata.setdefault("mystnb", {}).setdefault("image", {"alt": alt})
    for output in cell.get("outputs", ()):
        html = output.get("data", {}).get("text/html")
        if html and "<caption" not in html:
            text = _plain(caption)
            output["data"]["text/html"] = re.sub(
                r"(<table\b[^>]*>)", rf"\1\n  <caption>{text}</caption>", "".join(html), count=1
            )


def _plain(text: str) -> str:
    """Return a heading without roles and markup, fit for HTML."""
    text = re.sub(r"\{\w+\}`([^`<]*?)(?: ?<[^>]*>)?`", r"\1", text).replace("`", "")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("*", "")


def without_roles(text: str, titles: Mapping[str, str], authors: Mapping[str, str]) -> str:
    """Return Markdown as Jupyter shows it: roles of Sphinx become plain text.

    Parameters
    ----------
    titles : mapping of str to str
        Titles of pages by the last part of their address.
    authors : mapping of str to str
        Authors and year of a reference by its key.
    """

    def plain(match: re.Match[str]) -> str:
        role, body = match.groups()
        shown, _, target = body.partition(" <")
        if target:
            return shown
        if role == "doc":
            return titles.get(body.rpartition("/")[2], body)
        if role.startswith("cite"):
            names = [authors.get(key.strip(), key) for key in body.split(",")]
            return f"({'; '.join(names)})" if role == "cite" else ", ".join(names)
        return body

    text = re.sub(r"\{([\w:]+)\}`([^`]+)`", plain, text)
    return re.sub(r"```\{note\}\n(.*?)```", r"> \1", text, flags=re.S)


def clean_download(
    notebook: nbformat.NotebookNode, titles: Mapping[str, str], authors: Mapping[str, str]
) -> nbformat.NotebookNode:
    """Return a page as a reader downloads it, changed in place: without roles of Sphinx."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = without_roles(cell.source, titles, authors)
    return notebook


def titles_of(checkout: Checkout, written: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the titles of all pages by name: of executed ones, and of those that are written.

    Parameters
    ----------
    written : sequence of (str, str)
        Name and text of each hand-written page.
    """
    titles = {entry.name: entry.title for entry in pages(checkout)}
    for name, text in written:
        if found := re.search(r"^# (.+)$", text, flags=re.M):
            titles[name] = found.group(1)
    return titles
