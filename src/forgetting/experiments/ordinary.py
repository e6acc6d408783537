"""Which of several images is ordinary: one that is to be forgotten alone should be."""

import torch

ORDINARY = 0.41, 0.59
"""Base quantiles between which an image counts as ordinary, as in the paper."""

N_CANDIDATES = 50
"""Images among which an ordinary one is searched, at most."""


def first_ordinary(quantiles: torch.Tensor) -> torch.Tensor:
    """Return the index (1,) of the first ordinary image, or of the most ordinary where none is.

    Parameters
    ----------
    quantiles : Tensor
        (N,), of the images under the base.
    """
    low, high = ORDINARY
    ordinary = torch.nonzero((quantiles > low) & (quantiles < high)).flatten()
    return ordinary[:1] if len(ordinary) else (quantiles - 0.5).abs().argmin()[None]
