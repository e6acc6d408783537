"""Real people: those of LFW, and one photograph among real faces."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from forgetting.data.faces import Faces
from forgetting.errors import DataError
from forgetting.experiments.person_splits import (
    N_EACH,
    N_FORGET,
    N_NEAREST,
    N_NEUTRAL,
    N_RANDOM,
    N_REFERENCE,
    PersonSplits,
    cached_embeddings,
)
from forgetting.inference import embeddings
from forgetting.metrics.identity import nearest_people

N_NEEDED = N_FORGET + N_EACH
"""Photographs of a person that forgetting and its reference need."""


def real_person(
    name: str,
    train: Mapping[str, Faces],
    held_out: Mapping[str, Faces],
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    """Return the splits of a person of LFW.

    Parameters
    ----------
    name : as LFW spells it, such as George_W_Bush
    train, held_out : faces of "celeba" and of "lfw"
    embedding : measures which people are nearest
    n_likelihood_reference : images of the likelihood reference; half as many are held out
    generator : of the random draws of photographs

    Raises
    ------
    DataError
        LFW's training part has fewer than 25 photographs of the person.
    """
    lfw = train["lfw"]
    is_person = lfw.of(name)
    if int(is_person.sum()) < N_NEEDED:
        raise DataError(
            f"LFW's training people have {int(is_person.sum())} photographs of {name!r}; "
            f"{N_NEEDED} are needed. There are: {', '.join(people_with_many(lfw))}."
        )
    photographs = lfw.where(is_person).floats()
    embedded = cached_embeddings(embedding, lfw.images)
    nearest = nearest_people(embedded, lfw.people, name, N_NEAREST, N_EACH)
    sets, retain, reference, others = _sets_of_others(
        ~is_person, nearest, train, held_out, n_likelihood_reference, generator
    )
    return PersonSplits(
        name=name.replace("_", " "),
        showable=False,
        candidates=photographs[:N_FORGET],
        retain=retain,
        sets={"reference": photographs[N_FORGET:][:N_REFERENCE], **sets},
        likelihood_reference=reference,
        others=others,
    )


def photographed(
    photograph: torch.Tensor,
    name: str,
    train: Mapping[str, Faces],
    held_out: Mapping[str, Faces],
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    """Return the splits of a photograph (1, 3, H, W) among real faces.

    The only other image of its person is the mirror image.

    Parameters
    ----------
    name : of the person in the photograph, whom LFW does not have
    train, held_out, embedding, n_likelihood_reference, generator : as in `real_person`
    """
    lfw = train["lfw"]
    embedded = torch.cat(
        [cached_embeddings(embedding, lfw.images), embeddings(embedding, photograph)]
    )
    nearest = nearest_people(embedded, [*lfw.people, name], name, N_NEAREST, N_EACH)
    everybody = torch.ones(len(lfw.people), dtype=torch.bool)
    sets, retain, reference, others = _sets_of_others(
        everybody, nearest, train, held_out, n_likelihood_reference, generator
    )
    return PersonSplits(
        name=name,
        showable=True,
        candidates=photograph,
        retain=retain,
        sets={"reference": photograph.flip(3), **sets},
        likelihood_reference=reference,
        others=others,
    )


def people_with_many(faces: Faces, n: int = N_NEEDED) -> list[str]:
    """Return the people with at least n photographs, those with most photographs first."""
    counts = Counter(faces.people)
    names = [name for name, count in counts.items() if count >= n]
    return sorted(names, key=lambda name: (-counts[name], name))


def _sets_of_others(
    is_retained: torch.Tensor,
    nearest: Sequence[str],
    train: Mapping[str, Faces],
    held_out: Mapping[str, Faces],
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the splits of a real person hold of others.

    Parameters
    ----------
    is_retained : bool, of each of LFW's training photographs
    nearest : people of LFW's training part

    Returns
    -------
    The sets `random`, `neutral`, `nearest` and `held_out`; the images to retain; the likelihood
    reference; and all held-out faces, uint8.
    """
    lfw = train["lfw"]
    neutral = people_with_many(held_out["lfw"], N_EACH)[:N_NEUTRAL]
    retain = torch.cat([train["celeba"].floats(), lfw.where(is_retained).floats()])
    unseen = torch.cat([held_out[source].images for source in ("celeba", "lfw")])
    order = torch.randperm(len(retain), generator=generator)
    sets = {
        "random": retain[order[:N_RANDOM]],
        "neutral": _some_of_each(held_out["lfw"], neutral),
        "nearest": _some_of_each(lfw, nearest),
        "held_out": _drawn(unseen, n_likelihood_reference // 2, generator).float() / 255,
    }
    return sets, retain, retain[order[-n_likelihood_reference:]], unseen


def _some_of_each(faces: Faces, people: Sequence[str]) -> torch.Tensor:
    if not people:
        raise DataError(
            f"Nobody else in a part of LFW has the {N_EACH} photographs that a set of other "
            "people needs: get all of LFW, or take source = latent."
        )
    return torch.cat([faces.where(faces.of(name)).floats()[:N_EACH] for name in people])


def _drawn(images: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    return images[torch.randperm(len(images), generator=generator)[:n]]
