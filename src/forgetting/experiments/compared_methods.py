"""The methods that are compared at one budget, each with the setting that is searched for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from forgetting.experiments.feature_task import FeatureTask
from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.gradient_surgery import gradient_surgery
from forgetting.methods.latent_filter import LatentFilter
from forgetting.methods.selective_amnesia import AmnesiaConfig, selective_amnesia
from forgetting.methods.whole_image import unlearn_whole_image


@dataclass(frozen=True)
class ComparedMethod:
    """A way to unlearn a feature, ready for one task and direction.

    Attributes
    ----------
    name : in words, as tables show it
    knob : the field of its configuration that is searched
    config : the configuration that the search begins with
    tune : takes a configuration and a callback, and tunes a copy of the task's original
    """

    name: str
    knob: str
    config: FinetuneConfig
    tune: Callable[[FinetuneConfig, Callback | None], UnlearningResult]

    def unlearn(self, config: FinetuneConfig, callback: Callback | None = None) -> nn.Module:
        """Return the model that the method tunes with a configuration."""
        return self.tune(config, callback).model


def compared_methods(
    task: FeatureTask,
    direction: Direction,
    config: FinetuneConfig,
    *,
    classifier_lr: float,
    elastic: float,
) -> list[ComparedMethod]:
    """Return the methods that tune a copy of a task's original, in the order of the tables.

    Parameters
    ----------
    config : what all methods share: steps, batches, the first learning rate, precision and seed
    classifier_lr : the learning rate of methods that follow a classifier's gradient
    elastic : the weight of Selective Amnesia's elastic weights
    """
    shared = {name: getattr(config, name) for name in FinetuneConfig.model_fields}
    tuning = FinetuneConfig(**shared)
    gentle = tuning.model_copy(update={"lr": classifier_lr})
    given = (task.original, direction)
    steered = (*given, task.evaluator.score)
    entries = [
        ("feature unlearning", "lr", UnlearningConfig(**shared), unlearn_feature, given),
        ("gradient ascent", "lr", gentle, gradient_ascent, steered),
        ("gradient surgery", "lr", gentle, gradient_surgery, steered),
        (
            "selective amnesia",
            "elastic",
            AmnesiaConfig(**shared, elastic=elastic),
            selective_amnesia,
            given,
        ),
        ("whole image", "lr", tuning, unlearn_whole_image, given),
    ]
    return [
        ComparedMethod(name, knob, own, partial(_tune, method, subjects, task.trainable))
        for name, knob, own, method, subjects in entries
    ]


def _tune(
    method: Callable[..., UnlearningResult],
    subjects: tuple[Any, ...],
    trainable: Callable[[nn.Module], nn.Module],
    config: FinetuneConfig,
    callback: Callback | None,
) -> UnlearningResult:
    return method(*subjects, config, trainable=trainable, callback=callback)


def untuned_models(task: FeatureTask, direction: Direction) -> dict[str, nn.Module]:
    """Return what the tuned models are compared with: the latent filter and a retrained model."""
    models: dict[str, nn.Module] = {"latent filter": LatentFilter(task.original, direction)}
    if task.retrained is not None:
        models["retrained"] = task.retrained
    return models
