"""What every method returns: a tuned copy of a model and its history."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.undisturbed import undisturbed
from forgetting.foundation.progress import progress
from forgetting.methods.direction import Direction

LATE = 0.75
"""Part of a run after which it shows whether more steps would help."""

MOVED = 0.1
"""By how much images come nearer to their threshold at least then, in the mean, in sigma."""

Callback = Callable[[dict[str, float], nn.Module], None]
"""Function that a method calls at every step, with the step's figures and the model so far."""


def reporting(callback: Callback | None, n_steps: int, title: str) -> Callback:
    """Return what a method calls at every step: a callback that cannot disturb tuning, or a bar.

    The callback gets a copy of the step's row. The modes of the model's modules, its buffers,
    which of its weights take gradients, random numbers and torch's settings are afterwards what
    they were. Without a callback a bar of `n_steps` moves, which does not look at the model.

    Raises
    ------
    TrainingError
        By what is returned: the callback changed or replaced weights of the tuned copy.
    """

    def call_back(row: dict[str, float], tuned: nn.Module) -> None:
        assert callback is not None
        with undisturbed(tuned), own_conditions(int(row["step"])):
            callback(dict(row), tuned)

    def say_nothing(row: dict[str, float], tuned: nn.Module) -> None:
        """Report nothing where progress is switched off."""

    return call_back if callback else progress(n_steps, title) or say_nothing


@dataclass(frozen=True)
class UnlearningResult:
    """The model that forgot, and how it got there.

    Attributes
    ----------
    model : nn.Module
        The tuned copy, in evaluation mode; its weights take no gradient.
    history : list of dict
        One row of figures for each logged step, in order. Every row has `step`.
    """

    model: nn.Module
    history: list[dict[str, float]]


@dataclass(frozen=True)
class TamingResult(UnlearningResult):
    """The tamed flow, its history, and whether taming met its stopping rule or target.

    Attributes
    ----------
    settle_within : float
        Largest mean shift of retained images that the stopping rule allows, in standard
        deviations of the base; 0: the rule sets no limit.
    delta : float or None
        Where the images to forget shall lie, as `position` says it; None: nowhere.
    n_beyond : int
        Number of images to forget that lay beyond their threshold before the first step.
    """

    settle_within: float = 0.0
    delta: float | None = None
    n_beyond: int = 0

    @property
    def is_within_rule(self) -> bool:
        """Whether the last row meets the stopping rule, or the target distribution.

        A result of `tame` meets the rule where all images to forget lie near their threshold and
        the retained images have settled. Without a rule this is False.
        """
        last = self.history[-1]
        if "met" in last:
            return last["met"] == 1
        has_settled = not self.settle_within or last.get("shift", 0.0) <= self.settle_within
        return last.get("within") == 1 and has_settled

    @property
    def share_within(self) -> float | None:
        """Share of images to forget that lie near their threshold at the end; None: no rule."""
        return self.history[-1].get("within")

    @property
    def position(self) -> float:
        """Where the images to forget lie at the end, in the mean: (bpd - mu) / sigma.

        The unit is the standard deviation of the tamed flow's bits/dim over retained images, and
        `TamingConfig.delta` is the value to reach.
        """
        last = self.history[-1]
        return (last["forget_bpd"] - last["mu"]) / last["sigma"]

    def __str__(self) -> str:
        last, share = self.history[-1], self.share_within
        if "met" in last:
            word = "met" if self.is_within_rule else "not met"
            return f"The target distribution is {word} after {last['step']:.0f} steps."
        where = (
            f"after {last['step']:.0f} steps the images to forget lie at {self.position:+.2f} "
            "sigma of the tuned flow in the mean"
        )
        if self.delta is not None:
            where += f", where {self.delta:+g} are to be reached"
        if share is None:
            text = f"There is no stopping rule; {where}."
        elif self.is_within_rule:
            text = f"The rule is met: {where}, all of them near the threshold."
        else:
            text = f"The rule is not met: {where}, {share:.0%} of them near the threshold."
        if self.is_within_rule and last["step"] == 0:
            return f"{text} They lay there before the first step: nothing was tuned."
        if self.n_beyond:
            return (
                f"{text} Before the first step {self.n_beyond} of them lay beyond the threshold, "
                "so that taming has nothing to do for these: take them out, or raise `delta` in "
                "size."
            )
        return text if share is None or self.is_within_rule else f"{text} {self._hint}"

    @property
    def _hint(self) -> str:
        """What to try where the rule is not met."""
        shift = self.history[-1].get("shift", 0.0)
        if self.settle_within and shift > self.settle_within:
            return (
                f"Retained images moved by {shift:.2f} sigma of the base, where "
                f"{self.settle_within:g} are allowed: lower `lr`, or give more of them."
            )
        rows = [row for row in self.history if "within" in row]
        last = rows[-1]
        late = [row for row in rows if row["step"] >= LATE * last["step"]]
        if late[0] is last and len(rows) > 1:  # few rows
            late = rows[-2:]
        first, steps = late[0], f"From step {late[0]['step']:.0f} to {last['step']:.0f}"
        if last["within"] > first["within"]:
            return f"{steps} their share rose from {first['within']:.0%}: raise `max_steps`."
        distances = [self._distance(row) for row in (first, last)]
        if distances[0] - distances[1] >= MOVED:
            return (
                f"{steps} their mean distance from the threshold fell from {distances[0]:.2f} to "
                f"{distances[1]:.2f} sigma of the tuned flow: raise `max_steps`."
            )
        return (
            f"{steps} neither their share nor their mean distance improved: raise `lr` or "
            "`alpha`, or forget fewer images at once."
        )

    def _distance(self, row: dict[str, float]) -> float:
        """Return how far the images to forget lie from their threshold in the mean, in sigma."""
        return abs((row["forget_bpd"] - row["mu"]) / row["sigma"] - (self.delta or 0.0))


State = Literal["short", "there", "past"]
"""Whether some of a feature is left in a model, none is, or more was taken than the feature."""


@dataclass(frozen=True)
class Look:
    """What was seen of a tuned model.

    Attributes
    ----------
    state : {"short", "there", "past"}
        Whether some of the feature is left, none is, or more was taken than the feature.
    figures : dict
        What the state stands on, by name.
    """

    state: State
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class UntilGoneResult(UnlearningResult):
    """The tuned copy, its history, and what every look at it saw.

    Attributes
    ----------
    looks : list of Look
        In order; the last is of the model that is returned.
    lr : float
        The learning rate of the rounds.
    unsolved : float
        Share of the samples to change for which no target was found along a direction.
    direction : Direction
        Of the feature, as the paper's single pass takes it.
    """

    looks: list[Look]
    lr: float
    unsolved: float
    direction: Direction

    @property
    def is_gone(self) -> bool:
        """Whether the last look found the feature gone."""
        return self.looks[-1].state == "there"
