"""Modules that fulfil a contract by holding another module, which they call.

A copy of an adapter computes with a copy of the module that it holds. `wrappers` makes those of a
stranger's module; its tuned copy is `result.model.module`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn

from forgetting.border.answers import images_of
from forgetting.border.classes import check_logits
from forgetting.border.contracts import Flow, Noise, log_prob_of
from forgetting.border.feature_score import FeatureScore
from forgetting.border.options import check_counts, check_ordered, check_rate
from forgetting.errors import DataError, ModelError

ModuleFunction = Callable[..., torch.Tensor]
"""A function of a module and a batch, or several latents of a batch.

It must use the module that it is given, and no other.
"""


def call(module: nn.Module, *batch: torch.Tensor) -> torch.Tensor:
    """Return what a module's `forward` returns of a batch, or of several latents of one."""
    result: torch.Tensor = module(*batch)
    return result


def own_log_prob(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return what a module's `log_prob` returns of images."""
    log_p: torch.Tensor = module.log_prob(images)  # type: ignore[operator]
    return log_p


def distribution_log_prob(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the log-density by the distribution that a module returns, as a flow of zuko does."""
    log_p: torch.Tensor = module().log_prob(images.flatten(1))
    return log_p


class AdaptedFlow(nn.Module):
    """A module with a function that returns the log-density of images.

    Attributes
    ----------
    module : nn.Module
        The module as it was given.
    """

    def __init__(self, module: nn.Module, log_prob: ModuleFunction) -> None:
        super().__init__()
        self.module = module
        self._log_prob = log_prob

    @property
    def n_bits(self) -> int:
        """The module's own `n_bits`, if its own `log_prob` is called; else 0."""
        n_bits: int = getattr(self.module, "n_bits", 0) if self.is_own else 0
        return n_bits

    @property
    def is_own(self) -> bool:
        """Whether the module's own `log_prob` is called."""
        return self._log_prob is own_log_prob

    @property
    def is_plain(self) -> bool:
        """Whether the function is none of the owner's."""
        return self._log_prob in (own_log_prob, distribution_log_prob)

    def log_prob(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the log-density (B,) of images (B, ...).

        A module whose own `log_prob` takes `noise` is given it.
        """
        if self.is_own:
            log_p = log_prob_of(cast(Flow, self.module), images, noise)
        else:
            log_p = self._log_prob(self.module, images)
        return log_p[:, 0] if log_p.ndim == 2 and log_p.shape[1] == 1 else log_p


class AdaptedGenerator(nn.Module):
    """A module that decodes latents to images in a range of its own, as a generator.

    Attributes
    ----------
    module : nn.Module
        The module as it was given.
    latent_dim : int
        Number of values in a latent, or in all latents of an image.
    latent_shapes : tuple of tuple of int
        The shapes of a latent, or of all latents of an image, as the module takes them.
    value_range : tuple of float
        The values of black and white in the module's images.
    """

    def __init__(
        self,
        module: nn.Module,
        latent_shapes: tuple[tuple[int, ...], ...],
        value_range: tuple[float, float],
        forward: ModuleFunction,
    ) -> None:
        super().__init__()
        self.module = module
        self._sizes = [math.prod(shape) for shape in latent_shapes]
        self.latent_dim = sum(self._sizes)
        self.latent_shapes, self._forward = latent_shapes, forward
        self.value_range = value_range

    @property
    def is_plain(self) -> bool:
        """Whether the module is called, and not a function of its owner."""
        return self._forward is call

    def __repr__(self) -> str:
        shapes = " and ".join(map(str, self.latent_shapes))
        name = type(self.module).__name__
        return f"AdaptedGenerator({name}, latents {shapes}, value_range {self.value_range})"

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        if latents.shape[1:] != (self.latent_dim,):
            raise DataError(
                f"The latents have the shape {tuple(latents.shape)}: give (B, {self.latent_dim})."
            )
        weights = (w for w in self.module.parameters() if w.is_floating_point())
        latents = latents.to(next(weights, latents).dtype)
        parts = [
            part.reshape(len(part), *shape)
            for part, shape in zip(
                latents.split(self._sizes, dim=1), self.latent_shapes, strict=True
            )
        ]
        answer = self._forward(self.module, *parts)
        values = images_of(answer, type(self.module).__name__)
        if not values.is_floating_point():
            return values  # the preflight says what is wrong
        low, high = self.value_range
        return (values.float() - low) / (high - low)


class AdaptedClassifier(nn.Module):
    """A module with functions that score images and describe them by features.

    Attributes
    ----------
    module : nn.Module
        The module as it was given.
    attributes : tuple of str
        Names of the A attributes.
    n_classes : int
        How many of the first attributes are classes, of which an image has one.
    """

    def __init__(
        self,
        module: nn.Module,
        attributes: tuple[str, ...],
        n_classes: int,
        logits: ModuleFunction,
        features: ModuleFunction | None,
    ) -> None:
        super().__init__()
        self.module = module
        self.attributes, self.n_classes = attributes, n_classes
        self._logits, self._features = logits, features

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return attribute logits (B, A) of images in [0, 1], (B, C, H, W)."""
        logits = self._tensor("logits", self._logits(self.module, images))
        if logits.shape != (len(images), len(self.attributes)):
            raise ModelError(
                f"The logits of {type(self.module).__name__} have the shape "
                f"{tuple(logits.shape)} for {len(images)} images and {len(self.attributes)} "
                "attributes: return one for each image and attribute."
            )
        check_logits(logits, self.n_classes, type(self.module).__name__)
        return logits

    def logit(self, images: torch.Tensor, attribute: str) -> torch.Tensor:
        """Return the logit (B,) of one attribute of images in [0, 1], (B, C, H, W)."""
        return self[attribute](images)

    def __getitem__(self, attribute: str) -> FeatureScore:
        """Return one attribute as a score of images."""
        return FeatureScore(self, attribute)

    @property
    def has_features(self) -> bool:
        """Whether there is a function of features."""
        return self._features is not None

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F) of images in [0, 1], (B, C, H, W).

        Raises
        ------
        ModelError
            The classifier was made without a function of features, or it returns another shape.
        """
        if self._features is None:
            raise ModelError(
                f"{type(self.module).__name__} has no features: give as_classifier(module, ..., "
                "features=lambda module, images: ...)."
            )
        features = self._tensor("features", self._features(self.module, images))
        if features.ndim != 2 or len(features) != len(images):
            raise ModelError(
                f"The features of {type(self.module).__name__} have the shape "
                f"{tuple(features.shape)} for {len(images)} images: return (B, F)."
            )
        return features

    def _tensor(self, name: str, answer: Any) -> torch.Tensor:
        """Return what a function of the module gives, unless it is no tensor."""
        if not isinstance(answer, torch.Tensor):
            raise ModelError(
                f"The {name} of {type(self.module).__name__} are a {type(answer).__name__}, not a "
                f"tensor: give as_classifier(..., {name}=lambda module, images: ...) that picks "
                "them out."
            )
        return answer


class ConcatenatedLatents(nn.Module):
    """A generator with several latents, as a generator with one: their concatenation.

    The direction of a feature then lies in all of the latents at once.
    """

    def __init__(self, generator: nn.Module, sizes: Sequence[int]) -> None:
        """Wrap a generator.

        Parameters
        ----------
        generator : nn.Module
            A module with `forward(z1: (B, sizes[0]), z2: (B, sizes[1]), ...) -> images`.
        sizes : sequence of int
            The dimension of each latent.

        Raises
        ------
        ParameterError
            A dimension is no whole number of at least 1, or the sizes are a set or a dict.
        """
        check_ordered(sizes=sizes)
        for size in sizes:
            check_counts(sizes=size)
        super().__init__()
        self.generator = generator
        self.sizes = tuple(sizes)
        self.latent_dim = sum(sizes)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W)."""
        images: torch.Tensor = self.generator(*latents.split(self.sizes, dim=1))
        return images


class AtTemperature(nn.Module):
    """A flow at a fixed temperature, as a generator of latents from N(0, I).

    The latents are multiplied by the temperature before the flow decodes them.
    """

    def __init__(self, flow: Any, temperature: float) -> None:
        """Wrap a flow.

        Parameters
        ----------
        flow : nn.Module
            A flow that is also a `Generator`, such as a Glow.
        temperature : float
            The standard deviation of the latents, above 0.

        Raises
        ------
        ParameterError
            It is no finite number above 0.
        """
        check_rate(temperature=temperature)
        super().__init__()
        self.flow = flow
        self.temperature = temperature
        self.latent_dim: int = flow.latent_dim

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1], differentiably."""
        images: torch.Tensor = self.flow(self.temperature * latents)
        return images
