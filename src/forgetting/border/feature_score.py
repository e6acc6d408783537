"""One attribute of a classifier as a score of images: `classifier["Eyeglasses"]`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from forgetting.border.checks import check_range
from forgetting.border.contracts import Classifier
from forgetting.border.copies import name_of, on_device_of
from forgetting.border.options import check_ordered, finite_number
from forgetting.errors import DataError, ParameterError, check_option

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
    is_default : bool
        Whether the threshold is the zoo's, in whose place a share may come; none by `at` is.

    Raises
    ------
    ParameterError
        The classifier has no such attribute, or the threshold is no finite number.
    """

    classifier: Classifier
    attribute: str
    threshold: float = 0.0
    title: str = ""
    is_default: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        column_of(self.attribute, self.classifier.attributes)
        object.__setattr__(self, "threshold", finite_number(threshold=self.threshold))

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
        """Return the score with another threshold, such as a balanced one.

        Raises
        ------
        ParameterError
            The threshold is no finite number.
        """
        return replace(self, threshold=threshold, is_default=False)

    def __str__(self) -> str:
        return self.attribute

    def __repr__(self) -> str:
        given = f", threshold {self.threshold:g}" if self.threshold else ""
        return f"FeatureScore({self.attribute!r} by {name_of(self.classifier)}{given})"


Score = FeatureScore | Callable[[torch.Tensor], torch.Tensor]
"""One attribute of a classifier, or another function from images (B, C, H, W) to scores (B,).

A function that has a number `threshold` begins there, as `FeatureScore` does; any other at 0.
"""


def threshold_of(score: Score) -> float:
    """Return the score above which an image has the feature: its `threshold`, or else 0.

    Raises
    ------
    ParameterError
        A function of one's own has a `threshold` that is no finite number.
    """
    threshold = getattr(score, "threshold", None)
    return 0.0 if threshold is None else finite_number(threshold=threshold)


def check_without_threshold(score: Score) -> None:
    """Raise an error if a score has a threshold of its own, where a share gives one.

    Raises
    ------
    ParameterError
        It has one other than 0, which would not count.
    """
    own = threshold_of(score)
    if own and not getattr(score, "is_default", False):
        raise ParameterError(
            f"The score has the threshold {own:g}, which a share does not use: give only one of "
            "them, the threshold by `at` or `share`."
        )


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
        The classifier has no such attribute; the most similar one is named. Or its attributes are
        a set or a dict.
    """
    check_ordered(attributes=attributes)
    return list(attributes).index(check_option("attribute", attribute, attributes))
