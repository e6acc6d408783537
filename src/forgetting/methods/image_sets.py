"""Checks of the images that are given to taming: how many, of which shape, and which are equal."""

import hashlib
from collections.abc import Iterator

import torch

from forgetting.border.checks import check_images, has_channels_last
from forgetting.errors import DataError

MIN_RETAINED = 4
"""Least number of images to retain: a step tunes on half of them, sigma comes from the others."""


LEVELS = 2**16 - 1
"""Steps between 0 and 1 in which images are compared; 257 of them are one of 8 bits."""


def digests(images: torch.Tensor) -> list[bytes]:
    """Return 16 bytes for each of the images (N, ...); equal images have equal ones.

    Images, which lie in [0, 1], are compared to 16 bits, so that an image of 8 bits equals itself
    whatever arithmetic brought it to [0, 1]. Points (N, D) are compared exactly.
    """
    values = images.cpu() + 0.0  # of 0 and -0, which are equal, makes one
    if images.ndim > 2:
        values = (values * LEVELS).round().int()
    return [hashlib.blake2b(value.numpy().tobytes(), digest_size=16).digest() for value in values]


def distinct(images: torch.Tensor) -> torch.Tensor:
    """Return the indices of those images (N, ...) that equal no earlier one, in order."""
    first: dict[bytes, int] = {}
    for index, digest in enumerate(digests(images)):
        first.setdefault(digest, index)
    return torch.tensor(list(first.values()), dtype=torch.long)


def check_sets(forget: torch.Tensor, retain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sets of images in float32, if a flow can be tamed with them.

    Parameters
    ----------
    forget, retain : torch.Tensor
        Images to forget (N, ...) and to retain (M, ...).

    Raises
    ------
    DataError
        A set is too small, holds no floats in [0, 1], has its channels last, the sets differ in
        shape or type, or they share an image.
    """
    names = "The images to forget", "The images to retain"
    checked = check_images(forget, names[0]), check_images(retain, names[1])
    if len(forget) == 0:
        raise DataError("There is no image to forget: give at least one.")
    if len(retain) < MIN_RETAINED:
        raise DataError(f"There are {len(retain)} images to retain: give at least four.")
    if forget.shape[1:] != retain.shape[1:] or forget.dtype != retain.dtype:
        raise DataError(
            f"Images to forget are {tuple(forget.shape[1:])} of {forget.dtype}, those to retain "
            f"{tuple(retain.shape[1:])} of {retain.dtype}: they must have one shape and type."
        )
    if forget.ndim == 4 and has_channels_last(forget):
        raise DataError(
            f"The images have the shape {tuple(forget.shape)}, whose channels are last: give "
            "images.permute(0, 3, 1, 2), and as_flow(flow, log_prob=lambda flow, images: "
            "flow.log_prob(images.permute(0, 2, 3, 1))) where the flow takes them so."
        )
    forget, retain = checked
    retained = set(digests(retain))
    n_shared = sum(digest in retained for digest in digests(forget))
    if n_shared:
        raise DataError(
            f"{n_shared} of the {len(forget)} images to forget are also to be retained: "
            "take them out of one set."
        )
    return forget, retain


def batches(n: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield indices (size,) of n images forever, from one random permutation after the other."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < size:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        yield order[:size]
        order = order[size:]
