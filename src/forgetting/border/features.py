"""Features: what a classifier must return that describes images, for the distance of two sets."""

from typing import Any

import torch

from forgetting.border.checks import are_equal, check_floats, starts_alike
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import name_of, on_device_of
from forgetting.errors import ModelError


def features_of(classifier: Any, images: torch.Tensor) -> torch.Tensor:
    """Return the features (B, F) of images (B, C, H, W) by a classifier, on its device."""
    features: torch.Tensor = classifier.features(on_device_of(classifier, images))
    return features


def has_features(classifier: Any, images: torch.Tensor) -> bool:
    """Return whether a classifier describes images by features.

    Parameters
    ----------
    classifier : Classifier
        One without a method `features`, or an adapter without a function of features, has none.
    images : Tensor, (N, C, H, W)
        Images on which its features are tried.

    Raises
    ------
    ModelError
        The features are not finite floats (N, F), or those of an image depend on the other images
        or on chance.
    """
    if not getattr(classifier, "has_features", hasattr(classifier, "features")):
        return False
    batches = (images, images[:1].expand_as(images), torch.cat([images, images[:1]]))
    answer, alone, larger = (_tried(classifier, batch, i) for i, batch in enumerate(batches))
    if not are_equal(alone, answer[:1]) or not starts_alike(larger, answer):
        raise ModelError(
            f"The features of {name_of(classifier)} of an image depend on the other images of its "
            "batch, on their number or on its place there, or are random: return what describes "
            "an image alone."
        )
    return True


def _tried(classifier: Any, images: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the features of images, if they are finite floats (B, F)."""
    where = f"The features of {name_of(classifier)}"
    with own_conditions(seed, gradients=False):
        features = features_of(classifier, images)
    check_floats(features, f"What `features` of {name_of(classifier)} returns")
    if features.ndim != 2 or len(features) != len(images):
        raise ModelError(
            f"{where} have the shape {tuple(features.shape)} for {len(images)} images: return "
            "(B, F)."
        )
    if not features.isfinite().all():
        raise ModelError(f"{where} are not finite for some of the images.")
    return features
