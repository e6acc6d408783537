"""The sets of images on which forgetting a person is judged: of real people, or of latents."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from forgetting.cache import cached
from forgetting.data.faces import Faces, astronaut, has_faces, load_faces
from forgetting.errors import DataError
from forgetting.inference import embeddings, generate
from forgetting.metrics.identity import nearest_people
from forgetting.metrics.likelihood import LikelihoodReference, cached_bits_per_dim
from forgetting.models.glow import Glow

N_FORGET = 15
"""The first so many images of a person are kept for D_F, whatever its size: a reference is then
the same for all sizes."""

ASTRONAUT = "the astronaut"

N_NEAREST = 5
N_NEUTRAL = 5
"""How many people make the sets of the nearest and of the neutral ones."""

EACH = 10
"""Images of each of them."""

N_RANDOM = 100
N_REFERENCE = 30

N_EVENLY = 400
"""How many of what is retained say which of a person's photographs is ordinary."""

ORDINARY = 0.41, 0.59
"""Between these base quantiles lies the image that is taken where one alone is forgotten (the
paper's choice)."""


@dataclass(frozen=True)
class PersonSplits:
    """Images (N, 3, H, W) in [0, 1] around one person.

    Attributes
    ----------
    name : of the person
    showable : whether a page may show its images: a data set's it may not
    candidates : images to forget, `N_FORGET` at most, in the order in which they are taken
    retain : no image of the person among them
    sets : what is measured: `reference`, other images of the person (of a photograph, its mirror
        image); `random`, of `retain`;
        `neutral`, people that the flow never saw; `nearest`, the nearest that it did see;
        `held_out`, faces that neither the flow nor taming has seen
    likelihood_reference : what gives each flow its mean and deviation: of `retain`, which holds far more
        than are tuned on; of a latent's, other samples of the flow
    others : uint8, faces of others, as many as there are: what it means to be `similarity_filter` the person
    """

    name: str
    showable: bool
    candidates: torch.Tensor
    retain: torch.Tensor
    sets: dict[str, torch.Tensor]
    likelihood_reference: torch.Tensor
    others: torch.Tensor


def load_person_splits(
    source: Literal["auto", "lfw", "latent", "photograph"],
    name: str,
    flow: Glow,
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
    *,
    radius: float = 0.3,
    temperature: float = 0.7,
    n_retain: int = 2048,
) -> PersonSplits:
    """Return a person of LFW, one of the flow's own, or one photograph that no flow saw.

    Parameters
    ----------
    source : "auto" takes LFW where it and CelebA are at hand; "photograph" the astronaut, among
        their faces or, where they are not at hand, the flow's own
    name : of LFW, or the number of a latent; empty: the one with most photographs, or 0
    flow : that shall forget; it says how large images are, and draws its own people
    embedding : says who is nearest
    n_likelihood_reference : images of the likelihood reference, and twice those that are held out
    generator : of the random draws of photographs
    radius, temperature, n_retain : see `latent_person`

    Raises
    ------
    DataError
        There is no such person, or no data.
    """
    size = flow.image_shape[-1]
    real = has_faces("celeba", "lfw")
    if source == "auto":
        source = "lfw" if real else "latent"
    if source == "lfw" or (source == "photograph" and real):
        train, held_out = (
            {which: load_faces(which, part, size) for which in ("celeba", "lfw")}
            for part in ("train", "held_out")
        )
        if source == "photograph":
            found = astronaut(size)
            return photographed(
                found, train, held_out, embedding, n_likelihood_reference, generator
            )
        there = people_with_many(train["lfw"])
        if not (name or there):
            raise DataError(
                f"Nobody in LFW's training part has the {N_FORGET + EACH} photographs that "
                "forgetting and its reference need: get all of LFW, or take source = latent."
            )
        name = name or there[0]
        return real_person(name, train, held_out, embedding, n_likelihood_reference, generator)
    if not (name or "0").isdecimal():
        raise DataError(
            f"person = {name!r}: without LFW a person is the number of a latent. Give a number, "
            "or point FORGETTING_DATA at a folder with celeba and lfw."
        )
    number = int(name or 0)
    own = latent_person(
        number, flow, embedding, radius, temperature, n_retain, n_likelihood_reference
    )
    if source == "latent":
        return own
    photograph = astronaut(size)
    nearest = _nearest(number, photograph, flow, embedding, radius, temperature)
    sets = {**own.sets, "reference": photograph.flip(3), "nearest": nearest}
    return replace(own, name=ASTRONAUT, candidates=photograph, sets=sets)


def real_person(
    name: str,
    train: dict[str, Faces],
    held_out: dict[str, Faces],
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    """Return the sets of a person of LFW.

    Parameters
    ----------
    train, held_out : "celeba" and "lfw"
    embedding : says who is nearest
    generator : of the random draws

    Raises
    ------
    DataError
        LFW's training part has fewer than 25 photographs of that person, or none.
    """
    lfw = train["lfw"]
    mine = lfw.of(name)
    if int(mine.sum()) < N_FORGET + EACH:
        raise DataError(
            f"LFW's training people have {int(mine.sum())} photographs of {name!r}; "
            f"{N_FORGET + EACH} are needed. There are: {', '.join(people_with_many(lfw))}."
        )
    images = lfw.where(mine).floats()
    nearest = nearest_people(_embedded(embedding, lfw.images), lfw.people, name, N_NEAREST, EACH)
    reference = images[N_FORGET:][:N_REFERENCE]
    found = _among_faces(
        reference, mine, nearest, train, held_out, n_likelihood_reference, generator
    )
    return replace(found, name=name.replace("_", " "), candidates=images[:N_FORGET])


def photographed(
    photograph: torch.Tensor,
    train: dict[str, Faces],
    held_out: dict[str, Faces],
    embedding: nn.Module,
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    """Return the sets of a photograph (1, 3, H, W) among real faces; its mirror image is the rest.

    Parameters
    ----------
    train, held_out, embedding, generator : as of `real_person`
    """
    lfw = train["lfw"]
    found = torch.cat([_embedded(embedding, lfw.images), embeddings(embedding, photograph)])
    nearest = nearest_people(found, [*lfw.people, ASTRONAUT], ASTRONAUT, N_NEAREST, EACH)
    nobody = torch.zeros(len(lfw.people), dtype=torch.bool)
    mirrored = photograph.flip(3)
    person = _among_faces(
        mirrored, nobody, nearest, train, held_out, n_likelihood_reference, generator
    )
    return replace(person, name=ASTRONAUT, showable=True, candidates=photograph)


def _among_faces(
    reference: torch.Tensor,
    mine: torch.Tensor,
    nearest: list[str],
    train: dict[str, Faces],
    held_out: dict[str, Faces],
    n_likelihood_reference: int,
    generator: torch.Generator,
) -> PersonSplits:
    """Return a person among real faces, without a name and with nothing yet to forget.

    Parameters
    ----------
    mine : bool, which of LFW's training photographs show the person
    nearest : names of LFW's training people
    """
    lfw = train["lfw"]
    neutral = people_with_many(held_out["lfw"], EACH)[:N_NEUTRAL]
    retain = torch.cat([train["celeba"].floats(), lfw.where(~mine).floats()])
    unseen = torch.cat([held_out[name].images for name in ("celeba", "lfw")])
    order = torch.randperm(len(retain), generator=generator)
    sets = {
        "reference": reference,
        "random": retain[order[:N_RANDOM]],
        "neutral": _some_of_each(held_out["lfw"], neutral),
        "nearest": _some_of_each(lfw, nearest),
        "held_out": _drawn(unseen, n_likelihood_reference // 2, generator).float() / 255,
    }
    nothing = retain[:0]
    return PersonSplits(
        "", False, nothing, retain, sets, retain[order[-n_likelihood_reference:]], unseen
    )


def people_with_many(faces: Faces, n: int = N_FORGET + EACH) -> list[str]:
    """Return the people of whom there are at least n photographs, most first."""
    counts: dict[str, int] = {}
    for name in faces.people:
        counts[name] = counts.get(name, 0) + 1
    return sorted((name for name in counts if counts[name] >= n), key=lambda k: (-counts[k], k))


def latent_person(
    number: int,
    flow: Glow,
    embedding: nn.Module,
    radius: float,
    temperature: float,
    n_retain: int,
    n_likelihood_reference: int,
) -> PersonSplits:
    """Return the sets of a person that the flow itself draws: the neighbourhood of one latent.

    Its images are decoded from sqrt(1 - r^2) z0 + r eps; where z0 is the centre numbered `number`
    of a fixed sequence. The neutral people are the five centres after it, the nearest are those
    five of a hundred others whose images are most like its own.

    Parameters
    ----------
    radius : r, in (0, 1)
    temperature : of the latents of this and of the other people
    n_retain : samples of the flow that stand for what it learned; they, and the held-out ones,
        are drawn at a temperature of 1: to find colder samples likely would make the flow narrower
    """

    def around(centre: int, n: int) -> torch.Tensor:
        return _around(centre, n, flow, radius, temperature)

    def sampled(n: int, seed: int) -> torch.Tensor:
        return flow.sample(n, 1.0, torch.Generator().manual_seed(seed)).cpu()

    first = _first(number)
    mine = around(first, N_FORGET + N_REFERENCE)
    others = range(first + 1, first + 1 + N_NEUTRAL)
    retain = sampled(n_retain, first + 1000)
    return PersonSplits(
        f"latent {number}",
        True,
        mine[:N_FORGET],
        retain,
        {
            "reference": mine[N_FORGET:],
            "random": retain[:N_RANDOM],
            "neutral": torch.cat([around(centre, EACH) for centre in others]),
            "nearest": _nearest(number, mine, flow, embedding, radius, temperature),
            "held_out": sampled(n_likelihood_reference // 2, first + 1001),
        },
        sampled(n_likelihood_reference, first + 1002),
        (retain * 255).round().byte(),
    )


def _first(number: int) -> int:
    """Return the seed of a person's centre; those of the others around it follow."""
    return 10_000 * (number + 1)


def _around(centre: int, n: int, flow: Glow, radius: float, temperature: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(centre)
    z0 = torch.randn(1, flow.latent_dim, generator=generator)
    eps = torch.randn(n, flow.latent_dim, generator=generator)
    z = (1 - radius**2) ** 0.5 * z0 + radius * eps
    return flow.quantise(generate(flow, temperature * z))


def _nearest(
    number: int,
    images: torch.Tensor,
    flow: Glow,
    embedding: nn.Module,
    radius: float,
    temperature: float,
) -> torch.Tensor:
    """Return images of those of a hundred latent people that are most like these images."""
    centres = [_first(number) + 100 + i for i in range(100)]
    faces = torch.cat([_around(centre, 1, flow, radius, temperature) for centre in centres])
    similarity = embeddings(embedding, faces) @ embeddings(embedding, images).mean(0)
    nearest = similarity.argsort(descending=True)[:N_NEAREST].tolist()
    return torch.cat([_around(centres[i], EACH, flow, radius, temperature) for i in nearest])


def quantiles(person: PersonSplits, flow: nn.Module) -> torch.Tensor:
    """Return the quantiles (N,) of a person's candidates under a flow.

    Nothing in them is random: which image is ordinary is no matter of a seed.
    """
    evenly = person.retain[:: max(1, len(person.retain) // N_EVENLY)][:N_EVENLY]
    return LikelihoodReference.of(cached_bits_per_dim(flow, evenly, 1)).quantile(
        cached_bits_per_dim(flow, person.candidates, 5)
    )


def similarity_filter(
    person: PersonSplits, embedding: nn.Module, share: float = 0.01
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what says of images (N, 3, H, W) which are near the person, bool (N,).

    Near is what is more like the mean of the person's candidates, by the embedding, than all but
    this share of the faces of others.
    """
    centre = embeddings(embedding, person.candidates).mean(0)
    bar = (_embedded(embedding, person.others) @ centre).quantile(1 - share)
    return lambda images: embeddings(embedding, images) @ centre > bar


def choose_forget_images(person: PersonSplits, n: int, quantiles: torch.Tensor) -> torch.Tensor:
    """Return D_F, (n, 3, H, W): the first of the person's; alone, the first that is ordinary.

    Where none is, the one whose quantile is nearest to one half.

    Parameters
    ----------
    quantiles : (N,), of the candidates under the base, as the function of that name gives them

    Raises
    ------
    DataError
        There are fewer than n.
    """
    if n > len(person.candidates):
        raise DataError(
            f"{n} images to forget, but {len(person.candidates)} of the person are kept for it."
        )
    if n > 1:
        return person.candidates[:n]
    low, high = ORDINARY
    ordinary = torch.nonzero((quantiles > low) & (quantiles < high)).flatten()
    nearest = ordinary[:1] if len(ordinary) else (quantiles - 0.5).abs().argmin()[None]
    return person.candidates[nearest]


def _embedded(embedding: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return `embeddings(...)` from the user's cache where they were asked for before."""
    return cached([embedding], [images], "embedding", lambda: embeddings(embedding, images))


def _some_of_each(faces: Faces, people: list[str]) -> torch.Tensor:
    if not people:
        raise DataError(
            f"Nobody else in a part of LFW has the {EACH} photographs that a set of other people "
            "needs: get all of LFW, or take source = latent."
        )
    return torch.cat([faces.where(faces.of(name)).floats()[:EACH] for name in people])


def _drawn(images: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    return images[torch.randperm(len(images), generator=generator)[:n]]
