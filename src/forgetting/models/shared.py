"""What several kinds of model share: sizes, decoders of latents, autoencoders, noise and seeds.

A model builds its weights in `own_seed`, so that the same seed gives the same weights.
"""

import contextlib
import math
from collections.abc import Iterator

import torch
from pydantic import Field
from torch import nn

from forgetting.border.options import Configuration
from forgetting.foundation.progress import tracked

SAMPLED_AT_ONCE = 64
"""Images in a batch of samples; 256 do not fit a processor's cache and are a third slower."""


MOST_CHANNELS, MOST_PIXELS, MOST_HALVINGS = 256, 2**14, 14
"""Sizes of images beyond which no model of the zoo goes: channels, side, and times of halving."""


class Sizes(Configuration):
    """Sizes of a model."""


class StagedSizes(Sizes):
    """Sizes of a model whose stages halve the image and double the channels."""

    channels: int = Field(1, ge=1, le=MOST_CHANNELS)
    image_size: int = Field(
        28, ge=8, le=MOST_PIXELS, description="pixels; a multiple of 2**n_stages"
    )
    n_stages: int = Field(2, ge=1, le=MOST_HALVINGS, description="times the image is halved")
    latent_dim: int = Field(32, ge=1)
    width: int = Field(32, ge=1, description="channels at half of the image's size")

    @property
    def widths(self) -> list[int]:
        """Channels of the stages, from the image's end inwards."""
        return [self.width * 2**stage for stage in range(self.n_stages)]

    @property
    def inner_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) after the last stage.

        Raises
        ------
        ValueError
            The size of the image is not a multiple of 2**n_stages.
        """
        small, rest = divmod(self.image_size, 2**self.n_stages)
        if rest:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of {2**self.n_stages}"
            )
        return self.widths[-1], small, small


class DoublingSizes(Sizes):
    """Sizes of a model of colour images whose grids double up to the image's size."""

    channels: int = Field(3, ge=1, le=MOST_CHANNELS)
    image_size: int = Field(64, ge=8, le=MOST_PIXELS, description="pixels; a power of 2")

    @property
    def n_doublings(self) -> int:
        """Times that one pixel doubles to the image's size.

        Raises
        ------
        ValueError
            The size of the image is not a power of 2.
        """
        n = round(math.log2(self.image_size))
        if 2**n != self.image_size:
            raise ValueError(f"image_size {self.image_size} is not a power of 2")
        return n


class LatentDecoder(nn.Module):
    """A network from latents to images in [0, 1].

    Attributes
    ----------
    latent_dim : int
        Dimension of the latents, which are N(0, I).
    """

    latent_dim: int

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw images (n, C, H, W) in [0, 1] from latents N(0, I), in batches.

        The latents come from `generator`, or from torch's global one if it is None, on the CPU.
        """
        device = next(self.parameters()).device
        latents = torch.randn(n, self.latent_dim, generator=generator, device="cpu")
        with torch.no_grad():
            parts = tracked(latents.split(SAMPLED_AT_ONCE), "sampling")
            return torch.cat([self(part.to(device)) for part in parts])


class Autoencoder(nn.Module):
    """A variational autoencoder: an encoder to Gaussians over latents, and a decoder.

    Attributes
    ----------
    decoder : LatentDecoder
        The half that generates, which the zoo keeps.
    """

    decoder: LatentDecoder

    def negative_elbo(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both terms of the negative evidence lower bound, in nats per image.

        Parameters
        ----------
        images : Tensor, (B, C, H, W)
            Images in [0, 1].
        generator : torch.Generator or None
            Source of the latents' noise; None is torch's global generator.

        Returns
        -------
        reconstruction, kl : Tensor, (B,) and (B, ...)
            The latter of each group of latents where there are several.
        """
        raise NotImplementedError


def standard_normal(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Return standard-normal noise in the shape of a tensor, on its device.

    Parameters
    ----------
    generator : torch.Generator or None
        Source of the noise, on any device; None is torch's global generator.
    """
    device = "cpu" if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, device=device).to(like.device)


@contextlib.contextmanager
def own_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generator on the CPU, and give it back its state at the end."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
