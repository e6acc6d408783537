"""Figures in sentences: rounded as their intervals allow, never of a record that is missing."""

import json
import math

import pytest

from forgetting.book.numerals import Results, decimals_of, in_figures
from forgetting.book.records import digest
from forgetting.errors import DataError

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (1.652, 1.31, 1.99, 1),  # half of the interval is 0.34
        (18.06, 17.0, 19.15, 1),  # 1.07: a first digit of 1 stands with a second
        (297.3, 290, 304, 0),
        (0.0182, 0.0048, 0.0315, 3),
        (0.0, NAN, NAN, 0),
        (123.4, NAN, NAN, 0),
        (50.0, NAN, NAN, 0),  # a count
        (0.4853, NAN, NAN, 3),
        (0.5, 0.5, 0.5, 3),  # an interval of no width says nothing about digits
    ],
)
def test_digits_follow_the_interval(value, low, high, expected):
    assert decimals_of(value, low, high) == expected


def test_a_figure_has_its_unit_its_interval_and_a_true_minus():
    assert in_figures(1.652, 1.31, 1.99, " %", interval=True) == "1.7 % (1.3 to 2.0)"
    assert in_figures(1.652, 1.31, 1.99, " %") == "1.7 %"
    assert in_figures(-5.809, -9.42, -2.2) == "−6"
    assert in_figures(46.38, NAN, NAN, " %") == "46.4 %"


def test_a_value_that_rounds_to_zero_has_no_sign():
    assert in_figures(-0.0004, -0.005, 0.004, interval=True) == "0.000 (−0.005 to 0.004)"
    assert in_figures(0.006, -0.0002, 0.012, interval=True) == "0.006 (−0.000 to 0.012)"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (3.9e-5, "", "0.00004"),
        (-3.9e-5, " points", "−0.00004 points"),
        (0.04, " %", "0.04 %"),
        (99.96, " %", "99.96 %"),
        (0.0, " %", "0 %"),
        (100.0, " %", "100 %"),
    ],
)
def test_only_none_is_shown_as_none_and_only_all_as_all(value, unit, expected):
    assert in_figures(value, NAN, NAN, unit) == expected


def test_a_record_or_metric_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    record = {"schema": 2, "metrics": {"prevalence_after": 0.1}}
    (tmp_path / "unlearn_thick.json").write_text(json.dumps(record), encoding="utf-8")
    results = Results(tmp_path)
    value, low, high = results.value("unlearn_thick", "prevalence_after")
    assert value == 0.1
    assert math.isnan(low)
    assert math.isnan(high)
    with pytest.raises(DataError, match="unlearn_thick"):
        results.value("unlearn_thik", "prevalence_after")
    with pytest.raises(DataError, match="Did you mean prevalence_after"):
        results.value("unlearn_thick", "prevalence_aftr")


def test_a_record_that_was_changed_after_its_run_gives_no_figure(tmp_path):
    record = {"schema": 2, "metrics": {"share": 0.1}}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    circumstances = {"record": digest(record)}
    path.with_name("run.run.json").write_text(json.dumps(circumstances), encoding="utf-8")
    assert Results(tmp_path).value("run", "share")[0] == 0.1
    path.write_text(json.dumps({"schema": 2, "metrics": {"share": 0.01}}), encoding="utf-8")
    with pytest.raises(DataError, match="something else than when its run ended"):
        Results(tmp_path).value("run", "share")
