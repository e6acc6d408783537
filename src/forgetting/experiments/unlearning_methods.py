"""Both ways to unlearn a feature of a task: the single pass, or rounds until it is gone."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from forgetting.border.feature_score import SURELY_LACKING
from forgetting.errors import validated
from forgetting.experiments.context import Experiment
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import (
    RETRAINED,
    GradedSamples,
    deciding_fid,
    give_verdict,
    grade_samples,
    grading_metrics,
    read_evidence,
)
from forgetting.experiments.looking import N_FIRST, look_at, plainly_short
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    outside_fid_metrics,
)
from forgetting.experiments.unlearning import FeatureParameters
from forgetting.methods import Callback
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.results import Look, UnlearningResult, UntilGoneResult
from forgetting.methods.until_gone import until_gone
from forgetting.methods.until_gone_config import UntilGoneConfig

MethodName = Literal["until_gone", "moon2024"]
"""Rounds until the graders find the feature gone, or the single pass of the paper."""


OF_ONE_PASS = {
    **{
        name: UnlearningConfig.model_fields[name].default
        for name in ("lr", "alpha", "perceptual", "pixels", "reconstruction")
    },
    "form": "raw",
    "projection_threshold": "midpoint",
    "manual_labels": "",
}
"""Parameters of the single pass that rounds have no use for, with their defaults."""


class RoundParameters(FinetuneConfig, FeatureParameters):
    """The parameters of a template that unlearns a feature in rounds."""

    rounds: int = Field(ge=1, le=100)


class UnlearningParameters(UnlearningConfig, RoundParameters):
    """The parameters of a template that unlearns a feature by the method that they name."""

    method: MethodName
    manual_labels: str
    form: Literal["raw", "unit"]
    projection_threshold: Literal["midpoint", "prevalence"]

    without_effect: ClassVar[Mapping[str, tuple[str, ...]]] = {"moon2024": ("rounds",)}

    @model_validator(mode="after")
    def _are_of_the_method(self) -> Self:
        """Refuse a parameter that would have no effect."""
        if self.method == "until_gone":
            for name, default in OF_ONE_PASS.items():
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} = {getattr(self, name)!r} belongs to method = 'moon2024'; "
                        f"until_gone has no use for it, so leave it at {default!r}"
                    )
        return self


class TaskLook:
    """A look at tuned models by every grader of a task, on latents that nothing else uses."""

    def __init__(self, task: FeatureTask, latents: torch.Tensor) -> None:
        """Grade the samples of the original and of the retrained model.

        Parameters
        ----------
        latents : Tensor
            (N, latent_dim), of all samples that are looked at.
        """
        models = {"original": task.original}
        if task.retrained is not None:
            models[RETRAINED] = task.retrained
        self._task, self._latents = task, latents
        self._reference = FidelityReference.of(task)
        self._graded = grade_samples(task.evaluator, models, latents)
        self._first = grade_samples(task.evaluator, models, latents[:N_FIRST])
        self._fids_before = self._fids({"original": self._graded["original"]})

    def __call__(self, model: Any) -> Look:
        """Return whether a tuned model is short of gone, there, or past it.

        Where samples are too few for a verdict, the model counts as short of gone.
        """
        evaluator = self._task.evaluator
        first = grade_samples(evaluator, {"unlearned": model}, self._latents[:N_FIRST])
        short = plainly_short(read_evidence(grading_metrics(evaluator, self._first | first)))
        if short is not None:
            return short
        tuned = grade_samples(evaluator, {"unlearned": model}, self._latents)
        metrics = grading_metrics(evaluator, self._graded | tuned)
        metrics |= self._fids_before | self._fids(tuned)
        verdict = give_verdict(metrics)
        if verdict is None:
            return Look("short")
        return look_at(verdict, *(deciding_fid(metrics, key) for key in ("after", "before")))

    def _fids(self, graded: Mapping[str, GradedSamples]) -> dict[str, float]:
        """Return every FID of models, and its floor."""
        return fid_metrics(self._reference, graded) | outside_fid_metrics(self._task, graded)


def unlearn_in_rounds(
    run: Experiment, task: FeatureTask, parameters: RoundParameters, callback: Callback | None
) -> UntilGoneResult:
    """Unlearn a task's feature until its graders find it gone.

    Classifier A steers. The looks take the run's stream `look`.

    Parameters
    ----------
    callback : callable or None
        As `until_gone` takes it.

    Raises
    ------
    DataError, TrainingError
        As `until_gone` raises them.
    """
    threshold = task.score_threshold()
    is_of_degree = task.evaluator.label_threshold is None
    config = validated(
        UntilGoneConfig,
        {
            "threshold": threshold,
            "lacking": threshold if is_of_degree else SURELY_LACKING,
            "n_collected": parameters.n_collected,
            **{
                name: getattr(parameters, name)
                for name in ("rounds", "steps", "batch_size", "precision", "log_every", "seed")
            },
        },
    )
    latents = run.latents("look", parameters.n_samples, task.original.latent_dim)
    return until_gone(
        task.original,
        task.evaluator.score,
        TaskLook(task, latents),
        config,
        trainable=task.trainable,
        callback=callback,
    )


def unlearn(
    run: Experiment,
    task: FeatureTask,
    direction: Direction,
    parameters: UnlearningParameters,
    callback: Callback | None,
) -> UnlearningResult:
    """Unlearn a task's feature by the method that the parameters name.

    Parameters
    ----------
    direction : Direction
        Which the single pass follows; rounds collect latents and find their own.
    callback : callable or None
        As the methods take it.
    """
    if parameters.method == "until_gone":
        return unlearn_in_rounds(run, task, parameters, callback)
    return unlearn_feature(
        task.original, direction, parameters, trainable=task.trainable, callback=callback
    )


def tuning_metrics(result: UnlearningResult, parameters: UnlearningParameters) -> dict[str, float]:
    """Return `rounds`, `lr` and `steps` of tuning; of rounds also `unsolved`."""
    metrics = {"rounds": 1.0, "lr": parameters.lr, "steps": result.history[-1]["step"]}
    if isinstance(result, UntilGoneResult):
        metrics |= {"rounds": result.history[-1]["round"], "lr": result.lr}
        metrics["unsolved"] = result.unsolved
    return metrics
