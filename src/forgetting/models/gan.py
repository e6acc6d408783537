"""A generative adversarial network (Goodfellow et al., 2014) small enough for a laptop.

The generator maps a latent to a style that scales and shifts every layer (self-modulation: Chen et
al., 2019), after a normalisation of each pixel's channels (Karras et al., 2018). No statistics of
a batch enter, so an image depends on its latent alone. The discriminator has the standard
deviation of its batch as an input. Samples come from a moving average of the generator.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.models import MODELS, ModelKind
from forgetting.models.players import Players
from forgetting.models.shared import LatentDecoder, StagedSizes, own_seed


class GANConfig(StagedSizes):
    """Sizes of a generative adversarial network."""

    latent_dim: int = Field(64, ge=1)
    minibatch_std: Literal["mean", "each"] = Field(
        "mean", description="standard deviation of a batch: one number, or one for each feature"
    )


class _Up(nn.Module):
    """Doubling of the size: transposed convolution, pixel norm, modulation by the style."""

    def __init__(self, before: int, after: int, style: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
        self.style = nn.Linear(style, 2 * after)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        scale, shift = self.style(style)[:, :, None, None].chunk(2, 1)
        return F.leaky_relu(_pixel_norm(self.conv(x)) * (1 + scale) + shift, 0.2)


class Generator(LatentDecoder):
    """The player that generates, of the sizes in `config`."""

    def __init__(self, config: GANConfig, seed: int = 0) -> None:
        """Build a generator with random weights from a seed."""
        super().__init__()
        self.config = config
        self.latent_dim = style = config.latent_dim
        inner, widths = config.inner_shape, config.widths[::-1]
        with own_seed(seed):
            self.mapping = nn.Sequential(
                nn.Linear(style, style), nn.LeakyReLU(0.2), nn.Linear(style, style)
            )
            self.first = nn.Sequential(nn.Linear(style, math.prod(inner)), nn.Unflatten(1, inner))
            self.stages = nn.ModuleList(
                _Up(before, after, style)
                for before, after in zip(widths, [*widths[1:], config.width], strict=True)
            )
            self.last = nn.Conv2d(config.width, config.channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # faster on a CPU

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        style = self.mapping(latents)
        x = F.leaky_relu(_pixel_norm(self.first(latents)), 0.2)
        for stage in self.stages:
            x = stage(x, style)
        return torch.sigmoid(self.last(x))


class Discriminator(nn.Module):
    """The player that tells real from generated images.

    The standard deviation of the features over a batch is an input too, which reveals images that
    the generator makes too rarely (Karras et al., 2018). It is one number for a batch, the mean
    over channels and places, or one number for each of these, which reveals what is rare.
    """

    def __init__(self, config: GANConfig, seed: int = 0) -> None:
        """Build a discriminator with random weights from a seed."""
        super().__init__()
        self.minibatch_std = config.minibatch_std
        inner = config.inner_shape
        with own_seed(seed):
            layers: list[nn.Module] = []
            before = config.channels
            for after in config.widths:
                layers += [
                    nn.Conv2d(before, after, 4, stride=2, padding=1),
                    nn.LeakyReLU(0.2),
                ]
                before = after
            self.body = nn.Sequential(*layers)
            self.head = nn.Sequential(
                nn.Conv2d(
                    before + (before if self.minibatch_std == "each" else 1), before, 3, padding=1
                ),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(math.prod(inner), 1),
            )
            for layer in (*self.body, *self.head):
                if isinstance(layer, nn.Conv2d | nn.Linear):  # keeps the scale of the scores
                    weight, bias = layer.parameters()
                    nn.init.kaiming_normal_(weight, a=0.2)
                    nn.init.zeros_(bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return a score for each image (B, C, H, W) in [0, 1], (B,), higher for real images."""
        x = self.body(images * 2 - 1)
        minibatch_std = torch.sqrt(x.float().var(0, unbiased=False) + 1e-8)
        if self.minibatch_std == "mean":
            minibatch_std = minibatch_std.mean().expand(1, *x.shape[2:])
        return self.head(
            torch.cat([x, minibatch_std.to(x.dtype).expand(len(x), *minibatch_std.shape)], 1)
        ).flatten()


def gan(config: GANConfig, seed: int = 0) -> Players:
    """Return both players with random weights from a seed."""
    generator, discriminator = Generator(config, seed), Discriminator(config, seed + 1)
    return Players(generator, discriminator, config.latent_dim)


def _pixel_norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6).to(x.dtype)


MODELS.register("gan")(ModelKind(Generator, GANConfig))
