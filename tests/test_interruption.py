"""Ctrl-C amid a call leaves a program and its model as they were; the next call is undisturbed."""

import random

import numpy as np
import pytest
import torch
from bars import width
from planted import Noisy
from points import POINTS, Gaussian
from torch.overrides import TorchFunctionMode

import forgetting as fg
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.relearning import relearn

ALONG = Direction(torch.eye(6)[0], 0.5)
TAMING = TamingConfig(max_steps=3, n_statistics=4, lr=0.01)
UNLEARNING = UnlearningConfig(steps=3, batch_size=8)
LATENTS = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
IMAGES = Noisy()(LATENTS).detach()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


CALLS = {
    "unlearn_feature": (
        Noisy,
        lambda model: weights(unlearn_feature(model, ALONG, UNLEARNING).model),
    ),
    "tame": (
        Gaussian,
        lambda model: weights(tame(model, POINTS[:2], POINTS[2:], TAMING).model),
    ),
    "prevalence": (
        Noisy,
        lambda model: fg.prevalence(model, width, threshold=8.5, n=300, batch_size=10).share,
    ),
    "latent_attack": (Noisy, lambda model: latent_attack(model, width, 6, steps=3)),
    "relearn": (
        Noisy,
        lambda model: relearn(model, IMAGES, LATENTS, steps=(3,), evaluate=weights)[3],
    ),
}


def surroundings():
    """Return what a call may set of a program, as values that can be compared."""
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


def state_of(model):
    """Return what a call may change of a model."""
    modules = list(model.modules())
    return (
        {name: value.tolist() for name, value in model.state_dict().items()},
        [module.training for module in modules],
        [sorted(vars(module)) for module in modules],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
        [(p.requires_grad, p.grad is None) for p in model.parameters()],
    )


class Interrupting(TorchFunctionMode):
    """Count calls of torch, and press Ctrl-C at one of them."""

    def __init__(self, at=0):
        super().__init__()
        self.at, self.calls = at, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", list(CALLS))
def test_an_interrupted_call_leaves_program_and_model_as_they_were(name, training):
    make, call = CALLS[name]
    torch.manual_seed(0)
    model = make().train(training)
    before, around = state_of(model), surroundings()
    with Interrupting() as undisturbed:
        expected = call(model)
    for moment in (0.01, 0.2, 0.4, 0.6, 0.8, 0.99):
        at = max(1, round(moment * undisturbed.calls))
        with pytest.raises(KeyboardInterrupt), Interrupting(at):
            call(model)
        assert state_of(model) == before, at
        assert surroundings() == around, at
    assert torch.equal(torch.as_tensor(call(model)), torch.as_tensor(expected))
