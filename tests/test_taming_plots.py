"""Figures of the pages on taming: what stands in them is what was computed."""

import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from forgetting.book import plots, taming_plots
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.likelihood import Comparison, LikelihoodReference


def lines(axis):
    """Return the points of every line of an axis by its label."""
    return {line.get_label(): line.get_xydata().tolist() for line in axis.lines}


def comparison():
    before = {"forget": torch.tensor([2.0, 2.5]), "held_out": torch.tensor([1.0, 3.0])}
    after = {"forget": torch.tensor([4.0, 4.5]), "held_out": torch.tensor([1.5, 3.5])}
    rulers = LikelihoodReference(2.0, 0.5), LikelihoodReference(2.5, 0.5)
    return Comparison(before, after, *rulers)


def test_the_threshold_follows_mean_and_deviation_of_every_step():
    history = [
        {"step": 0, "mu": 2.0, "sigma": 0.5, "forget_bpd": 2.0},
        {"step": 10, "mu": 2.5, "sigma": 0.25, "forget_bpd": 3.0},
    ]
    (axis,) = taming_plots.threshold_curve(history, -4.0).axes
    assert lines(axis)["to forget"] == [[0, 2.0], [10, 3.0]]
    assert lines(axis)["to retain"] == [[0, 2.0], [10, 2.5]]
    (dotted,) = (line for line in axis.lines if line.get_linestyle() == ":")
    assert dotted.get_xydata().tolist() == [[0, 0.0], [10, 1.5]]
    assert [text.get_text() for text in axis.texts] == ["threshold"]


def test_the_panel_has_a_tick_for_each_image_to_forget_and_shifts_in_sigma_of_the_base():
    left, right = taming_plots.likelihood_panel(comparison()).axes
    ticks = {
        to_hex(line.get_color()): line.get_xdata().tolist()
        for line in left.lines
        if line.get_marker() == "|"
    }
    assert ticks == {plots.BLUE: [2.0, 2.5], plots.RED: [4.0, 4.5]}
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["before", "after"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["forget", "held out"]
    means = {
        to_hex(line.get_color()): line.get_xdata()[0]
        for line in right.lines
        if line.get_marker() == "o"
    }
    assert means == {plots.RED: pytest.approx(4.0), plots.BLUE: pytest.approx(1.0)}


def test_sets_to_forget_have_the_colour_of_the_tamed_flow():
    axis = taming_plots.shift_intervals(comparison(), {"held_out"})
    colours = [to_hex(line.get_color()) for line in axis.lines if line.get_marker() == "o"]
    assert colours == [plots.BLUE, plots.RED]


def test_the_share_of_a_class_is_in_percent_with_its_interval():
    history = [{"step": 0, "mu": 2.0, "forget_bpd": 1.0}]
    looks = [
        {"step": 0, "class_share": 0.1, "class_share_low": 0.05, "class_share_high": 0.2},
        {"step": 50, "class_share": 0.02, "class_share_low": 0.0, "class_share_high": 0.1},
    ]
    left, right = taming_plots.class_curves(history, looks, 3).axes
    assert lines(left) == {"the class": [[0, 1.0]], "the others": [[0, 2.0]]}
    (share,) = right.lines
    assert share.get_xydata().tolist() == [[0, 10.0], [50, 2.0]]
    corners = right.collections[0].get_paths()[0].vertices.tolist()
    assert [0, 5] in corners
    assert [0, 20] in corners
    assert "class 3" in right.get_ylabel()


METRICS = {
    f"{distance}_{name}_{key}{suffix}": value
    for distance, start in (("fid", 10.0), ("kid", 400.0))
    for name, more in (("before", 0.0), ("control", 1.0))
    for key, times in (("t5", 1.0), ("t10", 2.0))
    for suffix, value in (("", start * times + more), ("_std", times))
} | {
    f"near_{name}_{key}": share
    for name, share in (("before", 0.1), ("control", 0.25))
    for key in ("t5", "t10")
}


def test_the_table_has_a_row_for_each_temperature_and_flow():
    table = taming_plots.temperature_table(METRICS, ["before", "control"], (0.5, 1.0))
    assert list(table.index) == [
        (0.5, "before"),
        (0.5, "control"),
        (1.0, "before"),
        (1.0, "control"),
    ]
    assert list(table.loc[(0.5, "before")]) == ["10 ± 1", "400 ± 1", "10.0%"]
    assert list(table.loc[(1.0, "control")]) == ["21 ± 2", "801 ± 2", "25.0%"]


def test_fid_is_drawn_against_the_temperature_in_each_flows_colour():
    (axis,) = taming_plots.fid_by_temperature(METRICS, ["before", "control"], (0.5, 1.0)).axes
    drawn = {
        to_hex(line.get_color()): line.get_xydata().tolist()
        for line in axis.lines
        if line.get_marker() == "o"
    }
    assert drawn == {
        plots.BLUE: [[0.5, 10.0], [1.0, 20.0]],
        plots.GREEN: [[0.5, 11.0], [1.0, 21.0]],
    }
    bars = axis.collections[0].get_segments()  # one deviation to either side
    assert [bar[:, 1].tolist() for bar in bars] == [[9.0, 11.0], [18.0, 22.0]]


def test_similarity_is_drawn_by_radius_and_shift_by_similarity():
    metrics = {"similarity_after_r0": 0.9, "similarity_after_r10": 0.2}
    points = {"held_out": (torch.tensor([0.1, 0.2]), torch.tensor([1.0, -1.0]))}
    left, right = taming_plots.similarity_panel(metrics, ["after"], (0.0, 1.0), points).axes
    assert lines(left) == {"after": [[0.0, 0.9], [1.0, 0.2]]}
    held_out = torch.tensor(lines(right)["held out"])
    assert torch.allclose(
        held_out, torch.tensor([[0.1, 1.0], [0.2, -1.0]], dtype=torch.float64).float()
    )


def test_lines_divide_the_blocks_between_their_steps():
    changes = {name: [0.1] * 6 for name in ("mixing", "first convolution", "second", "last")}
    (axis,) = taming_plots.layer_curves(changes, 2).axes
    assert lines(axis)["second"] == [[step, 0.1] for step in range(6)]
    edges = [line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 2]
    assert edges == [1.5, 3.5]


def test_samples_of_all_flows_are_of_the_same_latents(glow, monkeypatch):
    rows = {}
    monkeypatch.setattr(plots, "image_rows", rows.update)
    run = Experiment("test", Parameters(device="cpu"))
    taming_plots.sample_rows({"before": glow, "after": glow}, 0.7, run)
    expected = glow.sample(14, 0.7, run.generator("show"))
    assert list(rows) == ["before", "after"]
    assert torch.equal(rows["before"], expected)
    assert torch.equal(rows["after"], expected)


@pytest.mark.parametrize("showable", [True, False])
def test_images_of_a_data_set_are_never_shown(showable, monkeypatch):
    rows = {}
    monkeypatch.setattr(plots, "image_rows", rows.update)
    images = torch.rand(20, 3, 8, 8)
    sets = {"reference": images[:3]}
    person = PersonSplits("", showable, images, images, sets, images, images.byte())
    taming_plots.person_rows(images, person)
    assert list(rows) == (["forgotten", "reference"] if showable else [])
    if showable:
        assert torch.equal(rows["forgotten"], images[:14])
        assert torch.equal(rows["reference"], images[:3])


class Plane(nn.Module):
    """A density that is one left of a border and zero right of it."""

    def __init__(self, border):
        super().__init__()
        self.border = border

    def log_prob(self, points):
        return torch.where(points[:, 0] < self.border, 0.0, -1e9)


def test_densities_lie_where_their_flow_has_them():
    flows = {"one": (Plane(0.0), Plane(1.0))}
    figure = taming_plots.plane_densities(flows, torch.zeros(3, 2), side=14)
    before, after = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["one, before", "one, after"]
    for axis, border in ((before, 0.0), (after, 1.0)):
        density = torch.tensor(axis.collections[0].get_array()).reshape(14, 14)
        x = 3.9 * torch.linspace(0, 1, 14) - 1.6
        assert torch.equal(density, (x < border).double().expand(14, 14).to(density.dtype))
