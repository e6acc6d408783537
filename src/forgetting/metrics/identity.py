"""The same person or not, and who is nearest: what an embedding of faces is asked."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from forgetting.metrics.calibration import Auc, threshold_at

N_STRANGERS = 200_000
"""How many pairs of different people are drawn."""

FALSE_MATCHES = 0.01
"""The share of pairs of different people that the verification threshold lets pass."""


def pairs(
    embeddings: torch.Tensor, people: Sequence[str], n_different: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return similarities of one pair of each person and of random pairs of different people.

    One pair of each: those of a person with a hundred photographs would weigh as five thousand,
    and say nothing of how people differ.

    Parameters
    ----------
    embeddings : (N, D), of length 1
    people : N names
    n_different : pairs of different people to draw, at most

    Returns
    -------
    similarities (P,) and whether each pair is one person, bool (P,)

    Raises
    ------
    ValueError
        There is no pair of one person, or none of different people.
    """
    index = {name: i for i, name in enumerate(dict.fromkeys(people))}
    number = torch.tensor([index[name] for name in people])
    first, second = torch.triu_indices(len(number), len(number), 1)
    same = number[first] == number[second]
    if same.all() or not same.any():
        raise ValueError("pairs need two images of one person and two people")
    other = torch.nonzero(~same).flatten()
    generator = torch.Generator().manual_seed(seed)
    other = other[torch.randperm(len(other), generator=generator)[:n_different]]
    one = torch.nonzero(same).flatten()
    one = one[torch.randperm(len(one), generator=generator)]
    _, place = np.unique(number[first[one]].numpy(), return_index=True)
    kept = torch.cat([one[torch.from_numpy(place)], other])
    similarity = (embeddings[first[kept]] * embeddings[second[kept]]).sum(1)
    return similarity, same[kept]


def verification(similarity: torch.Tensor, same: torch.Tensor) -> tuple[Auc, float, float]:
    """Return AUC, the threshold that one pair of different people in 100 passes, and its recall.

    Parameters
    ----------
    similarity, same : as `pairs` returns them
    """
    threshold = threshold_at(similarity, same, FALSE_MATCHES)
    recall = float((similarity[same] > threshold).float().mean())
    return Auc.of(similarity, same), threshold, recall


def nearest_people(
    embeddings: torch.Tensor, people: Sequence[str], person: str, k: int, min_images: int = 1
) -> list[str]:
    """Return the k people whose mean embeddings are nearest to a person's, nearest first.

    Parameters
    ----------
    embeddings : (N, D)
    people : N names
    min_images : people with fewer images are passed over

    Raises
    ------
    ValueError
        There is no image of the person.
    """
    if person not in people:
        raise ValueError(f"there is no image of {person!r} among these")
    names = list(dict.fromkeys(people))
    number = torch.tensor([names.index(name) for name in people])
    counts = torch.bincount(number, minlength=len(names))
    sums = torch.zeros(len(names), embeddings.shape[1]).index_add_(0, number, embeddings)
    means = F.normalize(sums / counts[:, None], dim=1)
    similarity = means @ means[names.index(person)]
    order = similarity.argsort(descending=True).tolist()
    return [names[i] for i in order if names[i] != person and counts[i] >= min_images][:k]
