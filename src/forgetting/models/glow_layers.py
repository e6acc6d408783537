"""The sizes and the layers of a Glow: mixing, coupling, steps of flow and blocks."""

import contextlib
from typing import Literal

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.foundation.devices import as_float64
from forgetting.foundation.precision import autocast_context
from forgetting.models.shared import MOST_CHANNELS, MOST_HALVINGS, MOST_PIXELS, Sizes


class GlowConfig(Sizes):
    """Sizes of a Glow.

    The paper has images of 3 x 128 x 128, K = 32, L = 4, width 512, additive coupling and 5 bits.
    """

    channels: int = Field(1, ge=1, le=MOST_CHANNELS)
    image_size: int = Field(
        32, ge=2, le=MOST_PIXELS, description="pixels; a multiple of 2**n_blocks"
    )
    n_steps: int = Field(16, ge=1, description="steps of flow in each block, K")
    n_blocks: int = Field(3, ge=1, le=MOST_HALVINGS, description="number of blocks, L")
    width: int = Field(128, ge=1, description="channels inside the coupling networks")
    coupling: Literal["additive", "affine"] = "additive"
    n_bits: int = Field(5, ge=1, le=8, description="bits of a quantised value")


def _float32(x: torch.Tensor) -> contextlib.AbstractContextManager[object]:
    """Return a context in which an autocast of the caller does not apply.

    Everything but the coupling networks stays in float32. These hold nearly all of the work, and
    the determinant of an additive coupling does not depend on its network.
    """
    return autocast_context("float32", x.device)


class ZeroConv2d(nn.Module):
    """A 3x3 convolution with zero weights at the start, padding of ones and gain exp(3 scale)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3)
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)
        self.scale = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        gain = torch.exp(3 * self.scale)
        weight = self.conv.weight * gain[:, None, None, None]
        assert self.conv.bias is not None
        return F.conv2d(F.pad(x, (1, 1, 1, 1), value=1.0), weight, self.conv.bias * gain)


class Mixing(nn.Module):
    """Actnorm and an invertible 1x1 convolution, applied as one affine map.

    y = W diag(exp(log_scale)) (x + bias), with W = P (L + I) (U + diag(sign exp(log_s))).
    """

    permutation: torch.Tensor
    sign: torch.Tensor

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
        """Set bias and scale so that x, (B, C, H, W), is normalised to mean 0 and deviation 1."""
        std, mean = torch.std_mean(x, dim=(0, 2, 3), correction=0)
        self.bias.data.copy_(-mean)
        self.log_scale.data.copy_(-torch.log(std + 1e-6))

    def matrix(self) -> torch.Tensor:
        """Return the matrix W diag(exp(log_scale)), (C, C)."""
        eye = torch.eye(len(self.bias), device=self.bias.device)
        lower = torch.tril(self.lower, -1) + eye
        upper = torch.triu(self.upper, 1) + torch.diag(self.sign * torch.exp(self.log_s))
        return self.permutation @ lower @ upper * torch.exp(self.log_scale)

    def log_det(self) -> torch.Tensor:
        """Return log |det| of the map at one pixel, scalar."""
        return self.log_s.sum() + self.log_scale.sum()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x to y, both (B, C, H, W)."""
        with _float32(x):
            matrix = self.matrix()
            return F.conv2d(x, matrix[:, :, None, None], matrix @ self.bias)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Map y back to x, both (B, C, H, W)."""
        with _float32(y):
            inverse = torch.linalg.inv(as_float64(self.matrix())).to(y)
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
            weight, bias = layer.parameters()
            nn.init.normal_(weight, 0, 0.05)
            nn.init.zeros_(bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Map x to y, both (B, C, H, W).

        Returns
        -------
        y : Tensor, (B, C, H, W)
            The result.
        log_det : Tensor, (B,), or None
            log |det| for each image; None if it is zero.
        """
        a, b = x.chunk(2, 1)
        if not self.affine:
            return torch.cat([a, b + self.network(a)], 1), None
        log_s, t = self.network(a).to(a.dtype).chunk(2, 1)
        log_gain = F.logsigmoid(log_s + 2)
        return torch.cat([a, (b + t) * torch.exp(log_gain)], 1), log_gain.flatten(1).sum(1)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Map y back to x, both (B, C, H, W)."""
        a, b = y.chunk(2, 1)
        if not self.affine:
            return torch.cat([a, b - self.network(a)], 1)
        log_s, t = self.network(a).chunk(2, 1)
        return torch.cat([a, b / torch.sigmoid(log_s + 2) - t], 1)


class Step(nn.Module):
    """One step of flow: a mixing, then a coupling."""

    def __init__(self, channels: int, config: GlowConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.mixing = Mixing(channels, generator)
        self.coupling = Coupling(channels, config.width, config.coupling == "affine")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map x to y, both (B, C, H, W).

        Returns
        -------
        y : Tensor, (B, C, H, W)
            The result.
        log_det : Tensor, (B,) or scalar
            log |det| for each image; a scalar if it is the same for all.
        """
        y, gain = self.coupling(self.mixing(x))
        log_det = self.mixing.log_det() * (x.shape[2] * x.shape[3])
        return y, log_det if gain is None else log_det + gain

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Map y back to x, both (B, C, H, W)."""
        return self.mixing.inverse(self.coupling.inverse(y))


class Block(nn.Module):
    """K steps of flow after a squeeze, and the prior of the channels that leave after them.

    Half of the channels leave after a block with a split, and all of them after the last block.
    """

    def __init__(
        self, channels: int, config: GlowConfig, split: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        squeezed = channels * 4
        self.split = split
        self.steps = nn.ModuleList(
            Step(squeezed, config, generator) for _ in range(config.n_steps)
        )
        n_staying = squeezed // 2 if split else squeezed
        self.prior = ZeroConv2d(n_staying, squeezed if split else squeezed * 2)

    def in_order(self) -> list[Step]:
        """Return the steps in the order in which they encode."""
        return [step for step in self.steps if isinstance(step, Step)]

    def parameters_of_prior(self, staying: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log standard deviation of the leaving channels, given the staying ones.

        Nothing stays after the last block: of its argument only the shape counts.
        """
        with _float32(staying):
            condition = staying if self.split else torch.zeros_like(staying)
            mean, log_sd = self.prior(condition).chunk(2, 1)
            return mean, log_sd
