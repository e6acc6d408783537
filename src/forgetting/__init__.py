"""Make image generators forget, and measure whether they did.

The names below are the front door. Each is one function or class of a room of the house under a
short name, and is imported when it is first used.
"""

import random
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forgetting.border.wrappers import as_classifier, as_flow, as_generator
    from forgetting.data.own_images import load_images
    from forgetting.experiments.own_audit import audit
    from forgetting.experiments.own_classifier import train_classifier
    from forgetting.experiments.own_flow import tame
    from forgetting.experiments.own_model import unlearn
    from forgetting.methods.direction import collect_latents, find_direction
    from forgetting.methods.feature_unlearning import unlearn_feature
    from forgetting.metrics.prevalence import prevalence
    from forgetting.zoo.saved import restore
    from forgetting.zoo.store import list_models, load

__version__ = "0.1.0"

_PLACES = {
    "as_classifier": "forgetting.border.wrappers",
    "as_flow": "forgetting.border.wrappers",
    "as_generator": "forgetting.border.wrappers",
    "audit": "forgetting.experiments.own_audit",
    "collect_latents": "forgetting.methods.direction",
    "find_direction": "forgetting.methods.direction",
    "list_models": "forgetting.zoo.store",
    "load": "forgetting.zoo.store",
    "load_images": "forgetting.data.own_images",
    "prevalence": "forgetting.metrics.prevalence",
    "restore": "forgetting.zoo.saved",
    "tame": "forgetting.experiments.own_flow",
    "train_classifier": "forgetting.experiments.own_classifier",
    "unlearn": "forgetting.experiments.own_model",
    "unlearn_feature": "forgetting.methods.feature_unlearning",
}
"""The module of each name of the front door."""

__all__ = [
    "__version__",
    "as_classifier",
    "as_flow",
    "as_generator",
    "audit",
    "collect_latents",
    "find_direction",
    "list_models",
    "load",
    "load_images",
    "prevalence",
    "restore",
    "tame",
    "train_classifier",
    "unlearn",
    "unlearn_feature",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"forgetting has no {name!r}. It has: {', '.join(__all__)}.")
    state = random.getstate()
    value = getattr(import_module(_PLACES[name]), name)
    random.setstate(state)  # a package that the module imports may draw while it is imported
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
