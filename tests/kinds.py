"""Kinds of modules that a stranger's flow may be: copied with all they hold, or not."""

import functools
import types
from dataclasses import dataclass

import torch
from torch import nn

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))


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


class Exported(nn.Module):
    """A module that TorchScript compiles."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(2, 2)

    @torch.jit.export
    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return -self.scale(x).square().sum(1)


def compiled(model):
    return torch.jit.script(Exported())


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
    compiled,
]
"""Functions that make a `Density` a kind of module whose copies are its own."""


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


REFUSED = [
    closure,
    global_variable,
    closure_over_a_part,
    default_argument,
    partial_of_a_closure,
    hook,
    pre_hook,
    statistics_only,
]
"""Kinds in which a function holds the model, so that a copy would compute with it."""
