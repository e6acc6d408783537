"""Scores: a function that looks at images is refused where it breaks its contract."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from bars import Bars, width
from torch import nn

import forgetting as fg
from forgetting.border.sampling import scored_samples
from forgetting.errors import DataError, DataWarning, ModelError, ParameterError
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, collect_latents
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.prevalence import prevalence
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.probes.latent_attack import latent_attack

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)
ALONG = Direction(torch.eye(6)[0], 0.5)


SCORES = {
    r"has the shape \(8, 1\) for 8 images": lambda x: width(x)[:, None],
    r"score has the shape \(\)": lambda x: x.mean(),
    r"format torch\.bool: return floats": lambda x: width(x) > 5,
    r"format torch\.uint8": lambda x: width(x).byte(),
    "score is of type ndarray, not a tensor": lambda x: width(x).detach().numpy(),
    "not finite": lambda x: width(x) / 0,
    "depends on the other images": lambda x: width(x) - width(x).mean(),
    "fails on images of shape": lambda x: x.no_such_thing,
}


@pytest.mark.parametrize("sentence", SCORES)
def test_a_score_that_breaks_its_contract_is_refused_everywhere(bars, sentence):
    score = SCORES[sentence]
    for call in (
        lambda: gradient_ascent(bars, ALONG, score),
        lambda: collect_latents(bars, score, 200),
        lambda: prevalence(bars, score, n=10),
        lambda: latent_attack(bars, score, 2),
    ):
        with pytest.raises(ModelError, match=sentence):
            call()


def test_probabilities_are_not_taken_for_logits(bars):
    def probability(images):
        return torch.sigmoid(width(images) - 8)

    for call in (
        lambda: gradient_ascent(bars, ALONG, probability),
        lambda: collect_latents(bars, probability, 200, threshold=0.0),
        lambda: prevalence(bars, probability, n=10),
    ):
        with pytest.raises(ModelError, match=r"as probabilities do.*threshold=0\.5"):
            call()
    assert prevalence(bars, probability, n=10, threshold=0.5).n == 10
    assert collect_latents(bars, probability, 200).positive.shape == (20, 6)


def test_percentages_are_not_taken_for_logits(bars):
    def percentage(images):
        return 100 * torch.sigmoid(width(images) - 8)

    for call in (
        lambda: collect_latents(bars, percentage, 200, threshold=0.0),
        lambda: prevalence(bars, percentage, n=200),
    ):
        with pytest.raises(ModelError, match=r"as percentages do.*threshold=50"):
            call()
    assert prevalence(bars, percentage, n=200, threshold=50).share < 1


def test_a_score_without_gradient_is_refused_where_its_gradient_is_followed(bars):
    for call in (
        lambda: gradient_ascent(bars, ALONG, lambda x: width(x.detach())),
        lambda: latent_attack(bars, lambda x: (x > 0.5).float().mean((1, 2, 3)), 2),
    ):
        with pytest.raises(ModelError, match="score has no gradient with respect to the images"):
            call()


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, lambda _: nn.Dropout(0.5)])
def test_a_score_in_training_mode_is_refused_and_its_statistics_stay(bars, kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Flatten(), nn.Linear(1024, 4), kind(4), nn.Linear(4, 1)
    model = nn.Sequential(*layers).train()
    before = [value.clone() for value in (*model.parameters(), *model.buffers())]
    with pytest.raises(ModelError, match=r"evaluation mode with `eval\(\)`"):
        prevalence(bars, lambda x: 9 * model(x)[:, 0], n=10)
    after = [*model.parameters(), *model.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    model.eval()
    config = gradient_ascent.configure({"steps": 1})
    gradient_ascent(bars, ALONG, lambda x: 9 * (model(x)[:, 0] - 0.1), config)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "score",
    [
        lambda images: (width(images) > 8).float(),
        lambda images: torch.zeros(len(images)),
        lambda images: (width(images) / 4).round(),
    ],
)
def test_chance_does_not_decide_which_samples_are_positive(score):
    with pytest.raises(DataError, match=r"have the score .* chance would decide"):
        fg.collect_latents(Bars(), score, 400, share=0.1)


def test_few_equal_scores_are_no_reason_to_refuse_a_share():
    def score(images):
        return (width(images) * 50).round()

    assert len(fg.collect_latents(Bars(), score, 400, share=0.1).positive) == 40


def nan_gradient(images):
    return width(images) + (images * 0).sum((1, 2, 3)).sqrt()


def no_gradient(images):
    return images.round().sum((1, 2, 3))


@pytest.mark.parametrize(
    ("score", "reason"), [(nan_gradient, "not finite"), (no_gradient, "is 0")]
)
def test_a_score_without_a_gradient_to_follow_is_refused(score, reason):
    bars = Bars()
    for call in (
        lambda: latent_attack(bars, score, 2, steps=1),
        lambda: METHODS["gradient_ascent"](bars, ALONG, lambda x: score(x) - 10),
    ):
        with pytest.raises(ModelError, match=f"gradient of the score .* {reason}"):
            call()


def test_scores_of_one_batch_do_not_make_up_for_those_of_another():
    def shifted(images):
        scores = width(images)
        return {20: scores.repeat(2)[:27], 13: scores[:6]}.get(len(images), scores)

    with pytest.raises(ModelError, match="for 20 images"):
        fg.prevalence(Bars(), shifted, threshold=8, n=33, batch_size=20)


def test_a_class_of_several_has_the_log_odds_of_its_softmax():
    classifier = Classifier(
        ClassifierConfig(attributes=("a", "b", "c", "tall"), n_classes=3, image_size=8), seed=0
    ).eval()
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        chances = classifier.classes(images)
        odds = torch.stack([classifier[name](images) for name in "abc"], 1)
        torch.testing.assert_close(odds.sigmoid(), chances)
        torch.testing.assert_close(classifier["tall"](images), classifier.logits(images)[:, 3])
    assert bool(((odds > 0).sum(1) <= 1).all())


@pytest.mark.parametrize("letter", ["a", "b"])
def test_classes_that_are_given_as_attributes_are_noted(letter):
    generator, digits = fg.load("digits-vae"), fg.load(f"digits-classifier-{letter}")
    names = digits.attributes[:10]
    for n_classes, is_noted in ((0, True), (10, False)):
        adapted = fg.as_classifier(
            digits, names, n_classes=n_classes, logits=lambda m, images: m.logits(images)[:, :10]
        )
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            prevalence(generator, adapted["7"], n=100)
        assert (
            any("give as_classifier(..., n_classes" in str(w.message) for w in noted) is is_noted
        )


@pytest.mark.parametrize("name", ["faces-vae", "faces-gan"])
def test_attributes_of_faces_are_no_classes(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        prevalence(fg.load(name), fg.load("faces-classifier-a")["Smiling"], n=64)


@pytest.mark.parametrize(("threshold", "side"), [(500.0, "above"), (-500.0, "below")])
def test_a_threshold_far_from_all_scores_is_told(threshold, side):
    with pytest.warns(DataWarning, match="lies far from all 100 scores, which go from"):
        found = fg.prevalence(Bars(), width, threshold=threshold, n=100)
    assert found.share == (0 if side == "above" else 1)


@pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")
def test_a_threshold_is_any_finite_number(bars):
    thirds = (Fraction(25, 3), np.float64(25 / 3), torch.tensor(25 / 3))
    for call in (
        lambda threshold: prevalence(bars, width, n=200, threshold=threshold).share,
        lambda threshold: len(collect_latents(bars, width, 200, threshold=threshold).positive),
    ):
        assert {call(third) for third in thirds} == {call(25 / 3)}
        for bad in ("8", [8.0], 10**400, math.nan):
            with pytest.raises(ParameterError, match="give a finite number"):
                call(bad)


def test_a_threshold_that_few_samples_pass_is_no_other_scale():
    scores = collect_latents(Bars(), width, 200)
    assert len(scores.positive)
    assert fg.prevalence(Bars(), width, threshold=17.0, n=100).share < 0.5


def test_a_score_that_changes_while_samples_are_scored_is_refused(bars):
    n_scored = 0

    def hardening(images):
        nonlocal n_scored
        n_scored += len(images)
        return width(images) - (8 if n_scored < 250 else 9)

    for call in (
        lambda: prevalence(bars, hardening, n=400, batch_size=100),
        lambda: collect_latents(bars, hardening, 400, threshold=0.0, batch_size=100),
    ):
        n_scored = 0
        with pytest.raises(ModelError, match="its model is changed meanwhile"):
            call()
    assert prevalence(bars, lambda images: width(images) - 8, n=400, batch_size=100).n == 400


def test_a_score_that_is_the_same_for_all_samples_is_told():
    with pytest.warns(DataWarning, match="All 100 samples have the score 3, which tells nothing"):
        fg.prevalence(Bars(), lambda images: 0 * width(images) + 3, n=100)


def test_percentages_with_a_threshold_of_probabilities_are_told(bars):
    def percentage(images):
        return 100 * torch.sigmoid(4 * (width(images) - 8))

    for call in (
        lambda: collect_latents(bars, percentage, 200, threshold=0.5),
        lambda: prevalence(bars, percentage, n=200, threshold=0.5),
    ):
        with pytest.warns(DataWarning, match="as percentages do, .* give threshold=50"):
            call()


def test_a_threshold_of_probabilities_is_told_where_scores_reach_from_0_to_255(bars):
    def level(images):
        return 255 * torch.sigmoid(4 * (width(images) - 8))

    with pytest.warns(DataWarning, match="on the scores' own scale"):
        prevalence(bars, level, n=200, threshold=0.5)


def test_logarithms_of_probabilities_are_told_and_logits_of_what_is_rare_are_not(bars):
    def logarithm(images):
        return nn.functional.logsigmoid(4 * (width(images) - 8))

    with pytest.warns(DataWarning, match="as logarithms of probabilities are"):
        assert prevalence(bars, logarithm, n=200).share == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        assert prevalence(bars, lambda images: width(images) - 16, n=200).share == 0


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_cosines_are_not_taken_for_logits_of_classes(bars, scale):
    """A softmax of cosines without their scale is sure of no class."""

    def cosines(module, images):
        wide = torch.tanh(width(images) - 8)
        return scale * torch.stack([0.25 + 0.05 * wide, 0.25 - 0.05 * wide, 0.2 + 0 * wide], 1)

    score = fg.as_classifier(
        nn.Linear(1, 1), ("wide", "narrow", "grey"), n_classes=3, logits=cosines
    )["wide"]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        prevalence(bars, score, n=100)
    told = [w for w in noted if "cosines times their scale" in str(w.message)]
    assert len(told) == (scale == 1)


@pytest.mark.parametrize(("whole", "kind"), [(1, "probabilities"), (100, "percentages")])
def test_what_a_softmax_returns_is_not_taken_for_logits_of_classes(bars, whole, kind):
    def chances(module, images):
        return whole * torch.stack([width(images), 8 + 0 * width(images)], 1).softmax(1)

    score = fg.as_classifier(nn.Linear(1, 1), ("wide", "narrow"), n_classes=2, logits=chances)
    with pytest.raises(ModelError, match=f"returns {kind} of 2 classes: return logits"):
        prevalence(bars, score["wide"], n=100)


class Named(torch.Tensor):
    """A tensor of a class of one's own, which cannot be copied as plain tensors are."""


class NamedBars(Bars):
    def forward(self, latents):
        return super().forward(latents).as_subclass(Named)


def test_tensors_of_a_class_of_ones_own_count_as_plain_ones():
    generator = fg.as_generator(NamedBars(), latent_dim=6)
    _, scores = scored_samples(
        generator, lambda x: width(x).as_subclass(Named), 40, seed=0, batch_size=20, threshold=None
    )
    _, plain = scored_samples(Bars(), width, 40, seed=0, batch_size=20, threshold=None)
    assert type(scores) is torch.Tensor
    assert torch.equal(scores, plain)
    assert type(generator(torch.zeros(2, 6))) is torch.Tensor
