"""The images by which forgetting a person is judged, and which of them are forgotten."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.inference import embeddings
from forgetting.border.options import check_counts
from forgetting.errors import DataError
from forgetting.experiments.ordinary import first_ordinary
from forgetting.foundation.cache import cached
from forgetting.metrics.likelihood import LikelihoodReference, cached_bits_per_dim

N_FORGET = 15
"""A person's first images, which are kept for forgetting however many are forgotten: the
reference images are then the same for every number."""

N_EVENLY = 400
"""Images to retain, evenly spaced, against which the candidates' quantiles are taken."""

N_NEAREST = 5
"""People in the set of the nearest."""

N_NEUTRAL = 5
"""People in the set of those that the flow never saw."""

N_EACH = 10
"""Images of each of these people."""

N_RANDOM, N_REFERENCE = 100, 30
"""Images in the sets `random` and `reference`, at most."""


@dataclass(frozen=True)
class PersonSplits:
    """Images (N, 3, H, W) in [0, 1] around one person.

    Attributes
    ----------
    name : str
        The person's name.
    showable : bool
        Whether a page may show the images; those of a data set may not be shown.
    candidates : Tensor
        Images to forget, at most `N_FORGET`, in the order in which they are taken.
    retain : Tensor
        Images of others, none of which shows the person.
    sets : dict[str, Tensor]
        Images on which forgetting is measured, by name: `reference`, other images of the person
        (of a photograph, its mirror image); `random`, some of `retain`; `neutral`, people that the
        flow never saw; `nearest`, the most similar people that it did see; `held_out`, faces that
        neither the flow nor taming has seen.
    likelihood_reference : Tensor
        Images that give each flow its mean and deviation of bits/dim. They are part of `retain`
        where the faces are real, and further samples of the flow otherwise.
    unseen : Mapping[str, Tensor]
        Uint8 (N, 3, H, W) by the data set that they are from: all faces of others that define
        what counts as similar to the person.
    """

    name: str
    showable: bool
    candidates: torch.Tensor
    retain: torch.Tensor
    sets: dict[str, torch.Tensor]
    likelihood_reference: torch.Tensor
    unseen: Mapping[str, torch.Tensor]

    @property
    def others(self) -> torch.Tensor:
        """All faces of others, uint8 (N, 3, H, W)."""
        return torch.cat(list(self.unseen.values()))


def quantiles(person: PersonSplits, flow: nn.Module) -> torch.Tensor:
    """Return the quantiles (N,) of a person's candidates under a flow.

    They depend on no seed, so that the same candidate is ordinary in every run.
    """
    stride = max(1, len(person.retain) // N_EVENLY)
    retained = cached_bits_per_dim(flow, person.retain[::stride][:N_EVENLY], 1)
    candidates = cached_bits_per_dim(flow, person.candidates, 5)
    return LikelihoodReference.of(retained).quantile(candidates)


def choose_forget_images(person: PersonSplits, n: int, quantiles: torch.Tensor) -> torch.Tensor:
    """Return the images to forget, (n, 3, H, W): the first n candidates.

    A single image is the first ordinary candidate (`first_ordinary`).

    Parameters
    ----------
    n : int
        1 to the number of candidates.
    quantiles : Tensor
        (N,), of the candidates under the base, from `quantiles`.

    Raises
    ------
    DataError
        The person has fewer than n candidates.
    ParameterError
        n is no whole number of at least 1.
    """
    check_counts(n=n)
    if n > len(person.candidates):
        raise DataError(
            f"{n} images to forget, but {len(person.candidates)} of the person are kept for it."
        )
    if n > 1:
        return person.candidates[:n]
    return person.candidates[first_ordinary(quantiles)]


def similarity_filter(
    person: PersonSplits, embedding: nn.Module, share: float = 0.01
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that marks the images similar to a person.

    Similar is what lies closer to the mean embedding of the candidates than all but a share of
    the faces of others.

    Parameters
    ----------
    embedding : Module
        Maps faces (N, 3, H, W) to unit vectors (N, D).
    share : float
        Of the faces of others that count as similar, in (0, 1).

    Returns
    -------
    A function from images (N, 3, H, W) to bool (N,).
    """
    centre = embeddings(embedding, person.candidates).mean(0)
    threshold = (cached_embeddings(embedding, person.others) @ centre).quantile(1 - share)
    return lambda images: embeddings(embedding, images) @ centre > threshold


def cached_embeddings(embedding: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the embeddings (N, D) of images, from the user's cache where they are kept."""
    return cached([embedding], [images], "embedding", lambda: embeddings(embedding, images))
