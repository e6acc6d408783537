"""Where the bench keeps what a method made until it is graded, lest a killed run tunes again."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from forgetting.border.copies import frozen_copy
from forgetting.data import sources
from forgetting.errors import DataWarning, ForgettingError
from forgetting.experiments.context import Experiment
from forgetting.foundation.json_files import read_object
from forgetting.foundation.resources import source_digest
from forgetting.methods.results import UnlearningResult
from forgetting.zoo.saved import RECORD, recorded, restore, save_model, state_digest

CARD = (
    "A model that waits to be graded. `forgetting bench` removes it with the record's writing.\n"
)
"""The page beside the weights."""


@dataclass(frozen=True)
class KeptResult:
    """A folder for what a method made for one seed of a task.

    Attributes
    ----------
    folder : Path
        It holds nothing else, and is made when there is something to keep.
    tell : callable
        Takes a line of text for the user.
    """

    folder: Path
    tell: Callable[[str], None]

    def take(self, run: Experiment, base: nn.Module) -> tuple[UnlearningResult, float] | None:
        """Return what the same call of the method made before, and its seconds.

        Parameters
        ----------
        run : Experiment
            Its parameters name the method's code and settings, the task and the seed.
        base : nn.Module
            The model that the method was given.

        Returns
        -------
        tuple or None
            None where nothing is kept, or what is kept is of other code, another version of the
            task, another seed, another model or other circumstances, or cannot be restored.
        """
        if recorded(self.folder, "key") != _key(run, base):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", DataWarning)
                model = restore(self.folder, into=frozen_copy(base))
            given = read_object(self.folder / RECORD)["parameters"]
            return UnlearningResult(model, given["history"]), float(given["seconds"])
        except (ForgettingError, DataWarning, ValueError) as error:
            self.tell(f"what was tuned before cannot be used, and is tuned again: {error}")
            return None

    def keep(
        self,
        run: Experiment,
        base: nn.Module,
        result: UnlearningResult,
        answers: Mapping[str, Any] | None,
        seconds: float,
    ) -> None:
        """Write what a method made, in the place of what another call made.

        Parameters
        ----------
        run, base
            As `take` has them.
        result : UnlearningResult
            Its history holds finite figures.
        answers : mapping or None
            What the model answers, as `answers_of` returns it.
        seconds : float
            Of the call.
        """
        parameters = {
            "key": _key(run, base),
            "tuned_sha256": state_digest(result.model),
            "tuned_answers": answers,
            "history": result.history,
            "seconds": seconds,
        }
        self.remove()
        try:
            save_model(self.folder, result.model, {"parameters": parameters}, CARD)
        except ForgettingError as error:
            self.tell(f"a run that is killed from here on tunes again: {error}")

    def remove(self) -> None:
        """Remove what is kept, if there is something."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _key(run: Experiment, base: nn.Module) -> str:
    """Return a hash of all that the result of a method depends on."""
    what = {
        "parameters": run.parameters.model_dump(mode="json"),
        "base": state_digest(base),
        "weights": run.weights,
        "data": sources.noted(),
        "package": source_digest().hex(),
        "circumstances": [torch.__version__, torch.get_num_threads(), str(run.device)],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
