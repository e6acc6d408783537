"""What tasks of taming have in common: the flow that shall forget."""

from dataclasses import dataclass
from typing import cast

from forgetting.experiments.context import Experiment
from forgetting.models.glow import Glow


@dataclass(frozen=True)
class FlowTask:
    """A flow before taming, `base`. A subclass adds what it shall forget, and who grades."""

    base: Glow


def load_flow(experiment: Experiment, name: str) -> Glow:
    """Load a Glow of the zoo.

    Raises
    ------
    ParameterError
        The model is no Glow.
    WeightsError
        Its weights are not what they should be.
    """
    return cast(Glow, experiment.load(name, "glow"))
