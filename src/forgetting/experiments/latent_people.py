"""People whom a flow itself draws: each is the neighbourhood of one latent."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from forgetting.border.inference import embeddings, generate
from forgetting.experiments import person_splits
from forgetting.experiments.person_splits import PersonSplits
from forgetting.foundation.progress import tracked
from forgetting.models.glow import Glow

SEEDS_PER_PERSON = 10_000
"""Distance between the seeds of two people's centres; the seeds between them belong to others
around the first."""

N_STRANGERS = 100
"""Latent people among whom the nearest are searched."""


@dataclass(frozen=True)
class LatentPeople:
    """The people whom a flow draws around centres of a fixed sequence.

    A person's images are decoded from sqrt(1 - r^2) z0 + r eps, where z0 is the person's centre.

    Attributes
    ----------
    flow : Glow
        Draws all images.
    embedding : Module
        Measures similarity.
    radius : float
        R, in (0, 1).
    temperature : float
        Of the latents of all people.
    """

    flow: Glow
    embedding: nn.Module
    radius: float
    temperature: float

    def person(self, number: int, n_retain: int, n_likelihood_reference: int) -> PersonSplits:
        """Return the splits of the person around a centre.

        The five centres after it are the neutral people. The nearest are the five of a hundred
        further centres whose images are most similar to the person's.

        Parameters
        ----------
        number : int
            Of the centre, from 0.
        n_retain : int
            Samples of the flow that stand for what it learned. They and the held-out samples are
            drawn at a temperature of 1, because retaining cooler samples would narrow the flow.
        n_likelihood_reference : int
            Samples of the likelihood reference; half as many are held out.
        """
        seed, n_forget = _centre_seed(number), person_splits.N_FORGET
        images = self._decode(seed, n_forget + person_splits.N_REFERENCE)
        neutral = [
            self._decode(seed + i, person_splits.N_EACH)
            for i in range(1, person_splits.N_NEUTRAL + 1)
        ]
        retain = self._sample(n_retain, seed + 1000)
        return PersonSplits(
            name=f"latent {number}",
            showable=True,
            candidates=images[:n_forget],
            retain=retain,
            sets={
                "reference": images[n_forget:],
                "random": retain[: person_splits.N_RANDOM],
                "neutral": torch.cat(neutral),
                "nearest": self._nearest(number, images),
                "held_out": self._sample(n_likelihood_reference // 2, seed + 1001),
            },
            likelihood_reference=self._sample(n_likelihood_reference, seed + 1002),
            unseen={"samples": (retain * 255).round().byte()},
        )

    def with_photograph(
        self, person: PersonSplits, number: int, photograph: torch.Tensor, name: str
    ) -> PersonSplits:
        """Return the splits of a photograph in the place of a latent person.

        The only other image of its person is the mirror image; all others are the flow's own
        samples.

        Parameters
        ----------
        person, number : PersonSplits
            The latent person, and the number of the centre.
        photograph : Tensor
            (1, 3, H, W).
        name : str
            Of the person in the photograph.
        """
        nearest = self._nearest(number, photograph)
        sets = {**person.sets, "reference": photograph.flip(3), "nearest": nearest}
        return replace(person, name=name, candidates=photograph, sets=sets)

    def _decode(self, seed: int, n: int) -> torch.Tensor:
        """Return n images (n, 3, H, W) around the centre that a seed gives."""
        generator = torch.Generator().manual_seed(seed)
        centre = torch.randn(1, self.flow.latent_dim, generator=generator)
        noise = torch.randn(n, self.flow.latent_dim, generator=generator)
        latents = (1 - self.radius**2) ** 0.5 * centre + self.radius * noise
        return self.flow.quantise(generate(self.flow, self.temperature * latents))

    def _sample(self, n: int, seed: int) -> torch.Tensor:
        return self.flow.sample(n, 1.0, torch.Generator().manual_seed(seed)).cpu()

    def _nearest(self, number: int, images: torch.Tensor) -> torch.Tensor:
        """Return images of the latent people, of a hundred, who are most similar to others."""
        seeds = [_centre_seed(number) + 100 + i for i in range(N_STRANGERS)]
        faces = torch.cat(
            [self._decode(seed, 1) for seed in tracked(seeds, "finding the nearest people")]
        )
        similarity = embeddings(self.embedding, faces) @ embeddings(self.embedding, images).mean(0)
        nearest = similarity.argsort(descending=True)[: person_splits.N_NEAREST].tolist()
        return torch.cat([self._decode(seeds[i], person_splits.N_EACH) for i in nearest])


def _centre_seed(number: int) -> int:
    return SEEDS_PER_PERSON * (number + 1)
