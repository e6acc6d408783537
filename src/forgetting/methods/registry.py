"""The methods that unlearn a feature of a generator, by name, under one calling convention.

A module of this package or of another adds a method with `@unlearning_method(...)`. Another
package names its module in an entry point of the group `forgetting.methods`, under the method's
name, so that `METHODS` imports it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import first_samples
from forgetting.border.scores import check_score
from forgetting.errors import ModelError, ParameterError, did_you_mean
from forgetting.foundation.registry import Registry
from forgetting.methods.direction import Direction
from forgetting.methods.method import AnyMethod, C, adding
from forgetting.methods.problem import Score, Trainable, UnlearningProblem, all_weights
from forgetting.methods.results import Callback, UnlearningResult


@dataclass(frozen=True, kw_only=True)
class Method(AnyMethod[C]):
    """A method that unlearns a feature of a generator; a call runs it.

    Its function solves an `UnlearningProblem` with a configuration. Where `needs_score`, the score
    function is its third argument.

    Attributes
    ----------
    knob : str or None
        Field of the configuration that a small search varies; None: nothing to search.
    needs_score : bool
        Whether the method follows the gradient of a score function.
    """

    knob: str | None
    needs_score: bool

    def configure(self, settings: Mapping[str, Any]) -> C:
        """Return a configuration of the method, made of those settings that it has fields for.

        Parameters
        ----------
        settings : mapping
            Values by name, for all methods of a comparison; those of other methods are left out.

        Raises
        ------
        ParameterError
            No method has a setting of that name.
        pydantic.ValidationError
            A value is of the wrong type or out of range.
        """
        known = {
            field for method in METHODS.values() for field in method.configuration.model_fields
        }
        for name in settings:
            if name not in known:
                hint = did_you_mean(name, sorted(known))
                raise ParameterError(f"No method has a setting {name!r}. {hint}")
        fields = self.configuration.model_fields
        return self.configuration(**{k: v for k, v in settings.items() if k in fields})

    def __call__(
        self,
        generator: nn.Module,
        direction: Direction,
        score: Score | None = None,
        config: C | None = None,
        *,
        trainable: Trainable = all_weights,
        callback: Callback | None = None,
    ) -> UnlearningResult:
        """Unlearn a feature with a copy of a generator.

        Parameters
        ----------
        generator, direction, trainable, callback
            As `UnlearningProblem` takes them.
        score : callable, optional
            Images (B, C, H, W) to the feature's logits (B,), differentiably. A method that needs
            no score does not call it.
        config : BaseModel, optional
            An instance of `configuration`; its defaults where there is none.

        Returns
        -------
        UnlearningResult
            The tuned copy and its history.

        Raises
        ------
        ParameterError
            The method needs a score and there is none, or `config` is of another class.
        DataError
            The direction and the generator's latents differ in dimension.
        ModelError
            The generator or the score does not pass the preflight. Or the method returns no
            result, or a model whose images are none, or are of another shape.
        TrainingError
            The loss is not finite, or the method changed the generator that it was given.
        """
        if isinstance(generator, UnlearningProblem):
            raise ParameterError(
                f"{self.name} is given an UnlearningProblem: a decorated method takes a generator "
                "and a direction. Within another method, call "
                f"{self.function.__name__}.function(problem, config)."
            )
        config = self.checked(config)
        if not callable(score) and (self.needs_score or score is not None):
            follows = "follows a score" if self.needs_score else "needs no score"
            raise ParameterError(
                f"The method {self.name} {follows}, and its third argument is a "
                f"{type(score).__name__}: there stands a function from images (B, C, H, W) to the "
                "feature's logits (B,). Settings are the fourth argument."
            )
        problem = UnlearningProblem(generator, direction, trainable, callback)
        check_generator(generator, trainable, is_tuned=True)
        if self.needs_score:
            check_score(score, first_samples(generator), is_logit=True, is_followed=True)
        arguments = (problem, config, score) if self.needs_score else (problem, config)
        result = self.solve(generator, config, *arguments)
        self._check_images(generator, result.model)
        return result

    def _check_images(self, generator: nn.Module, model: nn.Module) -> None:
        """Raise a ModelError unless a tuned model has the generator's latents and its images."""
        try:
            facts = [
                (check_latent_dim(each), first_samples(each).shape) for each in (generator, model)
            ]
        except Exception as error:  # whatever a method may have made of the model
            raise ModelError(
                f"The method {self.name} returns a model that makes no images "
                f"({type(error).__name__}: {str(error).rstrip('.')})."
            ) from error
        if facts[0] != facts[1]:
            raise ModelError(
                f"The method {self.name} returns a model with other latents or images than the "
                "generator's: it must return the tuned copy."
            )


METHODS: Registry[Method[Any]] = Registry("method", "forgetting.methods")
"""All methods that unlearn a feature, by their name with underscores."""


def unlearning_method(
    name: str,
    configuration: type[C],
    *,
    source: str,
    knob: str | None = "lr",
    needs_score: bool = False,
) -> Callable[[Callable[..., UnlearningResult]], Method[C]]:
    """Return a decorator that makes a function a `Method` and adds it to `METHODS`.

    The first line of the function's docstring is the method's description.

    Parameters
    ----------
    name : str
        In words; with underscores instead of spaces it is the key in `METHODS`.
    configuration : type
        Class of the method's settings.
    source : str
        Where the method comes from, in words.
    knob : str, optional
        Field of the configuration that a small search varies; None: nothing to search.
    needs_score : bool
        Whether the function takes a score function after the problem and the configuration.

    Raises
    ------
    ParameterError
        Another method has that name, or the configuration has no field named like the knob.
    """
    if knob is not None and knob not in configuration.model_fields:
        raise ParameterError(
            f"The knob of {name} is {knob!r}, which is no field of {configuration.__name__}: name "
            f"one of {', '.join(configuration.model_fields)}, or None."
        )

    return adding(
        Method,
        METHODS,
        name=name,
        configuration=configuration,
        source=source,
        knob=knob,
        needs_score=needs_score,
    )
