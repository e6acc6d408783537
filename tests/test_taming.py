"""Taming forgets the given images, leaves the given model as it is, and refuses bad input."""

import copy
import math

import normflows
import pytest
import torch
import zuko
from pydantic import ValidationError
from torch import nn

from forgetting.errors import DataError, TrainingError
from forgetting.methods.retain_set import RetainSet, TamedReference
from forgetting.methods.taming import TamingConfig, gaussian_kl, is_near, retain_divergence, tame
from forgetting.metrics.likelihood import mean_bits_per_dim
from forgetting.zoo import store as zoo


def sets(flow, n_forget=3):
    """Return the points nearest to one centre, to forget, and the others, to retain."""
    points = flow.sample(600, 1)
    near = (points - flow.centres[0].detach()).norm(dim=1).argsort()
    return points[near[:n_forget]], points[near[n_forget:]]


CONFIG = TamingConfig(lr=0.02, delta=2, distance_scale=2, max_steps=400, retain_batch_size=64)


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


def test_the_kl_of_gaussians_has_its_closed_form():
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(50, generator=generator), 1 + 2 * torch.randn(50, generator=generator)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(p.mean(), p.std()),
        torch.distributions.Normal(q.mean(), q.std()),
    )
    torch.testing.assert_close(gaussian_kl(p, q), expected)
    assert float(gaussian_kl(p, p)) == pytest.approx(0, abs=1e-6)


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


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValidationError, match="alpha"):
        TamingConfig(alpha=1.5)
    with pytest.raises(ValidationError, match="extra"):
        TamingConfig(alfa=0.5)
    with pytest.raises(ValidationError, match="delta must not be 0"):
        TamingConfig(delta=0)


@pytest.mark.parametrize("kl", ["both", "forward", "reverse"])
def test_a_kl_term_as_released_has_another_gradient_unless_both_are_summed(kl):
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(50, generator=generator)
    tamed = (1 + 2 * torch.randn(50, generator=generator)).requires_grad_()
    gradients = []
    for kind in (kl, f"{kl}_as_released"):
        value = retain_divergence(base, tamed, kind)
        gradients.append(torch.autograd.grad(value, tamed)[0])
    assert torch.allclose(*gradients) is (kl == "both")


def first_step(flow, **update):
    """Return the row of the first step, and the distance that it moved the weights."""
    config = CONFIG.model_copy(update={"max_steps": 1, "batch_size": 3, **update})
    result = tame(flow, *sets(flow), config)
    moved = [a - b for a, b in zip(result.model.parameters(), flow.parameters(), strict=True)]
    return result.history[0], float(torch.cat([m.flatten() for m in moved]).detach().norm())


def test_the_loss_is_the_sigmoid_of_the_squared_distance(flow):
    for scale in (2.0, 5.0):
        row, _ = first_step(flow, distance_scale=scale)
        bpd = mean_bits_per_dim(flow, sets(flow)[0])
        distance = (bpd - row["mu"] - CONFIG.delta * row["sigma"]) / scale
        assert row["loss_forget"] == pytest.approx(float(torch.sigmoid(distance**2).mean()))


def test_a_large_epsilon_takes_small_steps_and_a_batch_has_its_configured_size(flow):
    _, step = first_step(flow)
    _, shorter = first_step(flow, eps=100.0)
    assert shorter < step / 10
    batch_sizes = []

    class Counted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.flow = flow

        def log_prob(self, x):
            if torch.is_grad_enabled():
                batch_sizes.append(len(x))
            return self.flow.log_prob(x)

    for n in (1, 3):
        batch_sizes.clear()
        config = CONFIG.model_copy(update={"max_steps": 1, "batch_size": n})
        tame(Counted(), *sets(flow), config)
        assert batch_sizes == [n + CONFIG.retain_batch_size]


def test_no_more_images_are_retained_than_configured(flow):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain, CONFIG.model_copy(update={"n_retain": 100}))
    assert len(retained.images) == len(retained.base_bpd) == 100


@pytest.mark.parametrize("delta", [4.0, -4.0])
def test_near_is_a_share_of_delta_on_either_side_of_the_threshold(delta):
    reference = TamedReference(mu=2.0, sigma=0.5, shift=0.0)
    bpd = 2.0 + 0.5 * (delta + torch.tensor([-0.7, -0.5, 0.0, 0.5, 0.7]))
    near = is_near(bpd, reference, TamingConfig(delta=delta, stop_within=0.15))
    assert near.tolist() == [False, True, True, True, False]


def test_images_count_as_near_within_the_rules_share_of_delta(flow):
    forget, retain = sets(flow, 40)
    config = CONFIG.model_copy(update={"delta": 3.0, "distance_scale": 3.0})
    shares = []
    for steps in (10, 30, 60):
        result = tame(flow, forget, retain, config.model_copy(update={"max_steps": steps}))
        last = result.history[-1]
        reached = (mean_bits_per_dim(result.model, forget, 1, config.seed) - last["mu"]) / last[
            "sigma"
        ]
        shares.append(float(((reached - 3).abs() <= 0.15 * 3).float().mean()))
        assert last["within"] == pytest.approx(shares[-1])
    assert len(set(shares)) == 3


def test_equal_pressure_moves_nothing_and_unequal_pressure_moves_images_apart(flow):
    forget, retain = sets(flow, 40)
    halves = torch.arange(40) < 20
    config = CONFIG.model_copy(update={"max_steps": 30, "alpha": 1.0, "batch_size": 40})

    def moved(pressure):
        tamed = tame(flow, forget, retain, config, steer=lambda step, model: pressure).model
        return mean_bits_per_dim(tamed, forget) - mean_bits_per_dim(flow, forget)

    assert moved(torch.full((40,), 7.0)).abs().max() < 1e-4
    apart = moved(torch.where(halves, 1.0, 0.0))
    assert apart[halves].mean() > apart[~halves].mean() + 0.1
    stopped = tame(flow, forget, retain, config, steer=lambda step, model: None)
    assert [row["step"] for row in stopped.history] == [0]


def test_gradient_ascent_without_retaining_moves_everything(flow):
    forget, retain = sets(flow)
    update = {"objective": "ascent", "alpha": 1.0, "stop_within": 0.0, "max_steps": 200}
    last = tame(flow, forget, retain, CONFIG.model_copy(update=update)).history[-1]
    assert last["shift"] > 10


def test_no_gradient_is_longer_than_allowed(flow, monkeypatch):
    taken, adam = [], torch.optim.Adam.step

    def step(self, *args):
        weights = (w for group in self.param_groups for w in group["params"])
        taken.append(float(torch.cat([w.grad.flatten() for w in weights]).norm()))
        return adam(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    largest = {}
    for limit in (0.0, 0.01):
        taken.clear()
        config = CONFIG.model_copy(update={"max_grad_norm": limit, "max_steps": 20})
        history = tame(flow, *sets(flow), config).history
        largest[limit] = max(taken), max(row.get("grad_norm", 0) for row in history)
    assert largest[0.0][0] > 0.01 >= largest[0.01][0] - 1e-6
    assert largest[0.01][1] > 0.01  # the reported norm is that before scaling


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


@pytest.mark.parametrize("n", [4, 5, 300])
def test_no_step_tunes_on_the_images_that_give_mu_and_sigma(flow, n):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain[:n], CONFIG)
    tuned, few = retained.images.tensor_split([retained.n_tuned])
    assert len(few) == min(CONFIG.n_statistics, n // 2)
    assert len(tuned) + len(few) == n
    batch, noise, base = retained.batch(torch.arange(retained.n_tuned))
    assert torch.equal(batch, tuned)
    assert len(noise) == len(base) == len(tuned)


def test_the_likelihood_reference_of_a_few_images_agrees_with_that_of_all(flow):
    """Also for a flow that finds everything less likely and spreads bits/dim twice as far."""
    _, retain = sets(flow)
    tamed = copy.deepcopy(flow)
    with torch.no_grad():
        tamed.centres.mul_(2.5)
    few = RetainSet(flow, retain, CONFIG).likelihood_reference(tamed)
    bpd, before = mean_bits_per_dim(tamed, retain), mean_bits_per_dim(flow, retain)
    assert abs(bpd.mean() - before.mean()) > before.std()
    assert bpd.std() > 1.5 * before.std()
    assert few.mu == pytest.approx(float(bpd.mean()), abs=0.25 * float(bpd.std()))
    assert few.sigma == pytest.approx(float(bpd.std()), rel=0.25)


def test_one_very_unlikely_image_does_not_move_the_likelihood_reference(flow):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain, CONFIG)
    lost, sigma = retained.images[retained.n_tuned], float(retained.base_bpd.std())

    class Tamed(nn.Module):
        """Finds every image 5 sigma less likely, and one of them hundreds of sigma."""

        def __init__(self, outlier):
            super().__init__()
            self.flow, self.outlier = flow, outlier

        def log_prob(self, x):
            odd = (x == lost).all(1).float()
            nats = (5 + self.outlier * odd) * sigma * x.shape[1] * math.log(2)
            return self.flow.log_prob(x) - nats

    all_moved, one_far = (
        retained.likelihood_reference(Tamed(outlier)) for outlier in (0.0, 300.0)
    )
    assert all_moved.shift == pytest.approx(5, rel=1e-3)
    assert all_moved.sigma == pytest.approx(sigma, rel=1e-3)
    assert one_far.shift == pytest.approx(5, rel=1e-3)
    assert one_far.sigma == pytest.approx(sigma, rel=1e-3)


def test_on_the_flow_of_faces_64_images_give_what_1024_would():
    """Also after the first steps of tuning, which move the likelihood of every image."""
    flow = zoo.load("faces-glow")
    images = flow.sample(2048 + 4, 1.0, torch.Generator().manual_seed(0))
    config = TamingConfig(max_steps=10, lr=1e-4, stop_within=0.0, precision="bfloat16")
    tamed = tame(flow, images[:4], images[4:], config).model
    few = RetainSet(flow, images[4:], config).likelihood_reference(tamed)
    many = mean_bits_per_dim(tamed, images[4:1028], 1)
    sigma, mu = float(many.std()), float(many.mean())
    moved = mu - float(mean_bits_per_dim(flow, images[4:1028], 1).mean())
    assert abs(moved) > 0.1 * sigma  # something moved
    assert few.mu == pytest.approx(mu, abs=0.05 * sigma)
    assert few.sigma == pytest.approx(sigma, rel=0.1)
    assert few.shift * sigma == pytest.approx(moved, abs=0.03 * sigma)
