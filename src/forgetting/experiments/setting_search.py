"""A search over one setting of each method, by classifier A, on latents that nothing else uses.

Of the settings that take away enough of the feature, that one is chosen whose samples are nearest
to the original's own without the feature. Classifier B grades every setting and chooses none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from forgetting.border.contracts import Generator
from forgetting.border.inference import generate
from forgetting.errors import ParameterError, validated
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.sample_fidelity import FidelityReference
from forgetting.methods.finetune import FinetuneConfig
from forgetting.metrics.fidelity import fid

FACTORS = (1, 1 / 3, 3, 1 / 9, 9)
"""What a method's setting is multiplied by, in the order in which tries are spent."""

ENOUGH = 3
"""The feature counts as taken away where classifier A finds it in a third of what it was."""


@dataclass(frozen=True)
class SettingScore:
    """What a model's samples show, on latents that are used for choosing alone.

    Attributes
    ----------
    percent, percent_a : float
        Share of samples that show the feature, by the evaluator and by classifier A, in percent.
    fid : float
        To the original's own samples that lack the feature.
    """

    percent: float
    percent_a: float
    fid: float

    def metrics(self, key: str) -> dict[str, float]:
        """Return `tried_prevalence_KEY` and `tried_classifier_a_KEY`, shares; `tried_fid_KEY`."""
        return {
            f"tried_prevalence_{key}": self.percent / 100,
            f"tried_classifier_a_{key}": self.percent_a / 100,
            f"tried_fid_{key}": self.fid,
        }


@dataclass(frozen=True)
class SettingScorer:
    """A measurement of models on one set of latents.

    Attributes
    ----------
    task : FeatureTask
        Its classifier A counts the feature too.
    reference : FidelityReference
        Of fidelity; its second half is the target here, so that the first stays fresh.
    latents : Tensor
        (N, latent_dim).
    threshold : float
        The logit above which classifier A finds the feature.
    """

    task: FeatureTask
    reference: FidelityReference
    latents: torch.Tensor
    threshold: float

    @classmethod
    def of(
        cls, task: FeatureTask, reference: FidelityReference, latents: torch.Tensor
    ) -> "SettingScorer":
        """Take classifier A's threshold from the task."""
        return cls(task, reference, latents, task.score_threshold())

    def __call__(self, model: Generator) -> SettingScore:
        """Return the score of a model's samples."""
        images = generate(model, self.latents)
        has_feature = self.task.evaluator.has_feature(images)
        found_by_a = self.task.classifier_a_logits(images) > self.threshold
        return SettingScore(
            100 * float(has_feature.float().mean()),
            100 * float(found_by_a.float().mean()),
            fid(self.reference.features(images), self.reference.other),
        )


@dataclass(frozen=True)
class SettingSearch:
    """A method's models and scores at several settings, and which of them is chosen.

    Attributes
    ----------
    knob : str
        Name of the setting in the method's configuration.
    values : tuple[float, ...]
        Of the setting, ascending.
    scores : tuple[SettingScore, ...]
        One for each value.
    chosen : int
        The index of the chosen value.
    model : Module
        The model that was tuned with the chosen value.
    """

    knob: str
    values: tuple[float, ...]
    scores: tuple[SettingScore, ...]
    chosen: int
    model: nn.Module

    def metrics(self, key: str) -> dict[str, float]:
        """Return the chosen setting and every score, under the names of the record.

        Returns
        -------
        setting_KEY : the chosen value
        tried_..._KEY_N : the metrics of the score at the n-th value, from 1
        """
        metrics = {f"setting_{key}": self.values[self.chosen]}
        for number, score in enumerate(self.scores, 1):
            metrics |= score.metrics(f"{key}_{number}")
        return metrics


def choose_setting(scores: Sequence[SettingScore], enough: float) -> int:
    """Return the index of the setting to choose.

    Parameters
    ----------
    enough : float
        The share by classifier A, in percent, down to which the feature must be taken away. Of the
        settings that reach it, the lowest FID is chosen; where none does, the lowest share.
    """
    reached = [i for i, score in enumerate(scores) if score.percent_a <= enough]
    if reached:
        return min(reached, key=lambda i: scores[i].fid)
    return min(range(len(scores)), key=lambda i: scores[i].percent_a)


def search_setting(
    unlearn: Callable[[FinetuneConfig], nn.Module],
    config: FinetuneConfig,
    knob: str,
    score: Callable[[Any], SettingScore],
    *,
    tries: int,
    enough: float,
) -> SettingSearch:
    """Try a method at several values of one setting and choose one of them.

    Parameters
    ----------
    unlearn : callable
        Returns the model that a method tunes with a configuration.
    config : FinetuneConfig
        Its value of the setting is multiplied by the first `tries` of `FACTORS`.
    knob : str
        The name of the setting.
    score : callable
        Of a model; see `SettingScorer`.
    enough : float
        As `choose_setting` takes it.

    Raises
    ------
    ParameterError
        The setting is 0, so that all values are equal, or a value is not allowed.
    """
    if not getattr(config, knob):
        raise ParameterError(f"{knob} = 0: a search multiplies it, so give another value.")
    values = sorted(getattr(config, knob) * factor for factor in FACTORS[:tries])
    settings = [validated(type(config), {**config.model_dump(), knob: v}) for v in values]
    models = [unlearn(each) for each in settings]
    scores = tuple(score(model) for model in models)
    chosen = choose_setting(scores, enough)
    return SettingSearch(knob, tuple(values), scores, chosen, models[chosen])
