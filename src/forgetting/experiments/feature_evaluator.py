"""The classifiers that label, steer and grade one feature of a generator's samples.

Digits and faces differ in who does that; a template uses a `FeatureEvaluator` for either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from forgetting.border.inference import classes, features, logits, once
from forgetting.data.digit_features import FEATURES
from forgetting.data.morphology import Morphology, measure
from forgetting.experiments.graders import SURE, Grader, OutsideGrader, classifier_grader
from forgetting.models.classifier import Classifier
from forgetting.zoo.graders import CLASSIFIER_A, CLASSIFIER_B, OUTSIDE

BANDS = {
    "Bangs": (0.0, 0.35),
    "Wearing_Hat": (0.0, 0.35),
    "Eyeglasses": (0.33, 0.55),
    "Smiling": (0.58, 0.88),
}
"""The rows in which a feature of faces lies, as shares of the height from the top.

The crop puts the eyes of CelebA at 0.44, the brows at 0.35 and the mouth at 0.70.
"""


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
    graders : tuple of Grader
        What had no part in forgetting and says how much of the feature images have. The first
        grader decides where only one can.
    labeller : Grader or None
        Classifier A as a grader; None where the feature is measured.
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
    """

    feature: str
    score: Callable[[torch.Tensor], torch.Tensor]
    label_threshold: float | None
    graders: tuple[Grader, ...]
    labeller: Grader | None
    others: Callable[[torch.Tensor], torch.Tensor]
    names: tuple[str, ...]
    features: Callable[[torch.Tensor], torch.Tensor]
    band: tuple[float, float] | None = None
    n_classes: int = 0
    sure: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def grader(self) -> Grader:
        """The grader that decides where only one can."""
        return self.graders[0]

    def value(self, images: torch.Tensor) -> torch.Tensor:
        """Return how much of the feature images (N, C, H, W) have, (N,), in `grader.unit`."""
        return self.grader.value(images)

    def has_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) have the feature, bool (N,); a blank digit has not."""
        return self.grader.has_feature(images)

    def lacks_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) lack the feature, bool (N,).

        A blank digit neither has it nor lacks it.
        """
        return self.value(images) <= self.grader.threshold


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

    measurement = Grader(
        name="",
        title="measured",
        value=value,
        threshold=digit_feature.sign * morphology.thresholds[feature],
        unit=digit_feature.unit,
    )
    return FeatureEvaluator(
        feature,
        score=score if feature in classifier_a.attributes else value,
        label_threshold=None,
        graders=(measurement,),
        labeller=None,
        others=once(others),
        names=(*map(str, range(n_classes)), *other_features),
        features=lambda images: features(classifier_a, images),
        n_classes=n_classes,
        sure=lambda images: classes(classifier_b, images).amax(1) > SURE,
    )


def face_evaluator(
    feature: str,
    size: int,
    trusted: Sequence[str],
    classifier_a: Classifier,
    classifier_b: Classifier,
    outside: OutsideGrader | None,
) -> FeatureEvaluator:
    """Return an evaluator that grades faces by classifier B and by a classifier from outside.

    Parameters
    ----------
    feature : str
        An attribute of the study.
    size : int
        Side of the faces in pixels.
    trusted : sequence of str
        The attributes that classifier B grades reliably. The other attributes are these, graded
        at a probability of one half, the nearest to their true shares.
    classifier_a : Classifier
        Labels and steers.
    classifier_b : Classifier
        Grades the feature and the other attributes.
    outside : OutsideGrader or None
        Grades the feature; None where its networks are not at hand.

    Raises
    ------
    DataError
        The zoo has no thresholds of this attribute.
    """
    names = tuple(name for name in trusted if name != feature)
    columns = [classifier_b.attributes.index(name) for name in names]
    column_a = classifier_a.attributes.index(feature)
    column = classifier_b.attributes.index(feature)
    logits_a = once(lambda images: logits(classifier_a, images))
    logits_b = once(lambda images: logits(classifier_b, images))
    graders = [
        classifier_grader(CLASSIFIER_B, feature, size, lambda images: logits_b(images)[:, column])
    ]
    if outside is not None:
        graders.append(
            classifier_grader(
                OUTSIDE, feature, size, lambda images: outside.logit(images, feature)
            )
        )
    return FeatureEvaluator(
        feature,
        score=lambda images: classifier_a.logit(images, feature),
        label_threshold=0.0,
        graders=tuple(graders),
        labeller=classifier_grader(
            CLASSIFIER_A, feature, size, lambda images: logits_a(images)[:, column_a]
        ),
        others=lambda images: logits_b(images)[:, columns] > 0,
        names=names,
        features=lambda images: features(classifier_a, images),
        band=BANDS.get(feature),
    )
