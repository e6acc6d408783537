"""What a training trains: a model with its loss, and what is kept of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Metrics = dict[str, torch.Tensor]
Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Generator], Metrics]
Start = Callable[[nn.Module, torch.Tensor, torch.Generator], None]


class Averaged(nn.Module):
    """A model that learns, and the moving average of its weights, which is kept.

    Attributes
    ----------
    model : Module
        The model that learns.
    average : Module
        Its copy, whose parameters `follow` moves; no gradient reaches them.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move an average of weights towards a model: decay x average + (1 - decay) x model.

    Buffers, such as running statistics, become those of the model.

    Parameters
    ----------
    average : Module
        A copy of the model, whose parameters are moved.
    model : Module
        The model that learns.
    decay : float
        In [0, 1]; the average has a half-life of log(1/2) / log(decay) steps.
    """
    move = get_ema_multi_avg_fn(decay)
    move(list(average.parameters()), list(model.parameters()), 0)
    for own, theirs in zip(average.buffers(), model.buffers(), strict=True):
        own.copy_(theirs)


def all_of(model: nn.Module) -> nn.Module:
    """Return the model itself: what is kept of a model that is kept whole."""
    return model


@dataclass
class Learner:
    """A model and how it learns.

    Attributes
    ----------
    model : Module
        What is trained.
    loss : callable or dict of str to callable
        (model, images, labels, generator) -> metrics; "loss" is minimised. Parts that learn
        against each other have a loss each, by the part's name: they take their steps one after
        the other, on the same images.
    start : callable, optional
        (model, images of the first batch, generator); called once, before the first step.
    after : callable, optional
        (model); called after every step.
    keep : callable
        model -> the module that the zoo keeps of it.
    """

    model: nn.Module
    loss: Loss | dict[str, Loss]
    start: Start | None = None
    after: Callable[[nn.Module], None] | None = None
    keep: Callable[[nn.Module], nn.Module] = all_of

    @property
    def is_adversarial(self) -> bool:
        """Whether parts learn against each other; no single loss then tells how well."""
        return isinstance(self.loss, dict)

    def parts(self) -> dict[str, Loss]:
        """Return the loss of every part that learns; "" is the whole model."""
        return self.loss if isinstance(self.loss, dict) else {"": self.loss}
