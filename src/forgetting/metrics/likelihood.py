"""Likelihoods of two flows beside each other: quantiles and shifts from bits/dim."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import norm
from torch import nn

from forgetting.border import contracts
from forgetting.border.checks import check_images
from forgetting.border.copies import frozen_copy
from forgetting.border.options import check_counts, check_seed
from forgetting.border.preflight import check_flow
from forgetting.errors import DataError, ModelError
from forgetting.foundation.cache import cached
from forgetting.foundation.progress import tracked
from forgetting.metrics.intervals import mean_with_interval

ROUNDED = 1e-6
"""Deviation of bits/dim, as a part of their mean, up to which rounding may have made it."""

MIN_REFERENCE = 20
"""Images below which their bits/dim give no likelihood reference."""


def mean_bits_per_dim(
    flow: nn.Module, images: torch.Tensor, draws: int = 0, seed: int = 0
) -> torch.Tensor:
    """Compute the bits/dim of each image under a copy of a flow, averaged over noise draws.

    Parameters
    ----------
    flow : nn.Module
        The model, with `log_prob`. A copy in evaluation mode is used.
    images : Tensor, (N, ...)
        Images, in any number.
    draws, seed : int
        Number and seed of the noise draws; 0 evaluates each image once, at the centre of its
        bins.

    Returns
    -------
    Tensor, (N,)
        Bits/dim, on the CPU.

    Raises
    ------
    DataError
        The images are no floats in [0, 1].
    ModelError
        The flow does not pass the preflight `check_flow`.
    ParameterError
        `draws` or `seed` is no whole number in its range.
    """
    images = _checked(flow, images, draws, seed)
    return _numbers(contracts.mean_bits_per_dim(frozen_copy(flow), images, draws, seed))


def cached_bits_per_dim(
    flow: nn.Module, images: torch.Tensor, draws: int = 0, seed: int = 0
) -> torch.Tensor:
    """Return `mean_bits_per_dim`, (N,), from the user's cache if it has been computed before.

    Parameters
    ----------
    flow : nn.Module
        The model, with `log_prob`.
    images : Tensor, (N, ...)
        Images, in any number.
    draws, seed : int
        Number and seed of the noise draws.

    Raises
    ------
    DataError, ModelError, ParameterError
        As `mean_bits_per_dim` raises them.
    """
    images = _checked(flow, images, draws, seed)
    return _cached(frozen_copy(flow), images, draws, seed)


def _cached(duplicate: Any, images: torch.Tensor, draws: int, seed: int) -> torch.Tensor:
    """Return the bits/dim (N,) of images under a frozen copy of a flow."""
    return _numbers(
        cached(
            [duplicate],
            [images],
            f"bits/dim, {draws} draws from {seed}",
            lambda: contracts.mean_bits_per_dim(duplicate, images, draws, seed),
        )
    )


def _numbers(bpd: torch.Tensor) -> torch.Tensor:
    """Return bits/dim (N,), unless some are no numbers."""
    if n_lost := int(bpd.isnan().sum()):
        which = f"{n_lost} of {len(bpd)} images"
        raise ModelError(f"The flow gives {which} a likelihood of nan: look at these images.")
    return bpd


def _checked(flow: nn.Module, images: torch.Tensor, draws: int, seed: int) -> torch.Tensor:
    """Return images as float32 if they, the flow and the options may be used."""
    check_counts(draws=draws, least=0)
    check_seed(seed)
    images = check_images(images, "The images")
    if len(images):
        check_flow(flow, images)
    return images


@dataclass(frozen=True)
class LikelihoodReference:
    """Mean and standard deviation of a model's bits/dim over random images.

    Attributes
    ----------
    mean, std : float
        In bits/dim.

    Raises
    ------
    DataError
        The mean is not finite, or the deviation not finite and above 0.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.std < math.inf):
            raise DataError(f"{self}: give a finite mean and a finite deviation above 0.")

    @classmethod
    def of(cls, bpd: torch.Tensor) -> "LikelihoodReference":
        """Compute the likelihood reference from the bits/dim of random images, (N,).

        Raises
        ------
        DataError
            There are fewer than 20 images, or their bits/dim do not differ or are not finite.
        """
        if len(bpd) < MIN_REFERENCE:
            raise DataError(
                f"A likelihood reference of {len(bpd)} images tells no deviation: give at least "
                f"{MIN_REFERENCE}."
            )
        mean, std = float(bpd.mean()), float(bpd.std())
        if not (math.isfinite(mean) and ROUNDED * max(1, abs(mean)) < std < math.inf):
            raise DataError(
                f"The bits/dim of the likelihood reference have mean {mean:g} and deviation "
                f"{std:g}: give different images with finite likelihoods."
            )
        return cls(mean, std)

    def quantile(self, bpd: torch.Tensor) -> torch.Tensor:
        """Return q = 1 - Phi((bpd - mean) / std), (B,): near 1 is very likely, near 0 unlikely."""
        return torch.from_numpy(norm.sf((bpd.cpu().double().numpy() - self.mean) / self.std))


@dataclass(frozen=True)
class Comparison:
    """Bits/dim of sets of images under a base and a tamed flow.

    Attributes
    ----------
    before, after : dict
        The bits/dim (N,) of each set, the same images under the base and under the tamed flow.
    base, tamed : LikelihoodReference
        The likelihood reference of each flow.
    """

    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor]
    base: LikelihoodReference
    tamed: LikelihoodReference

    def __post_init__(self) -> None:
        sizes = [
            {k: tuple(v.shape) for k, v in each.items()} for each in (self.before, self.after)
        ]
        if sizes[0] != sizes[1]:
            raise DataError(
                f"Bits/dim before are of {sizes[0]}, those after of {sizes[1]}: give those of the "
                "same images."
            )

    def quantiles(self) -> dict[str, float]:
        """Return the mean quantiles of each set before and after, and their mean drop.

        Each flow has its own likelihood reference, as in the paper, so a change that is the same
        for all images does not appear. `shift` shows it.

        Returns
        -------
        dict
            quantile_before_NAME, quantile_after_NAME and quantile_drop_NAME for each set, of two
            images or more each with the ends of its 95 % t-interval over images.
        """
        metrics: dict[str, float] = {}
        for name in self.before:
            q_before = self.base.quantile(self.before[name])
            q_after = self.tamed.quantile(self.after[name])
            changes = {"before": q_before, "after": q_after, "drop": q_before - q_after}
            for when, quantiles in changes.items():
                key = f"quantile_{when}_{name}"
                metrics[key], low, high = mean_with_interval(quantiles)
                least = -1.0 if when == "drop" else 0.0
                if len(quantiles) > 1:
                    metrics |= {f"{key}_low": max(low, least), f"{key}_high": min(high, 1.0)}
        return metrics

    def above(self, name: str) -> torch.Tensor:
        """Return how far a set lies above the tamed flow's mean, in its deviations, (N,).

        Taming moves images to a value of `delta` on this scale.
        """
        return (self.after[name] - self.tamed.mean) / self.tamed.std

    def shift(self, name: str) -> tuple[float, float, float]:
        """Return the mean shift of a set in standard deviations of the base, with its interval.

        Returns
        -------
        mean, low, high : float
            Of (after - before) / sigma_base, where sigma_base is the base's standard deviation. A
            positive shift is a lower likelihood. The interval is a 95 % t-interval over images;
            its ends are nan for a single image.

        Raises
        ------
        DataError
            An image has no finite likelihood.
        """
        both = torch.cat([self.before[name], self.after[name]])
        if not both.isfinite().all():
            raise DataError(
                f"{int((~both.isfinite()).sum())} of {len(both)} bits/dim of the images {name} "
                "are not finite, so that they have no shift: take these images out."
            )
        return mean_with_interval((self.after[name] - self.before[name]).double() / self.base.std)


def compare(
    base: nn.Module,
    tamed: nn.Module,
    sets: Mapping[str, torch.Tensor],
    likelihood_reference: torch.Tensor,
    *,
    draws: int = 5,
    seed: int = 0,
) -> Comparison:
    """Compute the bits/dim of the same images under two flows with the same noise.

    Parameters
    ----------
    base, tamed : nn.Module
        The flows before and after taming. Copies in evaluation mode are used; results of the
        library's own flows stay in the user's cache.
    sets : mapping
        Images (N, C, H, W) by name.
    likelihood_reference : Tensor, (M, C, H, W)
        Random images that give each flow its mean and standard deviation, with one noise draw.
    draws : int
        Noise draws for each image of the sets; the paper uses 5 to 10.
    seed : int
        Seed of the noise.

    Returns
    -------
    Comparison
        The bits/dim of each set, and each flow's likelihood reference.

    Raises
    ------
    DataError, ModelError, ParameterError
        As `mean_bits_per_dim` raises them.
    """
    flows = []
    for flow in (base, tamed):
        likelihood_reference = _checked(flow, likelihood_reference, draws, seed)
        flows.append(frozen_copy(flow))
    checked = {name: check_images(images, f"The images {name}") for name, images in sets.items()}
    for name, images in checked.items():
        if images.shape[1:] != likelihood_reference.shape[1:]:
            raise DataError(
                f"The images {name} are {tuple(images.shape[1:])}, those of the likelihood "
                f"reference {tuple(likelihood_reference.shape[1:])}: give images of one shape."
            )
    before, after = (
        {name: _cached(flow, images, draws, seed) for name, images in checked.items()}
        for flow in tracked(flows, "flows")
    )
    references = [
        LikelihoodReference.of(_cached(flow, likelihood_reference, 1, seed)) for flow in flows
    ]
    return Comparison(before, after, *references)
