"""The contracts of flows, generators and classifiers.

Images are float32 in [0, 1], (B, C, H, W), at every border. A module of any origin fits the study
when it has the methods of `Flow`, `Generator` or `Classifier`; `wrappers` adapts others. The
likelihood in bits/dim follows from a flow's `log_prob` alone, so it is computed here.
"""

import inspect
import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.copies import device_of
from forgetting.foundation.progress import tracked

BATCH = 64
"""Images in a batch without gradients.

The activations of 64 faces stay in a processor's cache: 3 times as fast as 500.
"""

Noise: TypeAlias = torch.Tensor | torch.Generator | None
"""The place of each value in its quantisation bin.

A tensor in [0, 1) of the images' shape, a generator from which it is drawn, or None for the centre
of the bin.
"""


@runtime_checkable
class Flow(Protocol):
    """A model with an exact likelihood, usually a normalizing flow."""

    def log_prob(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the log-density of each image, (B,), in nats of the image in [0, 1] units.

        A flow that does not quantise its images may leave out `noise`. A flow that quantises them
        to 2**b levels has an attribute `n_bits` = b.
        """
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A model that decodes latents from N(0, I) to images."""

    @property
    def latent_dim(self) -> int:
        """The dimension of the latents."""
        ...

    def forward(self, latents: torch.Tensor, /) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W), differentiably."""
        ...

    def __call__(self, latents: torch.Tensor, /) -> torch.Tensor:
        """Call `forward`, as every `nn.Module` does."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A model that scores attributes of images and describes the images by features."""

    attributes: tuple[str, ...]

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the score of each attribute, (B, A), positive where an image has it."""
        ...

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F) of images (B, C, H, W)."""
        ...


def bits_per_dim(flow: Flow, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
    """Compute the bits/dim of each image, differentiably.

    Parameters
    ----------
    flow : Flow
        Any module with `log_prob`; only a flow that takes `noise` is given it.
    images : Tensor, (B, ...)
        Images or points.
    noise : Tensor, torch.Generator or None
        The dequantisation noise.

    Returns
    -------
    Tensor, (B,)
        -log2 p(x) / D + n_bits, where D is the number of values of an image. `n_bits` is 0 for a
        flow without that attribute.
    """
    log_p = log_prob_of(flow, images, noise)
    return -log_p / (images[0].numel() * math.log(2)) + getattr(flow, "n_bits", 0)


def log_prob_of(flow: Flow, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
    """Return a flow's log-density (B,) of images (B, ...); one that takes `noise` is given it."""
    try:
        takes_noise = "noise" in inspect.signature(flow.log_prob).parameters
    except (TypeError, ValueError):  # a function without a signature, such as a compiled one
        takes_noise = False
    return flow.log_prob(images, noise=noise) if takes_noise else flow.log_prob(images)


def mean_bits_per_dim(
    flow: Flow, images: torch.Tensor, draws: int = 0, seed: int = 0
) -> torch.Tensor:
    """Compute the bits/dim of each image, averaged over draws of the dequantisation noise.

    Parameters
    ----------
    flow : Flow
        The model.
    images : Tensor, (N, ...)
        Images, in any number.
    draws : int
        The number of noise draws; 0 evaluates each image once, at the centre of its bins.
    seed : int
        Seed of the noise. Two models that are compared need the same seed.

    Returns
    -------
    Tensor, (N,)
        Bits/dim, on the CPU.
    """
    generators: Sequence[torch.Generator | None] = [
        torch.Generator().manual_seed(seed + i) for i in range(draws)
    ] or [None]
    device = device_of(flow)
    with own_conditions(seed, gradients=False):
        batches = [(part, noise) for noise in generators for part in images.split(BATCH)]
        bpd = [
            bits_per_dim(flow, part.to(device), noise).cpu()
            for part, noise in tracked(batches, "likelihoods")
        ]
        return torch.cat(bpd).view(len(generators), -1).mean(0)


def bits_per_dim_with_noise(flow: Flow, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Compute the bits/dim of each image under given noise, in batches.

    Parameters
    ----------
    flow, images
        As `mean_bits_per_dim` takes them.
    noise : Tensor, (N, ...)
        The place of each value in its quantisation bin, in [0, 1).

    Returns
    -------
    Tensor, (N,)
        Bits/dim, on the CPU.
    """
    device = device_of(flow)
    batches = list(zip(images.split(BATCH), noise.split(BATCH), strict=True))
    with own_conditions(gradients=False):
        return torch.cat(
            [
                bits_per_dim(flow, image_batch.to(device), noise_batch.to(device)).cpu()
                for image_batch, noise_batch in tracked(batches, "likelihoods")
            ]
        )
