"""The loss and the steps of taming: their equations, their settings and their limits."""

import pytest
import torch
from points import CONFIG, sets

from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.preflight import N_TRIED
from forgetting.methods.retain_set import TamedReference, is_near
from forgetting.methods.taming import TamingConfig, tame
from forgetting.methods.taming_losses import gaussian_kl, retain_divergence


def test_the_kl_of_gaussians_has_its_closed_form():
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(50, generator=generator), 1 + 2 * torch.randn(50, generator=generator)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(p.mean(), p.std()),
        torch.distributions.Normal(q.mean(), q.std()),
    )
    torch.testing.assert_close(gaussian_kl(p, q), expected)
    assert float(gaussian_kl(p, p)) == pytest.approx(0, abs=1e-6)


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
        assert batch_sizes[-1] == n + CONFIG.retain_batch_size
        assert max(batch_sizes[:-1]) == N_TRIED  # the preflight's


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
