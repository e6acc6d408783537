"""One attribute of a classifier as a score of images: `classifier["Eyeglasses"]`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from forgetting.border.contracts import Classifier
from forgetting.errors import check_option

SURELY_LACKING = math.log(0.1 / 0.9)
"""The logit of a probability of 0.1, below which a classifier is sure that a feature is absent."""


@dataclass(frozen=True)
class FeatureScore:
    """The logit of one attribute of images, and where the attribute begins.

    Attributes
    ----------
    classifier : Classifier
        Gives the logits, and features and other attributes of the images.
    attribute : str
        One of the classifier's.
    threshold : float
        An image with a higher logit has the attribute; 0 is a probability of one half.

    Raises
    ------
    ParameterError
        The classifier has no such attribute.
    """

    classifier: Classifier
    attribute: str
    threshold: float = 0.0

    def __post_init__(self) -> None:
        column_of(self.attribute, self.classifier.attributes)

    @property
    def surely_lacking(self) -> float:
        """An image with at most this logit surely lacks the attribute."""
        return min(SURELY_LACKING, self.threshold)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (B,) of images (B, C, H, W), differentiably."""
        logits = self.classifier.logits(images)
        return logits[:, column_of(self.attribute, self.classifier.attributes)]

    def at(self, threshold: float) -> "FeatureScore":
        """Return the score with another threshold, such as a balanced one."""
        return replace(self, threshold=threshold)

    def __str__(self) -> str:
        return self.attribute


def column_of(attribute: str, attributes: Sequence[str]) -> int:
    """Return the place of an attribute among those of a classifier.

    Raises
    ------
    ParameterError
        The classifier has no such attribute; the most similar one is named.
    """
    return list(attributes).index(check_option("attribute", attribute, attributes))
