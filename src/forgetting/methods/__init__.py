"""Ways to make a model forget; each leaves the model it was given untouched."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

Callback = Callable[[dict[str, float], nn.Module], None]
"""Called at every step with a row of figures and the model as it is then."""


@dataclass(frozen=True)
class UnlearningResult:
    """What a method returns: the model that forgot, and a row of figures for every log step."""

    model: nn.Module
    history: list[dict[str, float]]


@dataclass(frozen=True)
class TamingResult:
    """What taming returns: the tamed flow, and a row of figures for every log step."""

    model: nn.Module
    history: list[dict[str, float]]
