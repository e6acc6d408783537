"""A generator and a feature that it shall forget, with the classifiers and references of both."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from forgetting.border.adapters import AtTemperature
from forgetting.border.inference import generate, logits
from forgetting.data.digit_features import FEATURES
from forgetting.errors import ParameterError
from forgetting.experiments.context import Experiment
from forgetting.experiments.feature_evaluator import (
    FeatureEvaluator,
    digit_evaluator,
    face_evaluator,
)
from forgetting.experiments.graders import OutsideGrader
from forgetting.metrics.feature_statistics import Statistics
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo
from forgetting.zoo.face_api import has_face_api
from forgetting.zoo.graders import GRADERS

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class FeatureTask:
    """What an experiment on one feature of a generator of the zoo begins with.

    Attributes
    ----------
    original : Any
        The generator; a flow at its temperature.
    classifier_a, classifier_b : Classifier
        Classifier A labels samples and steers methods; classifier B has no part in forgetting.
    evaluator : FeatureEvaluator
        Of the feature.
    outside : OutsideGrader or None
        The classifier from outside the study; None of digits, and where it is not at hand.
    own : Tensor
        Samples of the original (N, C, H, W); none of them is graded.
    lacking : Tensor
        Those of `own` that lack the feature.
    real : Statistics or None
        Statistics of held-out real images without the feature; None where the zoo has none.
    retrained : Any
        The generator that was trained without the feature; None where the zoo has none.
    """

    original: Any
    classifier_a: Classifier
    classifier_b: Classifier
    evaluator: FeatureEvaluator
    outside: OutsideGrader | None
    own: torch.Tensor
    lacking: torch.Tensor
    real: Statistics | None
    retrained: Any

    @property
    def has_gradient(self) -> bool:
        """Whether classifier A has the feature; a measurement has no gradient to follow."""
        return self.evaluator.feature in self.classifier_a.attributes

    def classifier_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return classifier A's features (B, F) of images (B, C, H, W), differentiably."""
        return self.classifier_a.features(images)

    def classifier_a_logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return classifier A's logits of the feature, (N,), of images (N, C, H, W), in batches.

        The logits come without a gradient; `evaluator.score` has one. Of a measured feature that
        classifier A does not have, its values stand in their place.
        """
        if self.evaluator.feature not in self.classifier_a.attributes:
            return self.evaluator.value(images)
        column = self.classifier_a.attributes.index(self.evaluator.feature)
        return logits(self.classifier_a, images)[:, column]

    def score_threshold(self) -> float:
        """Return the score above which a sample has the feature by what steers.

        Where the feature has no threshold of its own, a tenth of the original's own samples lie
        above it.
        """
        threshold = self.evaluator.label_threshold
        if threshold is None:
            threshold = float(self.classifier_a_logits(self.own).quantile(0.9))
        return threshold

    @staticmethod
    def last_layer(model: nn.Module) -> nn.Module:
        """Return the last layer with weights of a model; of a flow, the last network to decode."""
        if isinstance(model, AtTemperature) and isinstance(model.flow, Glow):
            network: Any = model.flow.get_submodule("blocks.0.steps.0.coupling.network")
            return network[-1]
        return [layer for layer in model.modules() if isinstance(layer, LAYERS)][-1]

    @staticmethod
    def trainable(copy: nn.Module) -> nn.Module:
        """Return the part that makes the image: a VAE's decoder, a whole GAN, a whole flow."""
        return getattr(copy, "decoder", copy)


def load_feature_task(
    run: Experiment, model: str, feature: str, n: int, temperature: float = 0.7
) -> FeatureTask:
    """Load a generator with the classifiers and references of one feature, and record all of them.

    Parameters
    ----------
    model : str
        A generator of the zoo, such as a VAE, a GAN or a flow.
    feature : str
        A registered feature of digits, or an attribute of faces.
    n : int
        Samples of the original to draw, from the run's stream `own`.
    temperature : float
        Of a flow's samples; a GAN or VAE is sampled at 1.

    Raises
    ------
    ParameterError
        The model is no generator, or has no such feature.
    """
    original = run.load_generator(model)
    of_digits = original.config.channels == 1
    allowed = FEATURES if of_digits else reference.FACE_FEATURES
    if feature not in allowed:
        raise ParameterError(f"feature = {feature!r}: of {model} it can be {', '.join(allowed)}.")
    kind = "digits" if of_digits else "faces"
    classifier_a, classifier_b = (run.load(f"{kind}-classifier-{which}") for which in "ab")
    if hasattr(original, "log_prob"):
        original = AtTemperature(original, temperature)
    own = generate(original, run.latents("own", n, original.latent_dim))
    outside = None
    if of_digits:
        evaluator = digit_evaluator(feature, own, classifier_a, classifier_b)
        real = _real_statistics(run, f"without_{feature}", reference.DIGITS)
    else:
        size = str(own.shape[-1])
        run.record(GRADERS)
        outside = OutsideGrader(int(size)) if has_face_api() else None
        evaluator = face_evaluator(
            feature, int(size), reference.TRUSTED, classifier_a, classifier_b, outside
        )
        real = _real_statistics(run, f"{size}.without_{feature}", reference.FACES)
    family = model.split("-seed-")[0]  # a base of another seed has the same reference
    without = f"{family}-no-{feature.replace('_', '-').lower()}"
    retrained = run.load(without) if zoo.has(without) else None
    lacking = own[evaluator.lacks_feature(own)]
    return FeatureTask(
        original, classifier_a, classifier_b, evaluator, outside, own, lacking, real, retrained
    )


def _real_statistics(run: Experiment, subset: str, name: str) -> Statistics | None:
    """Return statistics of real images; None of a feature that another package has added."""
    return run.statistics(subset, name) if subset in run.record(name)["counts"] else None
