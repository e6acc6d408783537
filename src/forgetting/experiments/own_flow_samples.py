"""What a flow draws, and what that says of its range and of the images with which it is tamed."""

import inspect
import warnings
from typing import Any

import torch
from torch import nn

from forgetting.border.adapters import AdaptedFlow
from forgetting.border.answers import images_of
from forgetting.border.checks import MARGIN
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import log_prob_of
from forgetting.border.copies import device_of, frozen_copy, name_of
from forgetting.errors import DataWarning
from forgetting.zoo.same_module import inner_module

N_SHOWN = 12
"""Samples that are drawn of a flow."""

TEMPERATURE = 0.7
"""Of the samples that are shown, where a flow's `sample` takes one."""

BEYOND = 0.25
"""Share of a sample's values outside [0, 1] from which its range seems to be another."""

N_COMPARED = 32
"""Images, evenly from a set, whose likelihoods are compared with those of samples."""

UNLIKE = 0.1
"""Part of them that may be less likely than samples by more than these differ.

Of 64 held-out photographs of CelebA, of LFW, or digits, no flow of the zoo found one so; of noise,
and of these with noise of deviation 0.1 or with shuffled pixels, each found all.
"""


def samples(flow: nn.Module, seed: int, temperature: float = TEMPERATURE) -> torch.Tensor | None:
    """Return images of a flow that has `sample(n)`, (12, ...), on the CPU; None of any other."""
    module = frozen_copy(inner_module(flow))
    sample: Any = getattr(module, "sample", None)
    try:
        takes_it = "temperature" in inspect.signature(sample).parameters
        options = {"temperature": temperature} if takes_it else {}
        with own_conditions(seed, gradients=False):
            images = images_of(sample(N_SHOWN, **options), name_of(flow)).float().cpu()
    except Exception:  # whatever a stranger's `sample` raises, it shows nothing
        return None
    return images


def log_probs(flow: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the log-densities (B,) of images (B, ...) by a copy of a flow."""
    model = frozen_copy(flow)
    with own_conditions(gradients=False):
        return log_prob_of(model, images.to(device_of(model)))


def warn_of_samples(flow: nn.Module, images: torch.Tensor) -> None:
    """Warn if a flow draws values of another range, or images far likelier than those to retain.

    Parameters
    ----------
    flow : nn.Module
        It passed the preflight. Nothing is said of one that draws no such images.
    images : Tensor, (N, ...)
        Of points nothing is said.
    """
    if images.ndim < 4 or (isinstance(flow, AdaptedFlow) and not flow.is_own):
        return
    drawn = samples(flow, 0, temperature=1.0)
    if drawn is None or drawn.shape[1:] != images.shape[1:] or not drawn.isfinite().all():
        return
    if float(((drawn < -MARGIN) | (drawn > 1 + MARGIN)).float().mean()) > BEYOND:
        warnings.warn(
            f"{name_of(flow)} draws images with values from {drawn.min():g} to {drawn.max():g}, "
            "so that its `log_prob` may be of that range, too, and not of [0, 1]. Then give "
            "as_flow(flow, log_prob=lambda flow, images: ...), which scales them, as by "
            "images - 0.5.",
            DataWarning,
            stacklevel=4,
        )
        return
    some = images[torch.linspace(0, len(images) - 1, min(N_COMPARED, len(images))).long()]
    own, given = log_probs(flow, drawn.clamp(0, 1)), log_probs(flow, some)
    lowest = own.min() - (own.max() - own.min())
    if (n_unlike := int((given < lowest).sum())) > UNLIKE * len(some):
        warnings.warn(
            f"{n_unlike} of {len(some)} images to retain are far less likely than anything that "
            f"{name_of(flow)} draws: it has not learned from such images, so that retaining them "
            "does not keep what it makes. Give images like those that it learned from.",
            DataWarning,
            stacklevel=4,
        )
