"""Copies compute with themselves alone, whatever kind of module the model is, or are refused."""

import copy
import functools
import threading
import types
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from forgetting.adapters import mean_bits_per_dim
from forgetting.copies import free_weights, frozen_copy, tunable_copy
from forgetting.errors import ModelError
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.likelihood import compare

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)


class Density(nn.Module):
    """A density-like function of points, with what a stranger's flow may have."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh())
            self.net += nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))

    def forward(self, x):
        return -(self.net(x) ** 2).sum(1) - (x**2).sum(1)

    def log_prob(self, x):
        return self(x)


def state(model):
    """Return all that a caller may notice of a model."""
    tensors = [*model.parameters(), *model.buffers()]
    return (
        [tensor.detach().clone() for tensor in tensors],
        [tensor.requires_grad for tensor in tensors],
        [None if tensor.grad is None else tensor.grad.clone() for tensor in tensors],
        [(module.training, len(module._forward_hooks)) for module in model.modules()],
    )


def assert_same(before, after):
    torch.testing.assert_close(before[0], after[0], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(before[2], after[2], rtol=0, atol=0)
    assert before[1::2] == after[1::2]


# Kinds of modules that work. Each function makes a Density one of that kind.


def plain(model):
    return model


def bound_method(model):
    model.log_prob = types.MethodType(lambda self, x: self(x), model)
    return model


def partial(model):
    model.log_prob = functools.partial(lambda held, x: held(x), model)
    return model


class Calls:
    def __init__(self, held):
        self.held = held

    def __call__(self, x):
        return self.held(x)


def callable_object(model):
    model.log_prob = Calls(model)
    return model


def tied(model):
    model.other = nn.Linear(2, 4)
    model.other.weight = model.net[0].weight
    return model


def parametrised(model):
    nn.utils.parametrizations.weight_norm(model.net[0])
    nn.utils.parametrizations.orthogonal(model.net[4])
    return model


def old_weight_norm(model):
    nn.utils.weight_norm(model.net[0])
    model(POINTS)
    return model


def old_spectral_norm(model):
    nn.utils.spectral_norm(model.net[4])
    model(POINTS)
    return model


@dataclass
class Memory:
    last: torch.Tensor


def last_call_kept(model):
    def keep(module, inputs, output):
        module.last_input, module.memory = inputs, {"out": [Memory(output)]}

    model.net[0].register_forward_hook(keep)
    model(POINTS)
    return model


def integer_weights(model):
    model.levels = nn.Parameter(torch.arange(3), requires_grad=False)
    return model


def half(model):
    return model.half()


def bfloat16(model):
    return model.bfloat16()


def double(model):
    return model.double()


class Recalling(Density):
    """Assigns a function to itself, and again to each copy."""

    def __init__(self):
        super().__init__()
        self.log_prob = lambda x: self(x)

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "log_prob"}

    def __setstate__(self, values):
        vars(self).update(values)
        self.log_prob = lambda x: self(x)


def assigned_anew_by_each_copy(model):
    return Recalling()


class Holder:
    def __init__(self, net):
        self.net = net

    def log_prob(self, x):
        return self.net(x)


class Around(nn.Module):
    """Holds a module that is registered, also by an object that is no module."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.holder = inner, Holder(inner)

    def log_prob(self, x):
        return self.holder.net(x)


WORKING = [
    plain,
    bound_method,
    partial,
    callable_object,
    tied,
    parametrised,
    old_weight_norm,
    old_spectral_norm,
    last_call_kept,
    integer_weights,
    half,
    bfloat16,
    double,
    assigned_anew_by_each_copy,
    Around,
]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated", "ignore:.*spectral_norm")
@pytest.mark.parametrize("kind", WORKING)
def test_a_copy_is_tuned_and_the_model_in_training_mode_is_as_it_was(kind):
    model = kind(Density().train())
    before = state(model)
    result = tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert_same(before, state(model))
    start = {name: p.float() for name, p in model.named_parameters()}
    moved = [
        float((p - start[name]).detach().abs().max())
        for name, p in result.model.named_parameters()
        if p.is_floating_point() and not name.startswith("other.bias")
    ]
    assert min(moved) > 1e-4
    assert not result.model.training
    assert not free_weights(result.model)
    assert all(
        p.dtype == torch.float32 for p in result.model.parameters() if p.is_floating_point()
    )


# Kinds that are refused.


def closure(model):
    model.log_prob = lambda x: model(x)
    return model


GLOBAL = Density()


def global_variable(model):
    GLOBAL.log_prob = lambda x: GLOBAL(x)
    return GLOBAL


def closure_over_a_part(model):
    net = model.net
    model.log_prob = lambda x: -net(x).square().sum(1)
    return model


def default_argument(model):
    model.log_prob = lambda x, held=model: held(x)
    return model


def partial_of_a_closure(model):
    model.log_prob = functools.partial(lambda x, scale: scale * model(x), scale=2.0)
    return model


def hook(model):
    model.register_forward_hook(lambda module, inputs, output: output + model.net[0].bias.sum())
    return model


def pre_hook(model):
    part = model.net[0]
    model.net[4].register_forward_pre_hook(lambda module, inputs: inputs[0] * part.bias.sum())
    return model


def statistics_only(model):
    model.log_prob = lambda x: -(x - model.net[1].running_mean[:2]).square().sum(1)
    return model


@pytest.mark.parametrize(
    "kind",
    [
        closure,
        global_variable,
        closure_over_a_part,
        default_argument,
        partial_of_a_closure,
        hook,
        pre_hook,
        statistics_only,
    ],
)
def test_a_function_that_holds_the_model_is_refused_and_has_touched_nothing(kind):
    model = kind(Density()).train()
    before = state(model)
    for call in (
        lambda: tame(model, POINTS[:2], POINTS[2:], SHORT),
        lambda: compare(model, model, {}, POINTS),
    ):
        with pytest.raises(ModelError, match="computes with a tensor of the model itself"):
            call()
        assert_same(before, state(model))


class Shares(Density):
    """Its copies share its network."""

    def __deepcopy__(self, memo):
        other = Density()
        other.net = self.net
        return other


class SharesDropout(Density):
    def __deepcopy__(self, memo):
        other = Density()
        other.net[3] = self.net[3]
        return other


class Itself(Density):
    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("kind", [Shares, SharesDropout, Itself])
def test_a_copy_that_shares_parts_with_the_model_is_refused(kind):
    model = kind().train()
    before = state(model)
    with pytest.raises(ModelError, match="shares weights or modules with the model"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert_same(before, state(model))


def test_what_cannot_be_copied_is_refused_in_a_sentence():
    locked, lazy = Density(), Density()
    locked.lock = threading.Lock()
    lazy.late = nn.LazyLinear(2)
    with pytest.raises(ModelError, match=r"Density cannot be copied \(TypeError: .*lock"):
        frozen_copy(locked)
    with pytest.raises(ModelError, match="weights without values: call it once"):
        frozen_copy(lazy)
    with pytest.raises(ModelError, match=r"Holder is no torch\.nn\.Module: .*`as_flow`"):
        tame(Holder(Density()), POINTS[:2], POINTS[2:], SHORT)


class Hidden(nn.Module):
    """Computes with modules in a plain list, and with one weight of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.hidden = [Density().train()]

    def log_prob(self, x):
        return self.scale * self.hidden[0](x)


def test_modules_in_a_plain_list_are_evaluated_in_evaluation_mode():
    model = Hidden().train()
    known = copy.deepcopy(model)
    known.hidden[0].eval()
    before = state(model.hidden[0])
    comparison = compare(model, model, {"all": POINTS}, POINTS)
    assert_same(before, state(model.hidden[0]))
    torch.testing.assert_close(comparison.before["all"], mean_bits_per_dim(known, POINTS, 5))


def test_weights_that_a_module_does_not_list_are_not_tuned_in_silence():
    model = Hidden()
    with pytest.raises(ModelError, match="not among its `parameters"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    model.hidden[0].requires_grad_(False)  # a fixed part
    assert tame(model, POINTS[:2], POINTS[2:], SHORT).model.scale != 1


def test_a_closure_over_another_models_free_weights_is_refused():
    other, model = Density(), Density()
    model.log_prob = types.MethodType(lambda self, x: self(x) + other.eval()(x), model)
    with pytest.raises(ModelError, match="not among its `parameters"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert all(p.grad is None for p in other.parameters())
    other.requires_grad_(False)
    tame(model, POINTS[:2], POINTS[2:], SHORT)


def test_a_tensor_from_elsewhere_that_a_call_changes_is_put_back():
    count, model = torch.zeros(1), Density()
    model.log_prob = types.MethodType(lambda self, x: self(x) + 0 * count.add_(1), model)
    with pytest.raises(ModelError, match="changes a tensor that is no part of it"):
        tame(model, POINTS[:2], POINTS[2:], SHORT)
    assert count == 0


def test_frozen_weights_stay_frozen_unless_all_are():
    model = Density()
    model.net[0].requires_grad_(False)
    tuned = tame(model, POINTS[:2], POINTS[2:], SHORT).model
    assert torch.equal(tuned.net[0].weight, model.net[0].weight)
    assert not torch.equal(tuned.net[4].weight, model.net[4].weight)
    model.requires_grad_(False)
    tuned = tame(model, POINTS[:2], POINTS[2:], SHORT).model
    assert not torch.equal(tuned.net[0].weight, model.net[0].weight)


def test_only_the_part_that_is_picked_is_tuned_and_it_must_be_of_the_copy():
    model = Density()
    part = tunable_copy(model, lambda duplicate: duplicate.net[4])
    assert {id(p) for p in free_weights(part)} == {id(p) for p in part.net[4].parameters()}
    with pytest.raises(ModelError, match="must use its argument"):
        tunable_copy(model, lambda duplicate: model.net[4])
    with pytest.raises(ModelError, match="`trainable` returns list"):
        tunable_copy(model, lambda duplicate: list(duplicate.net))
    with pytest.raises(ModelError, match="Tanh has no weights that can be tuned"):
        tunable_copy(model, lambda duplicate: duplicate.net[2])
    assert all(p.requires_grad for p in model.parameters())


def test_a_model_left_in_training_mode_is_compared_in_evaluation_mode():
    """Batch norm and dropout in training mode would shift likelihoods where nothing changed."""
    base, tamed = Density().train(), Density().eval()
    before = state(base)
    comparison = compare(base, tamed, {"all": POINTS}, POINTS)
    assert_same(before, state(base))
    assert comparison.shift("all") == (0, 0, 0)
