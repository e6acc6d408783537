"""A hierarchical variational autoencoder, in the spirit of VDVAE (Child, 2021), for a laptop.

Latents come in groups, from one vector for the whole image down to a grid of 16 x 16. The decoder
goes from coarse to fine; at each group it has a Gaussian prior that depends on the groups before.
The encoder's features enter its posteriors only.

A latent of this model is the noise of all groups, flat and standard normal: each group is its
prior's mean plus its deviation times the noise. `forward` decodes it.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from forgetting.foundation.devices import fast_layout
from forgetting.models import MODELS, ModelKind
from forgetting.models.shared import (
    MOST_PIXELS,
    Autoencoder,
    DoublingSizes,
    LatentDecoder,
    own_seed,
    standard_normal,
)

Choice = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(index of the group, decoder's features, prior's mean, prior's log deviation) -> latents."""


class HierarchicalVAEConfig(DoublingSizes):
    """Sizes of a hierarchical variational autoencoder."""

    image_size: int = Field(64, ge=16, le=MOST_PIXELS, description="pixels; a power of 2")
    width: int = Field(32, ge=1, description="channels at the image's size")
    max_width: int = Field(256, ge=1, description="channels at most, towards the inside")
    groups: tuple[tuple[int, int], ...] = Field(
        ((1, 64), (4, 16), (4, 16), (8, 8), (8, 8), (16, 4), (16, 4)),
        description="side of the grid and channels of each group of latents, coarse to fine",
    )
    n_blocks: int = Field(2, ge=1, description="residual blocks at a resolution without latents")
    deviation: float = Field(
        0.1, gt=0, description="of the Gaussian around the decoded image, values in [0, 1]"
    )

    @model_validator(mode="after")
    def _check(self) -> "HierarchicalVAEConfig":
        sides = [side for side, _ in self.groups]
        if not sides or sides != sorted(sides) or not set(sides) <= set(self.sides):
            raise ValueError(
                f"groups have the sides {sides}; they must rise and be among {self.sides}"
            )
        return self

    @property
    def sides(self) -> list[int]:
        """Sides of the grids, from 1 pixel to the image's."""
        return [1, *(2**i for i in range(2, self.n_doublings + 1))]

    def width_at(self, side: int) -> int:
        """Return the channels at a grid; they double as the side halves."""
        return min(self.max_width, self.width * self.image_size // side)


class _Residual(nn.Module):
    """A residual block: two narrow convolutions between two of one pixel."""

    def __init__(self, width: int, after: int | None = None, side: int = 64) -> None:
        super().__init__()
        inner, size = max(8, width // 2), 3 if side > 1 else 1
        self.layers = nn.Sequential(
            *(nn.GELU(), nn.Conv2d(width, inner, 1)),
            *(nn.GELU(), nn.Conv2d(inner, inner, size, padding=size // 2)),
            *(nn.GELU(), nn.Conv2d(inner, inner, size, padding=size // 2)),
            nn.GELU(),
        )
        self.last = nn.Conv2d(inner, after or width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, width, H, W) to (B, after, H, W)."""
        y: torch.Tensor = self.last(self.layers(x))
        return y


class _Skip(_Residual):
    """A residual block with its connection around it."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, side=side)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, width, H, W) to the same shape."""
        return x + super().forward(x)


class _Group(nn.Module):
    """A group of latents in the decoder: its prior, what it adds, and the block after it."""

    def __init__(self, width: int, side: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.prior = _Residual(width, 2 * channels + width, side)
        nn.init.zeros_(self.prior.last.weight)
        self.entry = nn.Conv2d(channels, width, 1)
        self.block = _Skip(width, side)

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the prior's mean and log deviation, and the features with what it adds."""
        values = self.prior(x)
        mean, log_sd, change = values.split([self.channels, self.channels, x.shape[1]], 1)
        return mean.float(), _bounded(log_sd.float()), x + change

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Add latents (B, channels, H, W) to features (B, width, H, W)."""
        y: torch.Tensor = self.block(x + self.entry(z))
        return y


class _Level(nn.Module):
    """What the decoder does at one grid: latents enter, or the features are refined."""

    def __init__(self, config: HierarchicalVAEConfig, side: int, before: int | None) -> None:
        super().__init__()
        width = config.width_at(side)
        here = [channels for grid, channels in config.groups if grid == side]
        self.side = side
        self.start = nn.Parameter(torch.zeros(1, width, side, side))
        self.narrower = nn.Conv2d(before, width, 1) if before else None
        self.groups = nn.ModuleList(_Group(width, side, channels) for channels in here)
        n_blocks = 0 if here else config.n_blocks
        self.blocks = nn.Sequential(*(_Skip(width, side) for _ in range(n_blocks)))

    def enter(self, x: torch.Tensor | None, n: int) -> torch.Tensor:
        """Return the features (n, width, side, side), given those of the coarser grid."""
        if x is None or self.narrower is None:
            return self.start.expand(n, -1, -1, -1)
        scale = float(self.side // x.shape[-1])
        return F.interpolate(self.narrower(x), scale_factor=scale, mode="nearest") + self.start

    def in_order(self) -> list[_Group]:
        """Return the groups of latents at this grid."""
        return [group for group in self.groups if isinstance(group, _Group)]


class HierarchicalDecoder(LatentDecoder):
    """The half that generates; its latents are those of all groups, coarse to fine, flat.

    Attributes
    ----------
    config : HierarchicalVAEConfig
        Its sizes.
    group_dims : tuple of int
        Dimension of each group.
    names : tuple of str
        Of each group: its number and its grid, as in "1_4x4".
    """

    def __init__(self, config: HierarchicalVAEConfig) -> None:
        """Build a decoder with random weights from torch's global generator."""
        super().__init__()
        self.config = config
        self.group_dims = tuple(side**2 * channels for side, channels in config.groups)
        self.names = tuple(f"{i}_{side}x{side}" for i, (side, _) in enumerate(config.groups))
        self.latent_dim = sum(self.group_dims)
        widths = [config.width_at(side) for side in config.sides]
        self.levels = nn.ModuleList(
            _Level(config, side, before)
            for side, before in zip(config.sides, [None, *widths[:-1]], strict=True)
        )
        self.last = nn.Conv2d(widths[-1], config.channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def run(self, n: int, choose: Choice) -> torch.Tensor:
        """Return n images (n, C, H, W) before the sigmoid, from chosen latents.

        Parameters
        ----------
        n : int
            Number of images.
        choose : callable
            Returns the latents of a group, given the features and the prior.
        """
        x: torch.Tensor | None = None
        index = 0
        for level in self.levels:
            assert isinstance(level, _Level)
            x = level.enter(x, n)
            for group in level.in_order():
                mean, log_sd, x = group.moments(x)
                x = group(x, choose(index, x, mean, log_sd).to(x.dtype))
                index += 1
            x = level.blocks(x)
        assert x is not None
        image: torch.Tensor = self.last(F.gelu(x))
        return image.float()

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        parts = latents.split(self.group_dims, 1)

        def choose(
            i: int, x: torch.Tensor, mean: torch.Tensor, log_sd: torch.Tensor
        ) -> torch.Tensor:
            return mean + torch.exp(log_sd) * parts[i].reshape(mean.shape)

        return torch.sigmoid(self.run(len(latents), choose))


class HierarchicalVAE(Autoencoder):
    """A variational autoencoder with Gaussians over several groups of latents."""

    decoder: HierarchicalDecoder

    def __init__(self, config: HierarchicalVAEConfig, seed: int = 0) -> None:
        """Build both halves with random weights from a seed."""
        super().__init__()
        self.config = config
        with own_seed(seed):
            self.first = nn.Conv2d(config.channels, config.width, 3, padding=1)
            self.wider = nn.ModuleList()
            self.blocks = nn.ModuleList()
            before = config.width
            for side in reversed(config.sides):
                width = config.width_at(side)
                self.wider.append(nn.Conv2d(before, width, 1))
                self.blocks.append(nn.Sequential(_Skip(width, side), _Skip(width, side)))
                before = width
            self.posteriors = nn.ModuleList(
                _Residual(2 * config.width_at(side), 2 * channels, side)
                for side, channels in config.groups
            )
            self.decoder = HierarchicalDecoder(config)
            for block in self.modules():
                if isinstance(block, _Residual):  # a deep sum of blocks starts small
                    block.last.weight.data /= math.sqrt(len(config.groups) + 8)
        self.to(memory_format=torch.channels_last)

    def features(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return the encoder's features (B, width, side, side) at every grid, by its side."""
        x = self.first(fast_layout(images * 2 - 1))
        result = {}
        for side, wider, blocks in zip(
            reversed(self.config.sides), self.wider, self.blocks, strict=True
        ):
            if x.shape[-1] != side:
                x = F.avg_pool2d(x, x.shape[-1] // side)
            x = result[side] = blocks(wider(x))
        return result

    def negative_elbo(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the reconstruction (B,) and the KL (B, groups) of every group of latents.

        Both are in nats per image. The reconstruction is the squared error over twice the
        variance of a Gaussian of fixed deviation, without its constant.
        """
        features = self.features(images)
        kls = []

        def choose(
            i: int, x: torch.Tensor, mean: torch.Tensor, log_sd: torch.Tensor
        ) -> torch.Tensor:
            seen = torch.cat([x, features[mean.shape[-1]]], 1)
            change, log_ratio = self.posteriors[i](seen).float().chunk(2, 1)
            own_mean, own_log_sd = mean + torch.exp(log_sd) * change, log_sd + _bounded(log_ratio)
            ratio = torch.exp(2 * (own_log_sd - log_sd))
            kl = 0.5 * (change**2 + ratio - 1) - (own_log_sd - log_sd)
            kls.append(kl.flatten(1).sum(1))
            return own_mean + torch.exp(own_log_sd) * standard_normal(mean, generator)

        decoded = torch.sigmoid(self.decoder.run(len(images), choose))
        error = (decoded - images).square().flatten(1).sum(1)
        return error / (2 * self.config.deviation**2), torch.stack(kls, 1)


def _bounded(log_sd: torch.Tensor) -> torch.Tensor:
    """Return a log deviation in (-5, 5), and nearly itself around 0."""
    return 5 * torch.tanh(log_sd / 5)


MODELS.register("hierarchical-vae")(ModelKind(HierarchicalDecoder, HierarchicalVAEConfig))
