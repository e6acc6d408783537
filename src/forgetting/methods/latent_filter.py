"""The latent filter: the feature is erased from every latent, and no weight changes."""

from typing import cast

import torch
from torch import nn

from forgetting.methods.direction import Direction
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult
from forgetting.methods.settings import Settings


class FilterConfig(Settings):
    """Settings of the latent filter: it has none."""


class LatentFilter(nn.Module):
    """A generator behind a filter that erases the feature from every latent.

    Attributes
    ----------
    generator : nn.Module
        The generator as it was given.
    direction : Direction
        Where the feature lies in its latent space.
    latent_dim : int
        Number of dimensions of its latents.
    """

    def __init__(self, generator: nn.Module, direction: Direction) -> None:
        super().__init__()
        self.generator = generator
        self.direction = direction
        self.latent_dim = cast(int, generator.latent_dim)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Erase the feature from latents (B, latent_dim) and decode them to (B, C, H, W)."""
        return cast(torch.Tensor, self.generator(self.direction.erase(latents)))


@unlearning_method(
    "latent filter",
    FilterConfig,
    knob=None,
    source="the direction of Moon, Cho and Kim, AAAI 2024, used as FAST (2312.14895) filters",
)
def latent_filter(problem: UnlearningProblem, config: FilterConfig) -> UnlearningResult:
    """Erase the feature from every latent before the untouched generator decodes it.

    The result has no history, and the callback is not called: nothing is tuned.
    """
    return UnlearningResult(LatentFilter(problem.frozen_copy(), problem.direction), [])
