"""Graders know a feature from the rest; locality sees what moved, and where."""

import json

import pytest
import torch

from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.experiments.feature_evaluator import (
    FeatureEvaluator,
    digit_evaluator,
    face_evaluator,
    locality,
    once,
)
from forgetting.files import ROOT
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo import references as reference


def evaluator(band=(0.0, 0.25), n_classes=0):
    """Top rows bright: the feature; left or right half bright: the others."""
    return FeatureEvaluator(
        "top",
        lambda x: x[:, 0, :2].mean((1, 2)),
        0.5,
        lambda x: x[:, 0, :2].mean((1, 2)),
        0.5,
        0.5,
        "brightness",
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


def test_a_question_is_asked_of_each_tensor_once():
    asked = []
    double = once(lambda x: asked.append(len(x)) or 2 * x)
    a, b = torch.ones(3), torch.ones(4)
    assert torch.equal(double(a), 2 * a)
    assert torch.equal(double(b), 2 * b)
    assert double(a) is double(a)
    assert asked == [3, 4]


def test_a_change_inside_the_band_is_local():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, :2] = 0
    found = locality(evaluator(), before, after)
    assert found["l1_present"] == pytest.approx(0.25)
    assert found["inside_present"] == pytest.approx(1)
    assert found["outside_present"] == 0
    assert found["flipped_present"] == found["flipped_absent"] == 0
    assert found["l1_absent"] == found["drift_absent"] == found["share_change"] == 0


def test_a_change_elsewhere_is_seen_and_named():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, 4:, :4] = 0
    found = locality(evaluator(), before, after)
    lost = float((before[present][:, 0, 4, 0] == 1).float().mean())
    assert found["flipped_present"] == pytest.approx(lost / 2, abs=1e-6)
    assert "class_changed_present" not in found
    assert found["outside_present"] > 0
    assert found["share_change_right"] == 0
    assert found["share_change"] == pytest.approx(-found["share_change_left"])
    everywhere = locality(evaluator(), before, 1 - before)
    assert everywhere["drift_absent"] > 1
    assert "outside_present" not in locality(evaluator(None), before, after)


def test_a_changed_class_is_one_change_and_no_other_attribute():
    before = images()
    present = evaluator().has_feature(before)
    after = before.clone()
    after[present, :, 4:, :4] = 0
    found = locality(evaluator(n_classes=1), before, after)
    lost = float((before[present][:, 0, 4, 0] == 1).float().mean())
    assert found["class_changed_present"] == pytest.approx(lost)
    assert found["class_changed_absent"] == found["flipped_present"] == 0


def test_digits_are_graded_by_measurement_and_classes():
    config = ClassifierConfig(
        attributes=(*"0123456789", "thick", "left_slant"), n_classes=10, width=4
    )
    classifier = Classifier(config).eval()
    bars = torch.zeros(60, 1, 28, 28)
    widths = torch.arange(60) % 5 + 2
    widths[-4:] = 10
    for bar, width in zip(bars, widths, strict=True):
        bar[0, 4:24, 14 - width // 2 : 14 - width // 2 + width] = 1
    found = digit_evaluator("thick", bars, classifier, classifier)
    has_feature = found.has_feature(bars)
    assert torch.equal(has_feature, widths == 10)
    assert found.others(bars).shape == (60, 11)
    assert (found.others(bars)[:, :10].sum(1) == 1).all()
    assert found.names[-1] == "left_slant"
    assert found.score(bars).shape == (60,)
    assert found.features(bars).shape == (60, 64)


def test_faces_are_graded_by_the_other_classifier():
    config = ClassifierConfig(
        attributes=("Bangs", "Male", "Smiling"), channels=3, image_size=16, width=4, fit="resize"
    )
    a, b = Classifier(config, 1).eval(), Classifier(config, 2).eval()
    faces = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logit = b.logits(faces)[:, 0]
    found = face_evaluator("Bangs", float(logit.median()), ("Bangs", "Male"), a, b)
    assert int(found.has_feature(faces).sum()) == 10
    assert torch.equal(found.lacks_feature(faces), logit <= min(float(logit.median()), 0))
    assert found.names == ("Male",)
    assert found.others(faces).shape == (20, 1)
    assert found.band == (0.0, 0.35)
    score = found.score(faces.requires_grad_())
    assert torch.autograd.grad(score.sum(), faces)[0].abs().sum() > 0


def test_classifier_b_is_trusted_with_what_it_tells_well():
    found = json.loads((ROOT / "results" / "judges_faces.json").read_text(encoding="utf-8"))
    auc = {name: found["metrics"].get(f"auc_b_{name}_low") for name in _asked()}
    well = {
        attribute
        for attribute in CELEBA_ATTRIBUTES
        if all(auc[f"{size}_{attribute.lower()}"] > 0.9 for size in reference.FACE_SIZES)
    }
    assert well == set(reference.TRUSTED)


def _asked():
    return [
        f"{size}_{name.lower()}" for size in reference.FACE_SIZES for name in CELEBA_ATTRIBUTES
    ]
