"""A trial of a model on one small batch: are its answers its own, and do gradients reach it?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import are_equal, starts_alike
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import (
    contents,
    device_of,
    free_weights,
    frozen_copy,
    name_of,
    storage,
    tunable_copy,
)
from forgetting.border.guard import Guard, TouchedError
from forgetting.errors import ForgettingError, ModelError

STALE = 0.2
"""Largest difference that old values may make, in units of how far new weights move an answer."""

OTHER_SEEDS = range(1, 6)
"""Under which an answer that draws random numbers differs."""


@dataclass(frozen=True)
class Trial:
    """A model, one of its functions, and the batch on which it is tried.

    Attributes
    ----------
    model : nn.Module
        The model, of which copies are tried.
    name : str
        What is tried, as a sentence names it.
    call : callable
        Returns the answer of a copy to a batch.
    check : callable
        Raises an error unless an answer to a batch has the right shape and values.
    batch : Tensor, (B, ...)
        The batch.
    remedy : str
        A sentence: what to give where the model fails on the batch.
    shapes : tuple of tuple of int
        Those in which the model takes an input of the batch; empty: as the batch has it.
    """

    model: nn.Module
    name: str
    call: Callable[[Any, torch.Tensor], Any]
    check: Callable[[Any, torch.Tensor], None]
    batch: torch.Tensor
    remedy: str
    shapes: tuple[tuple[int, ...], ...] = ()

    def evaluate(self) -> torch.Tensor:
        """Return the answer to the batch, unless it does not follow from each input alone.

        The second copy answers a batch of one input, repeated, before it answers the batch.
        """
        first, second = frozen_copy(self.model), frozen_copy(self.model)
        repeated = self.batch[:1].repeat(len(self.batch), *[1] * (self.batch.ndim - 1))
        n_weights = len(list(first.parameters()))
        answer = self._guarded_answer(first, list(contents(first)))
        if len(list(first.parameters())) > n_weights:
            raise ModelError(
                f"{self.name} makes weights at its first call, which are random: call it once on "
                "a batch, and load its weights."
            )
        alone, again = (self._answer(second, batch) for batch in (repeated, self.batch))
        if storage(alone) == storage(again) != 0:
            raise ModelError(
                f"{self.name} returns the same tensor from every call, with other values: return "
                "a new one."
            )
        if not are_equal(answer, again):
            raise ModelError(
                f"{self.name} gives another answer to the same batch after another call: it keeps "
                "values from call to call, or draws random numbers that torch's seed does not "
                "determine. A flow that initialises itself from its first batch must be called "
                "once on real images."
            )
        if not are_equal(answer[:1], alone[:1]):
            raise ModelError(
                f"{self.name} gives an image another answer beside other images: it computes with "
                "statistics of the batch. Let it use fixed ones in evaluation mode."
            )
        if not are_equal(alone, alone[:1]) and not self._is_random(second, repeated, alone):
            raise ModelError(
                f"{self.name} gives equal inputs answers that depend on their place in the batch: "
                "let an answer follow from its own input alone. What else it depends on, such as "
                "a class, must be fixed or drawn at random."
            )
        self._check_size(second, again)
        return answer

    def _check_size(self, duplicate: nn.Module, answer: torch.Tensor) -> None:
        """Raise an error if an answer differs in a larger batch, which ends in the first input.

        An answer that draws random numbers differs there, as it does under another seed.
        """
        larger = torch.cat([self.batch, self.batch[:1]])
        if starts_alike(self._answer(duplicate, larger), answer):
            return
        if not self._is_random(duplicate, self.batch, answer):
            raise ModelError(
                f"{self.name} gives an input another answer in a larger batch: it sorts the "
                "batch, or computes with its size. Let it sum over all dimensions but the first."
            )

    def _is_random(self, duplicate: nn.Module, batch: torch.Tensor, answer: torch.Tensor) -> bool:
        """Return whether an answer to a batch, under seed 0, is another under other seeds.

        Several are tried, for small noise may happen to be nearly the same under one of them.
        """
        others = (self._answer(duplicate, batch, seed=seed) for seed in OTHER_SEEDS)
        return not all(are_equal(answer, other) for other in others)

    def follow(self) -> None:
        """Raise an error unless answers have a gradient with respect to the batch."""
        batch = self.batch.clone().requires_grad_()
        answer = self._answer(frozen_copy(self.model), batch, gradients=True)
        if not answer.requires_grad:
            raise ModelError(
                f"The answer of {self.name} has no gradient with respect to its latents: it must "
                "compute without `no_grad`, `inference_mode`, `detach` or numpy."
            )
        (gradient,) = torch.autograd.grad(answer.sum(), batch, materialize_grads=True)
        if not gradient.isfinite().all() or not gradient.any():
            size = "0" if gradient.isfinite().all() else "not finite"
            raise ModelError(
                f"The gradient of {self.name} with respect to its latents is {size}: it must "
                "compute without rounding, and without a square root or a logarithm of 0."
            )

    def tune(self, trainable: Callable[[nn.Module], nn.Module] | None) -> None:
        """Raise an error unless gradients reach a copy's weights and answers follow the weights.

        The weights of two copies are moved alike, of the first after a call, of the second before
        any.
        """
        first, second = (tunable_copy(self.model, trainable) for _ in range(2))
        own = (v for v in contents(first) if not isinstance(v, nn.Parameter))
        before = self._guarded_answer(first, [*own, *first.parameters()], gradients=True)
        self._check_gradient(first, before)
        for duplicate in (first, second):
            _move(free_weights(duplicate))
        after = self._answer(first, self.batch, gradients=True)
        self._check_gradient(first, after)
        before, after = before.detach(), after.detach()
        fresh = self._answer(second, self.batch)
        way = (fresh - before).abs().max()
        if not way > 0:
            raise ModelError(
                f"{self.name} gives the same answer whatever its weights are: it must compute "
                "with the weights among its `parameters()`."
            )
        if not (after - fresh).abs().max() <= STALE * way:
            raise ModelError(
                f"{self.name} does not follow its weights once it was called: it keeps values "
                "that it computed from them. Switch off its cache."
            )

    def _check_gradient(self, duplicate: nn.Module, answer: torch.Tensor) -> None:
        """Raise an error unless an answer's gradient reaches a copy's free weights."""
        weights = free_weights(duplicate)
        if not answer.requires_grad:
            raise ModelError(
                f"The answer of {self.name} has no gradient with respect to its weights: in "
                "evaluation mode, too, it must compute without `no_grad`, `detach` or numpy."
            )
        try:
            gradients = torch.autograd.grad(answer.sum(), weights, allow_unused=True)
        except RuntimeError as error:
            raise ModelError(
                f"{self.name} has no gradient at its second call ({_first_line(error)}): it keeps "
                "values that it computed from its weights. Switch off its cache."
            ) from error
        used = [gradient for gradient in gradients if gradient is not None]
        if not any(gradient.any() for gradient in used):
            raise ModelError(
                f"The answer of {self.name} has no gradient with respect to the weights that are "
                "tuned: it must compute with them."
            )
        if not all(gradient.isfinite().all() for gradient in used):
            raise ModelError(
                f"The gradient of {self.name} with respect to its weights is not finite: look "
                "for a square root or a logarithm of 0."
            )

    def _guarded_answer(
        self,
        duplicate: nn.Module,
        own: list[nn.Module | torch.Tensor],
        *,
        gradients: bool = False,
    ) -> torch.Tensor:
        """Return a copy's answer to the batch, unless it computes with what is not its own.

        Of a copy that is tuned, weights that are not among its `parameters()` are not its own.
        """
        batch = self.batch.to(device_of(duplicate))
        guard = Guard([*own, batch], contents(self.model))
        try:
            with guard:
                answer = self._answer(duplicate, batch, gradients=gradients)
        except TouchedError as error:
            raise ModelError(
                f"A copy of {name_of(self.model)} computes with {error}: a function that was "
                "assigned to it, a hook, or a module that is no part of it holds them. Write the "
                "function as a method, or give it to `as_flow` or `as_generator` with the model "
                "as its first argument: log_prob=lambda flow, images: ..."
            ) from error
        if guard.restore():
            raise ModelError(
                f"{self.name} changes a tensor that is no part of it: make the tensor a buffer."
            )
        return answer

    def _answer(
        self,
        duplicate: nn.Module,
        batch: torch.Tensor,
        *,
        gradients: bool = False,
        seed: int = 0,
    ) -> torch.Tensor:
        """Return a copy's answer to a batch, if it is one that keeps the contract."""
        batch = batch.to(device_of(duplicate))
        given = batch.detach().clone()
        try:
            with own_conditions(seed, gradients=gradients):
                answer = self.call(duplicate, batch)
                self.check(answer, batch)
        except (ForgettingError, TouchedError):
            raise
        except Exception as error:
            shapes = self.shapes or (tuple(batch.shape[1:]),)
            tried = " and ".join(str((len(batch), *shape)) for shape in shapes)
            raise ModelError(
                f"{self.name} fails on a batch of shape {tried} in float32 "
                f"({type(error).__name__}: {_first_line(error)}). {self.remedy}"
            ) from error
        if not torch.equal(batch, given):
            raise ModelError(f"{self.name} changes its input in place: let it work on a copy.")
        return answer


def _move(weights: list[nn.Parameter]) -> None:
    """Move weights by a hundredth of their size at random, equally at every call."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in weights:
            size = 0.01 * weight.abs().mean() + 1e-4
            weight.add_(size * torch.randn(weight.shape, generator=random).to(weight))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
