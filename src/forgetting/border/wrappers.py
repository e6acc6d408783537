"""A stranger's module as a flow, as a generator, as a classifier.

Each function returns an adapter that holds the given module and calls functions with it as their
first argument. The tuned module is `result.model.module`.
"""

import inspect
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from torch import nn

from forgetting.border.adapters import (
    AdaptedClassifier,
    AdaptedFlow,
    AdaptedGenerator,
    ModuleFunction,
    call,
    distribution_log_prob,
    own_log_prob,
)
from forgetting.border.answers import uncompiled
from forgetting.border.checks import check_log_prob
from forgetting.border.copies import check_module, name_of
from forgetting.border.options import (
    as_items,
    check_callable,
    check_counts,
    check_ordered,
    finite_number,
)
from forgetting.errors import ModelError, ParameterError, quoted


def as_flow(module: nn.Module, log_prob: ModuleFunction = own_log_prob) -> AdaptedFlow:
    """Return a module as a flow: what has a log-density of images in [0, 1].

    Parameters
    ----------
    module : nn.Module
        Any module, such as a flow of zuko or normflows. It is not copied and not changed.
    log_prob : callable
        (module, images (B, ...)) to the log-densities (B,) or (B, 1), in nats. Without it the
        module's own `log_prob` is called, with `noise` if it takes it, and the module's `n_bits`
        counts; or that of the distribution that the module returns. Scaling and flattening of
        images have their place here.

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
    check_callable(log_prob=log_prob)
    module = uncompiled(module)
    if log_prob is own_log_prob and not hasattr(module, "log_prob") and _is_distribution(module):
        return AdaptedFlow(module, distribution_log_prob)
    if log_prob is own_log_prob:
        check_log_prob(module)
    return AdaptedFlow(module, log_prob)


def _is_distribution(module: nn.Module) -> bool:
    """Return whether a module that is called without arguments returns a distribution."""
    if inspect.signature(module.forward).parameters.keys() - {"c"}:  # zuko's context
        return False
    try:
        return callable(getattr(module(), "log_prob", None))
    except Exception:  # whatever a stranger's module raises, it is no distribution
        return False


def as_generator(
    module: nn.Module,
    latent_dim: int | None = None,
    *,
    latent_shape: int | Sequence[int] | Sequence[Sequence[int]] | None = None,
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
    latent_shape : int, sequence of int, or of sequences of int, optional
        Shape of a latent, for a module that takes another, such as (100, 1, 1) of a DCGAN. The
        shapes of several latents, such as [(64,), (16, 4, 4)], for a module that takes several.
    value_range : tuple of float
        The values of black and white in the module's images: (-1, 1) after a tanh.
    forward : callable
        (module, latents `(B, *latent_shape)`) to images (B, C, H, W). Without it the module is
        called. What it returns may hold the images in a tuple, or under `sample`, `images` or
        `image`.

    Returns
    -------
    AdaptedGenerator
        A `Generator` around the module, whose weights it shares.

    Raises
    ------
    ParameterError
        There is not exactly one of `latent_dim` and `latent_shape`, it has no whole numbers of at
        least 1, or the range is empty or not finite. Or one of them is a set or a dict.

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
    check_ordered(latent_shape=latent_shape, value_range=value_range)
    given: list[Any] = [latent_dim if latent_shape is None else latent_shape]
    if (items := as_items(latent_shape)) is not None:
        given = items
    has_several = bool(given) and all(isinstance(each, Sequence) for each in given)
    shapes = [list(each) for each in given] if has_several else [given]
    for sizes in shapes:
        for size in sizes:
            check_counts(latent_dim=size)
    ends = as_items(value_range) or []
    is_range = len(ends) == 2 and all(isinstance(end, Real) for end in ends)
    if not is_range or not -math.inf < ends[0] < ends[1] < math.inf:
        raise ParameterError(
            f"value_range = {quoted(value_range)}: give two finite numbers, the lower one first."
        )
    for end in ends:
        finite_number(value_range=end)
    check_callable(forward=forward)
    latent_shapes = tuple(tuple(map(int, sizes)) for sizes in shapes)
    return AdaptedGenerator(uncompiled(module), latent_shapes, (ends[0], ends[1]), forward)


def as_classifier(
    module: nn.Module,
    attributes: Sequence[str],
    *,
    n_classes: int = 0,
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
    n_classes : int
        How many of the first attributes are classes, of which an image has one: those of a module
        that was trained with a softmax, as by `CrossEntropyLoss`. Of any other attribute a logit
        above 0 means that an image has it.
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
        There are no attributes, they are a set or a dict, a name comes twice, or there are fewer
        attributes than classes.
    ModelError
        There is no function of logits, and the module cannot be called.

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
    if logits is call and getattr(module.forward, "__func__", None) is nn.Module.forward:
        raise ModelError(
            f"{name_of(module)} has no `forward`, so that it cannot be called: give "
            "as_classifier(module, ..., logits=lambda module, images: ...). What is a classifier "
            "already needs no adapter: index it by the name of an attribute."
        )
    check_ordered(attributes=attributes)
    names = tuple(as_items(attributes) or ())
    are_texts = all(isinstance(name, str) for name in names)
    if not names or not are_texts or len(set(names)) < len(names):
        raise ParameterError(f"attributes = {quoted(attributes)}: give a list of different names.")
    check_counts(least=0, n_classes=n_classes)
    check_callable(logits=logits, features=features)
    if n_classes == 1 or n_classes > len(names):
        raise ParameterError(
            f"n_classes = {n_classes} with {len(names)} attributes: give the number of attributes "
            "of which an image has one, at least two, or 0."
        )
    return AdaptedClassifier(module, names, n_classes, logits, features)
