"""What a stranger's module returns, and where in it the images are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from forgetting.errors import ModelError

NAMES = ("sample", "images", "image")
"""Under which of these a dictionary or an object holds images, in this order."""


def images_of(answer: Any, name: str) -> torch.Tensor:
    """Return the images in what a module returns: a tensor, or one in a tuple, a dict, an object.

    A tensor of a class derived from `torch.Tensor` is returned as one of that class itself.

    Parameters
    ----------
    answer : object
        A tensor; a mapping or an object with `sample`, `images` or `image`; or a tuple or list
        with one tensor of four dimensions.
    name : str
        The module's, for the sentence of an error.

    Raises
    ------
    ModelError
        There are no images, or there are several.
    """
    return _found(answer, name).as_subclass(torch.Tensor)


def _found(answer: Any, name: str) -> torch.Tensor:
    if isinstance(answer, torch.Tensor):
        return answer
    held = answer if isinstance(answer, Mapping) else getattr(answer, "__dict__", {})
    for key in NAMES:
        if isinstance(held.get(key), torch.Tensor):
            images: torch.Tensor = held[key]
            return images
    parts = list(answer) if isinstance(answer, tuple | list) else []
    tensors = [part for part in parts if isinstance(part, torch.Tensor) and part.ndim == 4]
    if len(tensors) != 1:
        raise ModelError(
            f"{name} returns {type(answer).__name__} with {len(tensors) or 'no'} tensors "
            "(B, C, H, W): give as_generator(generator, ..., forward=lambda generator, latents: "
            "...), which returns the images."
        )
    return tensors[0]


def uncompiled(module: nn.Module) -> nn.Module:
    """Return the module that `torch.compile` was given; copies of it can be tuned."""
    inner = getattr(module, "_orig_mod", module)
    return inner if isinstance(inner, nn.Module) else module
