"""The templates on taming are lectures: short, and with figures apart from what is computed."""

import ast

import pytest

from forgetting.book import templates
from forgetting.book.fingerprint import FIGURE

LECTURES = (
    "taming_person",
    "taming_images",
    "taming_class",
    "taming_generation",
    "taming_points",
)
LONGEST_LECTURE = 120
LONGEST_CELL = 40


def code_cells(name):
    return [cell for cell in templates.read(name).cells if cell.cell_type == "code"]


def is_figure(cell):
    return FIGURE in cell.metadata.get("tags", [])


def code_lines(cell):
    lines = (line.strip() for line in cell.source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


@pytest.mark.parametrize("name", LECTURES)
def test_a_lecture_has_120_lines_of_code_at_most_and_cells_of_a_screen(name):
    lines = [code_lines(cell) for cell in code_cells(name)]
    assert sum(lines) <= LONGEST_LECTURE
    assert max(lines) <= LONGEST_CELL


@pytest.mark.parametrize("name", LECTURES)
def test_a_figure_cell_calls_one_function_of_the_book_and_assigns_nothing(name):
    figures = [cell for cell in code_cells(name) if is_figure(cell)]
    assert figures
    for cell in figures:
        assert "hide-input" in cell.metadata["tags"]
        statements = ast.parse(cell.source).body
        assert all(isinstance(statement, ast.Expr) for statement in statements)
        called = [ast.unparse(statement.value.func) for statement in statements]
        first, *rest = called
        assert first.split(".")[0] in ("plots", "taming_plots")
        assert rest in ([], ["plt.show"])
        assert not any(
            isinstance(node, ast.NamedExpr) for node in ast.walk(ast.parse(cell.source))
        )


@pytest.mark.parametrize("name", LECTURES)
def test_no_computing_cell_draws(name):
    for cell in code_cells(name):
        if not is_figure(cell):
            roots = {
                ast.unparse(node.value)
                for node in ast.walk(ast.parse(cell.source))
                if isinstance(node, ast.Attribute)
            }
            assert not {"plt", "taming_plots"} & roots
