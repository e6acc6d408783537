"""What can grade anyone's generator, at which threshold, and what is refused or said."""

import copy
import math
import warnings
from dataclasses import replace

import pytest
import torch
from bars import QUICK, BendingBars, Eyes, width
from torch import nn

import forgetting as fg
from forgetting.errors import DataError, DataWarning, ModelError, ParameterError
from forgetting.experiments import own_model
from forgetting.experiments.own_graders import check_sight
from forgetting.zoo.saved import state_digest


def scaled(images):
    return 3 * (width(images) - 10)


def squinting(images):
    return Eyes(3.0, 0.5).logits(images)[:, 0]


def changed(eyes, change):
    """Return a copy of a classifier whose weights were changed, as a score of wide bars."""
    other = copy.deepcopy(eyes)
    with torch.no_grad():
        other.module.sharpness.copy_(change(other.module.sharpness))
    return other["wide"]


@pytest.mark.parametrize(
    ("graders", "sentence"),
    [
        (
            lambda eyes: lambda x: eyes["wide"](x) + 0,
            "order by grader that they have by what steers",
        ),
        (lambda eyes: scaled, "order by grader that they have by what steers"),
        (
            lambda eyes: lambda x: (scaled(x) / 9).tanh() + 0.01,
            "order by grader that they have by what steers",
        ),
        (
            lambda eyes: changed(eyes, lambda w: w.bfloat16()),
            "order by grader that they have by what steers",
        ),
        (
            lambda eyes: changed(eyes, lambda w: 1.01 * w),
            "order by grader that they have by what steers",
        ),
        (
            lambda eyes: lambda x: Eyes(3.0, 0.05).logits(x)[:, 0],
            "order by grader that they have by what steers",
        ),
        (lambda eyes: [squinting, squinting], "order by grader 2 that they have by grader:"),
        (
            lambda eyes: [squinting, lambda x: 2 * squinting(x)],
            "order by grader 2 that they have by grader:",
        ),
        (lambda eyes: lambda x: 8 - scaled(x), r"AUC .* is 0\.00"),
        (lambda eyes: lambda x: eyes["right"](x), "grader does not see the feature"),
        (lambda eyes: lambda x: 0 * width(x) - 5, "By grader none of 1000 samples"),
        (lambda eyes: lambda x: scaled(x) + 1e4, "By grader each of 1000 samples"),
    ],
)
def test_a_grader_that_cannot_grade_is_refused(eyes, graders, sentence):
    with pytest.raises(DataError, match=sentence):
        fg.unlearn(BendingBars(), eyes["wide"], graders(eyes), **QUICK)


@pytest.mark.parametrize(
    "grader",
    [
        lambda eyes: eyes["wide"],
        lambda eyes: eyes["wide"].at(0.1),
        lambda eyes: eyes["right"],
        lambda eyes: fg.as_classifier(eyes.module, ("any",), logits=one_logit)["any"],
    ],
)
def test_another_score_of_the_network_that_steers_cannot_grade(eyes, grader):
    with pytest.raises(ParameterError, match=r"has weights of that of 'wide', which steers"):
        fg.unlearn(BendingBars(), eyes["wide"], grader(eyes), **QUICK)
    with pytest.raises(ParameterError, match=r"has weights of that of 'wide', which steers"):
        fg.audit(BendingBars(), BendingBars(), eyes["wide"], grader(eyes).at(0.2), n=300)


def one_logit(module, images):
    return module.logits(images)[:, 1:]


def test_a_copy_of_the_network_that_steers_cannot_grade_by_another_attribute():
    def classifier(layers):
        return fg.as_classifier(layers, ("wide", "right"))

    layers = nn.Sequential(nn.Flatten(), nn.Linear(1024, 2))
    other = nn.Sequential(copy.deepcopy(layers[0]), copy.deepcopy(layers[1]))
    with torch.no_grad():
        other[1].bias.add_(0.1)
    steering, grader = classifier(layers)["wide"], classifier(other)["right"]
    with pytest.raises(ParameterError, match=r"'right', which grades, has weights"):
        fg.unlearn(BendingBars(), steering, grader, **QUICK)


@pytest.mark.parametrize("names", [("wide", "right"), ("Wide", "right")])
def test_a_grader_of_another_attribute_than_what_steers_is_refused(eyes, names):
    other = fg.as_classifier(Eyes(2.0, 0.5), names, logits=Eyes.logits)
    sentence = f"'right' would grade 'wide', .* give classifier\\['{names[0]}'\\]"
    with pytest.raises(ParameterError, match=sentence):
        fg.unlearn(BendingBars(), eyes["wide"], other["right"], **QUICK)
    with pytest.raises(ParameterError, match=sentence):
        fg.audit(BendingBars(), BendingBars(), eyes["wide"], other["right"], n=300)
    with pytest.raises(ParameterError, match=sentence):  # what steers has no name
        fg.unlearn(BendingBars(), scaled, [eyes["wide"], other["right"]], **QUICK)


def test_a_grader_may_call_the_feature_by_another_name(eyes):
    def broad(module, images):
        return module.logits(images)[:, :1]

    other = fg.as_classifier(Eyes(2.0, 0.5), ("broad",), logits=broad)
    short = QUICK | {"steps": 1, "rounds": 1}
    result = fg.unlearn(BendingBars(), eyes["wide"], other["broad"], **short)
    assert [row["attribute"] for row in result.parameters["classifiers"]] == ["wide", "broad"]


def test_a_grader_that_finds_next_to_nothing_is_said_to_tell_nothing(eyes):
    def extreme(images):
        return squinting(images) - 3 * 5.1

    short = QUICK | {"n": 2000, "steps": 1, "rounds": 1}
    result = fg.unlearn(BendingBars(), eyes["wide"], extreme, **short)
    assert 0 < result.verdict.evidence[0].original.share < 0.01
    said = " ".join(str(result).split())
    assert "By grader the original shows it no more than what lacks it" in said


def test_a_grader_that_finds_it_nearly_everywhere_is_refused_before_anything_is_tuned(
    eyes, monkeypatch
):
    monkeypatch.setattr(own_model, "until_gone", None)
    with pytest.raises(DataError, match=r"Of 1000 samples \d surely lack the feature by grader"):
        fg.unlearn(BendingBars(), eyes["wide"], lambda x: squinting(x) + 30, **QUICK)


def test_a_grader_of_few_values_has_no_threshold_of_a_share():
    def has_it(images):
        return 5 * (width(images) > 9.5).float()

    with pytest.raises(DataError, match=r"By grader .* have the score 5, at which a share of 0.1"):
        fg.unlearn(BendingBars(), width, has_it, share=0.1, **QUICK)


@pytest.mark.parametrize("place", ["what steers", "grader"])
def test_a_threshold_beside_a_share_is_refused(eyes, grader, place):
    scores = {"what steers": eyes["wide"], "grader": grader["wide"]}
    scores[place] = scores[place].at(3)
    with pytest.raises(ParameterError, match="the threshold 3, which a share does not use"):
        fg.unlearn(BendingBars(), *scores.values(), share=0.3, **QUICK)


def test_a_share_takes_the_place_of_a_threshold_of_the_zoo(eyes):
    balanced = replace(eyes["wide"], threshold=3, is_default=True)
    result = fg.unlearn(BendingBars(), balanced, share=0.3, **QUICK | {"steps": 1, "rounds": 1})
    assert result.metrics["prevalence_before"] == pytest.approx(0.3, abs=0.06)
    with pytest.raises(ParameterError, match="which a share does not use"):
        fg.unlearn(BendingBars(), balanced.at(3), share=0.3, **QUICK)


def test_reports_and_records_have_the_thresholds(eyes, grader):
    scores = eyes["wide"].at(1.5), grader["wide"].at(-0.25)
    short = QUICK | {"steps": 1, "rounds": 1}
    result = fg.unlearn(BendingBars(), *scores, **short)
    audit = fg.audit(BendingBars(), BendingBars(), *scores, n=300, n_attacked=8, steps=2)
    for report, title in ((result, "grader"), (audit, "the grader")):
        said = f"with a score above 1.5 by what steers and -0.25 by {title}."
        assert said in " ".join(str(report).split())
        assert report.parameters["thresholds"] == [1.5, -0.25]
    plain = fg.unlearn(BendingBars(), eyes["wide"], **short)
    assert "with a score above" not in str(plain)


class Measured:
    """A score of one's own, with a threshold."""

    def __init__(self, threshold, squint=0.0):
        self.threshold, self.squint = threshold, squint

    def __call__(self, images):
        return Eyes(4.0, self.squint).logits(images)[:, 0]


@pytest.mark.parametrize("threshold", [2.0, torch.tensor(2.0)])
def test_a_threshold_of_a_score_of_ones_own_counts(threshold):
    score, grader = Measured(threshold), Measured(threshold, 0.5)
    expected = fg.prevalence(BendingBars(), width, threshold=10.5, n=500)
    assert fg.prevalence(BendingBars(), score, n=500) == expected
    result = fg.unlearn(BendingBars(), score, grader, **QUICK | {"steps": 1, "rounds": 1})
    assert result.parameters["thresholds"] == [2.0, 2.0]
    assert 0.05 < result.metrics["prevalence_before"] < 0.3
    with pytest.raises(ParameterError, match="threshold 2, which a share does not use"):
        fg.unlearn(BendingBars(), score, share=0.2, **QUICK)


@pytest.mark.parametrize("threshold", ["10", math.nan, lambda: 10])
def test_a_threshold_of_ones_own_that_is_no_number_is_refused(eyes, threshold):
    for call in (
        lambda: fg.prevalence(BendingBars(), Measured(threshold), n=300),
        lambda: fg.unlearn(BendingBars(), eyes["wide"], Measured(threshold, 0.5), **QUICK),
        lambda: fg.audit(BendingBars(), BendingBars(), Measured(threshold), n=300),
    ):
        with pytest.raises(ParameterError, match=r"threshold = .*: give a finite number"):
            call()


@pytest.mark.parametrize(
    ("graders", "sentence"),
    [
        (lambda grader: [grader, None], r"grader\[1\] = None: give a score"),
        (lambda grader: ["faces-classifier-b"], r"grader\[0\] = 'faces-classifier-b'"),
        (lambda grader: "faces-classifier-b", "grader = 'faces-classifier-b': give a score"),
        (lambda grader: 5, "grader = 5: give a score"),
        (lambda grader: {grader}, "grader is of type set, where the order counts"),
    ],
)
def test_what_cannot_grade_by_its_type_is_refused_by_its_place(eyes, grader, graders, sentence):
    with pytest.raises(ParameterError, match=sentence):
        fg.unlearn(BendingBars(), eyes["wide"], graders(grader["wide"]), **QUICK)


def test_a_classifier_that_changes_during_a_run_is_noted_and_recorded_as_it_was(eyes):
    changing = fg.as_classifier(Eyes(3.0, 0.5), ("wide", "right"), logits=lambda m, x: m.logits(x))

    def change(tuned):
        with torch.no_grad():
            next(changing.parameters()).mul_(1.01)
        return tuned

    options = QUICK | {"steps": 1, "rounds": 1, "trainable": change}
    with pytest.warns(DataWarning, match="what grades has other weights than when"):
        result = fg.unlearn(BendingBars(), eyes["wide"], changing["wide"], **options)
    assert result.parameters["classifiers"][1]["sha256"] != state_digest(changing)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (lambda m, x: x[:, 0, 0] - x[:, 0, 0].mean(0), "depend on the other images of its batch"),
        (lambda m, x: torch.randn(len(x), 4) + x[:, 0, 0, :4], "or are random"),
        (lambda m, x: x, r"have the shape \(8, 1, 32, 32\) for 8 images: return \(B, F\)"),
        (lambda m, x: x[:, 0, 0] / 0, "are not finite for some of the images"),
        (lambda m, x: x[:, 0, 0] > 0.5, r"has the format torch\.bool: return floats"),
    ],
)
def test_features_that_do_not_describe_an_image_alone_are_refused(eyes, features, sentence):
    describing = fg.as_classifier(
        Eyes(2.0, 0.5), ("wide",), logits=lambda m, x: m.logits(x)[:, :1], features=features
    )
    with pytest.raises(ModelError, match=sentence):
        fg.unlearn(BendingBars(), eyes["wide"], describing["wide"], **QUICK)


def test_a_grader_that_hardly_sees_the_feature_is_told():
    has_feature = torch.arange(400) < 100
    noise = torch.randn(400, generator=torch.Generator().manual_seed(0))
    with pytest.warns(DataWarning, match="hardly sees the feature of what steers: its AUC"):
        check_sight("The grader", noise + 0.4 * has_feature, has_feature)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        check_sight("The grader", noise + 2 * has_feature, has_feature)
