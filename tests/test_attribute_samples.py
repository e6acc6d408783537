"""What tuned flows draw: planted attributes, renamed figures, shifts, and the figures of pages."""

import matplotlib as mpl
import pytest
import torch
from torch import nn

from forgetting.book import attribute_plots
from forgetting.experiments import attribute_samples as module
from forgetting.experiments.attribute_samples import (
    attribute_detector,
    compare_face_samples,
    count_shares,
    held_out_shift,
    strict_threshold,
    temperatures,
)
from forgetting.experiments.context import Experiment, Parameters
from forgetting.methods.target_distribution import Target
from forgetting.zoo import store as zoo

mpl.use("Agg")


class Means(nn.Module):
    """A logit for each channel: its mean, minus one half."""

    attributes = ("red", "green", "blue")

    def __init__(self):
        super().__init__()
        self.middle = nn.Parameter(torch.tensor(0.5))

    def logits(self, images):
        return images.mean((2, 3)) - self.middle


@pytest.fixture
def experiment():
    return Experiment("test", Parameters(seed=3))


def test_a_detector_reads_its_own_attributes_at_its_threshold():
    images = torch.zeros(3, 3, 4, 4)
    images[:, 0] = torch.tensor([0.2, 0.6, 0.9])[:, None, None]
    images[0, 2] = 1.0
    classifier = Means()
    assert attribute_detector(classifier, "red")(images).tolist() == [False, True, True]
    assert attribute_detector(classifier, "red", 0.3)(images).tolist() == [False, False, True]
    several = attribute_detector(classifier, ("blue", "red"))(images)
    assert several.tolist() == [[True, False], [False, True], [False, True]]


def test_the_strict_threshold_is_the_zoos_and_is_noted(experiment):
    thresholds = zoo.record("faces-reference")["thresholds"]["faces-classifier-b"]
    values = {strict_threshold(experiment, "Smiling", size) for size in (32, 64)}
    assert values == {thresholds["32"]["Smiling"], thresholds["64"]["Smiling"]}
    assert set(experiment.weights) == {"faces-reference"}


def test_samples_of_a_control_stand_beside_those_of_the_tamed_flow(glow, experiment, monkeypatch):
    calls = []

    def compare(base, tamed, n, temperature, **options):
        calls.append((tamed, n, temperature, options["seeds"]))
        end, value = options["end"], {"tamed flow": 2.0, "control flow": 3.0}[tamed]
        return {
            f"fid_before{end}": 1.0,
            f"fid_mixed{end}": 10 * value,
            f"fid_after{end}": value,
            f"fid_after{end}_std": value + temperature,
            f"{options['name']}_after{end}_low": -value,
        }

    monkeypatch.setattr(module, "compare_samples", compare)
    monkeypatch.setattr(experiment, "statistics", lambda subset, name: (subset, name))
    monkeypatch.setattr(experiment, "record", lambda name: name)
    monkeypatch.setattr(module.references, "floor", lambda entry, subset, n: float(n))
    tuned = {"after": "tamed flow", "control": "control flow"}
    found = compare_face_samples(
        experiment, glow, tuned, 70, 0.7, Means(), kinds=lambda images: images
    )
    assert found == {
        "fid_floor": 70.0,
        "fid_before": 1.0,
        "fid_mixed": 20.0,
        "fid_after": 2.0,
        "fid_control": 3.0,
        "fid_after_std": 2.7,
        "fid_control_std": 3.7,
        "prevalence_strict_after_low": -2.0,
        "prevalence_strict_control_low": -3.0,
        "fid_before_t9": 1.0,
        "fid_mixed_t9": 20.0,
        "fid_after_t9": 2.0,
        "fid_control_t9": 3.0,
        "fid_after_t9_std": 2.9,
        "fid_control_t9_std": 3.9,
        "prevalence_strict_after_t9_low": -2.0,
        "prevalence_strict_control_t9_low": -3.0,
    }
    seeds = [experiment.seed(f"draw {draw}") for draw in range(3)]
    assert all((n, given) == (70, seeds) for _, n, _, given in calls)
    assert sorted(temperature for _, _, temperature, _ in calls) == [0.7, 0.7, 0.9, 0.9]


class Brighter(nn.Module):
    """Finds an image the likelier, the brighter it is."""

    def __init__(self, offset):
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(float(offset)))

    def log_prob(self, images, noise=None):
        return images.flatten(1).sum(1) - self.offset


def test_the_shift_is_told_in_deviations_of_the_base(experiment):
    images = torch.rand(50, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = held_out_shift(experiment, Brighter(0), Brighter(2), images)
    expected = 2 / float(images.flatten(1).sum(1).std())
    assert found["shift_random_sigma"] == pytest.approx(expected, rel=1e-4)
    assert set(found) == {f"shift_random_sigma{end}" for end in ("", "_low", "_high")}
    assert found["shift_random_sigma_low"] <= expected + 1e-3
    assert found["shift_random_sigma_high"] >= expected - 1e-3


CELEBA = ("Male", "Smiling")
TARGET = Target.parse("Male&Smiling: 0.2, Male&~Smiling: 0.3, ~Male&Smiling: 0.1", CELEBA)


def planted(*counts):
    return torch.cat([torch.full((n,), i) for i, n in enumerate(counts)])


def test_shares_are_counted_and_the_farthest_is_classifier_as_after():
    shown = {
        ("a", "before"): planted(10, 0, 0, 0),
        ("a", "after"): planted(2, 4, 1, 3),
        ("b", "before"): planted(0, 0, 0, 10),
        ("b", "after"): planted(0, 0, 10, 0),
    }
    found = count_shares(TARGET, shown)
    assert [found[f"target_{i}"] for i in range(4)] == pytest.approx([0.2, 0.3, 0.1, 0.4])
    assert [found[f"share_a_after_{i}"] for i in range(4)] == [0.2, 0.4, 0.1, 0.3]
    assert found["share_b_after_2"] == found["share_a_before_0"] == 1
    assert found["share_a_after_1_low"] < 0.4 < found["share_a_after_1_high"]
    assert found["farthest"] == pytest.approx(0.1, abs=1e-6)
    table = attribute_plots.share_table(found, TARGET)
    assert list(table.columns) == ["target", "A, before", "A, after", "B, before", "B, after"]
    assert table.loc["Male&~Smiling"].tolist() == ["30.0%", "0.0%", "40.0%", "0.0%", "0.0%"]


def test_the_table_before_taming_has_a_column_for_each_set():
    counted = {"images": planted(1, 1, 1, 1), "samples": planted(0, 3, 1, 0)}
    table = attribute_plots.start_table(TARGET, counted)
    assert table["images"].tolist() == ["25.0%"] * 4
    assert table["samples"].tolist() == ["0.0%", "75.0%", "25.0%", "0.0%"]
    assert table.loc["~Male&~Smiling", "target"] == "40.0%"


def test_the_table_of_fid_leaves_out_what_was_not_measured():
    names = ("before", "mixed", "after", "beyond")
    metrics = {
        f"fid_{name}{end}{std}": i + 10 * (end != "") + 0.5 * (std != "")
        for i, name in enumerate(names)
        for end in ("", "_t9")
        for std in ("", "_std")
    }
    table = attribute_plots.fid_table(metrics, 0.7)
    assert list(table.columns) == list(names)
    assert table.loc["FID at T = 0.7", "mixed"] == "1.0 ± 1.5"
    assert table.loc["FID at T = 0.9", "mixed"] == "11.0 ± 11.5"
    assert temperatures(0.7) == {"": 0.7, "_t9": 0.9}


def test_figures_show_each_share_in_percent_beside_the_controls():
    rows = [
        {"step": step, "forget_bpd": 3.0, "mu": 2.0, "a": a, "b": b}
        | {f"{name}{end}": 0.1 for name in "ab" for end in ("_low", "_high")}
        for step, a, b in ((0, 0.4, 0.2), (50, 0.3, 0.1))
    ]
    control = [{"step": 0, "a": 0.4, "b": 0.2}, {"step": 50, "a": 0.5, "b": 0.6}]
    _, right = attribute_plots.draw_taming(rows, rows, control, "Male").axes
    lines = [line.get_ydata() for line in right.get_lines()]
    assert [list(line) for line in lines] == [
        pytest.approx(values) for values in ([20, 10], [20, 60], [40, 30], [40, 50])
    ]
    assert "Male" in right.get_ylabel()
    history = [
        {"step": 0, "share_0": 0.4, "share_1": 0.6},
        {"step": 1},
        {"step": 2, "share_0": 0.3},
    ]
    history[2]["share_1"] = 0.7
    (axis,) = attribute_plots.draw_target(history, Target.parse("Male: 0.5", CELEBA), 100).axes
    measured = axis.get_lines()[0]
    assert list(measured.get_xdata()) == [0, 2]
    assert list(measured.get_ydata()) == pytest.approx([40, 30])
    assert list(axis.get_lines()[1].get_ydata()) == pytest.approx([50, 50])
