"""Taming forgets the given images, leaves the given model as it is, and refuses bad input."""

import normflows
import pytest
import torch
import zuko
from points import CONFIG, sets
from pydantic import ValidationError

from forgetting.errors import DataError, TrainingError
from forgetting.methods.image_sets import check_sets, distinct
from forgetting.methods.taming import TamingConfig, tame


def test_images_to_forget_reach_the_threshold_and_the_others_stay(flow):
    forget, retain = sets(flow)
    result = tame(flow, forget, retain, CONFIG)
    last = result.history[-1]
    assert last["within"] == result.share_within == 1.0
    assert result.is_within_rule
    assert abs(result.position - CONFIG.delta) <= CONFIG.stop_within * CONFIG.delta
    assert last["step"] < CONFIG.max_steps
    before, after = (-m.log_prob(forget).mean() for m in (flow, result.model))
    assert after.item() > before.item() + 1
    drift = (result.model.log_prob(retain) - flow.log_prob(retain)).mean()
    assert abs(drift.item()) < 0.5 * flow.log_prob(retain).std().item()


def test_a_negative_delta_makes_images_more_likely(flow):
    forget, retain = sets(flow)
    config = CONFIG.model_copy(update={"delta": -2.0, "max_steps": 60})
    result = tame(flow, forget, retain, config)
    assert result.model.log_prob(forget).mean() > flow.log_prob(forget).mean()


def test_the_given_flow_stays_as_it_is_and_the_seed_decides(flow):
    forget, retain = sets(flow)
    state = {key: value.clone() for key, value in flow.state_dict().items()}
    config = CONFIG.model_copy(update={"max_steps": 5})
    first, second = tame(flow, forget, retain, config), tame(flow, forget, retain, config)
    assert all(torch.equal(state[key], value) for key, value in flow.state_dict().items())
    assert all(parameter.requires_grad for parameter in flow.parameters())
    assert not any(parameter.requires_grad for parameter in first.model.parameters())
    assert first.history == second.history
    other = tame(flow, forget, retain, config.model_copy(update={"seed": 1}))
    assert other.history != first.history


def test_a_flow_in_training_mode_is_tamed_in_evaluation_mode(flow):
    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.flow, self.norm = flow, torch.nn.BatchNorm1d(2, affine=False)

        def log_prob(self, x):
            return self.flow.log_prob(self.norm(x))

    given = Shifted().train()
    state = {key: value.clone() for key, value in given.state_dict().items()}
    tamed = tame(given, *sets(flow), CONFIG.model_copy(update={"max_steps": 2})).model
    assert given.training
    assert not tamed.training
    for model in (given, tamed):
        now = model.state_dict()
        assert all(torch.equal(state[key], now[key]) for key in state if "norm" in key)


def test_without_a_rule_all_steps_are_taken_and_reported(flow):
    forget, retain = sets(flow)
    config = CONFIG.model_copy(update={"stop_within": 0.0, "max_steps": 25})
    seen = []
    result = tame(flow, forget, retain, config, callback=lambda row, model: seen.append(row))
    assert [row["step"] for row in result.history] == [0, 10, 20, 25]
    assert [row["step"] for row in seen] == list(range(26))
    assert "loss" not in seen[0]
    assert seen[1]["loss"] == result.history[0]["loss"]
    assert "loss" not in result.history[-1]
    assert result.share_within is None
    assert not result.is_within_rule


def test_a_callback_gets_the_model_after_each_number_of_steps(flow):
    forget, retain = sets(flow)
    config = CONFIG.model_copy(update={"stop_within": 0.0, "max_steps": 2})
    seen = []

    def look(row, model):
        seen.append([parameter.detach().clone() for parameter in model.parameters()])

    twice = tame(flow, forget, retain, config, callback=look).model
    once = tame(flow, forget, retain, config.model_copy(update={"max_steps": 1})).model
    for weights, model in zip(seen, (flow, once, twice), strict=True):
        pairs = zip(weights, model.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_glow_is_tamed_under_its_noise(glow):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 8, 8, generator=generator)
    config = TamingConfig(max_steps=60, lr=5e-4, batch_size=4, n_statistics=30)
    result = tame(glow, images[:2], images[2:], config)
    change = (glow.log_prob(images) - result.model.log_prob(images)) / 192
    assert float(change.detach()[:2].mean()) > 3 * abs(float(change.detach()[2:].mean()))


def test_bad_sets_are_refused_before_any_training(flow):
    forget, retain = sets(flow)
    with pytest.raises(DataError, match="no image to forget"):
        tame(flow, forget[:0], retain)
    with pytest.raises(DataError, match="3 images to retain"):
        tame(flow, forget, retain[:3])
    with pytest.raises(DataError, match="2 of the 3 images to forget are also"):
        tame(flow, forget, torch.cat([retain, forget[:2]]))
    with pytest.raises(DataError, match="one shape and type"):
        tame(flow, forget, torch.zeros(5, 3))
    with pytest.raises(DataError, match="one shape and type"):
        tame(flow, forget, retain.double())
    with pytest.raises(DataError, match="all images to retain equally likely"):
        tame(flow, forget, torch.zeros(20, 2))


class Spline(torch.nn.Module):
    """A flow of zuko: a call returns its distribution."""

    def __init__(self):
        super().__init__()
        self.flow = zuko.flows.NSF(features=2, transforms=2, hidden_features=(32,))

    def log_prob(self, x):
        return self.flow().log_prob(x)


def real_nvp():
    layers = []
    for _ in range(8):
        network = normflows.nets.MLP([1, 32, 2], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(network), normflows.flows.Permute(2)]
    return normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), layers)


@pytest.mark.parametrize("make", [Spline, real_nvp])
def test_flows_of_other_libraries_are_tamed_by_the_same_call(make):
    torch.manual_seed(0)
    flow = make()
    points = torch.randn(600, 2) * 0.3 + torch.randint(0, 2, (600, 1)) * 2 - 1
    optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        (-flow.log_prob(points).mean()).backward()
        optimizer.step()
    near = (points - points[0]).norm(dim=1).argsort()
    forget, retain = points[near[:10]], points[near[40:]]
    config = TamingConfig(lr=3e-3, delta=3, distance_scale=3, max_steps=150, batch_size=10)
    config = config.model_copy(update={"retain_batch_size": 64, "stop_within": 0.0})
    with torch.no_grad():
        before = flow.log_prob(points)
    tamed = tame(flow, forget, retain, config).model
    with torch.no_grad():
        assert torch.equal(flow.log_prob(points), before)
        dropped = before - tamed.log_prob(points)
    assert dropped[near[:10]].mean() > 0.5
    assert dropped[near[40:]].mean().abs() < dropped[near[:10]].mean() / 4


def test_likelihoods_that_are_not_finite_are_refused(flow):
    forget, retain = sets(flow)
    with pytest.raises(TrainingError, match="image to forget is inf at step 0"):
        tame(flow, forget * torch.inf, retain)
    with pytest.raises(TrainingError, match="mu is nan at step 0"):
        tame(flow, forget, torch.cat([retain, forget[:1] * torch.nan]))
    many = forget.repeat(100, 1)  # more than are scored at a step
    many[-1] = torch.nan
    with pytest.raises(TrainingError, match="image to forget is nan at step 0"):
        tame(flow, many, retain, TamingConfig(stop_within=0.0, n_statistics=8, batch_size=2))


class Checked(torch.nn.Module):
    """A flow that checks its own weights, as those on torch.distributions do."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(2))

    def log_prob(self, points):
        if self.scale.abs().max() > 9:
            raise ValueError("a scale is out of range")
        return torch.distributions.Normal(0.0, self.scale.exp()).log_prob(points).sum(1)


def test_what_a_flow_raises_at_a_step_is_a_sentence_on_the_learning_rate():
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(TrainingError, match=r"fails at step 1 \(ValueError: a scale .*now 100"):
        tame(Checked(), points[:2], points[2:], TamingConfig(lr=100, max_steps=20))


def test_an_image_beyond_the_threshold_from_the_start_is_said_so(flow):
    forget, retain = sets(flow)
    far = torch.full((1, 2), 60.0)
    result = tame(
        flow, torch.cat([forget, far]), retain, CONFIG.model_copy(update={"max_steps": 3})
    )
    assert result.n_beyond == 1
    assert "Before the first step 1 of them lay beyond the threshold" in str(result)
    assert "lr" not in str(result)
    within = tame(flow, forget, retain, CONFIG.model_copy(update={"max_steps": 3}))
    assert within.n_beyond == 0


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValidationError, match="alpha"):
        TamingConfig(alpha=1.5)
    with pytest.raises(ValidationError, match="extra"):
        TamingConfig(alfa=0.5)
    with pytest.raises(ValidationError, match="delta must not be 0"):
        TamingConfig(delta=0)


def test_taming_goes_on_until_the_retained_images_have_settled(flow):
    forget, retain = sets(flow)
    hasty = CONFIG.model_copy(update={"lr": 0.1})
    patient = hasty.model_copy(update={"settle_within": 0.05})
    results = [tame(flow, forget, retain, config) for config in (hasty, patient)]
    first, second = (result.history[-1] for result in results)
    assert first["within"] == 1
    assert first["shift"] > 0.05 >= second["shift"]
    assert second["within"] == 1
    assert all(result.is_within_rule for result in results)
    stopped = patient.model_copy(update={"max_steps": int(first["step"])})
    assert not tame(flow, forget, retain, stopped).is_within_rule


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 3, 2, 4, 4)])
def test_images_of_any_number_of_dimensions_lie_in_the_unit_range(shape):
    with pytest.raises(DataError, match="give images in"):
        check_sets(255 * torch.rand(shape), 255 * torch.rand(shape))


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
