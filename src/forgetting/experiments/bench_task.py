"""What every task of the bench has: a version, terms that are fixed, and a way to be run."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from forgetting.border.options import Configuration
from forgetting.errors import ParameterError
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.context import Experiment
from forgetting.methods.method import AnyMethod

Figures = tuple[dict[str, float], list[dict[str, float]]]
"""The metrics of a run, and the history of its method."""


class BenchTask(Configuration):
    """A task of the bench; another value of a field makes another version.

    What is retrained is of the zoo, and the graders are those of the study.
    """

    version: int = Field(ge=1)
    model: str
    n_samples: int = Field(ge=200)
    seeds: tuple[int, ...] = Field(min_length=1)

    takes: ClassVar[type[AnyMethod[Any]]]
    """The class of the methods that can solve such a task."""

    columns: ClassVar[Mapping[str, str]]
    """Of the table of such tasks, after task, method and seed: a sentence on each, by its head."""

    base: ClassVar[str]
    """Name of the configuration that has every setting of the budget."""

    @property
    @abstractmethod
    def budget(self) -> dict[str, int]:
        """The settings of a method that the task fixes, by name."""

    @abstractmethod
    def run(self, run: Experiment, method: Any, config: Any, kept: KeptResult) -> Figures:
        """Make a method forget what the task names, and grade what is left.

        Parameters
        ----------
        run : Experiment
            Gives the seeds, and notes weights and the seconds of forgetting.
        config : BaseModel
            The method's, with the budget.
        kept : KeptResult
            Where the model that the method made waits for its record.

        Raises
        ------
        ParameterError
            The method cannot solve the task.
        ModelError
            The method fails, goes beyond its budget, or its result cannot be used.
        """

    @abstractmethod
    def cells(self, metrics: Mapping[str, float]) -> list[str]:
        """Return the cells of a run, one for each of `columns`.

        Parameters
        ----------
        metrics : mapping
            Of its record.
        """


def settings_of(task: BenchTask, method: AnyMethod[Any], seed: int) -> Any:
    """Return a method's defaults with the budget of a task.

    Raises
    ------
    ParameterError
        The method's configuration has no field for the budget.
    """
    fields = method.configuration.model_fields
    budget = {**task.budget, "seed": seed}
    if missing := [name for name in budget if name not in fields]:
        raise ParameterError(
            f"The configuration of {method.name} has no field {missing[0]!r}, which the bench "
            f"sets: derive the configuration from {task.base}."
        )
    return method.configuration(**budget)


def percent(metrics: Mapping[str, float], *names: str) -> list[str]:
    """Return shares of a record as texts; one that is not there is empty."""
    return [f"{metrics[name]:.2%}" if name in metrics else "" for name in names]


def rounded(metrics: Mapping[str, float], *names: str) -> list[str]:
    """Return figures of a record as texts of two decimals; one that is not there is empty."""
    return [f"{metrics[name]:.2f}" if name in metrics else "" for name in names]
