"""Evaluators tell a feature from the rest; locality measures what changed, and where."""

import json
import math
from dataclasses import replace

import pytest
import torch

from forgetting.border.inference import once
from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.data.digit_features import FEATURES, DigitFeature
from forgetting.errors import DataError, ParameterError
from forgetting.experiments.feature_evaluator import (
    FeatureEvaluator,
    digit_evaluator,
    face_evaluator,
)
from forgetting.experiments.graders import Grader
from forgetting.foundation.files import ROOT
from forgetting.metrics.locality import locality
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo import references as reference
from forgetting.zoo.graders import load_thresholds


def evaluator(band=(0.0, 0.25), n_classes=0):
    """Return an evaluator: the feature is bright top rows, the others are bright halves below."""
    return FeatureEvaluator(
        "top",
        lambda x: x[:, 0, :2].mean((1, 2)),
        0.5,
        (Grader("", "measured", lambda x: x[:, 0, :2].mean((1, 2)), 0.5, "brightness"),),
        None,
        lambda x: torch.stack([x[:, 0, 4:, :4], x[:, 0, 4:, 4:]], 1).mean((2, 3)) > 0.5,
        ("left", "right"),
        lambda x: x.flatten(1),
        band,
        n_classes,
    )


def images():
    random = torch.Generator().manual_seed(0)
    on = (torch.rand(200, 3, generator=random) < torch.tensor([0.3, 0.6, 0.6])).float()
    x = torch.zeros(200, 1, 8, 8)
    x[:, 0, :2] = on[:, 0, None, None]
    x[:, 0, 4:, :4] = on[:, 1, None, None]
    x[:, 0, 4:, 4:] = on[:, 2, None, None]
    return x


def test_a_function_is_evaluated_once_for_each_tensor():
    lengths = []
    double = once(lambda x: lengths.append(len(x)) or 2 * x)
    a, b = torch.ones(3), torch.ones(4)
    assert torch.equal(double(a), 2 * a)
    assert torch.equal(double(b), 2 * b)
    assert double(a) is double(a)
    assert lengths == [3, 4]


def test_what_is_remembered_of_images_is_of_the_images_as_they_are():
    calls = []

    def mean(images):
        calls.append(images)
        return float(images.mean())

    remembered, images = once(mean), torch.ones(3)
    assert [remembered(images), remembered(images), len(calls)] == [1, 1, 1]
    images.mul_(2)
    assert [remembered(images), remembered(images), len(calls)] == [2, 2, 2]
    with torch.inference_mode():
        inside = torch.ones(3)
        assert remembered(inside) == 1
        inside.mul_(2)
        assert remembered(inside) == 2


def test_a_change_inside_the_band_is_local():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, :2] = 0
    metrics = locality(evaluator(), before, after)
    assert metrics["l1_present"] == pytest.approx(0.25)
    assert metrics["inside_present"] == pytest.approx(1)
    assert metrics["outside_present"] == 0
    assert metrics["flipped_present"] == metrics["flipped_absent"] == 0
    assert metrics["l1_absent"] == metrics["drift_absent"] == metrics["share_change"] == 0


def test_a_change_elsewhere_appears_under_the_name_of_its_attribute():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, 4:, :4] = 0
    metrics = locality(evaluator(), before, after)
    lost = float((before[present][:, 0, 4, 0] == 1).float().mean())
    assert metrics["flipped_present"] == pytest.approx(lost / 2, abs=1e-6)
    assert "class_changed_present" not in metrics
    assert metrics["outside_present"] > 0
    assert metrics["share_change_right"] == 0
    assert metrics["share_change"] == pytest.approx(-metrics["share_change_left"])
    assert metrics["share_change_left"] == pytest.approx(-lost * float(present.float().mean()))
    everywhere = locality(evaluator(), before, 1 - before)
    assert everywhere["drift_absent"] > 1
    assert "outside_present" not in locality(evaluator(None), before, after)


def test_a_changed_class_is_one_change_and_no_other_attribute():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, 4:, :4] = 0
    metrics = locality(evaluator(n_classes=1), before, after)
    lost = float((before[present][:, 0, 4, 0] == 1).float().mean())
    assert metrics["class_changed_present"] == pytest.approx(lost)
    assert metrics["class_changed_absent"] == metrics["flipped_present"] == 0


@pytest.mark.parametrize(
    "features",
    [lambda x: x, lambda x: x[:, 0], lambda x: x.flatten(1)[:5], lambda x: x[:, 0, 4] / 0],
)
def test_drift_is_of_one_finite_vector_for_each_image(features):
    with pytest.raises(DataError, match=r"return finite features \(\d+, F\)"):
        locality(replace(evaluator(), features=features), images(), images())


DIGITS = Classifier(
    ClassifierConfig(attributes=(*"0123456789", "thick", "left_slant"), n_classes=10, width=4)
).eval()


def bars_of_widths():
    bars = torch.zeros(60, 1, 28, 28)
    widths = torch.arange(60) % 5 + 2
    widths[-4:] = 10
    for bar, width in zip(bars, widths, strict=True):
        bar[0, 4:24, 14 - width // 2 : 14 - width // 2 + width] = 1
    return bars, widths


def test_digits_are_graded_by_measurement_and_classes():
    bars, widths = bars_of_widths()
    thick = digit_evaluator("thick", bars, DIGITS, DIGITS)
    assert torch.equal(thick.has_feature(bars), widths == 10)
    assert thick.others(bars).shape == (60, 11)
    assert (thick.others(bars)[:, :10].sum(1) == 1).all()
    assert thick.names[-1] == "left_slant"
    assert torch.equal(thick.score(bars), DIGITS.logit(bars, "thick"))
    assert thick.features(bars).shape == (60, 64)
    with pytest.raises(ParameterError, match="no digit feature 'thik'"):
        digit_evaluator("thik", bars, DIGITS, DIGITS)


def test_a_left_slant_has_values_that_grow_to_the_left():
    bars, _ = bars_of_widths()
    columns = torch.arange(28)
    sheared = torch.stack([bars[0, 0, row].roll((row - 14) // 3) for row in range(28)])
    evaluator = digit_evaluator("left_slant", bars, DIGITS, DIGITS)
    left, right = evaluator.value(torch.stack([sheared, sheared[:, 27 - columns]])[:, None])
    assert left > 0.2
    assert right < -0.2
    assert evaluator.names[-1] == "thick"


def test_a_feature_that_classifier_a_lacks_is_labelled_by_measurement(monkeypatch):
    def height(images):
        return (images.amax(3) > 0).flatten(1).sum(1).float()

    monkeypatch.setattr(FEATURES, "_entries", {**dict(FEATURES), "low": None})
    feature = DigitFeature("height", height, -1, "flatness, pixels", "The digit is low.")
    monkeypatch.setitem(FEATURES._entries, "low", feature)
    bars, _ = bars_of_widths()
    bars[:3, :, 12:] = 0
    evaluator = digit_evaluator("low", bars, DIGITS, DIGITS)
    assert evaluator.has_feature(bars).tolist() == [True] * 3 + [False] * 57
    assert torch.equal(evaluator.score(bars), evaluator.value(bars))
    assert evaluator.names[10:] == ("left_slant", "thick")
    assert evaluator.others(bars).shape == (60, 12)
    assert evaluator.grader.unit == "flatness, pixels"
    thick = digit_evaluator("thick", bars, DIGITS, DIGITS)
    assert thick.names[10:] == ("left_slant", "low")
    assert thick.others(bars)[:, 11].tolist() == [True] * 3 + [False] * 57


def test_faces_are_graded_by_the_other_classifier_at_the_zoo_s_thresholds():
    config = ClassifierConfig(
        attributes=("Bangs", "Male", "Smiling"), channels=3, image_size=16, width=4, fit="resize"
    )
    a, b = Classifier(config, 1).eval(), Classifier(config, 2).eval()
    faces = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        by_a, by_b = (classifier.logits(faces)[:, 0] for classifier in (a, b))
    bangs = face_evaluator("Bangs", 64, ("Bangs", "Male"), a, b, None)
    (grader,) = bangs.graders
    thresholds = load_thresholds("faces-classifier-b", "Bangs", 64)
    assert (grader.threshold, grader.strict_threshold) == (thresholds.balanced, thresholds.strict)
    assert thresholds.balanced < thresholds.strict
    assert torch.equal(bangs.value(faces), by_b)
    assert torch.equal(bangs.labeller.value(faces), by_a)
    assert torch.equal(bangs.has_feature(faces), by_b > thresholds.balanced)
    assert torch.equal(bangs.lacks_feature(faces), by_b <= thresholds.balanced)
    assert bangs.names == ("Male",)
    assert bangs.others(faces).shape == (20, 1)
    assert bangs.band == (0.0, 0.35)
    score = bangs.score(faces.requires_grad_())
    assert torch.autograd.grad(score.sum(), faces)[0].abs().sum() > 0


def test_the_trusted_attributes_are_those_that_classifier_b_tells_well():
    record = json.loads((ROOT / "results" / "judges_faces.json").read_text(encoding="utf-8"))
    auc = {name: record["metrics"].get(f"auc_b_{name}_low") for name in _auc_names()}
    well = {
        attribute
        for attribute in CELEBA_ATTRIBUTES
        if all(auc[f"{size}_{attribute.lower()}"] > 0.9 for size in reference.FACE_SIZES)
    }
    assert well == set(reference.TRUSTED)


def _auc_names():
    return [
        f"{size}_{name.lower()}" for size in reference.FACE_SIZES for name in CELEBA_ATTRIBUTES
    ]


BEFORE, AFTER = torch.rand(2, 60, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Evaluator:
    """An evaluator whose attributes and features are pixels."""

    names, n_classes, band = ("a", "b"), 0, None

    def __init__(self, **changes):
        vars(self).update(changes)

    def has_feature(self, images):
        return images.flatten(1).mean(1) > 0.5

    def lacks_feature(self, images):
        return ~self.has_feature(images)

    def others(self, images):
        return images.flatten(1)[:, :2] > 0.5

    def features(self, images):
        return images.flatten(1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"has_feature": lambda images: (images.mean((1, 2, 3)) > 0.5).long()}, "return booleans"),
        ({"lacks_feature": lambda images: (images.mean((1, 2, 3)) < 0.5).long()}, "booleans"),
        ({"lacks_feature": lambda images: images.mean((1, 2, 3)) < 2}, "exclude each other"),
        ({"others": lambda images: images.flatten(1)[:, :2]}, "return booleans"),
        ({"others": lambda images: images.flatten(1)[:, :3] > 0}, "return booleans"),
        ({"names": ("Young", "young")}, "different names"),
        ({"band": (0.51, 0.52)}, "covers 0 of 8 rows"),
        ({"band": (0, 1)}, "covers 8 of 8 rows"),
        ({"features": lambda images: torch.ones(len(images), 3)}, "give features that differ"),
    ],
)
def test_what_an_evaluator_answers_can_be_averaged(changes, reason):
    assert all(map(math.isfinite, locality(Evaluator(), BEFORE, AFTER).values()))
    with pytest.raises(DataError, match=reason):
        locality(Evaluator(**changes), BEFORE, AFTER)


def test_where_all_attributes_are_classes_none_is_said_to_have_flipped():
    def first_or_second(images):
        return images[:, 0, 0, :1].gt(0.5) == torch.tensor([True, False])

    metrics = locality(Evaluator(n_classes=2, others=first_or_second), BEFORE, AFTER)
    assert not any(name.startswith("flipped") for name in metrics)
    assert all(map(math.isfinite, metrics.values()))
