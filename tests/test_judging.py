"""AUC, thresholds, calibration and identities on cases whose result is known."""

import math

import numpy as np
import pytest
import torch
from colours import Colours
from sklearn.metrics import roc_auc_score
from torch import nn

from forgetting.border.inference import embeddings
from forgetting.errors import DataError, DataWarning, ParameterError
from forgetting.metrics.calibration import (
    Auc,
    balanced_threshold,
    calibration_error,
    threshold_at,
)
from forgetting.metrics.identity import nearest_people, pairs, verification
from forgetting.metrics.membership import Membership
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.embedding import Embedding, EmbeddingConfig


def draw(n, seed, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    has_feature = torch.rand(n, generator=generator) < 0.3
    return torch.randn(n, generator=generator) + shift * has_feature, has_feature


def test_the_auc_is_that_of_scikit_learn_with_and_without_ties():
    scores, has_feature = draw(500, 0)
    for values in (scores, (scores * 2).round()):
        expected = roc_auc_score(has_feature, values)
        assert Auc.of(values, has_feature).value == pytest.approx(expected, abs=1e-12)
    assert Auc.of(has_feature.float(), has_feature) == Auc(1.0, 1.0, 1.0)


def test_the_interval_of_the_auc_covers_19_times_in_20():
    truth = 0.5 * (1 + torch.erf(torch.tensor(0.5)))  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    hits = 0
    for seed in range(400):
        auc = Auc.of(*draw(300, seed))
        hits += auc.low <= float(truth) <= auc.high
    assert 0.91 <= hits / 400 <= 0.985


def test_the_interval_of_the_auc_is_that_of_delong():
    """Theirs, by the definition: the variance of both placements, over all pairs."""
    scores, has_feature = draw(80, 3)
    positive, negative = scores[has_feature].double(), scores[~has_feature].double()
    wins = (positive[:, None] > negative).double()
    variance = wins.mean(1).var() / len(positive) + wins.mean(0).var() / len(negative)
    auc = Auc.of(scores, has_feature)
    assert auc.high - auc.value == pytest.approx(1.959964 * float(variance.sqrt()), rel=1e-6)
    assert auc.value - auc.low == pytest.approx(auc.high - auc.value)


@pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")
def test_an_interval_without_a_width_is_noted_where_few_images_make_it():
    has_feature = torch.arange(100) < 49
    for scores in (has_feature.float(), -has_feature.float()):
        with pytest.warns(DataWarning, match="part 49 images with the feature entirely from 51"):
            Auc.of(scores, has_feature)
    Auc.of(torch.arange(100.0), torch.arange(100) >= 50)
    Auc.of(torch.tensor([0.0, 2.0, 1.0, 3.0]), torch.tensor([0, 0, 1, 1]))


def test_an_auc_of_equal_scores_is_noted():
    with pytest.warns(DataWarning, match="all 100 scores are 3, so that they tell nothing"):
        assert Auc.of(torch.full((100,), 3.0), torch.arange(100) < 49).value == 0.5


def test_an_auc_needs_positives_and_negatives():
    with pytest.raises(DataError, match="not 1 and 3"):
        Auc.of(torch.arange(4.0), torch.tensor([True, False, False, False]))


def test_at_most_the_given_share_of_negatives_lies_above_the_threshold():
    scores, has_feature = draw(5000, 1)
    for rate in (0.005, 0.05):
        over = scores > threshold_at(scores, has_feature, rate)
        passed = float(over[~has_feature].float().mean())
        assert rate - 1e-3 < passed <= rate


def test_the_calibration_error_is_low_for_true_logits_and_high_for_inflated_ones():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, generator=generator) * 2
    has_feature = torch.rand(20_000, generator=generator) < torch.sigmoid(logits)
    assert calibration_error(logits, has_feature) < 0.02
    assert calibration_error(4 * logits, has_feature) > 0.1


def test_pairs_tell_people_apart_if_the_embedding_does():
    people = ["a"] * 8 + ["b"] * 8 + ["c"] * 8 + ["d"]
    centres = torch.eye(4)[[0] * 8 + [1] * 8 + [2] * 8 + [3]]
    similarity, same = pairs(centres, people, 100)
    assert (int(same.sum()), int((~same).sum())) == (3, 100)
    auc, threshold, recall = verification(similarity, same)
    assert (auc.value, recall) == (1.0, 1.0)
    assert 0 <= threshold < 1
    with pytest.raises(DataError, match="two people"):
        pairs(centres[:5], people[:5], 30)


def test_nearest_people_are_in_order_without_people_of_few_images():
    angles = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.55, 3.0])
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    people = ["a", "a", "b", "c", "c", "d"]
    assert nearest_people(vectors, people, "a", 2) == ["b", "c"]
    assert nearest_people(vectors, people, "a", 2, min_images=2) == ["c"]
    with pytest.raises(DataError, match="no image of 'e'"):
        nearest_people(vectors, people, "e", 2)


@pytest.mark.parametrize("architecture", ["plain", "residual"])
def test_a_face_classifier_gives_similar_logits_at_every_size(architecture):
    config = ClassifierConfig(
        attributes=("Male", "Smiling"),
        architecture=architecture,
        channels=3,
        image_size=64,
        n_stages=3,
        batch_norm=True,
        width=4,
        n_features=8,
        fit="resize",
    )
    classifier = Classifier(config).eval()
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(6, 3, 8, 8, generator=generator), size=128, mode="bicubic"
    ).clamp(0, 1)
    sizes = [torch.nn.functional.interpolate(smooth, size=s, mode="area") for s in (32, 64, 128)]
    small, middle, large = (classifier.logits(images) for images in sizes)
    assert middle.shape == (6, 2)
    spread = middle.std(0)
    assert ((small - middle).abs() < spread).all()
    assert ((large - middle).abs() < spread).all()


def test_an_embedding_has_length_one_and_is_that_of_the_mirror_image():
    config = ClassifierConfig(
        attributes=("x",), channels=3, image_size=16, width=4, n_features=8, fit="resize"
    )
    embedding = Embedding(EmbeddingConfig(classifier=config, n_dims=5)).eval()
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    vectors = embedding(images)
    assert vectors.shape == (3, 5)
    np.testing.assert_allclose(vectors.norm(dim=1).detach(), 1, rtol=1e-5)
    torch.testing.assert_close(embedding(images.flip(3)), vectors)


@pytest.mark.parametrize("scale", [255, -1])
def test_an_embedding_is_given_no_images_of_another_range(scale):
    with pytest.raises(DataError, match=r"The images have values from .* give images in \[0, 1\]"):
        embeddings(Colours(), scale * torch.rand(4, 3, 32, 32))


def test_the_balanced_threshold_is_right_most_often():
    generator = torch.Generator().manual_seed(0)
    has_feature = torch.rand(400, generator=generator) < 0.2
    scores = torch.randn(400, generator=generator) + 1.5 * has_feature
    threshold = balanced_threshold(scores, has_feature)
    accuracies = [float(((scores > t) == has_feature).float().mean()) for t in scores]
    here = float(((scores > threshold) == has_feature).float().mean())
    assert here == max(accuracies)
    assert threshold not in scores.tolist()


def test_the_balanced_threshold_parts_what_can_be_parted_halfway():
    scores = torch.tensor([3.0, 1.0, 2.0, 5.0])
    assert balanced_threshold(scores, torch.tensor([True, False, False, True])) == 2.5
    with pytest.raises(DataError, match="with and without"):
        balanced_threshold(scores, torch.zeros(4, dtype=torch.bool))


def test_a_threshold_that_tells_nothing_is_noted(recwarn):
    scores, has_feature = draw(500, 3, shift=3.0)
    balanced_threshold(scores, has_feature)
    assert not recwarn.list
    with pytest.warns(DataWarning, match="scores with the other sign"):
        assert float((balanced_threshold(-scores, has_feature) < -scores).float().mean()) < 0.01


def test_embeddings_of_other_lengths_are_no_embeddings():
    random = torch.Generator().manual_seed(0)
    embeddings = nn.functional.normalize(torch.randn(12, 4, generator=random), dim=1)
    people = [str(i // 2) for i in range(12)]
    pairs(embeddings, people, 10)
    pairs(embeddings.bfloat16().float(), people, 10)
    for factor in (3 * torch.rand(12, 1, generator=random), 2, math.nan):
        with pytest.raises(DataError, match=r"lengths from .* divide each by its length"):
            pairs(embeddings * factor, people, 10)


def test_pairs_are_of_as_many_names_as_embeddings_and_of_a_number_that_there_is():
    random = torch.Generator().manual_seed(0)
    embeddings = nn.functional.normalize(torch.randn(40, 8, generator=random), dim=1)
    people = [str(i // 4) for i in range(40)]
    with pytest.raises(DataError, match="20 names for 40 embeddings"):
        pairs(embeddings, people[:20], 100)
    for number in (-1, 0, 2.5, True):
        with pytest.raises(ParameterError, match="give a whole number of at least 1"):
            pairs(embeddings, people, number)
        with pytest.raises(ParameterError, match="give a whole number of at least 1"):
            nearest_people(embeddings, people, "3", number)


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.float32])
def test_verification_reads_zeros_and_ones_as_truth_and_not_as_indices(kind):
    similarity, same = draw(500, 0, shift=2.0)
    similarity = torch.tanh(similarity)
    assert verification(similarity, same.to(kind)) == verification(similarity, same)


def test_a_probability_is_no_logit_in_a_calibration_error():
    scores, truth = draw(500, 0)
    calibration_error(scores, truth)
    with pytest.raises(DataError, match="as probabilities do"):
        calibration_error(scores.sigmoid(), truth)
    with pytest.raises(DataError, match="as percentages do"):
        calibration_error(100 * scores.sigmoid(), truth)


def test_answers_of_yes_or_no_have_no_calibration_error():
    has_feature = torch.arange(100) % 2 == 0
    for answers in (has_feature.float(), 2 * has_feature.float() - 1):
        with pytest.raises(DataError, match="or 1, as answers of yes or no"):
            calibration_error(answers, has_feature)


def test_distances_are_no_similarities():
    same = torch.arange(300) % 2 == 0
    with pytest.raises(DataError, match=r"where inner products .* lie in \[-1, 1\]"):
        verification(torch.linspace(0, 2, 300), same)


def test_measures_take_arrays_and_lists_as_tensors():
    scores = torch.randn(300, generator=torch.Generator().manual_seed(0))
    truth = scores + scores.roll(1) > 0
    measures = (
        Auc.of,
        balanced_threshold,
        calibration_error,
        lambda s, t: threshold_at(s, t, 0.05),
        lambda s, t: Prevalence.of(t),
        lambda s, t: Membership.of(s, s),
    )
    for measure in measures:
        expected = measure(scores, truth)
        assert measure(scores.numpy()[::-1][::-1], truth.numpy()) == expected
        assert measure(scores, truth.tolist()) == expected


@pytest.mark.parametrize("truth", ["yes", None, [object()], {"a": 1}, [[True], [True, False]]])
def test_a_truth_that_is_no_numbers_is_refused_in_a_sentence(truth):
    for measure in (lambda: Auc.of(torch.zeros(3), truth), lambda: Prevalence.of(truth)):
        with pytest.raises(DataError, match=r"takes no .* of type \w+: give a tensor"):
            measure()


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_images_without_a_name_are_not_taken_for_one_person(missing):
    people, vectors = ["a", "a", missing, missing], torch.eye(4)
    sentence = "2 of 4 images have no name, the first at place 2"
    with pytest.raises(DataError, match=sentence):
        pairs(vectors, people, 2)
    with pytest.raises(DataError, match=sentence):
        nearest_people(vectors, people, "a", 1)
