"""What speaks against an audit: no pair of models, or no grader of its own."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import are_equal
from forgetting.border.sampling import first_images
from forgetting.errors import DataWarning
from forgetting.zoo.saved import state_digest

N_COMPARED = 64
"""Latents whose images before and after are compared."""

NEARER = 0.95
"""Distance of images of the same latents at most, as a part of that of images of two latents.

Of the two tuned models in the zoo it is 0.06 and 0.24, of retrained ones 0.95 and more.
"""

ALIKE = 3.0
"""How many times more or less than images before, at most, those of `retrained` may vary.

Of a model of the zoo and of the same kind trained without its feature it is 1.07 at most, and of a
VAE and a GAN of the same images 2.06.
"""


def doubts(metrics: Mapping[str, float], parameters: Mapping[str, Any]) -> list[str]:
    """Return sentences on what speaks against what an audit found.

    Parameters
    ----------
    metrics, parameters : mapping
        Of an `AuditReport`.
    """
    graders = [row for row in parameters["classifiers"] if row["part"] == "what grades"]
    graded = [] if graders else ["What is attacked also grades: this is not independently graded."]
    return _of_models(metrics, parameters) + graded


def _of_models(metrics: Mapping[str, float], parameters: Mapping[str, Any]) -> list[str]:
    """Return what speaks against a pair of a generator and its tuned copy."""
    if parameters["is_one_model"]:
        return ["Before and after are the same model: nothing was unlearned between them."]
    if metrics["prevalence_after_low"] > metrics["prevalence_before_high"]:
        return ["The feature is more frequent after than before: are the models swapped?"]
    if metrics["prevalence_after"] > metrics["prevalence_before"]:
        return [
            "The feature is no rarer after than before, as far as the intervals tell: nothing was "
            "unlearned between them, or the models are swapped."
        ]
    never = metrics.get("prevalence_retrained_high", 0.0)
    if never >= metrics["prevalence_before_low"]:
        return ["Retrained shows the feature about as often as before: did it never have it?"]
    return []


def are_one_model(first: nn.Module, second: nn.Module) -> bool:
    """Return whether two generators have the same weights, and compute the same with them."""
    if state_digest(first) != state_digest(second):
        return False
    images, others = (first_images(model, N_COMPARED) for model in (first, second))
    return images.shape == others.shape and are_equal(images, others)


def warn_of_ruined(before: nn.Module, retrained: nn.Module) -> None:
    """Warn if images of `retrained` vary much more or less than those before.

    They are compared in how much a pixel differs from image to image, and neighbouring pixels
    from each other. Images of one colour and noise differ in these from all others.

    Parameters
    ----------
    before, retrained : nn.Module
        Generators.
    """
    variations = []
    for model in (before, retrained):
        images = first_images(model, N_COMPARED)
        variations.append(torch.stack([images.std(0).mean(), images.diff(dim=-1).abs().mean()]))
    ratios = (variations[1] / variations[0]).log().abs()
    if not ratios.max() <= math.log(ALIKE):
        warnings.warn(
            "Images of retrained vary far less or far more than those before: it makes no images "
            "of the same kind, so that nothing follows from what it shows.",
            DataWarning,
            stacklevel=3,
        )


def warn_of_strangers(before: nn.Module, after: nn.Module) -> None:
    """Warn if the images of two generators have nothing to do with each other.

    Parameters
    ----------
    before, after : nn.Module
        A generator, and what should be its tuned copy.
    """
    images, others = (first_images(model, N_COMPARED).flatten(1) for model in (before, after))
    if images.shape != others.shape:
        return
    own = (images - others).abs().mean()
    other = (images - others.roll(1, 0)).abs().mean()
    if own > NEARER * other:
        warnings.warn(
            "The images after are no nearer to those before of the same latents than to those of "
            "other latents: after is no tuned copy of before, takes other latents, or is ruined.",
            DataWarning,
            stacklevel=3,
        )
