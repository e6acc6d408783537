"""A style-based GAN (Karras et al., 2019 and 2020) small enough for a laptop.

A mapping network turns a latent z into a style w, which modulates every convolution of the
synthesis. Images have skip connections at every resolution, and the discriminator is residual.
Three parts of StyleGAN2 are left out: noise inputs, so that an image depends on its latent alone;
path length regularisation; and mixed styles.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.foundation.devices import fast_layout
from forgetting.foundation.precision import autocast_context
from forgetting.models import MODELS, ModelKind
from forgetting.models.players import Players
from forgetting.models.shared import DoublingSizes, LatentDecoder, own_seed

SMALLEST = 4
"""Side, in pixels, of the constant at which the synthesis starts."""

MAPPING_GAIN = 0.01
"""Share of the learning rate with which the mapping network learns."""

GROUP = 4
"""Images over which the discriminator takes a standard deviation."""


class StyleGANConfig(DoublingSizes):
    """Sizes of a style-based GAN."""

    latent_dim: int = Field(128, ge=1, description="dimension of z")
    style_dim: int = Field(256, ge=1, description="dimension of w")
    n_mapping: int = Field(4, ge=1, description="layers from z to w")
    width: int = Field(32, ge=1, description="channels of the generator at the image's size")
    discriminator_width: int = Field(32, ge=1, description="those of the discriminator")
    max_width: int = Field(256, ge=1, description="channels at most, towards the inside")

    def widths(self, outer: int) -> list[int]:
        """Return the channels at each resolution, from 4 px to the image's size.

        Parameters
        ----------
        outer : int
            Channels at the image's size; they double as the resolution halves.
        """
        n_stages = self.n_doublings - round(math.log2(SMALLEST))
        return [min(self.max_width, outer * 2**stage) for stage in range(n_stages, -1, -1)]


class _Linear(nn.Module):
    """A linear layer whose learning rate does not depend on its size (Karras et al., 2018)."""

    def __init__(self, before: int, after: int, gain: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / gain)
        self.bias = nn.Parameter(torch.full((after,), bias / gain))
        self.scale, self.gain = gain / math.sqrt(before), gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.gain)


class _Conv(nn.Module):
    """A convolution of odd size whose learning rate does not depend on its size."""

    def __init__(self, before: int, after: int, size: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.scale, self.padding = 1 / math.sqrt(before * size**2), size // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class _Modulated(nn.Module):
    """A convolution whose inputs are scaled by the style.

    Its outputs are scaled back to a deviation of about 1 where `demodulate` is set. Scaling what
    goes in and comes out is the same as scaling the weights for each image, with one convolution
    for the whole batch.
    """

    def __init__(
        self, before: int, after: int, style: int, size: int = 3, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.style = _Linear(style, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.padding = 1 / math.sqrt(before * size**2), size // 2
        self.demodulate = demodulate

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        style = self.style(w)
        weight = self.weight * self.scale
        y = F.conv2d(x * style[:, :, None, None], weight, padding=self.padding)
        if self.demodulate:
            with autocast_context("float32", x.device):
                power = weight.float().square().sum((2, 3))
                norm = torch.rsqrt(F.linear(style.float().square(), power) + 1e-8)
            y = y * norm[:, :, None, None].to(y.dtype)
        return y + self.bias[:, None, None]


class _Stage(nn.Module):
    """The convolutions of one resolution, and its part of the image."""

    def __init__(self, before: int, after: int, config: StyleGANConfig, first: bool) -> None:
        super().__init__()
        style = config.style_dim
        n = 1 if first else 2
        self.convs = nn.ModuleList(
            _Modulated(before if i == 0 else after, after, style) for i in range(n)
        )
        self.to_image = _Modulated(after, config.channels, style, size=1, demodulate=False)

    def forward(
        self, x: torch.Tensor, image: torch.Tensor | None, w: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if image is not None:
            x, image = _doubled(x), _doubled(image)
        for conv in self.convs:
            x = _activated(conv(x, w))
        part = self.to_image(x, w).float()
        return x, part if image is None else image + part


class StyleGenerator(LatentDecoder):
    """The player that generates, of the sizes in `config`; its latents are z."""

    def __init__(self, config: StyleGANConfig, seed: int = 0) -> None:
        """Build a generator with random weights from a seed."""
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        widths = config.widths(config.width)
        with own_seed(seed):
            before = [config.latent_dim, *[config.style_dim] * (config.n_mapping - 1)]
            self.mapping = nn.ModuleList(
                _Linear(n, config.style_dim, gain=MAPPING_GAIN) for n in before
            )
            self.constant = nn.Parameter(torch.randn(1, widths[0], SMALLEST, SMALLEST))
            self.stages = nn.ModuleList(
                _Stage(widths[max(i - 1, 0)], after, config, first=i == 0)
                for i, after in enumerate(widths)
            )
        self.to(memory_format=torch.channels_last)

    def styles(self, latents: torch.Tensor) -> torch.Tensor:
        """Map latents z (B, latent_dim) to styles w (B, style_dim)."""
        w = latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            w = _activated(layer(w))
        return w

    def synthesise(self, styles: torch.Tensor) -> torch.Tensor:
        """Return the images (B, C, H, W), in [0, 1], of styles w (B, style_dim)."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        x = fast_layout(x)
        image: torch.Tensor | None = None
        for stage in self.stages:
            x, image = stage(x, image, styles)
        assert image is not None
        return torch.sigmoid(image)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents z (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        return self.synthesise(self.styles(latents))


class _Halving(nn.Module):
    """A residual block of the discriminator, which halves the resolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = _Conv(before, before)
        self.second = _Conv(before, after)
        self.skip = _Conv(before, after, size=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.avg_pool2d(_activated(self.first(x)), 2)
        return (_activated(self.second(y)) + self.skip(F.avg_pool2d(x, 2))) / math.sqrt(2)


class StyleDiscriminator(nn.Module):
    """The player that tells real from generated images, a residual network.

    The standard deviation of the features over groups of four images is an input too (Karras et
    al., 2018).
    """

    def __init__(self, config: StyleGANConfig, seed: int = 0) -> None:
        """Build a discriminator with random weights from a seed."""
        super().__init__()
        widths = config.widths(config.discriminator_width)[::-1]
        inner = widths[-1]
        with own_seed(seed):
            self.from_image = _Conv(config.channels, widths[0], size=1)
            self.blocks = nn.ModuleList(
                _Halving(before, after) for before, after in itertools.pairwise(widths)
            )
            self.last = _Conv(inner + 1, inner)
            self.hidden = _Linear(inner * SMALLEST**2, inner)
            self.score = _Linear(inner, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return a score for each image (B, C, H, W) in [0, 1], (B,), higher for real images."""
        x = fast_layout(images * 2 - 1)
        x = _activated(self.from_image(x))
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x, _group_deviation(x)], 1)
        x = _activated(self.last(x)).flatten(1)
        return self.score(_activated(self.hidden(x))).flatten()


def style_gan(config: StyleGANConfig, seed: int = 0) -> Players:
    """Return both players with random weights from a seed."""
    generator, discriminator = StyleGenerator(config, seed), StyleDiscriminator(config, seed + 1)
    return Players(generator, discriminator, config.latent_dim)


def _activated(x: torch.Tensor) -> torch.Tensor:
    """Return the leaky rectifier of x, scaled to keep its mean square."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _group_deviation(x: torch.Tensor) -> torch.Tensor:
    """Return the mean standard deviation over each group of images, (B, 1, H, W)."""
    n, _, height, width = x.shape
    size = GROUP if n % GROUP == 0 else n
    groups = x.float().reshape(size, n // size, -1)
    deviation = torch.sqrt(groups.var(0, unbiased=False) + 1e-8).mean(1)
    return deviation.repeat(size)[:, None, None, None].expand(n, 1, height, width).to(x.dtype)


MODELS.register("style-gan")(ModelKind(StyleGenerator, StyleGANConfig))
