"""The methods that are compared at one budget, each with the setting that is searched for it."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from forgetting.experiments.feature_task import FeatureTask
from forgetting.methods import METHODS, Callback, Method
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.latent_filter import LatentFilter


@dataclass(frozen=True)
class ComparedMethod:
    """A way to unlearn a feature, ready for one task and direction.

    Attributes
    ----------
    method : Method[Any]
        Of the registry.
    config : FinetuneConfig
        The configuration that the search begins with.
    task, direction : FeatureTask
        What is unlearned from the task's original.
    """

    method: Method[Any]
    config: FinetuneConfig
    task: FeatureTask
    direction: Direction

    @property
    def name(self) -> str:
        """The method's name in words, as tables show it."""
        return self.method.name

    @property
    def knob(self) -> str:
        """The field of the configuration that is searched."""
        assert self.method.knob is not None
        return self.method.knob

    def unlearn(self, config: FinetuneConfig, callback: Callback | None = None) -> nn.Module:
        """Return the model that the method tunes with a configuration."""
        task = self.task
        result = self.method(
            task.original,
            self.direction,
            task.evaluator.score,
            config,
            trainable=task.trainable,
            callback=callback,
        )
        return result.model


def compared_methods(
    task: FeatureTask,
    direction: Direction,
    config: FinetuneConfig,
    *,
    classifier_lr: float,
    elastic: float,
) -> list[ComparedMethod]:
    """Return every method with a setting to search, in the order of the tables.

    Methods that follow a classifier's gradient are left out where classifier A lacks the feature:
    a measurement has no gradient.

    Parameters
    ----------
    config : FinetuneConfig
        What all methods share: steps, batches, the first learning rate, precision and seed.
    classifier_lr : float
        The learning rate of methods that follow a classifier's gradient.
    elastic : float
        The weight of Selective Amnesia's elastic weights.
    """
    shared = {name: getattr(config, name) for name in FinetuneConfig.model_fields}
    compared = []
    for method in METHODS.values():
        if method.knob is not None and (task.has_gradient or not method.needs_score):
            own = {"lr": classifier_lr} if method.needs_score else {"elastic": elastic}
            compared.append(
                ComparedMethod(method, method.configure(shared | own), task, direction)
            )
    return compared


def untuned_models(task: FeatureTask, direction: Direction) -> dict[str, nn.Module]:
    """Return what the tuned models are compared with: the latent filter and a retrained model."""
    models: dict[str, nn.Module] = {"latent filter": LatentFilter(task.original, direction)}
    if task.retrained is not None:
        models["retrained"] = task.retrained
    return models
