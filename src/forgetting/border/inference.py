"""Models on many images: samples, features, logits and embeddings, computed in batches.

Images are float32 in [0, 1] or uint8, so that a whole data set need not be converted. All results
are on the CPU and have no gradients. Of a model in training mode a copy in evaluation mode is
used. A classifier or embedding gets no images in another range, which it would not refuse.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar, cast

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from forgetting.border.checks import check_range
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH, Generator
from forgetting.border.copies import contents, device_of, frozen_copy
from forgetting.foundation.progress import tracked

T = TypeVar("T")


class _Weighted(Protocol):
    """A model with weights, which lie on one device."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


class _WithFeatures(_Weighted, Protocol):
    def features(self, images: torch.Tensor) -> torch.Tensor: ...


class _WithLogits(_Weighted, Protocol):
    def logits(self, images: torch.Tensor) -> torch.Tensor: ...


class _WithClasses(_Weighted, Protocol):
    def classes(self, images: torch.Tensor) -> torch.Tensor: ...


class _Embedding(_Weighted, Protocol):
    def __call__(self, images: torch.Tensor, /) -> torch.Tensor: ...


def generate(generator: Generator, latents: torch.Tensor) -> torch.Tensor:
    """Return a generator's images (N, C, H, W) of latents (N, latent_dim)."""
    return in_batches(generator, "__call__", latents, "sampling")


def features(classifier: _WithFeatures, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's features (N, F) of images (N, C, H, W)."""
    return in_batches(classifier, "features", _in_range(images))


def logits(classifier: _WithLogits, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's attribute logits (N, A) of images (N, C, H, W)."""
    return in_batches(classifier, "logits", _in_range(images))


def classes(classifier: _WithClasses, images: torch.Tensor) -> torch.Tensor:
    """Return a classifier's class probabilities (N, n_classes) of images (N, C, H, W)."""
    return in_batches(classifier, "classes", _in_range(images))


def embeddings(embedding: _Embedding, images: torch.Tensor) -> torch.Tensor:
    """Return the embeddings (N, D) of face images (N, 3, H, W)."""
    return in_batches(embedding, "__call__", _in_range(images), "embedding")


def _in_range(images: torch.Tensor) -> torch.Tensor:
    """Return images of uint8 or in [0, 1]; a broken model's, which are not finite, pass."""
    if images.dtype != torch.uint8:
        check_range(images.detach(), "The images")
    return images


def once(function: Callable[[torch.Tensor], T]) -> Callable[[torch.Tensor], T]:
    """Return a function that is evaluated once for each tensor, as long as the tensor lives.

    It is evaluated again where the tensor was changed in place.
    """
    results = WeakIdKeyDictionary()

    def remembered(images: torch.Tensor) -> T:
        if images.is_inference():  # torch does not count how often it was changed
            return function(images)
        version, result = results.get(images, (None, None))
        if version != images._version:
            result = function(images)
            results[images] = images._version, result
        return cast(T, result)

    return remembered


def in_batches(
    model: _Weighted, name: str, inputs: torch.Tensor, title: str = "grading"
) -> torch.Tensor:
    """Return what a function of a model returns of inputs (N, ...).

    `name` is the function's, and `title` is that of the bar. A model that draws random numbers
    draws others for every batch, and the same ones at every call.
    """
    modules = [value for value in contents(model) if isinstance(value, nn.Module)]
    if isinstance(model, nn.Module) and any(module.training for module in modules):
        model = frozen_copy(model)
    function: Callable[[torch.Tensor], torch.Tensor] = getattr(model, name)
    device = device_of(model)
    outputs = []
    for seed, batch in enumerate(tracked(inputs.split(BATCH), title)):
        with own_conditions(seed, gradients=False):
            batch = batch.to(device)
            if batch.dtype == torch.uint8:
                batch = batch.float() / 255
            outputs.append(function(batch).cpu())
    return torch.cat(outputs)
