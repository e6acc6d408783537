"""Which images are nearly equal to others: one photograph in two files, shifted or mirrored.

Images are compared at 16 px, each without its mean. Of 3,000 photographs of LFW and of CelebA and
4,000 digits no two different ones were nearer than a tenth of the distance of two random ones.
Copies at JPEG's quality 75 were nearer, but for a few of 32 px.
"""

import itertools

import torch
import torch.nn.functional as F

NEAR = 0.1
"""Distance of two images up to which they are nearly equal, as a part of that of random pairs."""

SIDE = 16
"""Pixels to which images are brought."""

BATCH = 256
"""Images that are compared with all others at a time."""

ROUNDED = 1e-6
"""Squared distance that rounding makes: flat images, which have no contrast, are left out."""


def near_copies(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return which images are nearly equal to one of others, bool (N,).

    An image may be mirrored, or shifted by a pixel in any direction.

    Parameters
    ----------
    images, others : Tensor, (N, C, H, W) and (M, C, H, W)
        Floats, or uint8.
    """
    known = _small(others)
    known_sizes = known.square().sum(1)
    limit = NEAR**2 * _of_random_pairs(known)
    is_near = torch.zeros(len(images), dtype=torch.bool)
    for place in range(0, len(images), BATCH):
        for variant in _variants(images[place : place + BATCH]):
            sought = _small(variant)
            sizes = sought.square().sum(1)[:, None] + known_sizes
            distances = sizes - 2 * sought @ known.T + ROUNDED
            is_near[place : place + BATCH] |= (distances < limit * sizes).any(1)
    return is_near


def _of_random_pairs(small: torch.Tensor) -> float:
    """Return the median squared distance of random pairs, as a part of their own squares."""
    order = torch.randperm(len(small), generator=torch.Generator().manual_seed(0))
    pairs = small, small[order]
    sizes = sum(part.square().sum(1) for part in pairs)
    distances = (pairs[0] - pairs[1]).square().sum(1)
    return float((distances / (sizes + ROUNDED)).median())


def _variants(images: torch.Tensor) -> list[torch.Tensor]:
    """Return images mirrored, and as they are and shifted by a pixel."""
    shifts = itertools.product((-1, 0, 1), repeat=2)
    return [images.flip(3), *(images.roll(shift, (2, 3)) for shift in shifts)]


def _small(images: torch.Tensor) -> torch.Tensor:
    """Return images of `SIDE` px without their means, (N, D); smaller ones keep their size."""
    values = images.float() / 255 if images.dtype == torch.uint8 else images
    height, width = (min(SIDE, side) for side in images.shape[2:])
    small = F.adaptive_avg_pool2d(values, (height, width)).flatten(1)
    return small - small.mean(1, keepdim=True)
