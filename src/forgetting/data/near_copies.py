"""Which images are nearly equal to others: one photograph in two files, changed a little.

Images are compared at 16 px in grey, each without its mean and its contrast, so that a copy may be
grey, lighter, or have its channels exchanged. Of 2,000 photographs of CelebA, 2,000 of LFW and
4,000 digits no two different ones counted as copies, however they were turned. Grey copies, and
those cropped by a tenth or shifted, were found at 0.88 and more, digits cropped by a tenth at
0.24.
"""

import itertools

import torch
import torch.nn.functional as F

NEAR = 0.1
"""Distance of two images up to which they are nearly equal, as a part of that of random pairs."""

TENTH = 0.1
"""Share of random pairs that may be as near: those of one kind, where images are of several."""

SIDE = 16
"""Pixels to which images are brought."""

BATCH = 256
"""Images that are compared with all others at a time."""

FLAT = 1e-3
"""Contrast below which an image is flat, and like no other."""

ZOOMS = (0.95, 0.9)
"""Sides of the middle squares to which an image may be cropped."""

SHIFT, LARGE, SMALL = 2, 32, 6
"""Pixels by which an image may be shifted, and side from which; smaller ones by one or none.

What a shift moves out of an image, and into it, is left out of all.
"""


def near_copies(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return which images are nearly equal to one of others, bool (N,).

    An image may be mirrored, turned by quarters, shifted by up to two pixels in any direction, or
    cropped about its middle by up to a tenth; it may be grey, or in other colours.

    Parameters
    ----------
    images, others : Tensor, (N, C, H, W) and (M, C, H, W)
        Floats, or uint8.
    """
    others = _grey(others)
    known = _small(_middle(others))
    cropped = [_small(_middle(_zoomed(others, zoom))) for zoom in ZOOMS]
    limit = NEAR**2 * _of_random_pairs(known)
    is_near = torch.zeros(len(images), dtype=torch.bool)
    for place in range(0, len(images), BATCH):
        part = _grey(images[place : place + BATCH])
        sought = [(variant, known) for variant in _variants(part)]
        sought += [(_middle(part), crops) for crops in cropped]
        for variant, references in sought:
            distances = 2 - 2 * _small(variant) @ references.T
            is_near[place : place + BATCH] |= (distances < limit).any(1)
    return is_near


def _of_random_pairs(small: torch.Tensor) -> float:
    """Return the squared distance below which a tenth of random pairs are, in a set of kinds."""
    order = torch.randperm(len(small), generator=torch.Generator().manual_seed(0))
    return float((small - small[order]).square().sum(1).quantile(TENTH))


def _variants(images: torch.Tensor) -> list[torch.Tensor]:
    """Return the middles of images: mirrored, turned, shifted by every step, and cropped."""
    steps = range(2 * _margin(images) + 1)
    shifted = [_window(images, *step) for step in itertools.product(steps, repeat=2)]
    cropped = [_middle(_zoomed(images, zoom)) for zoom in ZOOMS]
    is_square = images.shape[2] == images.shape[3]
    turned = [
        images.rot90(quarters, (2, 3)) for quarters in ((0, 1, 2, 3) if is_square else (0, 2))
    ]
    mirrored = [image.flip(3) for image in turned]
    return [*map(_middle, turned[1:] + mirrored), *shifted, *cropped]


def _zoomed(images: torch.Tensor, zoom: float) -> torch.Tensor:
    """Return the middle squares of images, as a part of their sides, at the images' size."""
    rows = torch.tensor([[zoom, 0.0, 0.0], [0.0, zoom, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _margin(images: torch.Tensor) -> int:
    """Return by how many pixels images may be shifted."""
    side = min(images.shape[2:])
    return SHIFT if side >= LARGE else int(side >= SMALL)


def _window(images: torch.Tensor, top: int, left: int) -> torch.Tensor:
    """Return images without twice their margin, from a row and a column on."""
    height, width = (side - 2 * _margin(images) for side in images.shape[2:])
    return images[..., top : top + height, left : left + width]


def _middle(images: torch.Tensor) -> torch.Tensor:
    """Return images without their margin on all sides."""
    return _window(images, _margin(images), _margin(images))


def _grey(images: torch.Tensor) -> torch.Tensor:
    """Return the mean of the channels, float32 (N, 1, H, W) in [0, 1]."""
    values = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return values.mean(1, keepdim=True)


def _small(images: torch.Tensor) -> torch.Tensor:
    """Return grey images of `SIDE` px of mean 0 and length 1, (N, D); flat ones are 0."""
    height, width = (min(SIDE, side) for side in images.shape[2:])
    small = F.adaptive_avg_pool2d(images, (height, width)).flatten(1)
    small = small - small.mean(1, keepdim=True)
    contrast = small.square().mean(1, keepdim=True).sqrt()
    return torch.where(contrast > FLAT, F.normalize(small, dim=1), torch.zeros_like(small))
