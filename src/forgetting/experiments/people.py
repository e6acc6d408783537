"""The person whom a run forgets: one of LFW, one of the flow's own, or one in a photograph."""

from typing import Literal, get_args

import torch
from torch import nn

from forgetting.data.faces import astronaut, load_faces
from forgetting.data.sources import choose_source, has_data
from forgetting.errors import DataError, ParameterError, check_option
from forgetting.experiments.latent_people import LatentPeople
from forgetting.experiments.person_splits import PersonSplits
from forgetting.experiments.real_people import N_NEEDED, RealPeople, people_with_many
from forgetting.models.glow import Glow

Source = Literal["auto", "lfw", "latent", "photograph"]

ASTRONAUT = "the astronaut"

N_RETAIN = 2048
"""Images to retain where the flow draws them itself."""

REAL_FACES = ("celeba", "lfw")
"""Data sets that are needed for a person among real faces."""


def load_person_splits(
    source: Source,
    name: str,
    flow: Glow,
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
    *,
    radius: float = 0.3,
    temperature: float = 0.7,
    n_retain: int = N_RETAIN,
) -> PersonSplits:
    """Return the splits of a person of LFW, of one of the flow's own, or of one photograph.

    Parameters
    ----------
    source : {"auto", "lfw", "latent", "photograph"}
        "auto" takes LFW where LFW and CelebA are at hand and a latent person otherwise.
        "photograph" takes the astronaut, among real faces where they are at hand and among the
        flow's own otherwise.
    name : str
        Of LFW, or the number of a latent; empty for the person with most photographs, or 0. Of a
        photograph among real faces it is empty.
    flow : Glow
        Gives the size of the images, and draws its own people.
    embedding : Module
        Measures which people are nearest.
    n_likelihood_reference : int
        Images of the likelihood reference; half as many are held out.
    generator : torch.Generator
        Of the random draws of photographs.
    radius, temperature, n_retain : float
        See `LatentPeople`.

    Raises
    ------
    ParameterError
        The source is not allowed, or has no person of that name.
    DataError
        The person does not exist, the data are not at hand, or `FORGETTING_DATA` is set and cannot
        be used.
    """
    source = check_option("source", source, get_args(Source))
    chosen = choose_source(source, "lfw", REAL_FACES, "latent")
    if chosen == "lfw" or (chosen == "photograph" and has_data(*REAL_FACES)):
        return _among_real_faces(chosen, name, flow, embedding, n_likelihood_reference, generator)
    if not (name or "0").isdecimal():
        raise DataError(
            f"person = {name!r}: without LFW a person is the number of a latent. Give a number, "
            "or point FORGETTING_DATA at a folder with celeba and lfw."
        )
    people, number = LatentPeople(flow, embedding, radius, temperature), int(name or 0)
    person = people.person(number, n_retain, n_likelihood_reference)
    if chosen == "latent":
        return person
    photograph = astronaut(flow.image_shape[-1])
    return people.with_photograph(person, number, photograph, ASTRONAUT)


def _among_real_faces(
    source: str,
    name: str,
    flow: Glow,
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    size = flow.image_shape[-1]
    train, held_out = (
        {data_set: load_faces(data_set, part, size) for data_set in REAL_FACES}
        for part in ("train", "held_out")
    )
    people = RealPeople(train, held_out, embedding, n_likelihood_reference)
    if source == "photograph":
        if name:
            raise ParameterError(
                f"person = {name!r}: the photograph shows {ASTRONAUT}. Leave the person empty, or "
                "take source = lfw."
            )
        return people.photographed(astronaut(size), ASTRONAUT, generator)
    if not name:
        candidates = people_with_many(train["lfw"])
        if not candidates:
            raise DataError(
                f"Nobody in LFW's training part has the {N_NEEDED} photographs that forgetting "
                "and its reference need: get all of LFW, or take source = latent."
            )
        name = candidates[0]
    return people.person(name, generator)
