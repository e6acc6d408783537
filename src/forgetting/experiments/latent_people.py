"""People whom a flow itself draws: each is the neighbourhood of one latent."""

from dataclasses import replace

import torch
from torch import nn

from forgetting.experiments.person_splits import (
    N_EACH,
    N_FORGET,
    N_NEAREST,
    N_NEUTRAL,
    N_RANDOM,
    N_REFERENCE,
    PersonSplits,
)
from forgetting.inference import embeddings, generate
from forgetting.models.glow import Glow

SEEDS_PER_PERSON = 10_000
"""Distance between the seeds of two people's centres; the seeds between them belong to others
around the first."""

N_STRANGERS = 100
"""Latent people among whom the nearest are searched."""


def latent_person(
    number: int,
    flow: Glow,
    embedding: nn.Module,
    radius: float,
    temperature: float,
    n_retain: int,
    n_likelihood_reference: int,
) -> PersonSplits:
    """Return the splits of a person whom the flow itself draws.

    The person's images are decoded from sqrt(1 - r^2) z0 + r eps, where z0 is the centre numbered
    `number` of a fixed sequence. The five centres after it are the neutral people. The nearest
    are the five of a hundred further centres whose images are most similar to the person's.

    Parameters
    ----------
    number : 0 or more
    flow : draws all images
    embedding : measures similarity
    radius : r, in (0, 1)
    temperature : of the latents of this person and of the others
    n_retain : samples of the flow that stand for what it learned. They and the held-out samples
        are drawn at a temperature of 1, because retaining cooler samples would narrow the flow
    n_likelihood_reference : samples of the likelihood reference; half as many are held out
    """
    seed = _centre_seed(number)
    images = _decode_person(seed, N_FORGET + N_REFERENCE, flow, radius, temperature)
    neutral = [
        _decode_person(seed + i, N_EACH, flow, radius, temperature)
        for i in range(1, N_NEUTRAL + 1)
    ]
    retain = _sample(flow, n_retain, seed + 1000)
    return PersonSplits(
        name=f"latent {number}",
        showable=True,
        candidates=images[:N_FORGET],
        retain=retain,
        sets={
            "reference": images[N_FORGET:],
            "random": retain[:N_RANDOM],
            "neutral": torch.cat(neutral),
            "nearest": _nearest(number, images, flow, embedding, radius, temperature),
            "held_out": _sample(flow, n_likelihood_reference // 2, seed + 1001),
        },
        likelihood_reference=_sample(flow, n_likelihood_reference, seed + 1002),
        others=(retain * 255).round().byte(),
    )


def photograph_among_latents(
    photograph: torch.Tensor,
    name: str,
    number: int,
    flow: Glow,
    embedding: nn.Module,
    radius: float,
    temperature: float,
    n_retain: int,
    n_likelihood_reference: int,
) -> PersonSplits:
    """Return the splits of a photograph (1, 3, H, W) in the place of a latent person.

    The only other image of its person is the mirror image; all others are the flow's own samples.

    Parameters
    ----------
    name : of the person in the photograph
    number, flow, embedding, radius, temperature, n_retain, n_likelihood_reference : as in
        `latent_person`
    """
    person = latent_person(
        number, flow, embedding, radius, temperature, n_retain, n_likelihood_reference
    )
    nearest = _nearest(number, photograph, flow, embedding, radius, temperature)
    sets = {**person.sets, "reference": photograph.flip(3), "nearest": nearest}
    return replace(person, name=name, candidates=photograph, sets=sets)


def _centre_seed(number: int) -> int:
    return SEEDS_PER_PERSON * (number + 1)


def _decode_person(
    seed: int, n: int, flow: Glow, radius: float, temperature: float
) -> torch.Tensor:
    """Return n images (n, 3, H, W) around the centre that a seed gives."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(1, flow.latent_dim, generator=generator)
    noise = torch.randn(n, flow.latent_dim, generator=generator)
    latents = (1 - radius**2) ** 0.5 * centre + radius * noise
    return flow.quantise(generate(flow, temperature * latents))


def _sample(flow: Glow, n: int, seed: int) -> torch.Tensor:
    return flow.sample(n, 1.0, torch.Generator().manual_seed(seed)).cpu()


def _nearest(
    number: int,
    images: torch.Tensor,
    flow: Glow,
    embedding: nn.Module,
    radius: float,
    temperature: float,
) -> torch.Tensor:
    """Return images of the latent people, of a hundred, who are most similar to some images."""
    seeds = [_centre_seed(number) + 100 + i for i in range(N_STRANGERS)]
    faces = torch.cat([_decode_person(seed, 1, flow, radius, temperature) for seed in seeds])
    similarity = embeddings(embedding, faces) @ embeddings(embedding, images).mean(0)
    nearest = similarity.argsort(descending=True)[:N_NEAREST].tolist()
    return torch.cat(
        [_decode_person(seeds[i], N_EACH, flow, radius, temperature) for i in nearest]
    )
