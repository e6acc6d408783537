"""The table of contents: every executed page stands where runs.yaml places it."""

import shutil

import pytest
import yaml

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.contents import contents, write_contents
from forgetting.book.entries import pages, sweep
from forgetting.book.publish import fast_pages
from forgetting.errors import ForgettingError


def files(toc):
    """Return the pages of a table of contents with their depths, in order."""

    def walk(chapters, depth):
        for chapter in chapters:
            yield chapter["file"], depth
            yield from walk(chapter.get("sections", []), depth + 1)

    return [place for part in toc["parts"] for place in walk(part["chapters"], 0)]


def read(checkout):
    return yaml.safe_load(checkout.contents.read_text(encoding="utf-8"))


def test_every_page_of_the_contents_exists_and_every_run_is_among_them():
    toc = read(HERE)
    listed = [toc["root"], *(file for file, _ in files(toc))]
    assert len(listed) == len(set(listed))
    for page in listed:
        assert any((HERE.root / f"{page}{end}").is_file() for end in (".md", ".ipynb")), page
    assert {f"book/runs/{entry.name}" for entry in pages()} <= set(listed)


def test_the_contents_of_the_book_are_as_written():
    assert contents() == HERE.contents.read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout with two hand-written pages and room for runs."""
    checkout = Checkout(tmp_path)
    checkout.templates.mkdir()
    shutil.copy(HERE.templates / "taming_points.py", checkout.templates)
    chapters = [{"file": "book/first"}, {"file": "book/second"}]
    toc = {"format": "jb-book", "root": "book/runs/front", "parts": []}
    toc["parts"].append({"caption": "Part", "chapters": chapters})
    checkout.contents.write_text(yaml.safe_dump(toc), encoding="utf-8")
    return checkout


def write_runs(checkout, **places):
    entries = [
        {"name": name, "title": name, "template": "taming_points", **place}
        for name, place in {"front": {}, **places}.items()
    ]
    checkout.runs_file.write_text(yaml.safe_dump(entries), encoding="utf-8")


def test_a_new_page_is_one_entry_of_the_catalogue(checkout):
    write_runs(
        checkout,
        d={"after": "a"},
        a={"after": "first"},
        b={"below": "a"},
        c={"below": "a"},
        e={"after": "b"},
    )
    write_contents(checkout)
    once = checkout.contents.read_text(encoding="utf-8")
    expected = [("first", 0), ("a", 0), ("b", 1), ("e", 1), ("c", 1), ("d", 0), ("second", 0)]
    places = [(file.rpartition("/")[2], depth) for file, depth in files(read(checkout))]
    assert places == expected
    write_contents(checkout)
    assert checkout.contents.read_text(encoding="utf-8") == once
    write_runs(checkout, a={"below": "second"})
    write_contents(checkout)
    assert files(read(checkout)) == [("book/first", 0), ("book/second", 0), ("book/runs/a", 1)]


@pytest.mark.parametrize("place", [{}, {"below": "first", "after": "second"}])
def test_a_page_has_exactly_one_place(checkout, place):
    write_runs(checkout, a=place)
    with pytest.raises(ForgettingError, match=r"runs\.yaml, a: a page needs one place"):
        contents(checkout)


def test_a_place_next_to_a_missing_page_is_refused_with_the_most_similar_name(checkout):
    write_runs(checkout, a={"below": "secnd"})
    with pytest.raises(ForgettingError, match=r"'secnd' is not a page .* Did you mean second\?"):
        contents(checkout)


def test_a_table_whose_runs_are_to_be_executed_anew_is_not_made_by_make_book():
    fast = fast_pages()
    assert fast
    for page in fast:
        if page.reads:
            records = [HERE.results / f"{run.name}.json" for run in sweep(page.reads).runs()]
            assert any(path.is_file() for path in records), page.name
