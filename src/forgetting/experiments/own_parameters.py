"""The parameters of the templates on anyone's models."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from forgetting.errors import ParameterError
from forgetting.experiments.context import Parameters
from forgetting.experiments.own_model import MIN_GRADED
from forgetting.experiments.unlearning_methods import MethodName
from forgetting.foundation.pairs import read_pairs


class OwnParameters(Parameters):
    """What every template on anyone's model takes: the model, and a folder for what is saved."""

    model: str
    folder: str


class MethodParameters(OwnParameters):
    """What a template takes that tunes anyone's model: settings of the method as one text, too."""

    settings: str

    def own_settings(self) -> dict[str, Any]:
        """Return the settings of the method that are parameters of their own."""
        raise NotImplementedError

    def all_settings(self) -> dict[str, Any]:
        """Return the settings of the method, those that are parameters of their own among them.

        Raises
        ------
        ParameterError
            `settings` has one of these again, so that the record would tell two values.
        """
        pairs = read_pairs(pair for pair in self.settings.split(",") if pair)
        own = self.own_settings()
        if twice := sorted(pairs.keys() & own.keys()):
            raise ParameterError(f"settings: {twice[0]} is a parameter of its own, so give it so.")
        return own | pairs


class OwnUnlearningParameters(MethodParameters):
    """The parameters of the template that unlearns a feature of anyone's generator."""

    feature: str
    classifier: str
    graders: str
    method: MethodName
    share: float = Field(ge=0, lt=1)
    n_collected: int = Field(ge=100)
    steps: int = Field(ge=1)
    rounds: int = Field(ge=1)
    n_samples: int = Field(ge=MIN_GRADED, le=1_000_000)

    without_effect: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "moon2024": ("rounds", "n_collected")
    }

    def own_settings(self) -> dict[str, Any]:
        """Return the settings of the method that are parameters of their own."""
        own = {"steps": self.steps}
        if self.method == "until_gone":
            own |= {"rounds": self.rounds, "n_collected": self.n_collected}
        return own


class OwnTamingParameters(MethodParameters):
    """The parameters of the template that tames anyone's flow on a folder of images."""

    forget: str
    retain: str
    crop: str
    size: int = Field(ge=1)
    channels: Literal[1, 3]
    delta: float
    max_steps: int = Field(ge=1)

    def own_settings(self) -> dict[str, Any]:
        """Return the settings of taming that are parameters of their own."""
        return {"delta": self.delta, "max_steps": self.max_steps}


class OwnAuditParameters(OwnParameters):
    """The parameters of the template that audits anyone's generator before and after."""

    after: str
    feature: str
    classifier: str
    grader: str
    retrained: str
    n_samples: int = Field(ge=1, le=1_000_000)
    n_attacked: int = Field(ge=1)
    steps: int = Field(ge=1)
