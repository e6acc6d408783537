"""Models, scores and options that would lead to a plausible number lead to a sentence."""

import math

import numpy as np
import pytest
import torch
from bars import Bars, width
from planted import Binned, Noisy
from torch import nn

import forgetting as fg
from forgetting.border.contracts import log_prob_of, mean_bits_per_dim
from forgetting.border.inference import generate
from forgetting.border.preflight import check_flow, check_generator
from forgetting.errors import (
    DataError,
    DataWarning,
    ModelError,
    ParameterError,
    TrainingError,
)
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, LabelledLatents
from forgetting.methods.feature_unlearning import UnlearningConfig
from forgetting.methods.image_sets import check_sets, distinct
from forgetting.methods.taming_config import TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.relearning import relearn
from forgetting.probes.search import search_latents

ALONG = Direction(torch.eye(6)[0], 0.5)
SHORT = {"steps": 2, "batch_size": 8, "fisher_batches": 2}
IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


# options


@pytest.mark.parametrize(
    "options",
    [
        {"form": "Unit"},
        {"form": "normalised"},
        {"form": True},
        {"projection_threshold": "mid"},
        {"projection_threshold": 0.5},
    ],
)
def test_a_direction_has_a_form_and_a_threshold_of_those_that_there_are(options):
    random = torch.Generator().manual_seed(0)
    labelled = LabelledLatents(*torch.randn(2, 20, 6, generator=random))
    with pytest.raises(ParameterError, match="is not allowed"):
        fg.find_direction(labelled, **options)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, True, "10", torch.ones(5)])
def test_a_score_threshold_is_a_finite_number(threshold):
    with pytest.raises(ParameterError, match=r"threshold = .*: give a finite number"):
        fg.prevalence(Bars(), width, threshold=threshold, n=20)


@pytest.mark.parametrize("threshold", [9, np.float32(9), torch.tensor(9.0), np.int64(9)])
def test_a_score_threshold_may_be_a_number_of_any_library(threshold):
    share = fg.prevalence(Bars(), width, threshold=threshold, n=50).share
    assert share == fg.prevalence(Bars(), width, threshold=9.0, n=50).share


@pytest.mark.parametrize("lr", [0, -0.1, math.inf, math.nan, True, "0.1"])
def test_a_probe_has_a_finite_learning_rate(lr):
    bars, images = Bars(), torch.rand(2, 1, 32, 32)
    for call in (
        lambda: latent_attack(bars, width, 2, steps=1, lr=lr),
        lambda: inversion_attack(bars, images, lambda x: x.flatten(1), steps=1, lr=lr),
        lambda: relearn(bars, images, torch.randn(2, 6), [1], width, lr=lr),
    ):
        with pytest.raises(ParameterError, match=r"lr = .*: give a finite number above 0"):
            call()


@pytest.mark.parametrize("value_range", [(0, math.inf), (-math.inf, 1), (math.nan, 1), (1, 1)])
def test_a_range_of_values_is_finite(value_range):
    with pytest.raises(ParameterError, match="two finite numbers"):
        fg.as_generator(Bars(), 6, value_range=value_range)


# scores


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


class Eight(Bars):
    """A generator that rounds its images to 8 bits."""

    def forward(self, z):
        return (super().forward(z) * 255).round() / 255


def test_latents_without_a_gradient_to_follow_are_refused():
    with pytest.raises(ModelError, match="gradient of Eight with respect to its latents is 0"):
        latent_attack(Eight(), width, 2, steps=1)


def test_a_search_that_leaves_the_finite_numbers_is_an_error_and_no_latent():
    def loss(images, _):
        return -width(images) * math.inf

    with pytest.raises(TrainingError, match="leaves the finite numbers"):
        search_latents(Bars(), 3, loss, loss, steps=2, restarts=1, lr=0.1, seed=0)


# shapes and ranges


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (3, 1, 1, 1), (3, 1, 1, 32)])
def test_images_are_not_repeated_until_they_fit_a_generators(shape):
    images = torch.rand(shape)
    for call in (
        lambda: inversion_attack(Bars(), images, lambda x: x.mean((2, 3)), steps=1),
        lambda: relearn(Bars(), images, torch.randn(3, 6), [1], width),
    ):
        with pytest.raises(DataError, match=r"where the generator's images are \(N, 1, 32, 32\)"):
            call()


@pytest.mark.parametrize("shape", [(4, 3), (2, 12), (6,), (2, 6, 1, 1)])
def test_values_of_two_latents_do_not_make_one(shape):
    generator = fg.as_generator(Bars(), latent_shape=(6,))
    with pytest.raises(DataError, match=r"give \(B, 6\)"):
        generator(torch.randn(shape))


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 3, 2, 4, 4)])
def test_images_of_any_number_of_dimensions_lie_in_the_unit_range(shape):
    with pytest.raises(DataError, match="give images in"):
        check_sets(255 * torch.rand(shape), 255 * torch.rand(shape))


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 255), (-2, 2)])
def test_a_range_that_is_too_wide_for_a_generators_values_is_noted(value_range):
    with pytest.warns(DataWarning, match=r"returns values from .*give value_range=\(0, 1\)"):
        check_generator(fg.as_generator(Bars(), 6, value_range=value_range))


def test_a_range_that_fits_a_generators_values_is_not_noted(recwarn):
    scaled = fg.as_generator(
        Bars(), 6, value_range=(-1, 1), forward=lambda bars, z: 2 * bars(z) - 1
    )
    check_generator(scaled)
    check_generator(Bars())
    assert not recwarn.list


@pytest.mark.parametrize("threshold", [50.0, -50.0])
def test_a_direction_that_selects_all_latents_or_none_is_no_feature(threshold):
    far = Direction(torch.eye(6)[0], threshold)
    for method in METHODS.values():
        with pytest.raises(DataError, match="standard normal, so that the direction selects"):
            method(Bars(), far, width)


# flows


def test_noise_is_given_as_noise_wherever_it_stands():
    flow, noise = Binned(), torch.rand(IMAGES.shape)
    check_flow(flow, IMAGES, is_tuned=True)
    torch.testing.assert_close(
        log_prob_of(flow, IMAGES, noise), log_prob_of(flow, IMAGES + noise / 32)
    )


@pytest.mark.parametrize("draws", [0, 3])
def test_an_adapter_around_a_flow_gives_its_own_likelihoods(draws):
    flow = Binned()
    own = mean_bits_per_dim(flow, IMAGES, draws, 1)
    adapted = mean_bits_per_dim(fg.as_flow(flow), IMAGES, draws, 1)
    assert torch.equal(own, adapted)
    other = fg.as_flow(flow, log_prob=lambda module, images: module.log_prob(images))
    torch.testing.assert_close(
        mean_bits_per_dim(other, IMAGES), mean_bits_per_dim(flow, IMAGES) - 5
    )


def test_noise_that_is_a_number_is_not_ours():
    class Noisy(Binned):
        def log_prob(self, images, noise=0.05):
            return super().log_prob(images)

    with pytest.raises(ModelError, match=r"has `noise=0.05`.*as_flow"):
        check_flow(Noisy(), IMAGES)


@pytest.mark.parametrize(
    "again",
    [
        lambda images: images.double().mul(1 / 255).float(),
        lambda images: images.mul(torch.tensor(1 / 255)),
        lambda images: (images / 127.5 - 1 + 1) / 2,
        lambda images: -(-images / 255),
    ],
)
def test_an_image_is_the_same_whatever_arithmetic_made_it(again):
    pixels = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    pixels = pixels.float()
    pixels[0] = 0
    with pytest.raises(DataError, match="1 of the 1 images to forget are also to be retained"):
        check_sets(again(pixels[:1]), pixels / 255)
    with pytest.raises(DataError, match="1 of the 1 images to forget are also to be retained"):
        check_sets(again(pixels[3:4]), pixels / 255)
    assert len(distinct(torch.cat([pixels / 255, again(pixels)]))) == 6
    pixels[3, 0, 0, 0] = (pixels[3, 0, 0, 0] + 1) % 256
    assert len(distinct(torch.cat([pixels / 255, pixels[:3] / 255]))) == 6


@pytest.mark.parametrize(
    "shares",
    [
        torch.tensor(0.5),
        torch.tensor([0.5]),
        torch.tensor([0.5, 0.3]),
        torch.tensor([math.nan, 0.5]),
        torch.tensor([1.5, -0.5]),
        torch.tensor([0.2, 0.3, 0.5]),
        [0.5, 0.5],
    ],
)
def test_measured_shares_are_those_of_the_targets_combinations(shares):
    target = Target(("A",), torch.tensor([0.8, 0.2]))
    config = TargetConfig(max_steps=2, n_statistics=4)
    cells = torch.arange(len(IMAGES)) % 2
    with pytest.raises(DataError, match=r"`measure` returns"):
        meet_target(Binned(), IMAGES, cells, target, lambda model, n: shares, config)


# what a method may not depend on


def weights(result):
    return torch.cat([p.flatten() for p in result.model.parameters()])


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_gives_the_same_under_whatever_a_program_has_set(name):
    method = METHODS[name]
    arguments = Noisy(), ALONG, lambda images: width(images) - 10, method.configure(SHORT)
    torch.manual_seed(1)
    expected = weights(method(*arguments))
    torch.manual_seed(2)
    assert torch.equal(weights(method(*arguments)), expected)
    for context in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
    ):
        with context:
            assert torch.equal(weights(method(*arguments)), expected)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(weights(method(*arguments)), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")


class Dropping(Noisy):
    """A generator that training mode would change."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, z):
        return super().forward(self.drop(z))


def into_training_mode(row, model):
    model.train()


def without_gradients(row, model):
    torch.set_grad_enabled(False)


def frozen(row, model):
    model.requires_grad_(False)


def drawing(row, model):
    torch.randn(3)


def emptying(row, model):
    row.clear()


@pytest.mark.parametrize(
    "callback", [into_training_mode, without_gradients, frozen, drawing, emptying]
)
def test_a_callback_that_looks_does_not_change_what_is_tuned(callback):
    config = UnlearningConfig(steps=3, batch_size=8, log_every=1)
    expected = fg.unlearn_feature(Dropping(), ALONG, config)
    result = fg.unlearn_feature(Dropping(), ALONG, config, callback=callback)
    assert torch.equal(weights(result), weights(expected))
    assert result.history == expected.history


@pytest.mark.parametrize("callback", [into_training_mode, without_gradients, frozen, drawing])
def test_an_evaluation_does_not_change_what_is_relearned(callback):
    images, z = torch.rand(4, 1, 32, 32), torch.randn(4, 6)

    def evaluate(model):
        values = torch.cat([p.detach().flatten() for p in model.parameters()])
        callback({}, model)
        return values

    relearned = relearn(Dropping(), images, z, [0, 1, 2], evaluate)
    expected = relearn(
        Dropping(), images, z, [2], lambda m: torch.cat([p.flatten() for p in m.parameters()])
    )
    assert torch.equal(relearned[2], expected[2])
    assert not torch.equal(relearned[2], relearned[0])


def test_a_measurement_does_not_change_what_is_steered():
    target = Target(("A",), torch.tensor([0.9, 0.1]))
    config = TargetConfig(max_steps=3, n_statistics=4, log_every=1)
    cells = torch.arange(len(IMAGES)) % 2

    def tuned(callback):
        def measure(model, _):
            callback({}, model)
            return torch.tensor([0.5, 0.5])

        return weights(meet_target(Binned(), IMAGES, cells, target, measure, config))

    expected = tuned(lambda row, model: None)
    for callback in (into_training_mode, frozen):
        assert torch.equal(tuned(callback), expected)


def test_a_last_step_that_breaks_the_weights_leaves_no_model():
    with pytest.raises(TrainingError, match=r"not finite after step 1.*learning rate"):
        fg.unlearn_feature(Bars(), ALONG, UnlearningConfig(steps=1, lr=1e39))


def test_relearning_that_breaks_the_weights_is_an_error():
    with pytest.raises(TrainingError, match=r"loss of relearning is nan"):
        relearn(Bars(), torch.rand(2, 1, 32, 32), torch.full((2, 6), math.nan), [2], width)


class Hiding(nn.Module):
    """A generator in evaluation mode with a layer in a plain list, which `eval` does not reach."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 16)
        self.hidden = [nn.BatchNorm1d(16)]

    def forward(self, z):
        return torch.sigmoid(self.hidden[0](self.layer(z))).view(-1, 1, 4, 4)


def test_images_are_made_in_evaluation_mode_by_layers_in_plain_lists_too():
    model, z = Hiding().eval(), torch.randn(9, 6)
    torch.testing.assert_close(generate(model, z)[:2], generate(model, z[:2]))
    assert model.hidden[0].training
    assert model.hidden[0].num_batches_tracked == 0
