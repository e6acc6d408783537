"""Figures and tables of unlearning show what was computed: shares, floors, and what is missing."""

from dataclasses import replace

import pytest
import torch
from matplotlib.colors import to_hex
from small_tasks import WIDE, bars_task, grader_of_width, wide_evaluator

from forgetting.book import plots, unlearning_plots, unlearning_tables
from forgetting.experiments import grading
from forgetting.experiments.attacks import InversionOutcome
from forgetting.experiments.grading import GradedSamples
from forgetting.experiments.probing import RelearningCurve
from forgetting.experiments.setting_search import SettingScore, SettingSearch
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.inversion import Inversion


def samples(values):
    values = torch.as_tensor(values)
    has_feature = values > WIDE
    images = values.nan_to_num(0)[:, None, None, None].expand(-1, 1, 4, 4) / 20
    return GradedSamples(
        images, {"": values}, has_feature, values <= WIDE, Prevalence.of(has_feature)
    )


GRADED = {
    "original": samples([12.0, 11.0, 8.0, 9.5, 12.0, 7.0]),
    "unlearned": samples([8.0, 8.0, 8.0, 9.5, float("nan"), 7.0]),
}


def test_every_role_of_a_comparison_has_a_colour_of_its_own():
    roles = ("original", "unlearned", "filter", "retrained", "reference")
    assert len({plots.COLOURS[role] for role in roles}) == len(roles)
    assert plots.COLOURS["tamed"] == plots.COLOURS["unlearned"]
    assert unlearning_plots.role_colour("latent filter") == plots.COLOURS["filter"]
    with pytest.raises(KeyError):
        unlearning_plots.role_colour("somebody")
    with pytest.raises(TypeError):
        plots.COLOURS["original"] = "red"


def test_shares_are_drawn_in_percent_in_the_colour_of_their_role():
    (axis,) = unlearning_plots.shares_by_grader(wide_evaluator(), GRADED).axes
    points = [line for line in axis.lines if line.get_marker() == "o"]
    assert [float(point.get_xdata()[0]) for point in points] == pytest.approx([50, 0])
    assert [to_hex(point.get_color()) for point in points] == [
        plots.COLOURS["original"],
        plots.COLOURS["unlearned"],
    ]
    assert axis.get_xlabel() == "samples with wide, %"
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [f"{name}, measured" for name in GRADED]


def test_scores_have_a_panel_for_each_grader_with_its_threshold(monkeypatch):
    (axis,) = unlearning_plots.score_distributions(wide_evaluator(), GRADED).axes
    (threshold,) = axis.lines
    assert threshold.get_xdata()[0] == WIDE
    assert axis.get_xlabel() == "pixels"
    graders = (grader_of_width(""), grader_of_width("outside"))
    graded = {
        name: replace(graded, scores={grader.name: graded.values - WIDE for grader in graders})
        for name, graded in GRADED.items()
    }
    monkeypatch.setattr(grading, "MIN_LACKING", 1)
    figure = unlearning_plots.score_distributions(wide_evaluator(graders=graders), graded)
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["original", "unlearned", "lacking"]


def test_the_walk_s_line_stands_before_the_first_place_beyond_the_threshold():
    walks, places = torch.zeros(2, 5, 1, 4, 4), torch.linspace(-2, 2, 5)
    figure = unlearning_plots.latent_walks(walks, places, 0.5)
    for axis in figure.axes:
        (line,) = axis.lines
        assert line.get_xdata()[0] == 3 * 6 - 0.5  # before the fourth image, of 4 px and a margin
    assert "from -2.0 to 2.0" in figure.axes[-1].get_xlabel()


def test_the_loss_has_a_curve_for_each_term_on_a_logarithmic_scale():
    history = [
        {"step": i, "loss_unlearn": 3.0 / i, "loss_percep": 0.0, "loss_recon": 1.0}
        for i in (10, 20)
    ]
    (axis,) = unlearning_plots.loss_terms(history).axes
    assert axis.get_yscale() == "log"
    assert len(axis.lines) == 2  # none for what is 0
    assert list(axis.lines[0].get_ydata()) == [0.3, 0.15]


def test_pairs_are_the_samples_that_had_the_feature_and_those_that_lacked_it():
    figures = unlearning_plots.paired_samples(GRADED)
    shown = [figure.axes[0].images[0].get_array() for figure in figures]
    assert [len(figure.axes) for figure in figures] == [2, 2]
    middles = [array[3, 3::6].tolist() for array in shown]
    assert middles[0] == pytest.approx([0.6, 0.55, 0.6])
    assert middles[1] == pytest.approx([0.4, 0.475, 0.35])
    after = figures[0].axes[1].images[0].get_array()[3, 3::6].tolist()
    assert after == pytest.approx([0.4, 0.4, 0])
    never = {"original": samples([8.0, 7.0])}
    assert len(unlearning_plots.paired_samples(never)) == 1


SEARCHES = {
    "ascent": SettingSearch(
        "lr", (0.001, 0.003), (SettingScore(40, 30, 20), SettingScore(9.96, 5, 50)), 1, None
    ),
    "amnesia": SettingSearch("elastic", (1.0,), (SettingScore(60, 1, 2),), 0, None),
}


def test_every_setting_is_listed_and_the_chosen_one_is_marked():
    table = unlearning_tables.settings_table(SEARCHES)
    assert list(table.index) == [
        ("ascent", "lr 0.001"),
        ("ascent", "lr 0.003"),
        ("amnesia", "elastic 1"),
    ]
    assert list(table[""]) == ["", "chosen", "chosen"]
    assert list(table["prevalence, %"]) == ["40.0", "10.0", "60.0"]
    assert list(table["classifier A, %"]) == ["30.0", "5.0", "1.0"]
    assert list(table["FID"]) == ["20.0", "50.0", "2.0"]


def test_the_trade_off_joins_the_settings_of_a_method_and_marks_the_floor():
    beside = {"original": SettingScore(70, 0, 90), "latent filter": SettingScore(5, 0, 30)}
    (axis,) = unlearning_plots.settings_trade_off(SEARCHES, beside, 1.5).axes
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["ascent"].get_xydata().tolist() == [[40, 20], [9.96, 50]]
    assert lines["amnesia"].get_xydata().tolist() == [[60, 2]]
    assert lines["original"].get_xydata().tolist() == [[70, 90]]
    assert to_hex(lines["latent filter"].get_color()) == plots.COLOURS["filter"]
    assert [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == ":"] == [1.5]


def test_more_methods_than_markers_are_all_drawn():
    searches = {f"method {i}": SEARCHES["amnesia"] for i in range(20)}
    (axis,) = unlearning_plots.settings_trade_off(searches, {}, 1.5).axes
    assert len(axis.lines) == 21


def curve(n_images, *shares):
    points = {
        step: Prevalence(x, x - 0.1, x + 0.1, 9) for step, x in zip((0, 5), shares, strict=True)
    }
    return RelearningCurve(n_images, 0.1, points)


def test_relearning_has_a_panel_for_each_number_of_images_that_there_are():
    curves = [{"unlearned": curve(8, 0.2, 0.6)}, {"unlearned": curve(64, 0.2, 0.9)}]
    control = [{"unlearned": curve(8, 0.2, 0.3)}, {"unlearned": curve(64, 0.2, 0.1)}]
    first, second = unlearning_plots.relearning_curves(curves, control, 30).axes
    assert first.get_xlabel() == "steps on 8 images"
    assert second.get_xlabel() == "steps on 30 images"
    assert second.lines[0].get_xydata().tolist() == [[0, 20], [5, 90]]
    assert to_hex(first.lines[0].get_color()) == plots.COLOURS["unlearned"]
    assert second.lines[1].get_xydata().tolist() == [[0, 20], [5, 10]]
    assert len(unlearning_plots.relearning_curves([{}, {}], [{}, {}], 0).axes) == 2


def test_inverted_images_stand_below_their_targets():
    task = bars_task(20)
    found = Inversion(torch.zeros(3, 6), task.own[3:6], torch.zeros(3))
    outcome = {"original": InversionOutcome(found, Prevalence(0, 0, 1, 3))}
    figure = unlearning_plots.inverted_images(task.own[:3], outcome, n=2)
    assert [axis.get_ylabel() for axis in figure.axes] == ["targets", "original"]
    assert figure.axes[0].images[0].get_array().shape == (34, 68)
    assert unlearning_plots.inverted_images(task.own[:0], {}) is None


METRICS = {
    "fid_floor": 1.5,
    "fid_before": 10.26,
    "fid_after": 2.0,
    "prevalence_before": 0.5,
    "prevalence_before_low": 0.41,
    "prevalence_before_high": 0.59,
    "gap_before": 1.0,
    "fid_real_own": 7.0,
    "fid_real_before": 8.0,
}


def test_a_table_shows_intervals_and_leaves_missing_cells_empty():
    table = unlearning_tables.methods_table(METRICS, ["floor", "original", "unlearned"])
    assert list(table.index) == ["floor", "original", "unlearned"]
    assert list(table.columns) == ["prevalence", "gap", "FID"]  # in the order of the columns
    assert table.loc["original"].tolist() == ["50.0% (41.0% to 59.0%)", "+1.00", "10"]
    assert table.loc["unlearned"].tolist() == ["", "", "2"]
    assert table.loc["floor"].tolist() == ["", "", "2"]


def test_fidelity_stands_beside_its_floors():
    table = unlearning_tables.fidelity_table(METRICS, ["original", "unlearned"])
    assert list(table.columns) == ["floor", "original", "unlearned"]
    assert table.loc["fid"].tolist() == ["1.5", "10.3", "2"]
    assert table.loc["fid_real"].tolist() == ["7", "8", ""]


def test_changes_are_told_in_words_and_moved_shares_by_name():
    metrics = {"l1_present": 0.1234, "share_change": 0.3, "share_change_male": -0.3}
    metrics |= {"share_change_hat": 0.02}
    table = unlearning_tables.changes_table(metrics, ("Male", "Hat"))
    assert table["change"].to_dict() == {
        "mean change of a pixel, feature present": "0.123",
        "largest change of another attribute's share": "0.300",
        "share of Male, after - before": "-0.300",
    }


def test_probes_stand_beside_prevalence():
    metrics = {
        "prevalence_before": 0.5,
        "attack_before": 1.0,
        "attack_before_low": 0.9,
        "attack_before_high": 1.0,
        "attack_value_before": 11.234,
        "probe_before": 0.1,
    }
    table = unlearning_tables.probes_table(metrics, wide_evaluator(), ["original"])
    assert table.loc["original"].to_dict() == {
        "prevalence": "50.0%",
        "latent attack": "100% (90% to 100%)",
        "its pixels": "11.23",
        "linear probe, AUC over the latent's": "+0.100",
    }


def test_a_share_that_cannot_be_told_from_its_floor_is_marked():
    metrics = {"prevalence_before": 0.4, "prevalence_after": 0.05, "prevalence_floor": 0.04}
    metrics |= {"prevalence_floor_low": 0.03, "prevalence_floor_high": 0.05}
    table = unlearning_tables.grades_table(metrics, ["original", "unlearned"])
    shown = table["prevalence"].to_dict()
    assert shown["original"] == "40.0%"
    assert shown["unlearned"] == "5.0%, at the floor"
    assert shown["floor"] == "4.0% (3.0% to 5.0%)"
    table = unlearning_tables.grades_table(metrics | {"prevalence_after": 0.051}, ["unlearned"])
    assert table["prevalence"]["unlearned"] == "5.1%"


def test_what_has_no_floor_is_not_at_it():
    metrics = {"prevalence_after": 0.0, "gap_after": -0.1, "fid_floor": 3.0, "fid_after": 2.0}
    table = unlearning_tables.methods_table(metrics, ["unlearned"])
    assert table.loc["unlearned"].tolist() == ["0.0%", "-0.10", "2"]
