"""Tables over many runs: means over people and seeds, and what is uncertain in them."""

import math

import pandas as pd
import pytest

from forgetting.book.tables import (
    extremes,
    over_people,
    over_runs,
    over_seeds,
    retrained_table,
    standard_deviations,
    summarise,
)
from forgetting.book.unlearning_tables import verdict_table
from forgetting.errors import ForgettingError


def test_an_interval_is_over_people_not_over_their_seeds():
    rows = [(name, seed, value + seed) for name, value in (("a", 0), ("b", 2)) for seed in (0, 1)]
    table = pd.DataFrame(rows, columns=["person", "seed", "drop"])
    mean, low, high = over_people(table, "drop")
    assert mean == 1.5
    assert high - mean == pytest.approx(
        12.706, abs=1e-3
    )  # t of one degree of freedom, sd of means 1.414 / sqrt 2
    assert (mean - low) == pytest.approx(high - mean)
    assert standard_deviations(table, "drop") == pytest.approx((2**0.5, 0.5**0.5))
    one, *ends = over_people(table[table.person == "a"], "drop")
    assert one == 0.5
    assert all(map(math.isnan, ends))


def test_a_share_of_few_images_stays_uncertain_where_all_runs_agree():
    alike = pd.DataFrame({"hit": [1.0, 1.0], "hit_low": [0.96, 0.98], "hit_high": [1.0, 1.0]})
    assert over_runs(alike, "hit") == (1.0, pytest.approx(0.97), 1.0)
    assert over_runs(alike[:1], "hit") == (1.0, 0.96, 1.0)
    apart = pd.DataFrame({"hit": [0.3, 0.31], "hit_low": [0.29, 0.3], "hit_high": [0.31, 0.32]})
    assert over_runs(apart, "hit") == pytest.approx(over_seeds(apart, "hit"))
    far = pd.DataFrame({"hit": [0.2, 0.4], "hit_low": [0.1, 0.3], "hit_high": [0.3, 0.5]})
    assert over_runs(far, "hit") == (pytest.approx(0.3), 0.0, 1.0)


def test_two_rows_do_not_take_one_name_in_the_record():
    part = pd.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ForgettingError, match=r"two of a-b, a b have one name"):
        summarise({"a-b": part, "a b": part}, {"x": ("x", "{:g}")}, over_seeds)


def test_a_summary_says_what_is_known_and_no_more():
    table = pd.DataFrame({"drop": [1.0, 3.0], "steps": [7.0, 7.0], "gone": [1.0, None]})
    columns = {name: (name.upper(), "{:.1f}") for name in ("drop", "steps", "gone", "absent")}
    parts = {"both, of them": table, "one": table[:1]}
    has_feature, figures = summarise(parts, columns, over_seeds)
    assert list(has_feature.loc["one"]) == ["1.0", "7.0", "1.0", "–"]
    assert list(has_feature.loc["both, of them"])[1:] == ["7.0", "–", "–"]
    assert (
        has_feature.loc["both, of them", "DROP"] == "2.0 (-10.7 to 14.7)"
    )  # t of one degree, 12.706
    assert figures["drop_both_of_them_high"] == pytest.approx(14.706, abs=1e-3)
    assert not {"drop_one_low", "gone_both_of_them"} & set(figures)
    assert (
        summarise(parts, columns, extremes)[0].loc["both, of them", "DROP"] == "2.0 (1.0 to 3.0)"
    )


def test_a_mean_over_some_of_the_runs_is_none_over_all():
    runs = pd.DataFrame({"person": list("aabb"), "share": [0.1, 0.2, 0.3, math.nan]})
    assert all(map(math.isnan, over_seeds(runs, "share")))
    part = pd.DataFrame({"person": ["a", "b"], "retrained": "x", "quantile_before_x": [0.1, None]})
    part = part.assign(quantile_after_x=0.1, quantile_retrained_x=0.1)
    _, figures = retrained_table({"all": part}, ["x"])
    assert math.isnan(figures["of_retrained_before_x_all"])
    assert figures["of_retrained_after_x_all"] == pytest.approx(0.1)


def test_verdicts_of_runs_are_counted():
    def run(share, fid):
        ends = {"": share, "_low": share, "_high": share}
        values = {f"prevalence_after{end}": value for end, value in ends.items()}
        values |= {f"prevalence_before{end}": 0.3 for end in ends}
        values |= {f"auc_after{end}": 0.5 for end in ends}
        return values | {"prevalence_floor": 0.02, "fid_after": fid, "fid_floor": 1.0}

    part = pd.DataFrame([run(0.02, 1.0), run(0.021, 3.0), run(0.2, 1.0)])
    shown, figures = verdict_table({"a, b": part, "short": part.drop(columns="auc_after")})
    assert shown.loc["a, b"].to_dict() == {
        "gone": 2,
        "over-erased": 0,
        "rarer": 1,
        "unchanged": 0,
        "no verdict": 0,
        "and damaged": 1,
        "runs": 3,
    }
    assert shown.loc["short", ["gone", "rarer", "no verdict", "runs"]].tolist() == [0, 0, 3, 3]
    assert figures["gone_a_b"] == pytest.approx(2 / 3)
    assert figures["damaged_a_b"] == pytest.approx(1 / 3)
