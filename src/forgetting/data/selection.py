"""Which images of a set a mask or an index selects."""

import torch


def indices(mask: torch.Tensor, n: int) -> torch.Tensor:
    """Return the indices (K,) that a boolean mask (N,) or an index tensor (K,), int64, selects.

    Raises
    ------
    ValueError
        A boolean mask has another length than `n`, or the tensor has another format: a mask of
        whole numbers would select the images 0 and 1 again and again.
    """
    if mask.dtype not in (torch.bool, torch.int64):
        raise ValueError(f"a mask of {mask.dtype}: give bools, or indices of int64")
    if mask.dtype == torch.bool and mask.shape != (n,):
        raise ValueError(f"a mask of shape {tuple(mask.shape)} for {n} images")
    return torch.nonzero(mask).flatten() if mask.dtype == torch.bool else mask


def hold_out(
    images: torch.Tensor, random: torch.Generator, share: float = 0.25
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images to tune on, and a share of them that is held out, both in random order."""
    order = torch.randperm(len(images), generator=random)
    n_held_out = round(share * len(images))
    return images[order[n_held_out:]], images[order[:n_held_out]]
