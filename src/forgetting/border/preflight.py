"""Preflight: a model is tried on one small batch before anything long starts.

Each check works on copies and under a seed of its own: neither the model nor torch's random
numbers change. What does not keep its contract is refused in a sentence.
"""

import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from forgetting.border.checks import (
    PRECISION,
    check_decoded,
    check_log_prob,
    check_log_probs,
    first_latents,
)
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import log_prob_of
from forgetting.border.copies import check_module, contents, name_of
from forgetting.border.trial import Trial
from forgetting.errors import DataWarning

N_TRIED = 5
"""Images in the batch on which a model is tried: no pair or triple that a module could unpack."""

USUAL_RANGES = ((0, 1), (-1, 1))
"""The values of black and white in the images of most modules."""


def check_flow(flow: nn.Module, images: torch.Tensor, *, is_tuned: bool = False) -> None:
    """Raise an error unless a flow keeps its contract on images.

    Parameters
    ----------
    flow : nn.Module
        Has `log_prob(images) -> (B,)`. It does not change.
    images : Tensor, (N, ...)
        The first five are tried.
    is_tuned : bool
        Whether a copy of the flow is to be tuned, so that it needs gradients.

    Raises
    ------
    ModelError
        The flow has no `log_prob` of images alone, cannot be copied, or its answers are not one
        finite number for each image, depend on other images or earlier calls, or lack gradients.
    """
    check_module(flow)
    warn_of_statistics(flow)
    name = name_of(flow)
    check_log_prob(flow)
    with own_conditions():
        trial = Trial(
            flow,
            f"`log_prob` of {name}",
            log_prob_of,
            lambda answer, batch: check_log_probs(answer, len(batch), name),
            images[:N_TRIED].detach().clone(),
            "Give as_flow(flow, log_prob=lambda flow, images: ...), which brings images to the "
            "form that the flow takes.",
        )
        trial.evaluate()
        if is_tuned:
            trial.tune(None)


def check_generator(
    generator: nn.Module,
    trainable: Callable[[nn.Module], nn.Module] | None = None,
    *,
    is_tuned: bool = False,
    is_followed: bool = False,
) -> None:
    """Raise an error unless a generator keeps its contract.

    Parameters
    ----------
    generator : nn.Module
        Has `latent_dim` and `forward(z: (B, latent_dim)) -> images`. It does not change.
    trainable : callable, optional
        Returns, of a copy of the generator, the part that is tuned; without it all is.
    is_tuned : bool
        Whether a copy is to be tuned, so that gradients must reach its weights.
    is_followed : bool
        Whether gradients must reach the latents.

    Raises
    ------
    ModelError
        The generator has no `latent_dim`, cannot be copied, or its answers are not images
        (B, C, H, W) in [0, 1], depend on other latents or earlier calls, or lack gradients.
    """
    check_module(generator)
    warn_of_statistics(generator)
    name = name_of(generator)
    with own_conditions():
        trial = Trial(
            generator,
            name,
            lambda model, batch: model(batch),
            lambda answer, batch: check_decoded(answer, len(batch), name),
            first_latents(generator, N_TRIED),
            "Give as_generator the `latent_shape` of one latent, without the batch, where its "
            "dimensions do not fit, and forward=lambda module, latents: ... where the module "
            "takes something else than one tensor of latents.",
            getattr(generator, "latent_shapes", ()),
        )
        _warn_of_range(generator, trial.evaluate())
        if is_tuned:
            trial.tune(trainable)
        if is_followed:
            trial.follow()


def warn_of_statistics(model: nn.Module) -> None:
    """Warn if a layer of a model normalises with running statistics that nothing has changed.

    In evaluation mode it divides by 1, whatever it was trained on: the model was trained with
    `momentum=0` or in evaluation mode, its buffers were not loaded, or it was never trained.
    """
    layers = [value for value in contents(model) if isinstance(value, _NormBase)]
    untouched = [layer for layer in layers if _has_first_statistics(layer)]
    if untouched:
        warnings.warn(
            f"{len(untouched)} of {len(layers)} normalising layers of {name_of(model)} have the "
            "running statistics of a new layer, mean 0 and variance 1: train it in training mode, "
            "or load its buffers with its weights.",
            DataWarning,
            stacklevel=4,
        )


def _has_first_statistics(layer: _NormBase) -> bool:
    """Return whether a layer's running statistics are those that it was made with."""
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None or mean.is_meta:
        return False
    return not bool(mean.any()) and bool((variance == 1).all())


def _warn_of_range(generator: nn.Module, images: torch.Tensor) -> None:
    """Warn if a generator's images look as if its `value_range` were too wide.

    The values of a module that ends in a sigmoid lie in the upper half of (-1, 1), and those of
    one that ends in a tanh next to 0 in (0, 255).
    """
    low, high = getattr(generator, "value_range", (0.0, 1.0))
    values = images.detach() * (high - low) + low
    least, most = float(values.min()), float(values.max())
    rounded = PRECISION * (high - low)
    for black, white in USUAL_RANGES:
        is_narrower = white - black < high - low
        if is_narrower and black - rounded <= least and most <= white + rounded:
            warnings.warn(
                f"{name_of(generator)} returns values from {least:g} to {most:g}, where its "
                f"value_range is ({low:g}, {high:g}): if black and white are {black} and {white}, "
                f"give value_range=({black}, {white}).",
                DataWarning,
                stacklevel=4,
            )
            return
