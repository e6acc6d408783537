"""What is given to the library and what models answer: shapes, number formats and ranges.

Each check raises an error that is a sentence, and changes nothing.
"""

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch

from forgetting.conditions import own_conditions
from forgetting.copies import name_of
from forgetting.errors import DataError, ModelError
from forgetting.guard import Guard

MARGIN = 0.05
"""How far beyond [0, 1] the values of an image may lie."""

N_SCORED = 8
"""Images on which a score is tried: logits of so many hardly ever all lie between 0 and 1."""

PRECISION = 1e-4
"""Largest difference of two equal answers, in units of the largest one.

A device may add in another order at another call; what depends on the batch differs more.
"""


def check_images(images: Any, name: str) -> torch.Tensor:
    """Return images as float32 without gradients, unless they are no images in [0, 1].

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Images, or points (N, D), which may have any values.
    name : str
        What the images are, as a sentence names them.

    Raises
    ------
    DataError
        The images are no floating-point tensor or, of images, a value is not in [0, 1].
    """
    if not isinstance(images, torch.Tensor):
        raise DataError(f"{name} must be a tensor, not {type(images).__name__}.")
    if not images.is_floating_point():
        raise DataError(
            f"{name} have the format {images.dtype}: give floats in [0, 1], such as "
            "images.float() / 255."
        )
    images = images.detach().float()
    if images.ndim == 4 and images.numel() and not _in_range(images):
        remedy = "(images + 1) / 2" if images.max() <= 2 else "images / 255"
        raise DataError(
            f"{name} have values from {images.min():g} to {images.max():g}: give images in "
            f"[0, 1], such as {remedy}."
        )
    return images


def check_log_prob(flow: Any) -> None:
    """Raise an error unless a flow has a `log_prob` of images alone.

    Raises
    ------
    ModelError
        It has not.
    """
    name = name_of(flow)
    log_prob = getattr(flow, "log_prob", None)
    if not callable(log_prob):
        raise ModelError(
            f"{name} has no `log_prob`: give as_flow(flow, log_prob=lambda flow, images: ...), "
            "for a flow of zuko with `flow().log_prob(images.flatten(1))`."
        )
    try:
        parameters = list(inspect.signature(log_prob).parameters.values())
    except (TypeError, ValueError):  # a function without a signature, such as a compiled one
        return
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    for further in needed[1:]:
        if further != "noise":
            raise ModelError(
                f"`log_prob` of {name} needs `{further}` besides the images: give as_flow(flow, "
                f"log_prob=lambda flow, images: flow.log_prob(images, {further}=...))."
            )


def check_log_probs(answer: Any, n: int, name: str) -> None:
    """Raise an error unless an answer has one finite log-likelihood (B,) for each of n images.

    Raises
    ------
    ModelError
        It has not.
    """
    where = f"`log_prob` of {name}"
    _check_floats(answer, where)
    shape = tuple(answer.shape)
    if shape == (n, 1):
        raise ModelError(
            f"{where} has the shape (B, 1), where (B,) is needed: give as_flow(flow), which drops "
            "the second dimension."
        )
    if shape != (n,):
        remedy = (
            "sum over all dimensions but the first"
            if shape[:1] == (n,)
            else "return one for each image, not a sum or a mean of the batch"
        )
        raise ModelError(f"{where} has the shape {shape} for {n} images, not ({n},): {remedy}.")
    if not answer.isfinite().all():
        raise ModelError(
            f"{where} is not finite for images that were given: {answer.tolist()}. Look for a "
            "logarithm of 0, or scale the images in as_flow(flow, log_prob=...)."
        )


def check_latent_dim(generator: Any) -> int:
    """Return the dimension of a generator's latents.

    Raises
    ------
    ModelError
        The generator does not say it.
    """
    dim = getattr(generator, "latent_dim", None)
    if not isinstance(dim, Integral) or isinstance(dim, bool) or dim < 1:
        raise ModelError(
            f"{name_of(generator)} has no `latent_dim`, the number of values in a latent: "
            "give as_generator(generator, latent_dim=...) or, for latents (B, 100, 1, 1), "
            "as_generator(generator, latent_shape=(100, 1, 1))."
        )
    return int(dim)


def check_decoded(answer: Any, n: int, name: str) -> None:
    """Raise an error unless an answer is n finite images (B, C, H, W) in [0, 1].

    Raises
    ------
    ModelError
        It is not.
    """
    if isinstance(answer, torch.Tensor) and answer.dtype == torch.uint8:
        raise ModelError(
            f"{name} returns images of uint8, which have no gradient: take out the rounding and "
            "give as_generator(generator, value_range=(0, 255))."
        )
    _check_floats(answer, f"The answer of {name}")
    if answer.ndim != 4 or len(answer) != n:
        raise ModelError(
            f"{name} returns the shape {tuple(answer.shape)} for {n} latents, not images "
            f"({n}, C, H, W): give as_generator(generator, forward=...), which returns them."
        )
    if not answer.isfinite().all():
        raise ModelError(f"{name} returns images with values that are not finite.")
    if not _in_range(answer):
        value_range = "(-1, 1)" if answer.max() <= 2 else "(0, 255)"
        raise ModelError(
            f"{name} returns values from {answer.min():g} to {answer.max():g}, where images must "
            f"lie in [0, 1]: give as_generator(generator, value_range={value_range}), with "
            "`.clamp(...)` in its `forward` for values beyond that range."
        )


def check_score(
    score: Any,
    images: torch.Tensor,
    *,
    is_logit: bool = False,
    is_followed: bool = False,
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

    Raises
    ------
    ModelError
        The score is no function, or its answers are not one finite float for each image, depend
        on the other images, are probabilities where logits are needed, or have no gradient.
    """
    if not callable(score):
        raise ModelError(
            f"The score is {type(score).__name__}, which cannot be called: give a function from "
            "images (B, C, H, W) to scores (B,)."
        )
    batches = (images, images[:1].expand_as(images))
    answer, alone = (_scores(score, batch, i, is_followed) for i, batch in enumerate(batches))
    check_scores(answer, len(images), is_logit=is_logit)
    check_scores(alone, len(images))
    if not are_equal(answer[:1], alone[:1]):
        raise ModelError(
            "The score of an image depends on the other images of its batch, or is random: put "
            "the score's model into evaluation mode with `eval()`."
        )
    if is_followed and not answer.requires_grad:
        raise ModelError(
            "The score has no gradient with respect to the images: it must compute in torch, "
            "without `no_grad`, `detach` or a comparison."
        )


def check_scores(answer: Any, n: int, *, is_logit: bool = False) -> None:
    """Raise an error unless an answer has one finite score (B,) for each of n images.

    Raises
    ------
    ModelError
        It has not, or has probabilities where logits are needed.
    """
    _check_floats(answer, "The answer of the score")
    if tuple(answer.shape) != (n,):
        raise ModelError(
            f"The score returns the shape {tuple(answer.shape)} for {n} images, not ({n},): "
            "return one score for each image, such as logits[:, i]."
        )
    if not answer.isfinite().all():
        raise ModelError(
            "The score gives scores that are not finite for some of the images: check it on the "
            "generator's images."
        )
    inside = (answer >= 0) & (answer <= 1)
    if is_logit and inside.all() and ((answer > 0) & (answer < 1)).any():
        raise ModelError(
            f"All of {n} scores lie between 0 and 1, as probabilities do, so that a threshold of "
            "0 says nothing: return logits, or give threshold=0.5 where there is a threshold."
        )


def are_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Return whether two answers are equal but for the last digits."""
    a, b = a.detach(), b.detach()
    return bool((a - b).abs().max() <= PRECISION * max(float(a.abs().max()), 1e-6))


def _scores(
    score: Callable[[torch.Tensor], Any], images: torch.Tensor, seed: int, is_followed: bool
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
                f"The score fails on images of shape {tuple(images.shape)} "
                f"({type(error).__name__}: {message})."
            ) from error
        if guard.restore():
            raise ModelError(
                "The score changes the model with which it computes: put that model into "
                "evaluation mode with `eval()`."
            )
    if not torch.equal(images, given):
        raise ModelError("The score changes the images in place: let it work on a copy.")
    return answer


def _check_floats(answer: Any, where: str) -> None:
    if not isinstance(answer, torch.Tensor):
        raise ModelError(f"{where} is of type {type(answer).__name__}, not a tensor of torch.")
    if not answer.is_floating_point():
        raise ModelError(f"{where} has the format {answer.dtype}: return floats.")


def _in_range(images: torch.Tensor) -> bool:
    return bool(images.min() >= -MARGIN and images.max() <= 1 + MARGIN)
