"""What every method has, whatever it makes forget: a name, settings, and how it is called."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.undisturbed import undisturbed
from forgetting.errors import ModelError, ParameterError
from forgetting.foundation.registry import Registry
from forgetting.methods.results import UnlearningResult

C = TypeVar("C", bound=BaseModel)
M = TypeVar("M", bound="AnyMethod[Any]")


@dataclass(frozen=True, kw_only=True)
class AnyMethod(Generic[C]):
    """A method that makes a model forget.

    Attributes
    ----------
    name : str
        In words, as a table shows it.
    function : callable
        What the method does.
    configuration : type
        Class of the method's settings; without arguments it gives the defaults.
    source : str
        Where the method comes from, in words.
    description : str
        One sentence on what the method does.
    """

    name: str
    function: Callable[..., UnlearningResult]
    configuration: type[C]
    source: str
    description: str

    def checked(self, config: C | None) -> C:
        """Return settings of the method; its defaults where there are none.

        Raises
        ------
        ParameterError
            `config` is of another class.
        """
        config = self.configuration() if config is None else config
        if not isinstance(config, self.configuration):
            raise ParameterError(
                f"The method {self.name} takes settings of class {self.configuration.__name__}, "
                f"not {type(config).__name__}."
            )
        return config

    def solve(self, model: nn.Module, config: C, *arguments: Any) -> UnlearningResult:
        """Return what the function makes of its arguments, under the seed of the settings.

        Parameters
        ----------
        model : nn.Module
            The model that is among the arguments, which must not change.

        Raises
        ------
        ModelError
            The method returns no result.
        TrainingError
            The method changed the model that it was given.
        """
        with (
            undisturbed(model, f"The method {self.name}"),
            own_conditions(getattr(config, "seed", 0)),
        ):
            result = self.function(*arguments)
        if not isinstance(result, UnlearningResult):
            raise ModelError(
                f"The method {self.name} returns {type(result).__name__}: it must return an "
                "UnlearningResult, as `finetune` does."
            )
        return result


def adding(kind: type[M], registry: Registry[M], **facts: Any) -> Callable[..., M]:
    """Return a decorator that makes a function a method and adds it to a registry.

    The first line of the function's docstring is the method's description. Its name with
    underscores is its key.

    Parameters
    ----------
    kind : type
        Class of the method.
    **facts
        Its attributes, without function and description.
    """

    def add(function: Callable[..., UnlearningResult]) -> M:
        description = (inspect.getdoc(function) or facts["name"]).splitlines()[0]
        method = kind(function=function, description=description, **facts)
        registry.register(method.name.replace(" ", "_"))(method)
        return method

    return add
