"""Identity: how well an embedding tells people apart, and who is nearest to a person."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F

from forgetting.border.options import check_counts
from forgetting.border.scores import tensor_of
from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc, threshold_at

N_STRANGERS = 200_000
"""The number of pairs of different people that verification draws."""

LENGTH_ERROR = 1e-2
"""By how much the length of an embedding may differ from 1, also in bfloat16."""

FALSE_MATCHES = 0.01
"""The share of pairs of different people that pass the verification threshold."""


def pairs(
    embeddings: torch.Tensor, people: Sequence[str], n_different: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the similarities of one pair of each person and of random pairs of strangers.

    Each person counts once: all pairs of a person with a hundred photographs would outweigh those
    of everybody else.

    Parameters
    ----------
    embeddings : Tensor, (N, D)
        Embeddings of length 1.
    people : sequence of str
        The person in each image, N names.
    n_different : int
        The most pairs of different people.
    seed : int
        Seed of the random pairs.

    Returns
    -------
    similarity : Tensor, (P,)
        Inner products, in [-1, 1].
    same : Tensor, bool, (P,)
        Which pairs show one person.

    Raises
    ------
    DataError
        There is no pair of one person, or no pair of different people, an embedding has another
        length than 1, or there is not one name for each.
    ParameterError
        `n_different` is no whole number of at least 1.
    """
    check_counts(n_different=n_different)
    _check_embeddings(embeddings, people)
    index = {name: i for i, name in enumerate(dict.fromkeys(people))}
    number = torch.tensor([index[name] for name in people])
    first, second = torch.triu_indices(len(number), len(number), 1)
    same = number[first] == number[second]
    if same.all() or not same.any():
        raise DataError("Pairs need two images of one person and two people: add images.")
    strangers = torch.nonzero(~same).flatten()
    generator = torch.Generator().manual_seed(seed)
    strangers = strangers[torch.randperm(len(strangers), generator=generator)[:n_different]]
    matches = torch.nonzero(same).flatten()
    matches = matches[torch.randperm(len(matches), generator=generator)]
    _, first_match = np.unique(number[first[matches]].numpy(), return_index=True)
    selected = torch.cat([matches[torch.from_numpy(first_match)], strangers])
    embeddings = embeddings.cpu()
    similarity = (embeddings[first[selected]] * embeddings[second[selected]]).sum(1)
    return similarity, same[selected]


def verification(similarity: torch.Tensor, same: torch.Tensor) -> tuple[Auc, float, float]:
    """Measure how well similarities tell whether two images show one person.

    Parameters
    ----------
    similarity, same : Tensor, (P,)
        Similarities and truth, as `pairs` returns them.

    Returns
    -------
    auc : Auc
        The AUC with its interval.
    threshold : float
        The similarity above which 1 % of the pairs of different people lie.
    recall : float
        The share of pairs of one person above the threshold, in [0, 1].

    Raises
    ------
    DataError
        There are under 100 pairs of different people, or a similarity lies outside [-1, 1].
    """
    similarity = tensor_of(similarity, "Verification takes no similarities")
    same = tensor_of(same, "Verification takes no truth")
    if bool((similarity.abs() > 1 + 3 * LENGTH_ERROR).any()):
        least, most = float(similarity.min()), float(similarity.max())
        raise DataError(
            f"The similarities go from {least:g} to {most:g}, where inner products of "
            "embeddings of length 1 lie in [-1, 1]: give those."
        )
    threshold = threshold_at(similarity, same, FALSE_MATCHES)
    recall = float((similarity[same.bool()] > threshold).float().mean())
    return Auc.of(similarity, same), threshold, recall


def nearest_people(
    embeddings: torch.Tensor, people: Sequence[str], person: str, k: int, min_images: int = 1
) -> list[str]:
    """Return the k people whose mean embeddings are nearest to a person's, nearest first.

    Parameters
    ----------
    embeddings : Tensor, (N, D)
        Embeddings of images, of length 1.
    people : sequence of str
        The person in each image, N names.
    person : str
        The name of the person; never part of the result.
    k : int
        The most people in the result.
    min_images : int
        People with fewer images are left out.

    Raises
    ------
    DataError
        There is no image of the person, an embedding has another length than 1, or there is not
        one name for each, as None or NaN is none.
    ParameterError
        `k` is no whole number of at least 1.
    """
    check_counts(k=k)
    _check_embeddings(embeddings, people)
    if person not in people:
        raise DataError(f"There is no image of {person!r} among these: check the name.")
    names = list(dict.fromkeys(people))
    number = torch.tensor([names.index(name) for name in people])
    counts = torch.bincount(number, minlength=len(names))
    sums = torch.zeros(len(names), embeddings.shape[1]).index_add_(0, number, embeddings.cpu())
    means = F.normalize(sums / counts[:, None], dim=1)
    similarity = means @ means[names.index(person)]
    order = similarity.argsort(descending=True).tolist()
    return [names[i] for i in order if names[i] != person and counts[i] >= min_images][:k]


def _check_embeddings(embeddings: torch.Tensor, people: Sequence[str]) -> None:
    """Raise an error unless embeddings (N, D) have length 1, and one name each."""
    if len(people) != len(embeddings):
        raise DataError(
            f"There are {len(people)} names for {len(embeddings)} embeddings: give the person in "
            "each image."
        )
    is_named = [isinstance(name, str | Integral) and name != "" for name in people]
    if not all(is_named):
        place = is_named.index(False)
        raise DataError(
            f"{is_named.count(False)} of {len(people)} images have no name, the first at place "
            f"{place} ({people[place]!r}): all of them would be one person. Take them out, or "
            "name each person."
        )
    lengths = embeddings.norm(dim=1)
    if not ((lengths - 1).abs() <= LENGTH_ERROR).all():
        raise DataError(
            f"The embeddings have lengths from {float(lengths.min()):g} to "
            f"{float(lengths.max()):g}, where 1 is needed: divide each by its length."
        )
