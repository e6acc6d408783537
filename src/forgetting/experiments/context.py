"""What every experiment of the study shares: a seed for each use of randomness, and the zoo.

An experiment takes its models from the zoo and its random numbers from named streams; what it
took is noted, so that a record can say which weights its figures stand on.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field

from forgetting.border.conditions import MAX_SEED, stream_seed
from forgetting.border.options import Configuration
from forgetting.errors import ParameterError
from forgetting.foundation.devices import DEVICE, choose_device
from forgetting.metrics.feature_statistics import Statistics
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo


class Parameters(Configuration):
    """What every template takes; a template's own parameters are added by a subclass."""

    preset: str = "default"
    seed: int = Field(0, ge=0, le=MAX_SEED)
    device: str = Field("auto", pattern=DEVICE)

    without_effect: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By the value of `method`: names of the parameters that have no effect with it."""

    def line(self) -> str:
        """Return a line of text with the names and values of all parameters that are not empty."""
        values = self.model_dump()
        return ", ".join(f"{name} {value}" for name, value in values.items() if value != "")


class Experiment:
    """Parameters, seeded streams of randomness, and models of the zoo on one device."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        """Choose the device and seed what draws from torch's global generator.

        Parameters
        ----------
        name : str
            Of the template or experiment, for what is said of it.

        Raises
        ------
        ParameterError
            There is no such device here.
        """
        self.template = name
        self.parameters = parameters
        self.weights: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.earlier_seconds = 0.0  # of another process, whose result is taken
        self.device = choose_device(parameters.device)
        torch.manual_seed(parameters.seed)
        # a few backward passes have no deterministic form on a GPU: there it is only a warning
        torch.use_deterministic_algorithms(True, warn_only=self.device.type != "cpu")

    def load(self, name: str, *kinds: str) -> Any:
        """Return a model of the zoo on the run's device, and note its hash for the record.

        Raises
        ------
        WeightsError
            There is no such model, or its weights are not what they should be.
        ParameterError
            It is not of one of `kinds` (any, if none are named).
        """
        kind = zoo.record(name).get("kind")
        if kinds and kind not in kinds:
            raise ParameterError(
                f"{name!r} is a {kind}; {self.template} takes a {' or '.join(kinds)}."
            )
        model = zoo.load(name).to(self.device)
        self.record(name)
        return model

    def load_generator(self, name: str) -> Any:
        """Return a generator of the zoo, of any kind, as `load` does.

        Raises
        ------
        WeightsError
            There is no such model, or its weights are not what they should be.
        ParameterError
            It decodes no latents.
        """
        model = self.load(name)
        if not hasattr(model, "latent_dim"):
            kind = zoo.record(name).get("kind")
            raise ParameterError(f"{name!r} is a {kind}; {self.template} takes a generator.")
        return model

    def record(self, name: str) -> dict[str, Any]:
        """Return what the zoo's NAME.json says, and note the entry's hash for the record."""
        entry = zoo.record(name)
        self.weights[name] = entry["sha256"]
        return entry

    def statistics(self, subset: str = "all", name: str = reference.DIGITS) -> Statistics:
        """Return statistics of real images from the zoo, and note their hash for the record."""
        self.record(name)
        return reference.load_statistics(subset, name)

    def seed(self, stream: str) -> int:
        """Return a seed of its own for each named use of randomness in this run."""
        return stream_seed(self.parameters.seed, stream)

    def generator(self, stream: str) -> torch.Generator:
        """Return a generator of its own for each named use of randomness in this run."""
        return torch.Generator().manual_seed(self.seed(stream))

    def latents(self, stream: str, n: int, dim: int) -> torch.Tensor:
        """Return latents (n, dim) from N(0, I), the same for every model that is asked."""
        return torch.randn(n, dim, generator=self.generator(stream))

    def timed(self, name: str) -> "_Timer":
        """Return a context that notes the seconds its block takes as `seconds_NAME`."""
        return _Timer(self.seconds, f"seconds_{name}")


class _Timer:
    def __init__(self, into: dict[str, float], name: str) -> None:
        self._into, self._name = into, name

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        spent = time.monotonic() - self._started
        self._into[self._name] = self._into.get(self._name, 0.0) + spent
