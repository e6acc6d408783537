"""Every baseline does what its name says, on a generator whose feature is the width of a bar."""

import copy

import pytest
import torch
import torch.nn.functional as F
from bars import width
from torch import nn

from forgetting.errors import ModelError, TrainingError
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, feature_unlearning
from forgetting.methods.finetune import Batch, FinetuneConfig, finetune
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.gradient_surgery import gradient_surgery, orthogonal
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.selective_amnesia import (
    AmnesiaConfig,
    _fisher_diagonal,
    selective_amnesia,
)
from forgetting.methods.uno import UnoConfig, squared_cosine, uno
from forgetting.methods.whole_image import surrogate_latents, unlearn_whole_image

CONFIG = FinetuneConfig(steps=200, lr=0.02)


@pytest.fixture(scope="module")
def z():
    return torch.randn(4000, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def threshold(bars, z):
    with torch.no_grad():
        return width(bars(z)).quantile(0.9)


def prevalence(model, z, threshold):
    """Return the share of samples whose bar is wider than a threshold."""
    with torch.no_grad():
        return float((width(model(z)) > threshold).float().mean())


def change(model, bars, latents):
    """Return the mean change of a pixel from the original's images."""
    with torch.no_grad():
        return float((model(latents) - bars(latents)).abs().mean())


def tuned(method, bars, labelled, config, score=None):
    """Return the model that a method makes of the bars, along the direction of width."""
    return method(bars, find_direction(labelled), score, config).model


def test_gradient_ascent_removes_the_feature_and_changes_other_images(
    bars, labelled, z, threshold
):
    few = CONFIG.model_copy(update={"steps": 60})  # with more of them narrow bars become wide
    ascended = tuned(gradient_ascent, bars, labelled, few, lambda x: width(x) - threshold)
    unlearned = tuned(feature_unlearning, bars, labelled, _like(CONFIG))
    assert prevalence(ascended, z, threshold) < 0.05
    others = z[~find_direction(labelled).selects(z)]
    assert change(ascended, bars, others) > change(unlearned, bars, others)


def test_the_gradient_of_ascent_does_not_fade_when_the_feature_is_gone(bars, labelled):
    """Of a score far below 0 surgery's loss is flat, and ascent's falls as fast as the score."""
    few = FinetuneConfig(steps=1, lr=0.01)
    absent = {offset: (lambda x, offset=offset: width(x) - offset) for offset in (50.0, 60.0)}
    losses = {
        method: [
            method(bars, find_direction(labelled), score, few).history[0]["loss_classifier"]
            for score in absent.values()
        ]
        for method in (gradient_ascent, gradient_surgery)
    }
    share = 10 * float(
        find_direction(labelled)
        .selects(torch.randn(few.batch_size, 6, generator=torch.Generator().manual_seed(0)))
        .float()
        .mean()
    )
    first, second = losses[gradient_ascent]
    assert first - second == pytest.approx(share, rel=1e-4)
    assert max(losses[gradient_surgery]) < 1e-9


def _like(config):
    return UnlearningConfig(**config.model_dump())


def test_surgery_leaves_no_component_along_the_retain_gradient():
    random = torch.Generator().manual_seed(0)
    forget, retain = (
        tuple(torch.randn(shape, generator=random) for shape in ((3, 4), (5,))) for _ in range(2)
    )
    combined = orthogonal(forget, retain)
    assert sum((c * r).sum() for c, r in zip(combined, retain, strict=True)).abs() < 1e-4
    along = sum((c * f).sum() for c, f in zip(combined, forget, strict=True))
    assert along > 0  # a step still lowers the forget loss
    zero = tuple(torch.zeros_like(r) for r in retain)
    assert all(torch.equal(a, b) for a, b in zip(orthogonal(forget, zero), forget, strict=True))


def test_gradient_surgery_forgets_with_less_damage_than_ascent(bars, labelled, z, threshold):
    ascended, operated = (
        tuned(method, bars, labelled, CONFIG, lambda x: width(x) - threshold)
        for method in (gradient_ascent, gradient_surgery)
    )
    others = z[~find_direction(labelled).selects(z)]
    assert change(operated, bars, others) < change(ascended, bars, others)
    assert prevalence(operated, z, threshold) < 0.1


def test_unlearning_the_whole_image_removes_the_feature_and_leaves_other_images(
    bars, labelled, z, threshold
):
    model = tuned(unlearn_whole_image, bars, labelled, CONFIG)
    assert prevalence(model, z, threshold) < 0.06
    assert change(model, bars, z[~find_direction(labelled).selects(z)]) < 0.02


def test_a_surrogate_replaces_each_selected_latent_by_one_that_is_not_selected(bars):
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(200, 6, generator=random)
    selected = latents[:, 0] > 0.5
    replaced = surrogate_latents(
        Batch(bars, latents, latents, selected, bars(latents), random, [])
    )
    assert torch.equal(replaced[~selected], latents[~selected])
    surrogates = replaced[selected]
    assert all(bool((latents[~selected] == z).all(1).any()) for z in surrogates)
    assert len(surrogates.unique(dim=0)) > 20
    everything = torch.ones(200, dtype=torch.bool)
    left = surrogate_latents(Batch(bars, latents, latents, everything, bars(latents), random, []))
    assert torch.equal(left, latents)


def test_the_elastic_term_of_selective_amnesia_holds_the_weights(bars, labelled, z, threshold):
    state = {name: value.clone() for name, value in bars.state_dict().items()}
    loose, firm = (
        selective_amnesia(
            bars,
            find_direction(labelled),
            config=AmnesiaConfig(steps=150, lr=0.02, elastic=elastic),
        )
        for elastic in (0.0, 1e4)
    )
    assert prevalence(loose.model, z, threshold) < 0.08
    moved = [
        sum(float((now - state[k]).abs().sum()) for k, now in result.model.state_dict().items())
        for result in (loose, firm)
    ]
    assert moved[1] < 0.3 * moved[0]
    assert "loss_penalty" in firm.history[-1]
    assert all(torch.equal(state[k], v) for k, v in bars.state_dict().items())


class TwoWeights(nn.Module):
    """Two pixels with a weight each; one follows its latent three times as steeply."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.steep = nn.Parameter(torch.ones(()))
        self.flat = nn.Parameter(torch.ones(()))

    def forward(self, z):
        pixels = [3 * self.steep * z[:, 0], self.flat * z[:, 1]]
        return torch.stack(pixels, 1)[:, None, None]


def test_the_fisher_matrix_grows_with_the_square_of_an_images_derivative():
    problem = UnlearningProblem(TwoWeights(), Direction(torch.ones(2), 0.0))
    fisher = _fisher_diagonal(problem, AmnesiaConfig(fisher_batches=2000))
    assert [float(value) for value in fisher] == pytest.approx([1.8, 0.2], rel=0.1)


def test_the_elastic_term_is_the_fisher_weighted_square_of_the_change(bars, labelled):
    """The Fisher matrix is scaled to a mean of 1, so that a common change of weights shows it."""
    config = AmnesiaConfig(steps=2, lr=0.5, elastic=3.0)
    problem = UnlearningProblem(bars, find_direction(labelled))
    fisher = _fisher_diagonal(problem, config)
    mean = sum(f.sum() for f in fisher) / sum(f.numel() for f in fisher)
    assert float(mean) == pytest.approx(1, rel=1e-5)
    moved = []
    selective_amnesia(
        bars,
        find_direction(labelled),
        config=config,
        callback=lambda row, model: moved.append(
            (row["loss_penalty"], [p.detach().clone() for p in model.parameters()])
        ),
    )
    weights = zip(fisher, moved[0][1], bars.parameters(), strict=True)
    squares = [(f * (now - start.detach()).square()).sum() for f, now, start in weights]
    expected = 3.0 / 2 * float(sum(squares))
    assert moved[0][0] == 0
    assert moved[1][0] == pytest.approx(expected, rel=1e-4)


def test_the_squared_cosine_has_the_gradient_that_is_computed_by_hand():
    """Of a, (1, 0); of (a^2 + b^2) / 2, (a, b); so cos^2 = a^2 / (a^2 + b^2)."""
    weights = [torch.tensor(value, requires_grad=True) for value in (1.0, 2.0)]
    a, b = weights
    losses = (a + 0 * b, (a**2 + b**2) / 2)
    gradients = [torch.autograd.grad(loss, weights, create_graph=True) for loss in losses]
    cosine = squared_cosine(*gradients)
    assert cosine.item() == pytest.approx(0.2)
    slopes = torch.autograd.grad(cosine, weights)
    assert [float(slope) for slope in slopes] == pytest.approx([0.32, -0.16])


def test_a_gradient_of_zero_has_no_cosine_and_moves_nothing():
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    cosine = squared_cosine((weight * 2,), (weight * 0,))
    assert cosine.item() == 0
    assert torch.equal(torch.autograd.grad(cosine, weight)[0], torch.zeros(2))


def test_the_losses_of_uno_are_those_computed_by_hand_on_a_linear_generator():
    places, rows = [], []

    def callback(row, model):
        rows.append(row)
        places.append((model.steep.item(), model.flat.item()))

    direction = Direction(torch.tensor([0.6, 0.8]), 0.3)
    config = UnoConfig(steps=2, batch_size=32, lr=0.1, orthogonality=5.0)
    uno.function(  # its pixels are no images, which a call would refuse
        UnlearningProblem(TwoWeights(), direction, callback=callback),
        config,
        lambda images: images.flatten(1) @ torch.tensor([1.0, 3.0]),
    )
    assert rows[0]["loss_recon"] == rows[0]["loss_orthogonality"] == 0
    random = torch.Generator().manual_seed(0)
    torch.randn(32, 2, generator=random)  # the latents of the first step
    x, y = torch.randn(32, 2, generator=random).T
    steep, flat = places[0]
    selected, score = 0.6 * x + 0.8 * y >= 0.3, 3 * steep * x + 3 * flat * y
    squares = 9 * (steep - 1) ** 2 * x**2 + (flat - 1) ** 2 * y**2
    forget = selected * score.sigmoid()
    of_forget = torch.stack([(forget * 3 * x).mean(), (forget * 3 * y).mean()])
    of_retain = torch.stack(
        [(~selected * 18 * (steep - 1) * x**2).mean(), (~selected * 2 * (flat - 1) * y**2).mean()]
    )
    cosine = F.cosine_similarity(of_forget, of_retain, dim=0)
    assert 0.05 < cosine**2 < 0.95
    assert rows[1]["loss_classifier"] == pytest.approx(
        float((selected * F.softplus(score)).mean())
    )
    assert rows[1]["loss_recon"] == pytest.approx(float((~selected * squares).mean()), rel=1e-4)
    assert rows[1]["loss_orthogonality"] == pytest.approx(5 * float(cosine**2), rel=1e-4)


def test_the_penalty_of_uno_makes_the_gradients_more_orthogonal(bars, labelled, threshold):
    def mean_cosine(orthogonality):
        config = UnoConfig(steps=40, lr=0.02, log_every=1, orthogonality=orthogonality)
        history = uno(
            bars, find_direction(labelled), lambda x: width(x) - threshold, config
        ).history
        return sum(row["loss_orthogonality"] for row in history) / orthogonality / len(history)

    assert mean_cosine(10.0) < 0.3 * mean_cosine(0.01)


class OnceDifferentiable(torch.autograd.Function):
    """The identity, whose backward pass has none of its own."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        return gradient


def test_uno_says_that_it_needs_second_derivatives(bars, labelled):
    def score(images):
        return OnceDifferentiable.apply(width(images)).square()

    with pytest.raises(ModelError, match="no second derivatives, which UNO needs"):
        uno(bars, find_direction(labelled), score, UnoConfig(steps=1))


def test_uno_forgets_and_retains_other_images_better_than_surgery(bars, labelled, z, threshold):
    shared = CONFIG.model_dump() | {"steps": 100}
    penalised, operated = (
        tuned(method, bars, labelled, settings, lambda x: width(x) - threshold)
        for method, settings in (
            (uno, UnoConfig(**shared)),
            (gradient_surgery, FinetuneConfig(**shared)),
        )
    )
    others = z[~find_direction(labelled).selects(z)]
    assert change(penalised, bars, others) < 0.5 * change(operated, bars, others)
    assert prevalence(penalised, z, threshold) < 0.05


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_weights_that_make_no_image_stay_as_they_are(bars, labelled, method):
    """As those of a VAE's encoder, in a generator that comes with one."""
    with_encoder = copy.deepcopy(bars)
    with_encoder.encoder = nn.Linear(3, 3)
    config = method.configure({"steps": 3})
    model = tuned(method, with_encoder, labelled, config, width)
    encoder = getattr(model, "generator", model).encoder
    assert torch.equal(encoder.weight, with_encoder.encoder.weight)


def test_finetuning_logs_every_so_many_steps_and_the_last_and_lowers_the_rate_to_zero(bars):
    """The objective pulls one weight with a constant gradient: Adam moves it by the rate."""
    seen, places = [], []
    config = FinetuneConfig(steps=4, lr=0.1, log_every=3, batch_size=16)

    def callback(row, model):
        seen.append(row)
        places.append(float(model.bend.detach()))

    problem = UnlearningProblem(bars, Direction(torch.eye(6)[0], 0.0), callback=callback)
    result = finetune(
        problem,
        lambda batch: {"zero": 0 * batch.images.sum()},
        config,
        penalty=lambda m: m.bend[0],
    )
    assert [row["step"] for row in seen] == [1, 2, 3, 4]
    assert [row["step"] for row in result.history] == [3, 4]
    assert seen[0].keys() == {"step", "loss", "loss_zero", "loss_penalty"}
    assert places == pytest.approx([-0.1, -0.175, -0.225, -0.25], abs=1e-5)
    assert not any(parameter.requires_grad for parameter in result.model.parameters())


def test_a_loss_that_is_not_finite_is_refused_in_a_sentence(bars, labelled):
    def score(images):  # finite for the few images of the preflight
        return width(images) * (torch.nan if len(images) > 9 else 1.0)

    with pytest.raises(TrainingError, match="Lower the learning rate"):
        gradient_ascent(bars, find_direction(labelled), score, FinetuneConfig(steps=2))
