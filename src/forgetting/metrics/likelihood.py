"""Likelihoods of a flow in bits/dim, and the quantiles and shifts that are made of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.stats import norm, t
from torch import nn

from forgetting.adapters import bits_per_dim as bits_per_dim  # for callers of the old place
from forgetting.adapters import bits_per_dim_with_noise as bits_per_dim_with_noise
from forgetting.adapters import mean_bits_per_dim
from forgetting.cache import cached


def cached_bits_per_dim(
    flow: nn.Module, images: torch.Tensor, draws: int = 0, seed: int = 0
) -> torch.Tensor:
    """Return `measure(...)`, (B,), from the user's cache where it was asked before."""
    what = f"bits/dim, {draws} draws from {seed}"
    return cached([flow], [images], what, lambda: mean_bits_per_dim(flow, images, draws, seed))


@dataclass(frozen=True)
class LikelihoodReference:
    """Mean and standard deviation of a model's bits/dim over random images."""

    mean: float
    std: float

    @classmethod
    def of(cls, bpd: torch.Tensor) -> "LikelihoodReference":
        """Take the likelihood reference of bits/dim (N,)."""
        return cls(float(bpd.mean()), float(bpd.std()))

    def quantile(self, bpd: torch.Tensor) -> torch.Tensor:
        """Return q = 1 - Phi((bpd - mean) / std), (B,): 1 is very likely, 0 very unlikely."""
        return torch.from_numpy(norm.sf((bpd.double().numpy() - self.mean) / self.std))


@dataclass(frozen=True)
class Comparison:
    """Bits/dim of sets of images under a base and a tamed flow, each with its own likelihood reference.

    Attributes
    ----------
    before, after : for each set, (N,) bits/dim
    base, tamed : the models' likelihood references
    """

    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor]
    base: LikelihoodReference
    tamed: LikelihoodReference

    def quantiles(self) -> dict[str, float]:
        """Return mean quantiles before and after and their mean drop for each set.

        Each model is measured by its own likelihood reference, as the paper does: what changes for all
        images alike does not show here. `shift` sees it.
        """
        metrics = {}
        for name in self.before:
            q_before = self.base.quantile(self.before[name])
            q_after = self.tamed.quantile(self.after[name])
            metrics[f"quantile_before_{name}"] = float(q_before.mean())
            metrics[f"quantile_after_{name}"] = float(q_after.mean())
            metrics[f"quantile_drop_{name}"] = float((q_before - q_after).mean())
        return metrics

    def above(self, name: str) -> torch.Tensor:
        """Return how many of its standard deviations above its mean the tamed model finds a set.

        Returns
        -------
        (N,), of the tamed model's likelihood reference: where taming to a `delta` puts images
        """
        return (self.after[name] - self.tamed.mean) / self.tamed.std

    def shift(self, name: str) -> tuple[float, float, float]:
        """Return how far a set moved in standard deviations of the base, with its interval.

        Returns
        -------
        mean, low, high of (after - before) / sigma_base: positive is less likely; 95 %
        t-interval over images
        """
        moved = (self.after[name] - self.before[name]).double() / self.base.std
        mean, n = float(moved.mean()), len(moved)
        if n < 2:
            return mean, mean, mean
        half = float(t.ppf(0.975, n - 1) * moved.std() / math.sqrt(n))
        return mean, mean - half, mean + half


def compare(
    base: nn.Module,
    tamed: nn.Module,
    sets: Mapping[str, torch.Tensor],
    likelihood_reference: torch.Tensor,
    *,
    draws: int = 5,
    seed: int = 0,
) -> Comparison:
    """Ask two flows for the likelihoods of the same images with the same noise.

    Parameters
    ----------
    base, tamed : before and after; their answers are kept in the user's cache
    sets : images (N, C, H, W) by name
    likelihood_reference : random images (M, C, H, W) that give each model its mean and deviation
    draws : dequantisation draws an image of the sets (the paper: 5 to 10); the likelihood reference takes one
    seed : of the noise

    Returns
    -------
    The bits/dim (N,) of each set before and after, and each model's likelihood reference.
    """
    before, after = (
        {name: cached_bits_per_dim(flow, images, draws, seed) for name, images in sets.items()}
        for flow in (base, tamed)
    )
    rulers = [
        LikelihoodReference.of(cached_bits_per_dim(flow, likelihood_reference, 1, seed))
        for flow in (base, tamed)
    ]
    return Comparison(before, after, *rulers)
