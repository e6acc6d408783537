"""Random variations of training images.

All functions take images, float32 in [0, 1], (B, C, H, W), and a generator, and return images of
the same shape; each image is varied by itself.
"""

import math

import torch
import torch.nn.functional as F


def mirrored(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image, left to right, with probability 1/2."""
    flip = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to an eighth of its side, differentiably; 0 comes in from outside.

    This is the translation of DiffAugment (Zhao et al., 2020) alone. With its colours and its
    cut-out square as well, faces were farther from real ones after equally many first steps.
    """
    n, _, size, _ = images.shape
    reach = size // 8
    u = torch.rand(2, n, generator=generator)
    shift = torch.floor(u * (2 * reach + 1)) - reach
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    theta[:, :, 2] = shift.T * 2 / size
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


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
    u = torch.rand(5, n, generator=generator) * 2 - 1
    angle, scale = u[0] * math.radians(turn), 1 + u[1] * zoom
    flip = torch.sign(u[4])
    row_x = torch.stack([scale * flip * angle.cos(), -scale * angle.sin(), 2 * shift * u[2]], 1)
    row_y = torch.stack([scale * flip * angle.sin(), scale * angle.cos(), 2 * shift * u[3]], 1)
    grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def relit(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast and the balance of the colours of each image."""
    u = torch.rand(len(images), 5, 1, 1, generator=generator) * 2 - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + 0.25 * u[:, :1]) + mean + 0.12 * u[:, 1:2]
    return (images + 0.04 * u[:, 2:]).clamp(0, 1)


def covered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cover a square (up to 0.3 of the side) of half of the images with grey."""
    n, _, height, width = images.shape
    u = torch.rand(4, n, 1, 1, generator=generator)
    half = 0.15 * u[0] * (u[1] < 0.5)
    y, x = torch.arange(height) / height, torch.arange(width) / width
    near = ((y[:, None] - u[2]).abs() < half) & ((x - u[3]).abs() < half)
    return torch.where(near[:, None], 0.5, images)


def coarsened(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Bring half of the images to half their resolution, and half of those to 5 bits."""
    n, size = len(images), images.shape[-1]
    u = torch.rand(2, n, 1, 1, 1, generator=generator)
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    small = torch.where(u[1] < 0.5, torch.floor(small * 255 / 8).clamp(0, 31) / 31, small)
    large = F.interpolate(small, size=(size, size), mode="bilinear")
    return torch.where(u[0] < 0.5, large, images)
