"""The rendered book as text: links, words, and what a reader downloads."""

import re
from collections import defaultdict
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup

from forgetting.book.checkout import HERE

MOST_WORDS = 30


@pytest.fixture(scope="module")
def soups(rendered):
    return {
        path.relative_to(rendered): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted((rendered / "book").rglob("*.html"))
    }


def prose(soup):
    """Return the paragraphs and list items of an article, without code, figures and notes."""
    for element in soup.select("article :is(p, li)"):
        within = element.find_parent(["figure", "table", "pre"])
        if within or element.find_parent(class_="admonition") or element.find(["p", "ul", "ol"]):
            continue
        yield re.sub(r"\s+", " ", element.get_text(" ", strip=True))


def test_every_link_within_the_book_leads_somewhere(rendered, soups):
    dead = []
    for path, soup in soups.items():
        for link in soup.select("a[href]"):
            address, _, anchor = link["href"].partition("#")
            if ":" in address.partition("/")[0] or (not address and not anchor):
                continue
            target = (
                (rendered / path.parent / unquote(address)).resolve()
                if address
                else rendered / path
            )
            if not target.is_file():
                dead.append((str(path), link["href"]))
            elif anchor and target.suffix == ".html":
                other = soups.get(target.relative_to(rendered))
                if other and not other.find(id=anchor) and not other.find(attrs={"name": anchor}):
                    dead.append((str(path), link["href"]))
    assert dead == []


def test_no_page_names_a_folder_of_a_machine(soups):
    for path, soup in soups.items():
        assert not re.search(r"/(home|root|work|Users|tmp)/\w", soup.get_text()), path


def test_no_paragraph_stands_on_two_pages(soups):
    places = defaultdict(set)
    for path, soup in soups.items():
        for text in prose(soup):
            if len(text.split()) > 12:
                places[text].add(str(path))
    assert {text: where for text, where in places.items() if len(where) > 1} == {}


def test_sentences_of_chapters_are_short(soups):
    long = []
    for path, soup in soups.items():
        if path.parent.name == "runs" or path.stem == "references":
            continue
        for text in prose(soup):
            for sentence in re.split(r"(?<=[.?!:;])\s+", text):
                if len(sentence.split()) > MOST_WORDS:
                    long.append((path.stem, sentence))
    assert long == []


def test_downloads_open_as_notebooks_without_roles(rendered):
    paths = sorted((rendered / "_sources").rglob("*.ipynb"))
    assert len(paths) > 50
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        assert not re.search(r"\{[\w:]+\}`", text), path.name


def test_every_chapter_asks_a_question_or_names_a_place_to_look_up():
    for path in (HERE.root / "book").glob("*.md"):
        title = path.read_text(encoding="utf-8").partition("\n")[0]
        looked_up = path.stem in ("glossary", "library", "references", "licence", "exercises")
        assert title.endswith("?") or looked_up or path.stem.startswith("all_"), path.name
