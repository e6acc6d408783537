"""Neither settings nor callbacks nor threads of a program change what is computed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from bars import width
from planted import Noisy
from points import POINTS, Gaussian
from torch import nn

import forgetting as fg
from forgetting.errors import TrainingError
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig, TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.metrics.prevalence import prevalence
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.relearning import relearn

ALONG = Direction(torch.eye(6)[0], 0.5)
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)


def weights(result):
    return torch.cat([p.flatten() for p in result.model.parameters()])


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_gives_the_same_under_whatever_a_program_has_set(name):
    method = METHODS[name]
    config = method.configure({"steps": 2, "batch_size": 8, "fisher_batches": 2})
    arguments = Noisy(), ALONG, lambda images: width(images) - 10, config
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


def test_settings_of_the_callers_program_do_not_reach_a_method(bars):
    def results():
        config = UnlearningConfig(steps=2, batch_size=8)
        direction = Direction(torch.eye(6, dtype=torch.float32)[0], 0.5)
        return [
            unlearn_feature(bars, direction, config).history[-1]["loss"],
            tame(Gaussian(), POINTS[:2], POINTS[2:], SHORT).history[-1]["forget_bpd"],
            prevalence(bars, width, n=20, threshold=8).share,
            float(latent_attack(bars, width, 3, steps=2).sum()),
        ]

    usual = results()
    for settings in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
    ):
        with settings:
            assert results() == usual
    torch.set_default_dtype(torch.float64)
    try:
        gaussian = Gaussian().float()
        assert tame(gaussian, POINTS[:2], POINTS[2:], SHORT).history[-1]["forget_bpd"] == usual[1]
        assert (
            unlearn_feature(bars, ALONG, UnlearningConfig(steps=2, batch_size=8)).history[-1][
                "loss"
            ]
            == usual[0]
        )
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_give_the_numbers_of_one_and_leave_a_programs_settings():
    noisy = Noisy()

    def share(_):
        return fg.prevalence(noisy, width, threshold=8.5, n=300, batch_size=10).share

    expected = share(None)
    torch.set_default_dtype(torch.float64)
    state = torch.get_rng_state()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(share, range(8))) == [expected] * 8
        assert torch.get_default_dtype() == torch.float64
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_default_dtype(torch.float32)


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


def replacing(row, model):
    model.gain = nn.Parameter(model.gain.detach().clone())


def loading(row, model):
    model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()}, assign=True)


def scaling(row, model):
    with torch.no_grad():
        next(model.parameters()).mul_(1.1)


def clipping(row, model):
    next(model.parameters()).data.mul_(0.9)


def swapping(row, model):
    weight = next(model.parameters())
    weight.data = weight.detach().clone() + 1


def halving(row, model):
    model.half()


def adding(row, model):
    model.further = nn.Parameter(torch.zeros(1))


CHANGING = [replacing, loading, scaling, clipping, swapping, halving, adding]


@pytest.mark.parametrize("callback", CHANGING)
def test_a_callback_that_changes_or_replaces_weights_is_refused(callback):
    config = UnlearningConfig(steps=3, batch_size=8)
    with pytest.raises(
        TrainingError,
        match="changed or replaced weights of a model that it may only look at, such as",
    ):
        fg.unlearn_feature(Dropping(), ALONG, config, callback=callback)


@pytest.mark.parametrize("callback", [loading, scaling, clipping, halving])
def test_what_looks_at_a_flow_in_taming_must_not_change_its_weights(callback):
    with pytest.raises(TrainingError, match="changed or replaced weights of a model"):
        tame(Gaussian(), POINTS[:2], POINTS[2:], SHORT, callback=callback)

    def steer(step, model):
        callback({}, model)
        return torch.zeros(2)

    with pytest.raises(TrainingError, match="changed or replaced weights of a model"):
        tame(Gaussian(), POINTS[:2], POINTS[2:], SHORT, steer=steer)


def test_an_evaluation_that_replaces_weights_is_refused():
    images, z = torch.rand(4, 1, 32, 32), torch.randn(4, 6)
    with pytest.raises(TrainingError, match="changed or replaced weights"):
        relearn(Dropping(), images, z, [0, 1], lambda model: replacing({}, model))


def test_a_callback_in_training_mode_moves_no_running_statistics():
    class Normed(Dropping):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(6)

        def forward(self, z):
            return super().forward(self.norm(z))

    config = UnlearningConfig(steps=2, batch_size=8)
    result = fg.unlearn_feature(
        Normed(), ALONG, config, callback=lambda row, model: model.train()(torch.randn(9, 6))
    )
    assert torch.equal(result.model.norm.running_mean, torch.zeros(6))
    assert int(result.model.norm.num_batches_tracked) == 0


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
    cells = torch.arange(len(POINTS)) % 2

    def tuned(callback):
        def measure(model, _):
            callback({}, model)
            return torch.tensor([0.5, 0.5])

        return weights(meet_target(Gaussian(), POINTS, cells, target, measure, config))

    expected = tuned(lambda row, model: None)
    for callback in (into_training_mode, frozen):
        assert torch.equal(tuned(callback), expected)
