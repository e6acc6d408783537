"""Taming a flow on digits of one class: parameters, models, digits, and what became likely."""

from dataclasses import dataclass

import torch
from pydantic import Field

from forgetting.data.digits import Source
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.digit_splits import (
    DigitSplits,
    load_digit_splits,
    measured_digits,
    nearest_class,
)
from forgetting.experiments.flow_task import FlowTask, load_flow
from forgetting.experiments.likelihoods import likelihood_metrics, shift_metrics
from forgetting.methods.taming import TamingConfig
from forgetting.metrics.likelihood import Comparison, compare
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow


class DigitTamingParameters(TamingConfig, Parameters):
    """The parameters of every template that tames a flow on digits of one class."""

    digit: int = Field(ge=0, le=9)
    source: Source
    model: str
    temperature: float = Field(gt=0, le=2)
    n_likelihood_reference: int = Field(ge=50, le=50_000)
    n_samples: int = Field(ge=128, le=50_000)
    draws: int = Field(ge=1, le=100)


def digit_presets(max_steps: int) -> dict[str, dict[str, int]]:
    """Return the presets `smoke` and `default` of a template on digits of one class.

    Parameters
    ----------
    max_steps : int
        Of taming, in the preset `default`.
    """
    smoke = {"max_steps": 3, "n_likelihood_reference": 50, "n_samples": 150, "draws": 1}
    default = {"n_likelihood_reference": 500, "n_samples": 1000, "draws": 5}
    return {"smoke": smoke, "default": default | {"max_steps": max_steps}}


@dataclass(frozen=True)
class DigitTask(FlowTask):
    """A flow, the digits around the class to forget, and the classifiers that grade.

    Attributes
    ----------
    splits : DigitSplits
        The digits.
    classifier_a, classifier_b : Classifier
        One gives features and nearest class, the other counts the class.
    """

    splits: DigitSplits
    classifier_a: Classifier
    classifier_b: Classifier

    @property
    def retain(self) -> torch.Tensor:
        """The images to retain, (M, 1, size, size) in [0, 1]."""
        return self.splits.retain.floats(self.splits.size)

    def forget(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return images to forget (N, 1, size, size) in [0, 1].

        Parameters
        ----------
        chosen : Tensor
            Indices (N,) of training digits.
        """
        return self.splits.train.where(chosen).floats(self.splits.size)


def load_digit_task(experiment: Experiment, parameters: DigitTamingParameters) -> DigitTask:
    """Load the flow, the digits and both classifiers that an experiment's parameters name.

    Raises
    ------
    DataError
        The digits are not at hand.
    ParameterError
        The model is no Glow.
    WeightsError
        A model's weights are not what they should be.
    """
    base = load_flow(experiment, parameters.model)
    classifier_a, classifier_b = (experiment.load(f"digits-classifier-{name}") for name in "ab")
    splits = load_digit_splits(
        experiment,
        parameters.source,
        parameters.digit,
        base.image_shape[-1],
        parameters.n_likelihood_reference,
    )
    return DigitTask(base, splits, classifier_a, classifier_b)


def compare_digit_likelihoods(
    experiment: Experiment, task: DigitTask, tamed: Glow, forget: torch.Tensor, draws: int
) -> tuple[Comparison, dict[str, float]]:
    """Compare the likelihoods of measured digits before and after taming.

    Parameters
    ----------
    experiment : Experiment
        Its streams "sets" and "random" draw the sets; "noise" gives the seed of the noise.
    tamed : Glow
        The flow after taming.
    forget : Tensor
        Indices (N,) of the training digits that were forgotten.
    draws : int
        Of dequantisation noise for each likelihood.

    Returns
    -------
    The comparison, and the metrics of `likelihood_metrics` with `shift_random_sigma` of held-out
    digits of other classes, its interval, and `nearest_class`.
    """
    nearest = nearest_class(task.splits, task.classifier_a)
    comparison = compare(
        task.base,
        tamed,
        measured_digits(experiment, task.splits, forget, nearest),
        task.splits.likelihood_reference,
        draws=draws,
        seed=experiment.seed("noise"),
    )
    metrics = likelihood_metrics(comparison) | {"nearest_class": nearest}
    return comparison, metrics | shift_metrics(comparison, {"held_out": "shift_random_sigma"})
