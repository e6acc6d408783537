"""Glow (Kingma and Dhariwal, 2018) as *Taming Normalizing Flows* configures it.

K steps of actnorm, invertible 1x1 convolution (LU form) and coupling in each of L blocks; half of
the channels leave after every block but the last, under learned conditional Gaussian priors.
"""

import math
from typing import Literal

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from forgetting.adapters import AtTemperature as AtTemperature  # for callers of the old place
from forgetting.adapters import Noise
from forgetting.models import MODELS, ModelKind

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _float32(x: torch.Tensor) -> torch.autocast:
    """Keep what decides the likelihood in float32 when the caller trains under autocast.

    Only the coupling networks, which hold nearly all of the work, then run in bfloat16: an
    additive coupling has the same determinant whatever its network says.
    """
    return torch.autocast(x.device.type, enabled=False)


SAMPLED_AT_ONCE = 64
"""A larger batch leaves the cache: a third slower at 256."""


class GlowConfig(BaseModel):
    """Sizes of a Glow. The paper: 3 x 128 x 128, K = 32, L = 4, width 512, additive, 5 bits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(1, ge=1)
    image_size: int = Field(32, ge=2, description="pixels; a multiple of 2**n_blocks")
    n_steps: int = Field(16, ge=1, description="K, steps of flow in each block")
    n_blocks: int = Field(3, ge=1, description="L")
    width: int = Field(128, ge=1, description="channels inside the coupling networks")
    coupling: Literal["additive", "affine"] = "additive"
    n_bits: int = Field(5, ge=1, le=8, description="bits a channel is quantised to")


class ZeroConv2d(nn.Module):
    """A 3x3 convolution that starts at zero, padded with ones, scaled by exp(3 scale)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)
        self.scale = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gain = torch.exp(3 * self.scale)
        weight = self.conv.weight * gain[:, None, None, None]
        return F.conv2d(F.pad(x, (1, 1, 1, 1), value=1.0), weight, self.conv.bias * gain)


class Mixing(nn.Module):
    """Actnorm and an invertible 1x1 convolution, applied as the one affine map that they are.

    y = W diag(exp(log_scale)) (x + bias), with W = P (L + I) (U + diag(sign exp(log_s))).
    """

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels, generator=generator))
        permutation, lower, upper = scipy.linalg.lu(rotation.double().numpy())
        diagonal = np.diag(upper)
        self.register_buffer("permutation", torch.from_numpy(permutation).float())
        self.register_buffer("sign", torch.from_numpy(np.sign(diagonal)).float())
        self.lower = nn.Parameter(torch.from_numpy(np.tril(lower, -1)).float())
        self.upper = nn.Parameter(torch.from_numpy(np.triu(upper, 1)).float())
        self.log_s = nn.Parameter(torch.from_numpy(np.log(np.abs(diagonal))).float())

    def initialise(self, x: torch.Tensor) -> None:
        """Set bias and scale so that the normalised activations of x have mean 0, deviation 1."""
        std, mean = torch.std_mean(x, dim=(0, 2, 3), correction=0)
        self.bias.data.copy_(-mean)
        self.log_scale.data.copy_(-torch.log(std + 1e-6))

    def matrix(self) -> torch.Tensor:
        """Return the (C, C) matrix W diag(exp(log_scale))."""
        eye = torch.eye(len(self.bias), device=self.bias.device)
        lower = torch.tril(self.lower, -1) + eye
        upper = torch.triu(self.upper, 1) + torch.diag(self.sign * torch.exp(self.log_s))
        return self.permutation @ lower @ upper * torch.exp(self.log_scale)

    def log_det(self) -> torch.Tensor:
        """Return log |det| of the map at one pixel, a scalar."""
        return self.log_s.sum() + self.log_scale.sum()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with _float32(x):
            matrix = self.matrix()
            return F.conv2d(x, matrix[:, :, None, None], matrix @ self.bias)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        with _float32(y):
            inverse = torch.linalg.inv(self.matrix().double()).to(y.dtype)
            return F.conv2d(y, inverse[:, :, None, None], -self.bias)


class Coupling(nn.Module):
    """Additive (b + t) or affine ((b + t) sigmoid(s + 2)) coupling of two halves."""

    def __init__(self, channels: int, width: int, affine: bool) -> None:
        super().__init__()
        self.affine = affine
        half = channels // 2
        self.network = nn.Sequential(
            nn.Conv2d(half, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            ZeroConv2d(width, channels if affine else half),
        )
        for layer in (self.network[0], self.network[2]):
            nn.init.normal_(layer.weight, 0, 0.05)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return y, (B, C, H, W), and log |det| per image, (B,), or None where it is zero."""
        a, b = x.chunk(2, 1)
        if not self.affine:
            return torch.cat([a, b + self.network(a)], 1), None
        log_s, t = self.network(a).to(a.dtype).chunk(2, 1)
        log_gain = F.logsigmoid(log_s + 2)
        return torch.cat([a, (b + t) * torch.exp(log_gain)], 1), log_gain.flatten(1).sum(1)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        a, b = y.chunk(2, 1)
        if not self.affine:
            return torch.cat([a, b - self.network(a)], 1)
        log_s, t = self.network(a).chunk(2, 1)
        return torch.cat([a, b / torch.sigmoid(log_s + 2) - t], 1)


class Step(nn.Module):
    """One step of flow: mixing, then coupling."""

    def __init__(self, channels: int, config: GlowConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.mixing = Mixing(channels, generator)
        self.coupling = Coupling(channels, config.width, config.coupling == "affine")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return y and log |det|: (B,), or a scalar where every image has the same."""
        y, gain = self.coupling(self.mixing(x))
        log_det = self.mixing.log_det() * (x.shape[2] * x.shape[3])
        return y, log_det if gain is None else log_det + gain

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        return self.mixing.inverse(self.coupling.inverse(y))


class Block(nn.Module):
    """Squeeze, K steps, and (but for the last block) a split; with the prior of what leaves."""

    def __init__(
        self, channels: int, config: GlowConfig, split: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        squeezed = channels * 4
        self.split = split
        self.steps = nn.ModuleList(
            Step(squeezed, config, generator) for _ in range(config.n_steps)
        )
        kept = squeezed // 2 if split else squeezed
        self.prior = ZeroConv2d(kept, squeezed if split else squeezed * 2)

    def parameters_of_prior(self, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log standard deviation of what leaves, given what stays."""
        with _float32(kept):
            return self.prior(kept if self.split else torch.zeros_like(kept)).chunk(2, 1)


class Glow(nn.Module):
    """A flow on images: exact log-likelihood, sampling, and a latent that reproduces the image.

    A latent is a flat standard-normal tensor (B, latent_dim), the split parts in the order in
    which they leave; `forward` decodes it, so a Glow is a generator as well as a flow.

    Parameters
    ----------
    config : sizes
    seed : of the initial weights
    """

    def __init__(self, config: GlowConfig, seed: int = 0) -> None:
        super().__init__()
        size, factor = config.image_size, 2**config.n_blocks
        if size % factor:
            raise ValueError(f"image_size {size} is not a multiple of 2**n_blocks = {factor}")
        self.config = config
        self.n_bits = config.n_bits
        generator = torch.Generator().manual_seed(seed)
        blocks, channels = [], config.channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for level in range(config.n_blocks):
                split = level < config.n_blocks - 1
                blocks.append(Block(channels, config, split, generator))
                channels = channels * 4 // (2 if split else 1)
        self.blocks = nn.ModuleList(blocks)
        self.to(memory_format=torch.channels_last)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return (self.config.channels, self.config.image_size, self.config.image_size)

    @property
    def latent_dim(self) -> int:
        """Number of latents, which is the number of values in an image."""
        return math.prod(self.image_shape)

    def quantise(self, images: torch.Tensor) -> torch.Tensor:
        """Return what `forward` decoded, (B, C, H, W), with each value at the level of its bin.

        There are 2**n_bits levels in [0, 1]; the values that share a bin lie around its level.
        """
        top = 2**self.n_bits - 1
        return torch.round(images * top) / top

    def log_prob(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the log-density of each image.

        Parameters
        ----------
        images : float32 in [0, 1], (B, C, H, W)
        noise : where in its quantisation bin each value lies: a tensor in [0, 1) of the images'
            shape, a generator to draw it from, or None for the centre of the bin

        Returns
        -------
        (B,) nats of the image in [0, 1] units
        """
        parts, log_det = self._encode(self._dequantise(images, noise))
        log_p = log_det
        for z, mean, log_sd in parts:
            log_p = log_p + _gaussian_log_prob(z, mean, log_sd).flatten(1).sum(1)
        return log_p

    def encode(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the latents (B, latent_dim) of images (B, C, H, W) in [0, 1]."""
        parts, _ = self._encode(self._dequantise(images, noise))
        return torch.cat(
            [((z - mean) * torch.exp(-log_sd)).flatten(1) for z, mean, log_sd in parts], dim=1
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1], differentiably."""
        levels = 2**self.n_bits
        values = (self._decode(latents) + 0.5 - 0.5 / levels) * levels / (levels - 1)
        return values.clamp(0, 1)

    def sample(
        self, n: int, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Draw n images (n, C, H, W) in [0, 1], quantised; latents are N(0, temperature^2)."""
        device = next(self.parameters()).device
        latents = torch.randn(n, self.latent_dim, generator=generator)
        with torch.no_grad():
            images = [
                self(part.to(device) * temperature) for part in latents.split(SAMPLED_AT_ONCE)
            ]
            return self.quantise(torch.cat(images))

    @torch.no_grad()
    def initialise(self, images: torch.Tensor, noise: Noise = None) -> None:
        """Set every actnorm from a batch of images (B, C, H, W), as Glow's first step does."""
        x = self._dequantise(images, noise)
        for block in self.blocks:
            x = _squeeze(x)
            for step in block.steps:
                step.mixing.initialise(x)
                x, _ = step(x)
            x = x.chunk(2, 1)[0] if block.split else x

    def _levels(self, images: torch.Tensor) -> torch.Tensor:
        return torch.floor(torch.round(images * 255) / 2 ** (8 - self.n_bits))

    def _dequantise(self, images: torch.Tensor, noise: Noise) -> torch.Tensor:
        if images.ndim != 4 or tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"this Glow takes images of shape (B, {', '.join(map(str, self.image_shape))}), "
                f"not {tuple(images.shape)}"
            )
        if not images.is_floating_point() or images.min() < 0 or images.max() > 1:
            raise ValueError(
                f"this Glow takes float images in [0, 1], not {images.dtype} from "
                f"{images.min().item():g} to {images.max().item():g}"
            )
        if isinstance(noise, torch.Generator):
            noise = torch.rand(images.shape, generator=noise).to(images.device)
        elif noise is None:
            noise = 0.5
        values = (self._levels(images) + noise) / 2**self.n_bits - 0.5
        return values.contiguous(memory_format=torch.channels_last)

    def _encode(
        self, x: torch.Tensor
    ) -> tuple[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]], torch.Tensor]:
        """Return (z, mean, log_sd) of each block and log |det| per image, (B,)."""
        parts, log_det = [], x.new_zeros(len(x))
        for block in self.blocks:
            x = _squeeze(x)
            for step in block.steps:
                x, change = step(x)
                log_det = log_det + change
            x, z = x.chunk(2, 1) if block.split else (x, x)
            parts.append((z, *block.parameters_of_prior(x)))
        return parts, log_det

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        shapes, channels, size = [], self.config.channels, self.config.image_size
        for block in self.blocks:
            size //= 2
            channels = channels * 4 // (2 if block.split else 1)
            shapes.append((channels, size, size))
        sizes = [math.prod(shape) for shape in shapes]
        parts = [
            part.reshape(-1, *shape)
            for part, shape in zip(latents.split(sizes, dim=1), shapes, strict=True)
        ]
        x = None
        for block, eps in zip(reversed(self.blocks), reversed(parts), strict=True):
            eps = eps.contiguous(memory_format=torch.channels_last)
            mean, log_sd = block.parameters_of_prior(eps if x is None else x)
            z = mean + torch.exp(log_sd) * eps
            x = z if x is None else torch.cat([x, z], 1)
            for step in reversed(block.steps):
                x = step.inverse(x)
            x = _unsqueeze(x)
        return x


def _gaussian_log_prob(z: torch.Tensor, mean: torch.Tensor, log_sd: torch.Tensor) -> torch.Tensor:
    return -HALF_LOG_2PI - log_sd - 0.5 * ((z - mean) * torch.exp(-log_sd)) ** 2


def _squeeze(x: torch.Tensor) -> torch.Tensor:
    return F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)


def _unsqueeze(x: torch.Tensor) -> torch.Tensor:
    return F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last)


MODELS.register("glow")(ModelKind(Glow, GlowConfig))
