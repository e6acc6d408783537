"""Scores: what a function that looks at images must return of them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from forgetting.border.checks import (
    are_equal,
    are_probabilities,
    check_floats,
    starts_alike,
)
from forgetting.border.conditions import own_conditions
from forgetting.border.guard import Guard
from forgetting.errors import DataError, DataWarning, ModelError

N_SCORED = 8
"""Images on which a score is tried: logits of so many hardly ever all lie between 0 and 1."""


FEW_PERCENT, MANY_PERCENT = 5, 50
"""Of percentages the lowest lies below the first, the highest beyond the second.

Logits reach from nearly 0 to so much only where many are negative, too.
"""

NEXT_TO_0, FEW = 0.1, 5
"""Logarithms of probabilities over 0.9 are nearer to 0 than this; fewer may be so by chance."""


def are_percentages(scores: torch.Tensor) -> bool:
    """Return whether all scores lie from 0 to 100, and reach towards either end."""
    least, most = float(scores.detach().min()), float(scores.detach().max())
    return 0 <= least < FEW_PERCENT and MANY_PERCENT < most <= 100


def are_log_probabilities(scores: torch.Tensor) -> bool:
    """Return whether no score is above 0, and more are next to it than a bit further below.

    Logits of a rare feature are all below 0, too, but the fewer the nearer they are to it.
    """
    next_to_0 = int((scores > -NEXT_TO_0).sum())
    below = int(((scores > -1) & (scores <= -NEXT_TO_0)).sum())
    return bool((scores <= 0).all()) and next_to_0 >= FEW and next_to_0 > below


def warn_of_probability(scores: torch.Tensor, threshold: float) -> None:
    """Warn if a threshold is one of probabilities, and scores (N,) reach from 0 far beyond 1."""
    least, most = float(scores.min()), float(scores.max())
    if not (0 < threshold < 1 and 0 <= least < FEW_PERCENT and most > MANY_PERCENT):
        return
    if most <= 100:
        given, remedy = "0 and 100, as percentages do,", f"give threshold={100 * threshold:g}"
    else:
        given, remedy = f"{least:g} and {most:g}", "give the threshold on the scores' own scale"
    warnings.warn(
        f"All of {len(scores)} scores lie between {given} and the threshold is {threshold:g}: if "
        f"it is meant as a probability, {remedy}.",
        DataWarning,
        stacklevel=4,
    )


def tensor_of(values: Any, name: str) -> torch.Tensor:
    """Return numbers or truths as a tensor on the CPU without gradients.

    Parameters
    ----------
    values : Tensor, array or sequence
        Numbers or booleans.
    name : str
        What they are, as a sentence begins with it.

    Raises
    ------
    DataError
        They are none of these.
    """
    try:
        given = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} of type {type(values).__name__}: give a tensor of numbers or booleans."
        ) from error
    return given.detach().cpu().as_subclass(torch.Tensor)


def check_score(
    score: Any,
    images: torch.Tensor,
    *,
    is_logit: bool = False,
    is_followed: bool = False,
    name: str = "score",
) -> None:
    """Raise an error unless a score function gives each image a score of its own.

    Parameters
    ----------
    score : callable
        Images (B, C, H, W) to scores (B,). Its model does not change.
    images : Tensor, (N, C, H, W)
        Images on which it is tried.
    is_logit : bool
        Whether scores above 0 mean that an image has the feature.
    is_followed : bool
        Whether the gradient of the scores is followed.
    name : str
        What the function returns, as a sentence names it.

    Raises
    ------
    ModelError
        The score is no function, or its answers are not one finite float for each image, depend
        on the other images, are probabilities or percentages where logits are needed, or have no
        gradient.
    """
    if not callable(score):
        raise ModelError(
            f"The {name} is {type(score).__name__}, which cannot be called: give a function from "
            "images (B, C, H, W) to scores (B,)."
        )
    batches = (images, images[:1].expand_as(images), torch.cat([images, images[:1]]))
    answer, alone, larger = (
        _scores(score, batch, i, is_followed, name) for i, batch in enumerate(batches)
    )
    check_scores(answer, len(images), is_logit=is_logit, name=name)
    check_scores(alone, len(images), name=name)
    check_scores(larger, len(images) + 1, name=name)
    if not are_equal(alone, answer[:1]) or not starts_alike(larger, answer):
        raise ModelError(
            f"The {name} of an image depends on the other images of its batch, on their number "
            "or on its place there, or is random: put its model into evaluation mode with "
            "`eval()`."
        )
    if is_followed and not answer.requires_grad:
        raise ModelError(
            f"The {name} has no gradient with respect to the images: it must compute in torch, "
            "without `no_grad`, `detach` or a comparison."
        )
    if is_followed:
        _check_gradient(score, images, name)


def _check_gradient(
    score: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, name: str
) -> None:
    """Raise an error if the gradient of the scores is not finite, or 0 for every image."""
    with own_conditions():
        images = images.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(images).sum(), images, materialize_grads=True)
    if not gradient.isfinite().all():
        raise ModelError(
            f"The gradient of the {name} with respect to the images is not finite: look for a "
            "square root, a norm or a logarithm of 0."
        )
    if not gradient.any():
        raise ModelError(
            f"The gradient of the {name} with respect to the images is 0 on all of "
            f"{len(images)} images, so that there is nothing to follow: take out what rounds, "
            "clamps or compares."
        )


def check_scores(answer: Any, n: int, *, is_logit: bool = False, name: str = "score") -> None:
    """Raise an error unless an answer has one finite score (B,) for each of n images.

    Raises
    ------
    ModelError
        It has not, or has probabilities or percentages where logits are needed.
    """
    check_floats(answer, f"The {name}")
    if tuple(answer.shape) != (n,):
        raise ModelError(
            f"The {name} has the shape {tuple(answer.shape)} for {n} images, not ({n},): "
            "return one score for each image, such as logits[:, i]."
        )
    if not answer.isfinite().all():
        raise ModelError(
            f"The {name} is not finite for some of the images: check it on the generator's images."
        )
    if is_logit and are_probabilities(answer):
        raise ModelError(
            f"All of {n} scores lie between 0 and 1, as probabilities do, so that a threshold of "
            "0 says nothing: return logits, or give threshold=0.5 where there is a threshold."
        )
    if is_logit and are_percentages(answer):
        raise ModelError(
            f"All of {n} scores lie between 0 and 100, as percentages do, so that a threshold of "
            "0 says nothing: return logits, such as torch.logit(scores / 100), or give "
            "threshold=50 where there is a threshold."
        )


def _scores(
    score: Callable[[torch.Tensor], Any],
    images: torch.Tensor,
    seed: int,
    is_followed: bool,
    name: str,
) -> Any:
    """Return the scores of images, unless the score changes the model with which it computes."""
    with own_conditions(seed, gradients=is_followed):
        images = images.detach().clone(memory_format=torch.contiguous_format)
        given = images.clone()
        guard = Guard([images], may_use_weights=True)
        try:
            with guard:
                answer = score(images.requires_grad_(is_followed))
        except Exception as error:
            message = str(error).strip().split("\n")[0]
            raise ModelError(
                f"The {name} fails on images of shape {tuple(images.shape)} "
                f"({type(error).__name__}: {message})."
            ) from error
        if guard.restore():
            raise ModelError(
                f"The {name} changes the model with which it computes: put that model into "
                "evaluation mode with `eval()`."
            )
    if not torch.equal(images, given):
        raise ModelError(f"The {name} changes the images in place: let it work on a copy.")
    return answer
