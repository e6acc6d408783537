"""The baselines do what they are named for, on a generator whose feature is the width of a bar."""

import copy

import pytest
import torch
from bars import width
from torch import nn

from forgetting.errors import TrainingError
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.gradient_surgery import gradient_surgery, orthogonal
from forgetting.methods.selective_amnesia import AmnesiaConfig, selective_amnesia
from forgetting.methods.whole_image import unlearn_whole_image

CONFIG = FinetuneConfig(steps=200, lr=0.02)


@pytest.fixture(scope="module")
def z():
    return torch.randn(4000, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def edge(bars, z):
    with torch.no_grad():
        return width(bars(z)).quantile(0.9)


def wide(model, z, edge):
    with torch.no_grad():
        return float((width(model(z)) > edge).float().mean())


def test_gradient_ascent_takes_the_feature_and_does_not_ask_what_it_costs(bars, labelled, z, edge):
    direction = find_direction(labelled)
    few = CONFIG.model_copy(update={"steps": 60})  # with more of them narrow bars become wide
    found = gradient_ascent(bars, direction, lambda x: width(x) - edge, few)
    assert wide(found.model, z, edge) < 0.05
    moved = [
        float((model(z) - bars(z)).abs().mean((1, 2, 3))[~direction.selects(z)].mean().detach())
        for model in (found.model, unlearn_feature(bars, direction, _like(CONFIG)).model)
    ]
    assert moved[0] > moved[1]


def _like(config):
    return UnlearningConfig(**config.model_dump())


def test_surgery_leaves_no_part_along_the_retain_gradient():
    random = torch.Generator().manual_seed(0)
    forget, retain = (
        tuple(torch.randn(shape, generator=random) for shape in ((3, 4), (5,))) for _ in range(2)
    )
    found = orthogonal(forget, retain)
    assert sum((f * r).sum() for f, r in zip(found, retain, strict=True)).abs() < 1e-4
    left = sum((f * g).sum() for f, g in zip(found, forget, strict=True))
    assert left > 0  # it still goes down the forget loss
    nothing = tuple(torch.zeros_like(r) for r in retain)
    assert all(torch.equal(a, b) for a, b in zip(orthogonal(forget, nothing), forget, strict=True))


def test_gradient_surgery_forgets_with_less_damage_than_ascent(bars, labelled, z, edge):
    direction = find_direction(labelled)
    score = lambda x: width(x) - edge  # noqa: E731
    ascent, combine = (
        method(bars, direction, score, CONFIG).model
        for method in (gradient_ascent, gradient_surgery)
    )
    kept = ~direction.selects(z)
    with torch.no_grad():
        damage = [float((m(z) - bars(z)).abs()[kept].mean()) for m in (ascent, combine)]
    assert damage[1] < damage[0]
    assert wide(combine, z, edge) < 0.1


def test_the_whole_image_goes_where_the_feature_was(bars, labelled, z, edge):
    direction = find_direction(labelled)
    found = unlearn_whole_image(bars, direction, CONFIG).model
    assert wide(found, z, edge) < 0.06
    with torch.no_grad():
        kept = ~direction.selects(z)
        assert float((found(z) - bars(z)).abs()[kept].mean()) < 0.02


def test_selective_amnesia_holds_the_weights_as_firmly_as_it_is_told(bars, labelled, z, edge):
    direction = find_direction(labelled)
    state = {key: value.clone() for key, value in bars.state_dict().items()}
    loose, firm = (
        selective_amnesia(bars, direction, AmnesiaConfig(steps=150, lr=0.02, elastic=elastic))
        for elastic in (0.0, 1e4)
    )
    assert wide(loose.model, z, edge) < 0.08
    moved = [
        sum(float((now - state[k]).abs().sum()) for k, now in found.model.state_dict().items())
        for found in (loose, firm)
    ]
    assert moved[1] < 0.3 * moved[0]
    assert "loss_penalty" in firm.history[-1]
    assert all(torch.equal(state[k], v) for k, v in bars.state_dict().items())


def test_weights_that_make_no_image_are_left_alone(bars, labelled):
    """As those of a VAE's encoder, in a generator that comes with one."""
    whole, direction, few = copy.deepcopy(bars), find_direction(labelled), FinetuneConfig(steps=3)
    whole.encoder = nn.Linear(3, 3)
    for found in (
        unlearn_feature(whole, direction, _like(few)),
        gradient_ascent(whole, direction, width, few),
        gradient_surgery(whole, direction, width, few),
        selective_amnesia(whole, direction, AmnesiaConfig(steps=3)),
        unlearn_whole_image(whole, direction, few),
    ):
        assert torch.equal(found.model.encoder.weight, whole.encoder.weight)


def test_a_loss_that_is_not_finite_is_a_sentence(bars, labelled):
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        gradient_ascent(
            bars, find_direction(labelled), lambda x: width(x) * torch.nan, FinetuneConfig(steps=2)
        )
