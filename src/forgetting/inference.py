"""Many images at once: a generator's samples, and what classifiers and embeddings say, in batches."""

from collections.abc import Callable

import torch
from torch import nn

BATCH = 64
"""Small enough that the activations of a face stay in the cache: 3 times as fast as 500."""


def generate(generator: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Return the images (N, C, H, W) of latents (N, latent_dim), on the CPU."""
    return _in_batches(generator, generator, latents)


def features(classifier: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's features (N, F) of images (N, C, H, W), on the CPU.

    Here and below images are float32 in [0, 1] or uint8: a whole data set need not be converted.
    """
    return _in_batches(classifier, classifier.features, images)


def logits(classifier: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's attribute logits (N, A) of images (N, C, H, W), on the CPU."""
    return _in_batches(classifier, classifier.logits, images)


def classes(classifier: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's class probabilities (N, n_classes) of images (N, C, H, W), on the CPU."""
    return _in_batches(classifier, classifier.classes, images)


def embeddings(embedding: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the embeddings (N, D) of face images (N, 3, H, W), on the CPU."""
    return _in_batches(embedding, embedding, images)


@torch.no_grad()
def _in_batches(
    model: nn.Module, ask: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor
) -> torch.Tensor:
    device = next(model.parameters()).device
    found = []
    for part in inputs.split(BATCH):
        part = part.to(device)
        found.append(ask(part.float() / 255 if part.dtype == torch.uint8 else part).cpu())
    return torch.cat(found)
