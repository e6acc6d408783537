"""Checkpoints of a training: all that is needed to go on, in one safetensors file."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from forgetting.errors import DataWarning, TrainingError, shortened
from forgetting.foundation.files import check_ends, replacing

NEEDED = ("config", "step", "history")
"""What the metadata of every checkpoint hold."""

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
"""What Adam keeps of a parameter."""


class OptimisedPart(Protocol):
    """A part of a model that has an optimiser of its own."""

    @property
    def name(self) -> str:
        """The submodule's name; "" for the whole model."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser moves."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """An Adam, which keeps moments of every parameter."""


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    step : int
        Steps taken.
    history : list of dict of str to float
        One row of metrics for every `log_every` steps.
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def write_checkpoint(
    path: Path,
    model: nn.Module,
    parts: Sequence[OptimisedPart],
    generator: torch.Generator,
    identity: dict[str, str],
    progress: Progress,
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        Of the checkpoint.
    model : Module
        The model that learns.
    parts : sequence of OptimisedPart
        Its parts, with their optimisers.
    generator : Generator
        From which the losses draw.
    identity : dict of str to str
        What the training is: its "config", digests of its "data", of what is "held_out", of
        its "code" and of the "imports" of that, its kind of "device", and the version of "torch".
    progress : Progress
        How far the training has come.
    """
    tensors = {f"model.{key}": value.contiguous() for key, value in model.state_dict().items()}
    for part in parts:
        for index, state in part.optimizer.state_dict()["state"].items():
            place = f"adam.{part.name}.{index}"
            tensors |= {f"{place}.{key}": value.contiguous() for key, value in state.items()}
    tensors["generator"] = generator.get_state()
    metadata = {
        **identity,
        "step": str(progress.step),
        "history": json.dumps(progress.history),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_checkpoint(
    path: Path,
    model: nn.Module,
    parts: Sequence[OptimisedPart],
    generator: torch.Generator,
    identity: dict[str, str],
) -> Progress:
    """Bring model, optimisers and generator to the state of a checkpoint; return its progress.

    A `DataWarning` names modules that the training imports and that have changed since.

    Parameters are those of `write_checkpoint`.

    Raises
    ------
    TrainingError
        The checkpoint cannot be read, or belongs to another training or model.
    """
    try:
        check_ends(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        progress = _progress(metadata)
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read ({error}). Delete it to start afresh."
        ) from error
    if metadata["config"] != identity["config"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training with other settings "
            f"({metadata['config']}). Delete it, or go on with those."
        )
    if metadata.get("data") != identity["data"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training on other images or labels. Delete it, "
            "or bring back the data that it was begun with."
        )
    if metadata.get("held_out", identity["held_out"]) != identity["held_out"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training with other held-out images, of which "
            "its history is. Delete it, or bring back those that it was begun with."
        )
    if metadata.get("torch", identity["torch"]) != identity["torch"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training with torch {metadata['torch']}, and "
            f"this is {identity['torch']}. Delete it, or go on with that."
        )
    if metadata.get("device", "cpu") != identity["device"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training on another kind of device "
            f"({metadata.get('device', 'cpu')}). Delete it, or go on there."
        )
    if metadata.get("code") != identity["code"]:
        raise TrainingError(
            f"The checkpoint {path} belongs to a training with another loss or model, or with "
            "other code of these. Delete it, or bring back the code that it was begun with."
        )
    _warn_of_imports(path, metadata.get("imports", identity["imports"]), identity["imports"])
    weights = {key[6:]: value for key, value in tensors.items() if key.startswith("model.")}
    try:
        model.load_state_dict(weights)
        generator.set_state(tensors["generator"])
        for part in parts:
            _restore_optimizer(part, tensors)
    except (RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise TrainingError(
            f"The checkpoint {path} belongs to another model, or to a version of the package that "
            "drew on a GPU. Delete it to start afresh."
        ) from error
    return progress


def _progress(metadata: Mapping[str, str]) -> Progress:
    """Return how far a training has come, as the metadata of its checkpoint say.

    Raises
    ------
    KeyError, ValueError
        They do not.
    """
    if lacking := [name for name in NEEDED if name not in metadata]:
        raise ValueError(f"it says nothing of its {lacking[0]}")
    step, history = int(metadata["step"]), json.loads(metadata["history"])
    is_history = isinstance(history, list) and all(isinstance(row, dict) for row in history)
    imports = json.loads(metadata.get("imports", "{}"))
    if step < 0 or not is_history or not isinstance(imports, dict):
        raise ValueError("its step, its history or its imports are none")
    return Progress(step, history)


def _restore_optimizer(part: OptimisedPart, tensors: Mapping[str, torch.Tensor]) -> None:
    """Bring the optimiser of a part to the state that the tensors of a checkpoint hold."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"adam.{part.name}."):
            index, entry = key.split(".")[-2:]
            if value.ndim:  # a moment has the memory layout of its parameter
                value = torch.empty_like(part.parameters[int(index)]).copy_(value)
            state.setdefault(int(index), {})[entry] = value
    if any(moments.keys() != MOMENTS for moments in state.values()):
        raise ValueError("moments are missing")
    part.optimizer.load_state_dict({**part.optimizer.state_dict(), "state": state})


def _warn_of_imports(path: Path, known: str, present: str) -> None:
    """Warn of modules whose hashes, by name as JSON, differ between a checkpoint and now."""
    first, second = json.loads(known), json.loads(present)
    names = first.keys() | second.keys()
    if changed := sorted(name for name in names if first.get(name) != second.get(name)):
        warnings.warn(
            f"The training of the checkpoint {path} goes on with other code of "
            f"{shortened(changed)}. If that computes something else, its weights are of neither: "
            "delete it, or bring back the code that it was begun with.",
            DataWarning,
            stacklevel=4,
        )
