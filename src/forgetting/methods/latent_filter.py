"""The latent filter: the baseline that erases in latent space and leaves the weights untouched."""

import torch
from torch import nn

from forgetting.methods.direction import Direction


class LatentFilter(nn.Module):
    """A generator that erases the feature from every latent before it decodes it."""

    def __init__(self, generator: nn.Module, direction: Direction) -> None:
        super().__init__()
        self.generator = generator
        self.direction = direction
        self.latent_dim = generator.latent_dim

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim), erased, to images (B, C, H, W)."""
        return self.generator(self.direction.erase(latents.cpu()).to(latents.device))
