"""How every entry of the zoo is made, by name.

A module of this package registers its recipes in `RECIPES`: trained models (`Recipe`), and what is
measured or fitted at once (`Measurement`). Another generator is one more file: it registers its
kind in `forgetting.models.MODELS`, and a recipe with its loss here. Another package adds recipes
through the entry points of the group `forgetting.zoo.recipes`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from forgetting.foundation.registry import Registry
from forgetting.zoo.learner import Learner, Loss
from forgetting.zoo.training import TrainingConfig


@dataclass(frozen=True)
class TrainingData:
    """Images and labels as a recipe's loss takes them, and their description for the card.

    Attributes
    ----------
    images : Tensor, uint8, (N, C, H, W)
        Training images.
    labels : Tensor, (N, ...)
        Their labels.
    held_out : tuple of Tensor
        Images and labels that are not trained on; the loss is measured on them.
    description : str
        Of the training data, for the record and the card.
    thresholds : dict of str to float, optional
        Of the features that were measured or classified, by name.
    """

    images: torch.Tensor
    labels: torch.Tensor
    held_out: tuple[torch.Tensor, torch.Tensor]
    description: str
    thresholds: dict[str, float] | None = None


class ModelConfig(Protocol):
    """Configuration of a model of images: a frozen pydantic model."""

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """Return the configuration by field."""


@dataclass(frozen=True)
class Source:
    """Data that recipes are trained on, and what follows from it for the model card.

    Attributes
    ----------
    load : callable
        Recipe -> TrainingData. Raises DataError where the data is not at hand.
    scope : str
        What a model of this data is fit for, one or two sentences.
    licence : str
        Of weights that were learned from it.
    """

    load: Callable[["Recipe"], TrainingData]
    scope: str
    licence: str

    def card(self) -> dict[str, str]:
        """Return what the card of a model of this data says of its use and licence, by heading."""
        use = f"research on unlearning and its evaluation. {self.scope}"
        return {"Use": use, "Licence": self.licence}


@dataclass(frozen=True)
class Recipe:
    """An entry of the zoo that is trained: its model, data, loss and training.

    Attributes
    ----------
    kind : str
        Name in `forgetting.models.MODELS` of what is kept.
    data : Source
        What it is trained on.
    config : ModelConfig
        Configuration of the model.
    training : TrainingConfig
        Settings of the training.
    loss : callable or dict of str to callable
        What is minimised; see `forgetting.zoo.learner.Learner`.
    learner : callable
        Recipe -> Learner: how a model of this kind is built, learns, and what of it is kept.
    summary : str
        One sentence for the model card.
    without : str, optional
        What no training image shows (a feature, an attribute, a person). Such a model is the
        reference for unlearning it.
    needs : tuple of str
        The entries without which it cannot be trained.
    by_name_only : bool
        Whether `forgetting train --all` leaves it out, because it takes days on a GPU.
    """

    kind: str
    data: Source
    config: ModelConfig
    training: TrainingConfig
    loss: Loss | dict[str, Loss]
    learner: Callable[["Recipe"], Learner]
    summary: str
    without: str | None = None
    needs: tuple[str, ...] = ()
    by_name_only: bool = False


@dataclass(frozen=True)
class Measurement:
    """An entry of the zoo that is measured or fitted at once, not trained in steps.

    Attributes
    ----------
    make : callable
        Measures and saves the entry.
    needs : tuple of str
        The entries that it is made with.
    """

    make: Callable[[], None]
    needs: tuple[str, ...] = ()


RECIPES: Registry[Recipe | Measurement] = Registry("recipe", "forgetting.zoo.recipes")
"""The entries of the zoo that can be made, by name."""
