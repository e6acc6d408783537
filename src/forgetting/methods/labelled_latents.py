"""Latents of samples that show a feature, and of samples that do not."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.errors import DataError, DataWarning
from forgetting.methods.image_sets import digests

USUAL = (0.4, 4.0)
"""Mean square of labelled latents from N(0, I), at least and at most.

It is near 1, but for few latents of a small dimension, half of them with a rare feature.
"""


@dataclass(frozen=True)
class LabelledLatents:
    """Latents of samples that show a feature, and of samples that do not.

    Attributes
    ----------
    positive, negative : torch.Tensor
        (P, latent_dim) and (N, latent_dim).

    Raises
    ------
    DataError
        Latents are no floats (N, latent_dim) of one dimension, or not finite. Or one comes twice:
        halves that share latents agree whatever they show.
    """

    positive: torch.Tensor
    negative: torch.Tensor

    def __post_init__(self) -> None:
        for name in ("positive", "negative"):
            object.__setattr__(self, name, _checked(getattr(self, name), name))
        both = (self.positive, self.negative)
        if both[0].shape[1] != both[1].shape[1]:
            raise DataError(
                f"Positive latents have {both[0].shape[1]} values, negative ones "
                f"{both[1].shape[1]}: give latents of one generator."
            )
        n = sum(map(len, both))
        _warn_of_scale(torch.cat(both))
        n_distinct = len({digest for latents in both for digest in digests(latents)})
        if n_distinct < n:
            raise DataError(
                f"Of {n} labelled latents {n_distinct} differ: give each latent once, either as "
                "positive or as negative."
            )

    def agreement(self) -> float:
        """Return the cosine between the directions of two halves; 1: no noise.

        Each half has half of the samples. At a cosine of r between the halves, the cosine between
        the direction of all samples and the true one is about sqrt(2 r / (1 + r)).
        """
        first = self.positive[::2].mean(0) - self.negative[::2].mean(0)
        second = self.positive[1::2].mean(0) - self.negative[1::2].mean(0)
        return float(torch.cosine_similarity(first, second, dim=0))


def _checked(latents: Any, name: str) -> torch.Tensor:
    """Return latents as float32 on the CPU, unless they are no finite floats (N, latent_dim)."""
    is_tensor = isinstance(latents, torch.Tensor) and latents.is_floating_point()
    if not is_tensor or latents.ndim != 2 or not latents.isfinite().all():
        shape = tuple(getattr(latents, "shape", ()))
        raise DataError(
            f"The {name} latents are {type(latents).__name__} of shape {shape}: give a tensor of "
            "finite floats (N, latent_dim), such as latents.flatten(1)."
        )
    return latents.detach().cpu().float()


def _warn_of_scale(latents: torch.Tensor) -> None:
    """Warn if latents (N, latent_dim) are not of the scale of N(0, I)."""
    least, most = USUAL
    if len(latents) and not least <= (square := float(latents.square().mean())) <= most:
        warnings.warn(
            f"The labelled latents have a mean square of {square:.3g}, where it is 1 in N(0, I), "
            "from which samples are drawn: label latents of that kind, and bring them to the "
            "generator's own in as_generator(..., forward=...).",
            DataWarning,
            stacklevel=4,
        )
