"""A look at a model's samples while a method tunes it."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from forgetting.experiments.context import Experiment
from forgetting.methods import Callback


class SampleWatch:
    """A callback that samples a model every so many steps and measures the samples.

    The seconds that watching takes are noted in the experiment's record, so that they can be told
    from those of the method.

    Attributes
    ----------
    rows : list[dict[str, float]]
        List of dict, one for each look: `step`, the copied figures and the measured ones.
    kept : tuple[int, Module] or None
        (step, copy of the model) of the last look, once watching has ended.
    """

    def __init__(
        self,
        experiment: Experiment,
        sample: Callable[[nn.Module], torch.Tensor],
        measure: Callable[[torch.Tensor], Mapping[str, float]],
        *,
        every: int,
        last_step: int | None = None,
        copied: Sequence[str] = (),
        until: Callable[[Mapping[str, float]], bool] | None = None,
        timer: str = "watching",
        then: Callback | None = None,
    ) -> None:
        """Prepare a watch; it is called by a method.

        Parameters
        ----------
        sample : callable
            Returns images (n, C, H, W) of a model, from the same latents at every call.
        measure : callable
            Returns figures of those images by name.
        every : int
            Steps from one look to the next; the first look is at step 0.
        last_step : int or None
            A step at which to look as well, whatever its number.
        copied : Sequence[str]
            Names of the method's own figures that each row repeats.
        until : callable
            Returns whether a row is the last: the model of that step is then copied, and nothing
            is looked at any more. At `last_step` this happens in any case. None: watching does not
            end and copies no model.
        timer : str
            The seconds are noted as `seconds_TIMER`.
        then : Callback or None
            Another callback, called first and at every step, such as a progress bar.
        """
        self.rows: list[dict[str, float]] = []
        self.kept: tuple[int, nn.Module] | None = None
        self._experiment, self._timer = experiment, timer
        self._sample, self._measure = sample, measure
        self._every, self._last_step = every, last_step
        self._copied, self._until, self._then = copied, until, then

    def __call__(self, row: dict[str, float], model: nn.Module) -> None:
        """Look at the model if its step is one of those to look at."""
        if self._then is not None:
            self._then(row, model)
        step = int(row["step"])
        last = step == self._last_step
        if self.kept is not None or not (step % self._every == 0 or last):
            return
        with self._experiment.timed(self._timer):
            measured = self._measure(self._sample(model))
        copied = {name: row[name] for name in self._copied}
        self.rows.append({"step": step, **copied, **measured})
        if self._until is not None and (last or self._until(self.rows[-1])):
            self.kept = step, copy.deepcopy(model).eval()
