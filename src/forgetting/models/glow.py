"""Glow (Kingma and Dhariwal, 2018) as *Taming Normalizing Flows* configures it.

K steps of actnorm, invertible 1x1 convolution (LU form) and coupling in each of L blocks; half of
the channels leave after every block but the last, under learned conditional Gaussian priors.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.border.contracts import Noise
from forgetting.foundation.devices import fast_layout
from forgetting.foundation.progress import tracked
from forgetting.models import MODELS, ModelKind
from forgetting.models.glow_layers import Block, GlowConfig
from forgetting.models.shared import SAMPLED_AT_ONCE, own_seed

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Glow(nn.Module):
    """A normalizing flow on images, with an exact likelihood and a latent for every image.

    A latent is a flat standard-normal tensor (B, latent_dim) that holds the channels in the order
    in which they leave. `forward` decodes it, so a Glow is a generator as well as a flow.

    Attributes
    ----------
    config : GlowConfig
        Its sizes.
    n_bits : int
        Images are quantised to 2**n_bits levels.
    """

    def __init__(self, config: GlowConfig, seed: int = 0) -> None:
        """Build a Glow with random weights from a seed.

        Raises
        ------
        ValueError
            The size of the image is not a multiple of 2**n_blocks.
        """
        super().__init__()
        size, factor = config.image_size, 2**config.n_blocks
        if size % factor:
            raise ValueError(f"image_size {size} is not a multiple of 2**n_blocks = {factor}")
        self.config = config
        self.n_bits = config.n_bits
        generator = torch.Generator().manual_seed(seed)
        blocks, channels = [], config.channels
        with own_seed(seed):
            for level in range(config.n_blocks):
                split = level < config.n_blocks - 1
                blocks.append(Block(channels, config, split, generator))
                channels = channels * 4 // (2 if split else 1)
        self.blocks = nn.ModuleList(blocks)
        self.to(memory_format=torch.channels_last)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of an image."""
        return (self.config.channels, self.config.image_size, self.config.image_size)

    @property
    def latent_dim(self) -> int:
        """Dimension of a latent, which is the number of values in an image."""
        return math.prod(self.image_shape)

    def quantise(self, images: torch.Tensor) -> torch.Tensor:
        """Round decoded images (B, C, H, W) in [0, 1] to the 2**n_bits levels.

        The level of a bin is the middle of the decoded values in it.
        """
        top = 2**self.n_bits - 1
        return torch.round(images * top) / top

    def log_prob(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the log-density of each image.

        Parameters
        ----------
        images : Tensor, (B, C, H, W)
            In [0, 1], float32.
        noise : Tensor, torch.Generator or None
            The place of each value in its quantisation bin: a tensor in [0, 1) of the images'
            shape, a generator from which it is drawn, or None for the centre of the bin.

        Returns
        -------
        Tensor, (B,)
            Nats of the image in [0, 1] units.

        Raises
        ------
        ValueError
            The images have another shape, or are not floats in [0, 1].
        """
        parts, log_det = self._encode(self._dequantise(images, noise))
        log_p = log_det
        for z, mean, log_sd in parts:
            log_p = log_p + _gaussian_log_prob(z, mean, log_sd).flatten(1).sum(1)
        return log_p

    def encode(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the latents (B, latent_dim) of images (B, C, H, W) in [0, 1].

        `noise` and the errors are those of `log_prob`.
        """
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
        """Draw quantised images (n, C, H, W) in [0, 1] from latents N(0, temperature^2).

        The noise comes from `generator`, or from torch's global generator if it is None.
        """
        device = next(self.parameters()).device
        latents = torch.randn(n, self.latent_dim, generator=generator, device="cpu")
        with torch.no_grad():
            images = [
                self(part.to(device) * temperature)
                for part in tracked(latents.split(SAMPLED_AT_ONCE), "sampling")
            ]
            return self.quantise(torch.cat(images))

    @torch.no_grad()
    def initialise(self, images: torch.Tensor, noise: Noise = None) -> None:
        """Set every actnorm from a batch of images (B, C, H, W), before training begins.

        `noise` is that of `log_prob`.
        """
        x = self._dequantise(images, noise)
        for block in self._blocks():
            x = _squeeze(x)
            for step in block.in_order():
                step.mixing.initialise(x)
                x, _ = step(x)
            x = x.chunk(2, 1)[0] if block.split else x

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

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
            noise = torch.rand(images.shape, generator=noise, device=noise.device)
        place = 0.5 if noise is None else noise.to(images.device)
        values = (self._levels(images) + place) / 2**self.n_bits - 0.5
        return fast_layout(values)

    def _encode(
        self, x: torch.Tensor
    ) -> tuple[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]], torch.Tensor]:
        """Return (z, mean, log_sd) of each block, and log |det| of each image, (B,)."""
        parts, log_det = [], x.new_zeros(len(x))
        for block in self._blocks():
            x = _squeeze(x)
            for step in block.steps:
                x, change = step(x)
                log_det = log_det + change
            x, z = x.chunk(2, 1) if block.split else (x, x)
            parts.append((z, *block.parameters_of_prior(x)))
        return parts, log_det

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        shapes, channels, size = [], self.config.channels, self.config.image_size
        for block in self._blocks():
            size //= 2
            channels = channels * 4 // (2 if block.split else 1)
            shapes.append((channels, size, size))
        sizes = [math.prod(shape) for shape in shapes]
        parts = [
            part.reshape(-1, *shape)
            for part, shape in zip(latents.split(sizes, dim=1), shapes, strict=True)
        ]
        x: torch.Tensor | None = None
        for block, eps in zip(reversed(self._blocks()), reversed(parts), strict=True):
            eps = fast_layout(eps)
            mean, log_sd = block.parameters_of_prior(eps if x is None else x)
            z = mean + torch.exp(log_sd) * eps
            x = z if x is None else torch.cat([x, z], 1)
            for step in reversed(block.in_order()):
                x = step.inverse(x)
            x = _unsqueeze(x)
        assert x is not None
        return x


def _gaussian_log_prob(z: torch.Tensor, mean: torch.Tensor, log_sd: torch.Tensor) -> torch.Tensor:
    return -HALF_LOG_2PI - log_sd - 0.5 * ((z - mean) * torch.exp(-log_sd)) ** 2


def _squeeze(x: torch.Tensor) -> torch.Tensor:
    return fast_layout(F.pixel_unshuffle(x, 2))


def _unsqueeze(x: torch.Tensor) -> torch.Tensor:
    return fast_layout(F.pixel_shuffle(x, 2))


MODELS.register("glow")(ModelKind(Glow, GlowConfig, loss_unit="bits/dim"))
