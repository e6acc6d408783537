"""The classifiers that label, steer and grade one feature of a generator's samples.

Digits and faces differ in who does that; a template uses a `FeatureEvaluator` for either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.utils.weak import WeakIdKeyDictionary

from forgetting.data.digit_features import FEATURES
from forgetting.data.morphology import Morphology, measure
from forgetting.inference import classes, features, logits
from forgetting.models.classifier import Classifier

T = TypeVar("T")

BANDS = {
    "Bangs": (0.0, 0.35),
    "Wearing_Hat": (0.0, 0.35),
    "Eyeglasses": (0.33, 0.55),
    "Smiling": (0.58, 0.88),
}
"""The rows in which a feature of faces lies, as shares of the height from the top.

The crop puts the eyes of CelebA at 0.44, the brows at 0.35 and the mouth at 0.70.
"""

SURE = 0.9
"""Classifier B is sure of a class whose probability is above this."""


@dataclass(frozen=True)
class FeatureEvaluator:
    """Classifiers of one feature of one kind of image.

    Attributes
    ----------
    feature : str
        Its name.
    score : callable
        Classifier A's logit of the feature, images (B, C, H, W) -> (B,), differentiable. A
        measurement, which is not differentiable, where classifier A does not have the attribute.
    label_threshold : float or None
        Classifier A labels images with a logit above this; None for a feature of degree, whose
        highest scores are labelled.
    value : callable
        How much of the feature images have, measured by a classifier that had no part in
        forgetting; images (N, C, H, W) -> (N,).
    threshold : float
        An image with a value above this has the feature.
    absent_threshold : float
        An image with a value up to this lacks the feature. Images between the two thresholds
        count as neither.
    unit : str
        The values' quantity and unit, as an axis label.
    others : callable
        Which other attributes images have, by classifier B; images -> bool (N, A).
    names : tuple of str
        Names of the A other attributes.
    features : callable
        Classifier A's features, images -> (N, F).
    band : tuple of float or None
        The rows in which the feature lies, as shares of the height from the top.
    n_classes : int
        The first so many of the other attributes are classes; each image has one class.
    sure : callable or None
        Whether classifier B is sure of an image's class, images -> bool (N,).
    is_strict : bool
        Whether few real images without the feature pass the threshold.
    """

    feature: str
    score: Callable[[torch.Tensor], torch.Tensor]
    label_threshold: float | None
    value: Callable[[torch.Tensor], torch.Tensor]
    threshold: float
    absent_threshold: float
    unit: str
    others: Callable[[torch.Tensor], torch.Tensor]
    names: tuple[str, ...]
    features: Callable[[torch.Tensor], torch.Tensor]
    band: tuple[float, float] | None = None
    n_classes: int = 0
    sure: Callable[[torch.Tensor], torch.Tensor] | None = None
    is_strict: bool = False

    @property
    def prevalence_key(self) -> str:
        """The name under which records hold shares counted at this threshold."""
        return "prevalence_strict" if self.is_strict else "prevalence"

    def has_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) have the feature, bool (N,); a blank digit has not."""
        return self.value(images) > self.threshold

    def lacks_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) lack the feature, bool (N,)."""
        return self.value(images) <= self.absent_threshold


def once(function: Callable[[torch.Tensor], T]) -> Callable[[torch.Tensor], T]:
    """Return a function that is evaluated once for each tensor, as long as the tensor lives."""
    results = WeakIdKeyDictionary()

    def remembered(images: torch.Tensor) -> T:
        if images not in results:
            results[images] = function(images)
        result: T = results[images]
        return result

    return remembered


def digit_evaluator(
    feature: str, own: torch.Tensor, classifier_a: Classifier, classifier_b: Classifier
) -> FeatureEvaluator:
    """Return an evaluator that grades a digit feature by measurement and classes by classifier B.

    Parameters
    ----------
    feature : str
        The name of a registered digit feature.
    own : Tensor, (N, 1, H, W)
        Samples of the original; the outermost tenth of them has the feature.
    classifier_a : Classifier
        Labels and steers. If it lacks the attribute, the measurement labels and nothing steers.
    classifier_b : Classifier
        Grades the ten classes.

    Raises
    ------
    ParameterError
        There is no such digit feature.
    """
    digit_feature = FEATURES[feature]
    measured = once(measure)
    morphology = Morphology.of(measured(own))
    other_features = [name for name in morphology.attributes if name != feature]
    n_classes = classifier_b.config.n_classes

    def score(images: torch.Tensor) -> torch.Tensor:
        return classifier_a.logit(images, feature)

    def value(images: torch.Tensor) -> torch.Tensor:
        return digit_feature.sign * measured(images)[digit_feature.quantity]

    def others(images: torch.Tensor) -> torch.Tensor:
        digit = classes(classifier_b, images).argmax(1)
        has_class = digit[:, None] == torch.arange(n_classes)
        measurements = measured(images)
        has_others = [morphology.has_feature(measurements, name) for name in other_features]
        return torch.cat([has_class, *(column[:, None] for column in has_others)], 1)

    threshold = digit_feature.sign * morphology.thresholds[feature]
    return FeatureEvaluator(
        feature,
        score=score if feature in classifier_a.attributes else value,
        label_threshold=None,
        value=value,
        threshold=threshold,
        absent_threshold=threshold,
        unit=digit_feature.unit,
        others=once(others),
        names=(*map(str, range(n_classes)), *other_features),
        features=lambda images: features(classifier_a, images),
        n_classes=n_classes,
        sure=lambda images: classes(classifier_b, images).amax(1) > SURE,
    )


def face_evaluator(
    feature: str,
    threshold: float,
    trusted: Sequence[str],
    classifier_a: Classifier,
    classifier_b: Classifier,
) -> FeatureEvaluator:
    """Return an evaluator that grades all attributes of faces by classifier B.

    Parameters
    ----------
    feature : str
        An attribute of both classifiers.
    threshold : float
        A face with a logit of classifier B above this has the feature. A face lacks it at a
        probability of at most one half, or below the threshold if that is lower: a threshold that
        few real negatives pass is missed by many real positives.
    trusted : sequence of str
        The attributes that classifier B grades reliably. The other attributes are these, graded
        at a probability of one half, the nearest to their true shares.
    classifier_a : Classifier
        Labels and steers.
    classifier_b : Classifier
        Grades.
    """
    names = tuple(name for name in trusted if name != feature)
    columns = [classifier_b.attributes.index(name) for name in names]
    column = classifier_b.attributes.index(feature)
    logits_b = once(lambda images: logits(classifier_b, images))
    return FeatureEvaluator(
        feature,
        score=lambda images: classifier_a.logit(images, feature),
        label_threshold=0.0,
        value=lambda images: logits_b(images)[:, column],
        threshold=threshold,
        absent_threshold=min(threshold, 0.0),
        unit="classifier B's logit",
        others=lambda images: logits_b(images)[:, columns] > 0,
        names=names,
        features=lambda images: features(classifier_a, images),
        band=BANDS.get(feature),
        is_strict=True,
    )
