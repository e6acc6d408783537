"""Whether logits are what they should be, of classes or of independent attributes."""

import warnings
from collections.abc import Iterable
from typing import Any, TypeGuard

import torch

from forgetting.border.checks import PRECISION
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import name_of, on_device_of
from forgetting.border.feature_score import FeatureScore
from forgetting.errors import DataWarning, ModelError

MIN_CLASSES = 5
"""Attributes below which independent ones may look like classes."""

SURE, MOST, SEVERAL = 0.9, 0.5, 1.5
"""A softmax that is sure of most images, and of most attributes in turn, while several logits of
an image are above 0: only differences count among classes.

Both digit classifiers of the zoo are sure of 62 to 77 % of samples, each time of all ten classes,
with 1.9 to 4.9 logits above 0. Of 40 attributes of faces at most 8 are ever the highest.
"""


def check_logits(logits: torch.Tensor, n_classes: int, name: str) -> None:
    """Raise an error if logits (B, A) are what a softmax makes of them, of whichever classes.

    Raises
    ------
    ModelError
        They are probabilities or percentages of classes, or logarithms of these without
        `n_classes`, so that none would lie above 0.
    """
    values = logits.detach()[:, : n_classes or None].float()
    if not len(values) or values.shape[1] < 2:
        return
    one = torch.ones(len(values), device=values.device)
    if not n_classes and torch.allclose(values.exp().sum(1), one, atol=PRECISION):
        raise ModelError(
            f"{name} returns logarithms of probabilities, none of which is above 0: give "
            f"as_classifier(..., n_classes={values.shape[1]}), for an image has one of them."
        )
    for whole, kind in ((1, "probabilities"), (100, "percentages")) if n_classes else ():
        is_sum = torch.allclose(values.sum(1), whole * one, atol=whole * PRECISION)
        if is_sum and (values >= 0).all():
            raise ModelError(
                f"{name} returns {kind} of {n_classes} classes: return logits, as before its "
                "softmax."
            )


def may_be_classes(score: Any) -> TypeGuard[FeatureScore]:
    """Return whether a score is of one of several classes, or of so many attributes."""
    if not isinstance(score, FeatureScore):
        return False
    classifier: Any = score.classifier
    return n_classes_of(classifier) > 2 or len(classifier.attributes) >= MIN_CLASSES


def n_classes_of(classifier: Any) -> int:
    """Return how many of the first attributes of a classifier are classes."""
    n_classes: int = getattr(classifier, "n_classes", 0)
    return n_classes


def warn_of_classes(score: FeatureScore, batches: Iterable[torch.Tensor]) -> None:
    """Warn if attributes seem to be classes, or if no image has any of the classes.

    Parameters
    ----------
    score : FeatureScore
        Of which `may_be_classes`.
    batches : iterable of Tensor, (B, C, H, W)
        Images in [0, 1].
    """
    classifier = score.classifier
    with own_conditions(gradients=False):
        logits = torch.cat([classifier.logits(on_device_of(classifier, x)) for x in batches])
    if n_classes := n_classes_of(classifier):
        _warn_of_no_class(logits[:, :n_classes], name_of(classifier))
        return
    chances, winners = logits.softmax(1).max(1)
    n_sure, n_above = (chances > SURE).float().mean(), (logits > 0).sum(1).float().mean()
    n_winners, n = len(winners.unique()), logits.shape[1]
    if n_sure >= MOST and n_above >= SEVERAL and n_winners >= MOST * n:
        warnings.warn(
            f"{name_of(classifier)} finds {n_above:.1f} of its {n} attributes in an image, in the "
            "mean, and its logits look like those of classes, of which an image has one: then "
            "give as_classifier(..., n_classes=...), or too many images have the feature.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_no_class(logits: torch.Tensor, name: str) -> None:
    """Warn if a softmax of logits (N, n_classes) gives no class of any image over one half."""
    most = float(logits.softmax(1).max())
    if most <= 1 / 2:
        warnings.warn(
            f"{name} gives none of its {logits.shape[1]} classes a probability over {most:.2f} in "
            f"any of {len(logits)} images, so that no image counts as one of a class: return "
            "logits, as before a softmax, and cosines times their scale.",
            DataWarning,
            stacklevel=5,
        )
