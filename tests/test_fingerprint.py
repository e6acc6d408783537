"""A page depends on the code that computes, not on its form; a renaming is proven."""

import ast

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from forgetting.book.fingerprint import Renaming, computing_tree, fingerprint

CODE = '''
from forgetting.methods import taming


class Parameters(Base):
    n: int = Field(ge=2, le=9)
    kind: Literal["raw"]


PRESETS = {"smoke": {"n": 3}, "default": {"n": 5}}


def far(row: dict, model) -> bool:
    """Say whether it is far."""
    return row["step"] > 3  # steps


if far({"step": n}, tamed):
    metrics = {f"presence_{when}": taming.measure(tamed, draws=2)}
'''


def cells(code=CODE):
    return [new_markdown_cell("# Title"), new_code_cell(code)]


def of(code):
    return fingerprint(computing_tree(cells(code)), {})


SAME = (
    ("  # steps", ""),
    ("Say whether it is far.", "Return whether it is far."),
    ("from forgetting.methods import taming", "import forgetting.methods.taming as taming"),
    ("(row: dict, model) -> bool", "(row, model)"),
    ('{f"presence_{when}": taming', '{\n        f"presence_{when}": taming'),
    ("Field(ge=2, le=9)", "Field(ge=1)"),
    ('"smoke": {"n": 3}', '"smoke": {"n": 4, "steps": 2}'),
)
"""What changes the form of the code alone: in it, and in its place."""

OTHER = (
    ('"default": {"n": 5}', '"default": {"n": 6}'),
    ("n: int =", "m: int ="),
    ('Literal["raw"]', 'Literal["unit"]'),
    ("> 3", "> 4"),
    ("> 3", ">= 3"),
    ("draws=2", "draws=3"),
    (", draws=2", ""),
    ("draws=2", "seed=2"),
    ("measure(tamed", "measure(base"),
    ("taming.measure", "taming.asked"),
    ('f"presence_{when}"', 'f"prevalence_{when}"'),
    ("if far", "if not far"),
    ("(row: dict, model)", "(row: dict, model=None)"),
)
"""What changes the computation."""


@pytest.mark.parametrize(("old", "new"), SAME)
def test_the_form_of_the_code_does_not_count(old, new):
    assert old in CODE
    assert of(CODE.replace(old, new)) == of(CODE)


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_every_change_of_the_computation_counts(old, new):
    assert old in CODE
    assert of(CODE.replace(old, new)) != of(CODE)


def test_prose_and_figure_cells_do_not_count_but_circumstances_do():
    drawing = new_code_cell("plt.show()", metadata={"tags": ["figure"]})
    tree = computing_tree(cells())
    digest = fingerprint(tree, {"seed": 0})
    assert digest == fingerprint(computing_tree([*cells(), drawing]), {"seed": 0})
    assert digest == fingerprint(
        computing_tree([*cells(), new_markdown_cell("More")]), {"seed": 0}
    )
    assert digest != fingerprint(tree, {"seed": 1})
    plain = new_code_cell("plt.show()")
    assert digest != fingerprint(computing_tree([*cells(), plain]), {"seed": 0})


RENAMING = Renaming(
    names={"measure": "mean_bits_per_dim", "draws": "n_draws", "far": "is_far", "row": "figures"},
    strings={"presence_": "prevalence_"},
    templates={"other": Renaming(names={"tamed": "flow"})},
)
RENAMED = (
    CODE.replace("measure", "mean_bits_per_dim")
    .replace("draws=", "n_draws=")
    .replace("far(", "is_far(")
    .replace("row", "figures")
    .replace("presence_", "prevalence_")
)


def test_a_renaming_gives_the_tree_of_the_renamed_code():
    tree = computing_tree(cells())
    renamed = RENAMING.of("some").apply(tree)
    assert fingerprint(renamed, {}) == of(RENAMED)
    assert ast.dump(tree) == ast.dump(computing_tree(cells()))  # the old tree is unchanged
    elsewhere = RENAMING.of("other").apply(tree)
    assert fingerprint(elsewhere, {}) == of(RENAMED.replace("tamed", "flow"))


@pytest.mark.parametrize(
    ("old", "new"), [("> 3", "> 2"), ("n_draws=2", "n_draws=1"), ("if is_far", "if not is_far")]
)
def test_a_change_besides_a_renaming_is_noticed(old, new):
    assert old in RENAMED
    renamed = RENAMING.of("some").apply(computing_tree(cells()))
    assert fingerprint(renamed, {}) != of(RENAMED.replace(old, new))


def test_exchanged_arguments_are_not_a_renaming():
    """The names stay the same, and their order does not."""
    code = "compare(base, tamed)"
    renamed = Renaming(names={"compare": "contrast"}).apply(computing_tree(cells(code)))
    assert fingerprint(renamed, {}) == of("contrast(base, tamed)")
    assert fingerprint(renamed, {}) != of("contrast(tamed, base)")
