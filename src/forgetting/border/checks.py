"""What is given to the library and what models answer: shapes, number formats and ranges.

Each check raises an error that is a sentence, and changes nothing.
"""

import inspect
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch

from forgetting.border.copies import name_of
from forgetting.errors import DataError, DataWarning, ModelError, quoted, shortened

MARGIN = 0.05
"""How far beyond [0, 1] the values of an image may lie."""

NEXT_TO_BLACK = 1.001 / 255
"""Largest value of images of 8 bits that were divided by 255 twice."""

PRECISION = 1e-4
"""Largest difference of two equal answers, in units of the largest one.

A device may add in another order at another call; what depends on the batch differs more.
"""

MAX_BITS = 16
"""Largest `n_bits` of a flow: a larger number counts levels, as 256 does."""

ROUGH_PRECISION = 1e-2
"""The same for batches of two sizes on a GPU, which may compute one of them in TensorFloat-32."""


def check_images(images: Any, name: str) -> torch.Tensor:
    """Return images as float32 on the CPU without gradients, unless they are none in [0, 1].

    Where nothing needs to change, the very tensor is returned, so that what was computed `once` of
    it serves again.

    Parameters
    ----------
    images : Tensor, (N, C, H, W)
        Images, or points (N, D), which may have any values.
    name : str
        What the images are, as a sentence names them.

    Raises
    ------
    DataError
        The images are no floating-point tensor (N, ...) or, of images, a value is not in [0, 1].
    """
    if not isinstance(images, torch.Tensor):
        raise DataError(f"{name} must be a tensor, not {type(images).__name__}.")
    if images.ndim == 0:
        raise DataError(f"{name} must be a tensor (N, ...), not a single number.")
    if not images.is_floating_point():
        raise DataError(
            f"{name} have the format {images.dtype}: give floats in [0, 1], such as "
            "images.float() / 255."
        )
    if images.requires_grad or images.dtype != torch.float32 or images.device.type != "cpu":
        images = images.detach().cpu().float()
    if type(images) is not torch.Tensor:
        images = images.as_subclass(torch.Tensor)
    if images.ndim > 2 and not images.isfinite().all():
        raise DataError(f"{name} have values that are not finite: take these images out.")
    if images.ndim > 2:
        check_range(images, name)
    return images


def check_range(images: torch.Tensor, name: str) -> None:
    """Raise an error if images, all of them finite, do not lie in [0, 1].

    Raises
    ------
    DataError
        A value does not.
    """
    if images.numel() and (images.min() < -MARGIN or images.max() > 1 + MARGIN):
        remedy = "(images + 1) / 2" if images.max() <= 2 else "images / 255"
        raise DataError(
            f"{name} have values from {images.min():g} to {images.max():g}: give images in "
            f"[0, 1], such as {remedy}."
        )


def check_scale(images: torch.Tensor, name: str, files: Sequence[str] = ()) -> None:
    """Raise an error if images (N, C, H, W) look as if they were divided by 255 twice.

    A warning tells of single ones, and names their files where these are given.

    Raises
    ------
    DataError
        No value is above the first step of 8 bits, and not all are 0.
    """
    if images.ndim <= 2 or not images.numel():
        return
    if 0 < images.max() <= NEXT_TO_BLACK:
        raise DataError(
            f"{name} have values up to {images.max():.4f}, as those have that were divided by 255 "
            "twice: give images in [0, 1]."
        )
    highest = images.flatten(1).amax(1)
    dark = ((highest > 0) & (highest <= NEXT_TO_BLACK)).nonzero()[:, 0].tolist()
    if dark:
        named = f": {shortened([files[i] for i in dark])}" if files else ""
        warnings.warn(
            f"{name}: {len(dark):,} of {len(images):,} are next to black, for no value is above 1 "
            f"of 255{named}. Are they masks of 0 and 1, or were they divided by 255 twice?",
            DataWarning,
            stacklevel=4,
        )


def check_log_prob(flow: Any) -> None:
    """Raise an error unless a flow has a `log_prob` of images alone and a possible `n_bits`.

    Raises
    ------
    ModelError
        It has not.
    """
    name = name_of(flow)
    n_bits = getattr(flow, "n_bits", 0)
    is_whole = isinstance(n_bits, Integral) and not isinstance(n_bits, bool)
    if not is_whole or not 0 <= int(n_bits) <= MAX_BITS:
        raise ModelError(
            f"{name} has n_bits = {quoted(n_bits)}, which is added to bits/dim: let it be b for "
            f"2**b levels, a whole number up to {MAX_BITS}."
        )
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
    noise = next((p.default for p in parameters if p.name == "noise"), None)
    if noise is not None and noise is not inspect.Parameter.empty:
        raise ModelError(
            f"`log_prob` of {name} has `noise={quoted(noise)}`, but `noise` is the place of each "
            "value in its bin, a tensor, a generator or None: give as_flow(flow, log_prob=lambda "
            "flow, images: flow.log_prob(images))."
        )
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.default is p.empty]
    keywords = [p.name for p in needed if p.kind is p.KEYWORD_ONLY]
    for further in [p.name for p in needed if p.kind in positional][1:] + keywords:
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
    check_floats(answer, where)
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


def first_latents(generator: Any, n: int) -> torch.Tensor:
    """Return the latents (n, latent_dim) on which a generator is tried."""
    random = torch.Generator().manual_seed(0)
    dim = check_latent_dim(generator)
    return torch.randn(n, dim, generator=random, dtype=torch.float32, device="cpu")


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
    check_floats(answer, f"The answer of {name}")
    if answer.ndim != 4 or len(answer) != n:
        raise ModelError(
            f"{name} returns the shape {tuple(answer.shape)} for {n} latents, not images "
            f"({n}, C, H, W): give as_generator(generator, forward=...), which returns them."
        )
    if has_channels_last(answer):
        raise ModelError(
            f"{name} returns the shape {tuple(answer.shape)}, whose channels are last: give "
            "as_generator(generator, forward=lambda generator, latents: "
            "generator(latents).permute(0, 3, 1, 2))."
        )
    if not answer.isfinite().all():
        raise ModelError(f"{name} returns images with values that are not finite.")
    if not -MARGIN <= answer.min() <= answer.max() <= 1 + MARGIN:
        value_range = "(-1, 1)" if answer.max() <= 2 else "(0, 255)"
        raise ModelError(
            f"{name} returns values from {answer.min():g} to {answer.max():g}, where images must "
            f"lie in [0, 1]: give as_generator(generator, value_range={value_range}), with "
            "`.clamp(...)` in its `forward` for values beyond that range."
        )


def has_channels_last(images: torch.Tensor) -> bool:
    """Return whether images (B, ...) of four dimensions seem to be (B, H, W, C)."""
    height, width, channels = images.shape[1:]
    return channels in (1, 3, 4) and width > channels and (height == width or height > 4)


def are_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Return whether two answers are equal but for the last digits."""
    return _differ_at_most(a, b, PRECISION)


def starts_alike(larger: torch.Tensor, answer: torch.Tensor) -> bool:
    """Return whether an answer to a batch equals that to a larger one, which ends in its first."""
    precision = PRECISION if answer.device.type == "cpu" else ROUGH_PRECISION
    return _differ_at_most(larger, torch.cat([answer, answer[:1]]), precision)


def are_probabilities(scores: torch.Tensor) -> bool:
    """Return whether all scores lie from 0 to 1, and not all of them at the ends."""
    inside = (scores >= 0) & (scores <= 1)
    return bool(inside.all() and ((scores > 0) & (scores < 1)).any())


def check_floats(answer: Any, where: str) -> None:
    """Raise an error unless an answer is a floating-point tensor.

    Raises
    ------
    ModelError
        It is not.
    """
    if not isinstance(answer, torch.Tensor):
        raise ModelError(f"{where} is of type {type(answer).__name__}, not a tensor of torch.")
    if not answer.is_floating_point():
        raise ModelError(f"{where} has the format {answer.dtype}: return floats.")


def _differ_at_most(a: torch.Tensor, b: torch.Tensor, precision: float) -> bool:
    """Return whether two answers differ at most by a share of the larger one."""
    a, b = a.detach(), b.detach()
    return bool((a - b).abs().max() <= precision * max(float(a.abs().max()), 1e-6))
