"""Real people: those of LFW, and one photograph among real faces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from forgetting.border.inference import embeddings
from forgetting.data.faces import Faces
from forgetting.errors import DataError, warn_if_fewer
from forgetting.experiments import person_splits
from forgetting.experiments.person_splits import N_EACH, PersonSplits, cached_embeddings
from forgetting.metrics.identity import nearest_people

N_NEEDED = person_splits.N_FORGET + N_EACH
"""Photographs of a person that forgetting and its reference need."""


@dataclass(frozen=True)
class RealPeople:
    """People of LFW among all real faces, and one of whom there is a photograph.

    Attributes
    ----------
    train, held_out : Mapping[str, Faces]
        Faces of "celeba" and of "lfw".
    embedding : Module
        Measures which people are nearest.
    n_likelihood_reference : int
        Images of the likelihood reference; half as many are held out.
    """

    train: Mapping[str, Faces]
    held_out: Mapping[str, Faces]
    embedding: nn.Module
    n_likelihood_reference: int

    def person(self, name: str, generator: torch.Generator) -> PersonSplits:
        """Return the splits of a person of LFW.

        Parameters
        ----------
        name : str
            As LFW spells it, such as George_W_Bush.
        generator : torch.Generator
            Of the random draws of photographs.

        Raises
        ------
        DataError
            LFW's training part has fewer than 25 photographs of the person.
        """
        lfw = self.train["lfw"]
        is_person = lfw.of(name)
        if int(is_person.sum()) < N_NEEDED:
            raise DataError(
                f"LFW's training people have {int(is_person.sum())} photographs of {name!r}; "
                f"{N_NEEDED} are needed. There are: {', '.join(people_with_many(lfw))}."
            )
        photographs = lfw.where(is_person).floats()
        candidates = photographs[: person_splits.N_FORGET]
        reference = photographs[person_splits.N_FORGET :][: person_splits.N_REFERENCE]
        nearest = self._nearest(cached_embeddings(self.embedding, lfw.images), lfw.people, name)
        splits = self._splits(candidates, reference, ~is_person, nearest, generator)
        return replace(splits, name=name.replace("_", " "), showable=False)

    def photographed(
        self, photograph: torch.Tensor, name: str, generator: torch.Generator
    ) -> PersonSplits:
        """Return the splits of a photograph among real faces.

        The only other image of its person is the mirror image.

        Parameters
        ----------
        photograph : Tensor
            (1, 3, H, W).
        name : str
            Of the person in the photograph, whom LFW does not have.
        generator : torch.Generator
            Of the random draws of photographs.
        """
        lfw = self.train["lfw"]
        embedded = [cached_embeddings(self.embedding, lfw.images)]
        embedded.append(embeddings(self.embedding, photograph))
        nearest = self._nearest(torch.cat(embedded), [*lfw.people, name], name)
        everybody = torch.ones(len(lfw.people), dtype=torch.bool)
        splits = self._splits(photograph, photograph.flip(3), everybody, nearest, generator)
        return replace(splits, name=name)

    @staticmethod
    def _nearest(embedded: torch.Tensor, people: Sequence[str], name: str) -> list[str]:
        return nearest_people(embedded, people, name, person_splits.N_NEAREST, N_EACH)

    def _splits(
        self,
        candidates: torch.Tensor,
        reference: torch.Tensor,
        is_retained: torch.Tensor,
        nearest: Sequence[str],
        generator: torch.Generator,
    ) -> PersonSplits:
        """Return the splits of somebody without a name.

        Parameters
        ----------
        candidates, reference : Tensor
            Images to forget, and other images of the person.
        is_retained : Tensor
            Bool, of each of LFW's training photographs.
        nearest : Sequence[str]
            People of LFW's training part.
        """
        lfw, n = self.train["lfw"], self.n_likelihood_reference
        neutral = people_with_many(self.held_out["lfw"], N_EACH)[: person_splits.N_NEUTRAL]
        retain = torch.cat([self.train["celeba"].floats(), lfw.where(is_retained).floats()])
        unseen = {source: self.held_out[source].images for source in ("celeba", "lfw")}
        warn_if_fewer(n, len(retain), "images of the likelihood reference")
        order = torch.randperm(len(retain), generator=generator)
        return PersonSplits(
            name="",
            showable=True,
            candidates=candidates,
            retain=retain,
            sets={
                "reference": reference,
                "random": retain[order[: person_splits.N_RANDOM]],
                "neutral": _some_of_each(self.held_out["lfw"], neutral),
                "nearest": _some_of_each(lfw, nearest),
                "held_out": _drawn(torch.cat(list(unseen.values())), n // 2, generator).float()
                / 255,
            },
            likelihood_reference=retain[order[-n:]],
            unseen=unseen,
        )


def people_with_many(faces: Faces, n: int = N_NEEDED) -> list[str]:
    """Return the people with at least n photographs, those with most photographs first."""
    counts = Counter(faces.people)
    names = [name for name, count in counts.items() if count >= n]
    return sorted(names, key=lambda name: (-counts[name], name))


def _some_of_each(faces: Faces, people: Sequence[str]) -> torch.Tensor:
    if not people:
        raise DataError(
            f"Nobody else in a part of LFW has the {N_EACH} photographs that a set of other "
            "people needs: get all of LFW, or take source = latent."
        )
    return torch.cat([faces.where(faces.of(name)).floats()[:N_EACH] for name in people])


def _drawn(images: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    return images[torch.randperm(len(images), generator=generator)[:n]]
