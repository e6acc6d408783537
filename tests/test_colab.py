"""Google Colab: a page installs the package there, once the repository has an address."""

import sys
from types import ModuleType

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from forgetting.book.checkout import HERE
from forgetting.book.colab import TAG, with_installation, without_installation
from forgetting.book.entries import pages
from forgetting.book.execution import reworded
from forgetting.book.published import is_worded
from forgetting.book.staging import staged
from forgetting.foundation import project

ADDRESS = "https://github.com/example/forgetting"

ENTRY = next(page for page in pages() if page.name == "tame_points")


@pytest.fixture
def published():
    return nbformat.read(HERE.published / f"{ENTRY.name}.ipynb", as_version=4)


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(project, "REPOSITORY", ADDRESS)
    return ADDRESS


def installing(notebook):
    return [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]


def test_a_page_installs_the_package_in_its_first_code_cell(published, address):
    page = reworded(published, ENTRY.template, ENTRY.title)
    nbformat.validate(page)
    assert installing(page) == [next(cell for cell in page.cells if cell.cell_type == "code")]
    assert page.cells[0].source.startswith("# ")
    assert f"git+{address}@main" in page.cells[1].source
    assert reworded(page, ENTRY.template, ENTRY.title) == page  # once, however often


def test_a_downloaded_page_has_the_cell_and_the_book_does_not_show_it(published, address):
    (cell,) = installing(staged(published, ENTRY, ENTRY.name))
    assert "remove-cell" in cell.metadata.tags


def test_without_an_address_no_page_installs_anything(published, monkeypatch):
    monkeypatch.setattr(project, "REPOSITORY", "")
    assert installing(reworded(published, ENTRY.template, ENTRY.title)) == []
    assert installing(staged(published, ENTRY, ENTRY.name)) == []


def test_publishing_gives_pages_the_cell_when_the_project_gets_an_address(
    published, address, tmp_path
):
    published.cells = without_installation(published.cells)
    path = tmp_path / f"{ENTRY.name}.ipynb"
    nbformat.write(published, path)
    assert not is_worded(ENTRY, tmp_path)
    nbformat.write(reworded(published, ENTRY.template, ENTRY.title), path)
    assert is_worded(ENTRY, tmp_path)


@pytest.mark.parametrize("is_colab", [False, True])
def test_the_cell_installs_on_colab_alone(is_colab, published, address, monkeypatch):
    shell, installed = InteractiveShell(), []
    shell.register_magic_function(installed.append, magic_name="pip")
    if is_colab:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    cell = with_installation(published.cells)[1]
    assert shell.run_cell(cell.source).success
    assert installed == [f'install --quiet "forgetting[book] @ git+{ADDRESS}@main"'] * is_colab
