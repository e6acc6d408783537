"""The methods that make a flow forget images, by name, under one calling convention.

A module of this package or of another adds a method with `@taming_method(...)`. Another package
names its module in an entry point of the group `forgetting.taming_methods`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from forgetting.border.preflight import check_flow
from forgetting.errors import ModelError
from forgetting.foundation.registry import Registry
from forgetting.methods.image_sets import check_sets
from forgetting.methods.method import AnyMethod, C, adding
from forgetting.methods.results import UnlearningResult


@dataclass(frozen=True, kw_only=True)
class TamingMethod(AnyMethod[C]):
    """A method that makes a flow find images unlikely; a call runs it.

    Its function takes a flow, the images to forget, those to retain, and a configuration.
    """

    def __call__(
        self,
        flow: nn.Module,
        forget: torch.Tensor,
        retain: torch.Tensor,
        config: C | None = None,
    ) -> UnlearningResult:
        """Make a copy of a flow forget images.

        Parameters
        ----------
        flow, forget, retain
            As `tame` takes them.
        config : BaseModel, optional
            An instance of `configuration`; its defaults where there is none.

        Returns
        -------
        UnlearningResult
            The tuned copy and its history.

        Raises
        ------
        ParameterError
            `config` is of another class.
        DataError
            A set is too small, or the sets differ in shape or type, or share an image.
        ModelError
            The flow does not pass the preflight, or the method returns no result, or a model that
            gives these images no likelihoods.
        TrainingError
            The loss is not finite, or the method changed the flow that it was given.
        """
        config = self.checked(config)
        forget, retain = check_sets(forget, retain)
        check_flow(flow, retain, is_tuned=True)
        result = self.solve(flow, config, flow, forget, retain, config)
        try:
            check_flow(result.model, retain)
        except Exception as error:  # whatever a method may have made of the model
            raise ModelError(
                f"The method {self.name} returns a model that gives images no likelihoods "
                f"({type(error).__name__}: {str(error).rstrip('.')})."
            ) from error
        return result


TAMING_METHODS: Registry[TamingMethod[Any]] = Registry(
    "taming method", "forgetting.methods", "forgetting.taming_methods"
)
"""All methods that make a flow forget images, by their name with underscores."""


def taming_method(
    name: str, configuration: type[C], *, source: str
) -> Callable[[Callable[..., UnlearningResult]], TamingMethod[C]]:
    """Return a decorator that makes a function a `TamingMethod` and adds it to `TAMING_METHODS`.

    The first line of the function's docstring is the method's description.

    Parameters
    ----------
    name : str
        In words; with underscores instead of spaces it is the key in `TAMING_METHODS`.
    configuration : type
        Class of the method's settings.
    source : str
        Where the method comes from, in words.

    Raises
    ------
    ParameterError
        Another method has that name.
    """

    return adding(
        TamingMethod, TAMING_METHODS, name=name, configuration=configuration, source=source
    )
