"""Random variations of training images.

All functions take images, float32 in [0, 1], (B, C, H, W), and a generator, and return images of
the same shape; each image is varied by itself.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

Variation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def unvaried(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the images as they are."""
    return images


def mirrored(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image, left to right, with probability 1/2."""
    flip = _uniform((len(images), 1, 1, 1), images, generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to an eighth of its side, differentiably; 0 comes in from outside.

    This is the translation of DiffAugment (Zhao et al., 2020).
    """
    n, _, size, _ = images.shape
    reach = size // 8
    u = _uniform((2, n), images, generator)
    shift = torch.floor(u * (2 * reach + 1)) - reach
    theta = torch.eye(2, 3, device=images.device).repeat(n, 1, 1)
    theta[:, :, 2] = shift.T * 2 / size
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def recoloured_and_shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Vary brightness, saturation and contrast of each image, then shift it, differentiably.

    These are the colours and the translation of DiffAugment (Zhao et al., 2020). Values are not
    clamped, so that every pixel has a gradient.
    """
    u = _uniform((3, len(images), 1, 1, 1), images, generator)
    images = images + (u[0] - 0.5) / 2
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * 2 * u[1]
    mean = images.mean((1, 2, 3), keepdim=True)
    return shifted(mean + (images - mean) * (0.5 + u[2]), generator)


def warped(
    images: torch.Tensor, generator: torch.Generator, shift: float, zoom: float, turn: float
) -> torch.Tensor:
    """Mirror, shift, zoom and turn each image.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
        Images in [0, 1].
    generator : Generator
        From which the variations are drawn.
    shift : float
        Largest shift, as a share of the side.
    zoom : float
        Largest change of the scale, as a share.
    turn : float
        Largest angle, in degrees.
    """
    n = len(images)
    u = _uniform((5, n), images, generator) * 2 - 1
    angle, scale = u[0] * math.radians(turn), 1 + u[1] * zoom
    flip = torch.sign(u[4])
    row_x = torch.stack([scale * flip * angle.cos(), -scale * angle.sin(), 2 * shift * u[2]], 1)
    row_y = torch.stack([scale * flip * angle.sin(), scale * angle.cos(), 2 * shift * u[3]], 1)
    grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def relit(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast and the balance of the colours of each image."""
    u = _uniform((len(images), 5, 1, 1), images, generator) * 2 - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + 0.25 * u[:, :1]) + mean + 0.12 * u[:, 1:2]
    return (images + 0.04 * u[:, 2:]).clamp(0, 1)


def covered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cover a square (up to 0.3 of the side) of half of the images with grey."""
    n, _, height, width = images.shape
    u = _uniform((4, n, 1, 1), images, generator)
    half = 0.15 * u[0] * (u[1] < 0.5)
    y = torch.arange(height, device=images.device) / height
    x = torch.arange(width, device=images.device) / width
    near = ((y[:, None] - u[2]).abs() < half) & ((x - u[3]).abs() < half)
    return torch.where(near[:, None], 0.5, images)


def coarsened(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Bring half of the images to half their resolution, and half of those to 5 bits."""
    n, size = len(images), images.shape[-1]
    u = _uniform((2, n, 1, 1, 1), images, generator)
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    small = torch.where(u[1] < 0.5, torch.floor(small * 255 / 8).clamp(0, 31) / 31, small)
    large = F.interpolate(small, size=(size, size), mode="bilinear")
    return torch.where(u[0] < 0.5, large, images)


def _uniform(
    shape: tuple[int, ...], images: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return uniform random numbers, drawn where the generator lives, beside the images."""
    return torch.rand(shape, generator=generator, device=generator.device).to(images.device)
