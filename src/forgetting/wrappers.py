"""Adapters of a stranger's module: as a flow, as a generator, as a classifier.

Each returns a module that holds the given one and calls functions with it as their first argument,
so that a copy of the result computes with a copy of the module. The tuned module is
`result.model.module`.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from forgetting.adapters import Flow, Noise, log_prob_of
from forgetting.contracts import check_log_prob
from forgetting.copies import check_module
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.options import check_counts

ModuleFunction = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""A function of a module and a batch. It must use the module that it is given, and no other."""


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
        n_bits: int = getattr(self.module, "n_bits", 0) if self._is_own else 0
        return n_bits

    @property
    def _is_own(self) -> bool:
        return self._log_prob is own_log_prob

    def log_prob(self, images: torch.Tensor, noise: Noise = None) -> torch.Tensor:
        """Return the log-density (B,) of images (B, ...).

        A module whose own `log_prob` takes `noise` is given it.
        """
        if self._is_own:
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
        Number of values in a latent.
    value_range : tuple of float
        The values of black and white in the module's images.
    """

    def __init__(
        self,
        module: nn.Module,
        latent_shape: tuple[int, ...],
        value_range: tuple[float, float],
        forward: ModuleFunction,
    ) -> None:
        super().__init__()
        self.module = module
        self.latent_dim = math.prod(latent_shape)
        self._latent_shape, self._forward = latent_shape, forward
        self.value_range = value_range

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        if latents.shape[1:] != (self.latent_dim,):
            raise DataError(
                f"The latents have the shape {tuple(latents.shape)}: give (B, {self.latent_dim})."
            )
        values = self._forward(self.module, latents.reshape(len(latents), *self._latent_shape))
        if not values.is_floating_point():
            return values  # the preflight says what is wrong
        low, high = self.value_range
        return (values - low) / (high - low)


class AdaptedClassifier(nn.Module):
    """A module with functions that score images and describe them by features.

    Attributes
    ----------
    module : nn.Module
        The module as it was given.
    attributes : tuple of str
        Names of the A attributes.
    """

    def __init__(
        self,
        module: nn.Module,
        attributes: tuple[str, ...],
        logits: ModuleFunction,
        features: ModuleFunction | None,
    ) -> None:
        super().__init__()
        self.module = module
        self.attributes = attributes
        self._logits, self._features = logits, features

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return attribute logits (B, A) of images in [0, 1], (B, C, H, W)."""
        logits = self._logits(self.module, images)
        if logits.shape != (len(images), len(self.attributes)):
            raise ModelError(
                f"The logits of {type(self.module).__name__} have the shape "
                f"{tuple(logits.shape)} for {len(images)} images and {len(self.attributes)} "
                "attributes: return one for each image and attribute."
            )
        return logits

    def logit(self, images: torch.Tensor, attribute: str) -> torch.Tensor:
        """Return the logit (B,) of one attribute of images in [0, 1], (B, C, H, W)."""
        return self.logits(images)[:, self.attributes.index(attribute)]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F) of images in [0, 1], (B, C, H, W).

        Raises
        ------
        ModelError
            The classifier was made without a function of features.
        """
        if self._features is None:
            raise ModelError(
                f"{type(self.module).__name__} has no features: give as_classifier(module, ..., "
                "features=lambda module, images: ...)."
            )
        return self._features(self.module, images)


def call(module: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return what a module's `forward` returns of a batch."""
    result: torch.Tensor = module(batch)
    return result


def own_log_prob(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return what a module's `log_prob` returns of images."""
    log_p: torch.Tensor = module.log_prob(images)  # type: ignore[operator]
    return log_p


def as_flow(module: nn.Module, log_prob: ModuleFunction = own_log_prob) -> AdaptedFlow:
    """Return a module as a flow: what has a log-density of images in [0, 1].

    Parameters
    ----------
    module : nn.Module
        Any module, such as a flow of zuko or normflows. It is not copied and not changed.
    log_prob : callable
        (module, images (B, ...)) to the log-densities (B,) or (B, 1), in nats. Without it the
        module's own `log_prob` is called, with `noise` if it takes it, and the module's `n_bits`
        counts. Scaling and flattening of images have their place here.

    Returns
    -------
    AdaptedFlow
        A `Flow` around the module, whose weights it shares.

    Raises
    ------
    ModelError
        There is no function, and the module has no `log_prob` of images alone.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> class Gaussian(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mean = torch.nn.Parameter(torch.zeros(4))
    ...
    ...     def forward(self):
    ...         return torch.distributions.Normal(self.mean, 1.0)
    >>> flow = fg.as_flow(
    ...     Gaussian(), log_prob=lambda module, images: module().log_prob(images.flatten(1)).sum(1)
    ... )
    >>> flow.log_prob(torch.zeros(3, 1, 2, 2)).shape
    torch.Size([3])
    """
    check_module(module)
    if log_prob is own_log_prob:
        check_log_prob(module)
    return AdaptedFlow(module, log_prob)


def as_generator(
    module: nn.Module,
    latent_dim: int | None = None,
    *,
    latent_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0, 1),
    forward: ModuleFunction = call,
) -> AdaptedGenerator:
    """Return a module as a generator: what decodes latents from N(0, I) to images in [0, 1].

    Parameters
    ----------
    module : nn.Module
        Any module. It is not copied and not changed.
    latent_dim : int, optional
        Number of values in a latent, for a module that takes latents (B, latent_dim).
    latent_shape : sequence of int, optional
        Shape of a latent, for a module that takes another, such as (100, 1, 1) of a DCGAN.
    value_range : tuple of float
        The values of black and white in the module's images: (-1, 1) after a tanh.
    forward : callable
        (module, latents (B, *latent_shape)) to images (B, C, H, W). Without it the module is
        called.

    Returns
    -------
    AdaptedGenerator
        A `Generator` around the module, whose weights it shares.

    Raises
    ------
    ParameterError
        There is not exactly one of `latent_dim` and `latent_shape`, it has no whole numbers of at
        least 1, or the range is empty or not finite.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> dcgan = torch.nn.Sequential(torch.nn.ConvTranspose2d(100, 3, 8), torch.nn.Tanh())
    >>> generator = fg.as_generator(dcgan, latent_shape=(100, 1, 1), value_range=(-1, 1))
    >>> images = generator(torch.randn(5, 100))
    >>> images.shape, bool((images >= 0).all())
    (torch.Size([5, 3, 8, 8]), True)
    """
    check_module(module)
    if (latent_dim is None) == (latent_shape is None):
        raise ParameterError("as_generator takes either `latent_dim` or `latent_shape`: give one.")
    shape = [latent_dim] if latent_shape is None else list(latent_shape)
    for size in shape:
        check_counts(latent_dim=size)
    low, high = value_range
    if not -math.inf < low < high < math.inf:
        raise ParameterError(
            f"value_range = {value_range}: give two finite numbers, the lower one first."
        )
    return AdaptedGenerator(module, tuple(cast(list[int], shape)), (low, high), forward)


def as_classifier(
    module: nn.Module,
    attributes: Sequence[str],
    *,
    logits: ModuleFunction = call,
    features: ModuleFunction | None = None,
) -> AdaptedClassifier:
    """Return a module as a classifier: what scores the attributes of images in [0, 1].

    Parameters
    ----------
    module : nn.Module
        Any module. It is not copied and not changed.
    attributes : sequence of str
        Names of the A attributes, in the order of the logits.
    logits : callable
        (module, images (B, C, H, W)) to logits (B, A). Without it the module is called. Scaling
        of the images has its place here.
    features : callable, optional
        (module, images (B, C, H, W)) to features (B, F).

    Returns
    -------
    AdaptedClassifier
        A `Classifier` around the module, whose weights it shares.

    Raises
    ------
    ParameterError
        There are no attributes, or a name comes twice.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    >>> classifier = fg.as_classifier(layers, ("Smiling", "Young"))
    >>> classifier.logit(torch.zeros(5, 3, 2, 2), "Young").shape
    torch.Size([5])
    """
    check_module(module)
    names = () if isinstance(attributes, str) else tuple(attributes)
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"attributes = {attributes!r}: give a list of different names.")
    return AdaptedClassifier(module, names, logits, features)
