"""The papers' tables beside the study's: every row with its figures, or with a reason."""

import json
import math

import pytest

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.numerals import Results
from forgetting.book.papers import (
    PAPERS,
    PaperTable,
    paper_rows,
    place_of,
    printed,
    read_papers,
)
from forgetting.errors import DataError, ForgettingError, ParameterError, validated

NONE = math.nan


@pytest.fixture
def results(tmp_path):
    metrics = {"before_x": 0.1, "after_x": 0.02, "after_x_low": 0.01, "after_x_high": 0.03}
    metrics |= {"retrained_x": 0.025, "after_again": 0.005}
    (tmp_path / "run.json").write_text(
        json.dumps({"schema": 2, "metrics": metrics}), encoding="utf-8"
    )
    return Results(tmp_path)


def table(row=None, figures=(9.0, 1.0, 0.9), **part):
    columns = {
        "original": {"head": "original", "metric": "before"},
        "unlearned": {"head": "unlearned", "metric": "after", "again": True},
        "retrained": {"head": "retrained", "metric": "retrained"},
    }
    row = {"record": "run", "case": "x", "again": "again"} if row is None else row
    rows = [{"row": "a row", "figures": {"share": list(figures)}} | row]
    parts = {"share": {"columns": columns, "unit": " %"} | part}
    values = {"name": "t", "paper": "moon2024feature", "place": "Table 1"}
    return validated(PaperTable, values | {"parts": parts, "rows": rows})


RULE = {"rule": ("unlearned", "at most", "retrained")}


@pytest.mark.parametrize(
    ("margin", "here", "in_the_paper"),
    [
        (0.0, "cannot be told", "does not hold"),  # ours reaches 3 %, beyond 2.5 %
        (1.0, "holds", "holds"),
        (-2.0, "does not hold", "does not hold"),
    ],
)
def test_a_rule_is_tried_on_both_in_the_unit_of_the_part(results, margin, here, in_the_paper):
    (row,) = table(**RULE, margin=margin).beside(results)
    assert (row["verdict"], row["verdict_of_the_paper"]) == (here, in_the_paper)


def test_a_row_without_the_papers_second_figure_is_judged_here_alone(results):
    (row,) = table(figures=(9.0, 1.0, None), **RULE, margin=1).beside(results)
    assert row["verdict"] == "holds"
    assert "verdict_of_the_paper" not in row


def test_a_cell_has_the_record_its_interval_and_the_further_case(results):
    (row,) = table(**RULE).beside(results)
    cell = row["cells"]["unlearned"]
    assert cell["paper"] == 1.0
    expected = {"record": "run", "metric": "after_x", "value": 0.02, "interval": [0.01, 0.03]}
    assert cell["here"] == expected
    assert cell["again"]["metric"] == "after_again"
    assert "again" not in row["cells"]["original"]


@pytest.mark.parametrize(
    ("figure", "value", "place"),
    [
        (0.05, (0.05, 0.04, 0.06), "within"),
        (0.07, (0.05, 0.04, 0.06), "lower here"),
        (0.07, (0.05, 0.04, 0.066), "within"),  # 0.066 rounds to 0.07
        (0.02, (0.05, 0.04, 0.06), "higher here"),
        (0.05, (0.05, NONE, NONE), "within"),
        ("< 0.01", (0.02, 0.005, 0.03), "within"),
        ("< 0.01", (0.02, 0.015, 0.03), "higher here"),
        ("< 0.01", (-0.3, -0.4, -0.2), "within"),
        (None, (0.05, 0.04, 0.06), None),
    ],
)
def test_a_figure_lies_within_the_interval_here_or_beside_it(figure, value, place):
    assert place_of(figure, value, 2) == place


def test_a_figure_that_is_neither_number_nor_bound_is_refused():
    with pytest.raises(ForgettingError, match="not 'about 3'"):
        place_of("about 3", (0.0, 0.0, 0.0), 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"figures": (9.0, 1.0)}, "are not those of the columns"),
        ({"row": {}}, "say why in `without`"),
        ({"row": {"record": "run", "without": "no time"}}, "say why in `without`"),
    ],
)
def test_a_row_that_is_not_whole_is_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        table(**changes)


def test_a_row_that_is_not_run_gives_its_reason(results):
    (row,) = table(row={"without": "No time."}).beside(results)
    assert row["without"] == "No time."
    assert "here" not in row["cells"]["unlearned"]


def test_a_metric_that_no_record_has_is_noticed(results):
    with pytest.raises(DataError, match="run has no before_y"):
        table(row={"record": "run", "case": "y"}).beside(results)


def test_published_rows_are_those_of_the_records():
    assert PAPERS.check() == []
    rows = json.loads((HERE.results / "papers.json").read_text(encoding="utf-8"))
    assert rows == paper_rows()
    assert all(
        ("without" in row) or all("here" in c for c in row["cells"].values()) for row in rows
    )


def test_rows_that_the_records_do_not_give_are_reported(tmp_path):
    for name in ("book", "results"):
        (tmp_path / name).mkdir()
    source = (HERE.root / "book" / "papers.yaml").read_text(encoding="utf-8")
    (tmp_path / "book" / "papers.yaml").write_text(source, encoding="utf-8")
    checkout = Checkout(tmp_path)
    assert "papers.yaml: There is no record" in PAPERS.check(checkout)[0]
    only_reasons = [
        table(row={"without": "No time."}).model_dump(exclude_defaults=True, mode="json")
    ]
    (tmp_path / "book" / "papers.yaml").write_text(json.dumps(only_reasons), encoding="utf-8")
    assert "papers.json is not that of the records" in PAPERS.check(checkout)[0]
    PAPERS.write(checkout)
    assert PAPERS.check(checkout) == []


def test_a_part_of_a_row_may_stand_in_another_record_or_nowhere(results):
    (row,) = table(row={"record": "run", "elsewhere": {"share": {"without": "No time."}}}).beside(
        results
    )
    assert row["without"] == "No time."
    named = {"record": "gone", "case": "x", "elsewhere": {"share": {"record": "run"}}}
    with pytest.raises(ForgettingError, match=r"run has no before\. Did"):
        table(row=named).beside(results)  # of the other record, without the case
    with pytest.raises(ForgettingError, match="which is no part"):
        table(row={"record": "run", "elsewhere": {"shares": {"record": "run"}}})


def test_both_papers_have_their_tables_whole():
    tables = {t.name: t for t in read_papers()}
    assert {t.paper for t in tables.values()} == {"moon2024feature", "malnick2024taming"}
    assert len(tables["features"].rows) == 12
    assert len(tables["identity"].rows) == 4
    assert len(printed("identity", "drop", "forget")) == 4
