"""What is trained: flows, generators and classifiers, all on images in [0, 1]."""

from pydantic import BaseModel
from torch import nn

from forgetting.registry import Registry

MODELS: Registry[tuple[type[nn.Module], type[BaseModel]]] = Registry(
    "kind of model", "forgetting.models"
)
"""The kinds of models that weights are kept of: the class and the class of its configuration."""
