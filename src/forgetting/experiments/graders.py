"""What grades a feature of samples: measurements, and classifiers from within and outside."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from forgetting.border.feature_score import SURELY_LACKING
from forgetting.border.inference import in_batches, once
from forgetting.zoo.graders import (
    CLASSIFIER_A,
    CLASSIFIER_B,
    OUTSIDE,
    load_outside_classifier,
    load_outside_space,
    load_thresholds,
)

SURE = 0.9
"""A classifier is sure of a class whose probability is above this."""

NAMES = {
    CLASSIFIER_A: ("a", "classifier A"),
    CLASSIFIER_B: ("", "classifier B"),
    OUTSIDE: ("outside", "face-api"),
}
"""Of every classifier, how records and how pages name it."""


def metric_name(measure: str, grader: str, model: str) -> str:
    """Return how records name a grader's measure of a model; the first grader's name is empty."""
    return "_".join(part for part in (measure, grader, model) if part)


@dataclass(frozen=True)
class Grader:
    """Something that says how much of a feature images have.

    Attributes
    ----------
    name : str
        How records name it, as in `prevalence_NAME_KEY`; empty for the first grader.
    title : str
        How pages name it.
    value : callable
        How much of the feature images have; images (N, C, H, W) -> (N,). An image without a
        finite value does not have it.
    threshold : float
        An image with a value above this has the feature. Of a classifier it is the balanced
        threshold.
    unit : str
        The values' quantity and unit, as an axis label.
    strict_threshold : float or None
        One real image in 200 without the feature has a value above this; None of a measurement.
    surely_absent : float or None
        The grader is sure that an image with a value below this lacks the feature; None of a
        measurement.
    """

    name: str
    title: str
    value: Callable[[torch.Tensor], torch.Tensor]
    threshold: float
    unit: str
    strict_threshold: float | None = None
    surely_absent: float | None = None

    def has_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) have the feature, bool (N,)."""
        return self.value(images) > self.threshold

    def key(self, measure: str, model: str) -> str:
        """Return the name of a measure of a model in records, such as `prevalence_outside_after`.

        Parameters
        ----------
        measure : str
            Such as `prevalence`.
        model : str
            The model's key, such as `after`.
        """
        return metric_name(measure, self.name, model)


class OutsideGrader:
    """The classifier from outside the study on samples of one size, each seen once."""

    def __init__(self, size: int) -> None:
        """Load the classifier for faces of a size in pixels.

        Raises
        ------
        WeightsError
            The outside networks are not at hand.
        """
        self._classifier = load_outside_classifier(size)
        self._space = load_outside_space(size)
        networks = self._classifier.networks
        self._expression = once(
            partial(in_batches, networks, "expression_features", title="grading from outside")
        )
        self._gender = once(
            partial(in_batches, networks, "gender_features", title="grading from outside")
        )

    def logit(self, images: torch.Tensor, attribute: str) -> torch.Tensor:
        """Return the score (N,) of an attribute of images (N, 3, H, W)."""
        blank = images.new_zeros(len(images), 0)
        expression = blank if attribute == "Male" else self._expression(images)
        gender = blank if attribute == "Smiling" else self._gender(images)
        return self._classifier.read(attribute, expression, gender)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (N, 64) of images, for a Frechet distance."""
        return self._space(self._expression(images))


def classifier_grader(
    name: str, feature: str, size: int, logit: Callable[[torch.Tensor], torch.Tensor]
) -> Grader:
    """Return a classifier of faces as a grader, with its thresholds from the zoo.

    Parameters
    ----------
    name : str
        `CLASSIFIER_A`, `CLASSIFIER_B` or `OUTSIDE`.
    feature : str
        An attribute of the study.
    size : int
        Side of the faces in pixels.
    logit : callable
        Returns the logits (N,) of the feature of images (N, 3, H, W).

    Raises
    ------
    DataError
        The zoo has no thresholds of this attribute.
    """
    thresholds = load_thresholds(name, feature, size)
    key, title = NAMES[name]
    return Grader(
        key,
        title,
        value=once(logit),
        threshold=thresholds.balanced,
        unit=f"{title}'s logit",
        strict_threshold=thresholds.strict,
        surely_absent=SURELY_LACKING,
    )
