"""One attribute of a classifier as a score of images: `classifier["Eyeglasses"]`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from forgetting.border.checks import check_range
from forgetting.border.contracts import Classifier
from forgetting.border.copies import name_of, on_device_of
from forgetting.errors import DataError, check_option

SURELY_LACKING = math.log(0.1 / 0.9)
"""The logit of a probability of 0.1, below which a classifier is sure that a feature is absent."""


FAR = 0.5
"""How far beyond [0, 1] a value shows another range: that of a model in tuning may overshoot."""


@dataclass(frozen=True, repr=False)
class FeatureScore:
    """The log-odds of one attribute of images, and where the attribute begins.

    Attributes
    ----------
    classifier : Classifier
        Gives the logits, and features and other attributes of the images.
    attribute : str
        One of the classifier's.
    threshold : float
        An image with higher log-odds has the attribute; 0 is a probability of one half.
    title : str
        How reports name what gives the score; empty: by its part, such as "grader".

    Raises
    ------
    ParameterError
        The classifier has no such attribute.
    """

    classifier: Classifier
    attribute: str
    threshold: float = 0.0
    title: str = ""

    def __post_init__(self) -> None:
        column_of(self.attribute, self.classifier.attributes)

    @property
    def surely_lacking(self) -> float:
        """An image with at most these log-odds surely lacks the attribute."""
        return min(SURELY_LACKING, self.threshold)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the log-odds (B,) of the attribute of images (B, C, H, W), differentiably.

        Images on another device than the classifier go there, and their log-odds come back.

        Raises
        ------
        DataError
            The images are no floats of torch, or values lie far outside [0, 1], as those of images
            from -1 to 1 or up to 255 do.
        """
        if not isinstance(images, torch.Tensor) or not images.is_floating_point():
            form = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
            raise DataError(
                f"The images are {form}: give a tensor of torch with floats in [0, 1], such as "
                "images.float() / 255."
            )
        if images.numel() and (images.min() < -FAR or images.max() > 1 + FAR):
            check_range(images.detach(), "The images")
        odds = log_odds(self.classifier, images)
        return odds[:, column_of(self.attribute, self.classifier.attributes)].to(images.device)

    def at(self, threshold: float) -> "FeatureScore":
        """Return the score with another threshold, such as a balanced one."""
        return replace(self, threshold=threshold)

    def __str__(self) -> str:
        return self.attribute

    def __repr__(self) -> str:
        given = f", threshold {self.threshold:g}" if self.threshold else ""
        return f"FeatureScore({self.attribute!r} by {name_of(self.classifier)}{given})"


Score = FeatureScore | Callable[[torch.Tensor], torch.Tensor]
"""One attribute of a classifier, or another function from images (B, C, H, W) to scores (B,)."""


def threshold_of(score: Score) -> float:
    """Return the score above which an image has the feature."""
    return score.threshold if isinstance(score, FeatureScore) else 0.0


def log_odds(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return the log-odds of each attribute of images, (B, A): above 0 where it is probable.

    A logit of an attribute that an image has or lacks is its log-odds. The first `n_classes`
    attributes of a classifier that has that attribute are classes, of which an image has one: a
    class has the log-odds of its softmax. They are on the classifier's device.

    Parameters
    ----------
    classifier : Classifier
        Gives the logits.
    images : Tensor
        (B, C, H, W), in [0, 1].
    """
    logits = classifier.logits(on_device_of(classifier, images))
    n = getattr(classifier, "n_classes", 0)
    if not n:
        return logits
    chances = logits[:, :n].log_softmax(1)
    odds = chances - torch.log(-torch.expm1(chances.clamp(max=-1e-6)))
    return torch.cat([odds, logits[:, n:]], 1)


def column_of(attribute: str, attributes: Sequence[str]) -> int:
    """Return the place of an attribute among those of a classifier.

    Raises
    ------
    ParameterError
        The classifier has no such attribute; the most similar one is named.
    """
    return list(attributes).index(check_option("attribute", attribute, attributes))
