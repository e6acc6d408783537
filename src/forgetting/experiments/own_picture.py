"""A picture of a model's samples before and after, as a folder of its owner holds it."""

import torch

LEAST_SIDE = 64
"""Pixels that a sample has in a picture at least; smaller ones are enlarged."""


def picture(shown: torch.Tensor) -> torch.Tensor:
    """Return rows of images as one picture, in which a pixel of small images is a square.

    Parameters
    ----------
    shown : Tensor
        (R, N, C, H, W), in [0, 1].

    Returns
    -------
    Tensor
        Uint8, (R * k * H, N * k * W, 3). The whole number k is 1 for images of at least 64 px,
        and brings smaller ones to at least 64.
    """
    rows, n, channels, height, width = shown.shape
    images = (shown.clamp(0, 1) * 255).round().to(torch.uint8)
    images = images.expand(rows, n, 3, height, width) if channels == 1 else images
    joined = images.permute(0, 3, 1, 4, 2).reshape(rows * height, n * width, -1)
    k = -(-LEAST_SIDE // max(height, width))
    return joined.repeat_interleave(k, 0).repeat_interleave(k, 1).contiguous()
