"""No public function touches the model that it is given."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from bars import Bars, width
from torch import nn

from forgetting import methods, metrics, probes
from forgetting.border.sampling import scored_samples
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, collect_latents
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_pool import LatentPool, collect_pool
from forgetting.methods.latent_targets import find_levels, find_targets
from forgetting.methods.results import Look
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig, TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.methods.until_gone import until_gone
from forgetting.methods.until_gone_config import UntilGoneConfig
from forgetting.metrics.likelihood import cached_bits_per_dim, compare, mean_bits_per_dim
from forgetting.metrics.prevalence import prevalence
from forgetting.probes.ball_attack import ball_attack
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.probes.search import search_latents

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)
ALONG = Direction(torch.eye(6)[0], 0.5)


class Touchy:
    """Raises if a module is used or changed that is marked, which its copies are not."""

    marked = None

    def _notice(self):
        assert self.marked != id(self), "the original was touched"


def noticing(name):
    def method(self, *args, **kwargs):
        self._notice()
        return getattr(super(Touchy, self), name)(*args, **kwargs)

    return method


for _name in ("train", "eval", "requires_grad_", "zero_grad", "_apply", "__call__"):
    setattr(Touchy, _name, noticing(_name))
for _name in ("register_forward_hook", "register_forward_pre_hook", "load_state_dict"):
    setattr(Touchy, _name, noticing(_name))


class TouchyGenerator(Touchy, nn.Module):
    """Has batch norm in training mode, and is a flow as well."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.bars, self.norm = Bars(), nn.BatchNorm1d(6)

    def forward(self, z):
        return self.bars(self.norm(z))

    def log_prob(self, x):
        self._notice()
        return -((self.bars.gain * x) ** 2).sum(1)


def touchy():
    model = TouchyGenerator().train()
    model.bars.gain.grad = torch.ones(2)
    model.marked = id(model)
    return model


Z = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))


def brightness(images, _):
    return images.mean((1, 2, 3))


EDGES = {"threshold": 9.0, "lacking": 8.0}
POOL = LatentPool(*scored_samples(Bars(), width, 300, seed=0, batch_size=64, threshold=9), **EDGES)
FEW = UntilGoneConfig(**EDGES, n_collected=300, n_with_feature=20, steps=1, lr=1e-3)
LINE = Target(("Right",), torch.tensor([0.4, 0.6]))
CALLS = {
    "tame": lambda m: tame(m, POINTS[:2], POINTS[2:], SHORT),
    "meet_target": lambda m: meet_target(
        m, POINTS, (POINTS[:, 0] < 0).long(), LINE, lambda *_: torch.tensor([0.5, 0.5]),
        TargetConfig(max_steps=2, log_every=1),
    ),
    "compare": lambda m: compare(m, m, {"all": POINTS}, POINTS),
    "cached_bits_per_dim": lambda m: cached_bits_per_dim(m, POINTS),
    "mean_bits_per_dim": lambda m: mean_bits_per_dim(m, POINTS),
    "collect_latents": lambda m: collect_latents(m, width, 200),
    "unlearn_feature": lambda m: unlearn_feature(m, ALONG, UnlearningConfig(steps=1)),
    "collect_pool": lambda m: collect_pool(m, width, **EDGES, n=300, n_with_feature=20, seed=0),
    "find_targets": lambda m: find_targets(m, width, POOL, find_levels(POOL)),
    "until_gone": lambda m: until_gone(m, width, lambda tuned: Look("there"), FEW),
    "prevalence": lambda m: prevalence(m, width, n=20, threshold=8),
    "latent_attack": lambda m: latent_attack(m, width, 2, steps=2),
    "ball_attack": lambda m: ball_attack(m, width, Z, 0.5, steps=2),
    "inversion_attack": lambda m: inversion_attack(m, Bars()(Z), lambda x: x.flatten(1), steps=2),
    "search_latents": lambda m: search_latents(
        m, 3, brightness, brightness, steps=2, restarts=1, lr=0.1, seed=0
    ),
    "relearn": lambda m: relearn(m, Bars()(Z), Z, [1], lambda model: model(Z)),
    "linear_probe": lambda m: linear_probe(m, m.norm, Z, torch.arange(20) < 10),
    **{
        name: lambda m, method=method: method(
            m, ALONG, width, method.configure({"steps": 1, "fisher_batches": 1})
        )
        for name, method in METHODS.items()
    },
}  # fmt: skip


def public_functions():
    """Yield the names of all public functions of methods, metrics and probes on a model."""
    for package in (methods, metrics, probes):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    parameters = inspect.signature(function).parameters.values()
                    if nn.Module in [parameter.annotation for parameter in parameters]:
                        yield name


def test_every_public_function_on_a_model_is_tried_on_one_that_notices():
    of_copies = {"all_weights"}
    assert set(public_functions()) - of_copies | set(METHODS) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_model_that_notices_being_touched_notices_nothing(name):
    model = touchy()
    before = [
        (t, t.detach().clone(), t._version, t.requires_grad, t.grad)
        for t in (*model.parameters(), *model.buffers())
    ]
    random = torch.get_rng_state()
    CALLS[name](model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for module in model.modules())
    for tensor, value, version, requires_grad, grad in before:
        assert torch.equal(tensor, value)
        assert (tensor._version, tensor.requires_grad) == (version, requires_grad)
        assert tensor.grad is grad
    assert torch.equal(model.bars.gain.grad, torch.ones(2))
    with pytest.raises(AssertionError, match="was touched"):
        model(Z)
