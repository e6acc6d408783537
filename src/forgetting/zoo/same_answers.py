"""What a tuned model answers to fixed inputs, by which another computation is told.

Weights may be equal where the computation is not: an activation, a scale or a function that the
weights do not hold.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field, FiniteFloat, PositiveInt, ValidationError
from torch import nn

from forgetting.border.adapters import AdaptedFlow, AdaptedGenerator, call
from forgetting.border.checks import PRECISION, ROUGH_PRECISION, are_equal
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import log_prob_of
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.wrappers import as_flow
from forgetting.errors import DataWarning

N_INPUTS = 4
"""Latents or images to which a model answers."""

N_VALUES = 256
"""Values of the answers that are kept, at places drawn from a fixed seed."""

MOST_INPUTS = 2**26
"""Values of the inputs, more than any model has whose answers were kept."""

N_SEEDS = 8
"""Seeds of a model that draws random numbers, over which its answers are averaged."""

CONTRAST = 0.1
"""Range of the values, around 0.5, of the images of which a flow's likelihood is kept."""

Kept = dict[str, Any]
"""Answers as JSON holds them: what the inputs were, how the model was called, and values."""


def answers_of(model: nn.Module, contract: str, shape: Sequence[int]) -> Kept | None:
    """Return what a model answers to a few fixed inputs, as JSON holds it.

    Parameters
    ----------
    model : nn.Module
        A copy of it answers.
    contract : {"generator", "flow"}
        What the model is called as.
    shape : sequence of int
        Of a latent, or of an image.

    Returns
    -------
    dict or None
        None of a model whose answers are not finite. Of one whose answers differ from seed to
        seed, the values are means over some seeds, and `spread` is their deviation.
    """
    shape = [N_INPUTS, *shape]
    values, others = (_values(model, contract, shape, seed) for seed in (0, 1))
    spread = 0.0
    if not are_equal(values, others):
        values, spread = _over_seeds(model, contract, shape)
    if not values.isfinite().all() or not math.isfinite(spread):
        return None
    return {
        "contract": contract,
        "shape": shape,
        "adapter": _adapter(model),
        "device": device_of(model).type,
        "values": [float(f"{value:.7g}") for value in values.tolist()],
        "spread": float(f"{spread:.7g}"),
    }


def gives_answers(model: nn.Module, kept: Kept | None) -> bool:
    """Return whether a model gives answers that were kept; of None it does.

    A bare module is called as the adapter called it that the saved model had. Where that called a
    function of its owner, which is not kept, nothing is said, and the answers count as given.
    """
    adapted = _as_kept(model, kept["adapter"]) if kept else None
    if kept is None or adapted is None:
        return True
    expected = torch.tensor(kept["values"], dtype=torch.float64, device="cpu")
    spread = kept.get("spread", 0.0)  # a record of an earlier version has none
    try:
        if spread:
            values, own = _over_seeds(adapted, kept["contract"], kept["shape"])
            return _root_mean_square(values - expected) <= spread and 0.5 < own / spread < 2
        values = _values(adapted, kept["contract"], kept["shape"], seed=0)
    except Exception:  # whatever a stranger's module raises, it is no such answer
        return False
    if values.shape != expected.shape:
        return False
    is_alike = {kept["device"], device_of(model).type} == {"cpu"}
    allowed = (PRECISION if is_alike else ROUGH_PRECISION) * expected.abs().max()
    return bool(((values - expected).abs() <= allowed).all())


class _Adapter(BaseModel):
    """How an adapter called the saved model."""

    is_plain: bool
    shapes: list[list[PositiveInt]] = []
    range: tuple[FiniteFloat, FiniteFloat] = (0.0, 1.0)


class _Answers(BaseModel):
    """The form of answers that were kept."""

    contract: Literal["generator", "flow"]
    shape: list[PositiveInt]
    adapter: _Adapter | None
    device: str
    values: list[FiniteFloat] = Field(min_length=1, max_length=N_VALUES)
    spread: FiniteFloat = Field(0.0, ge=0)


def check_answers(kept: object) -> None:
    """Raise an error unless an object of JSON holds answers that were kept, or is None.

    Raises
    ------
    ValueError
        It does not, or the inputs would be too large; the message is a part of a sentence.
    """
    if kept is None:
        return
    try:
        shape = _Answers.model_validate(kept).shape
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"the {place or 'whole'} of its tuned_answers is damaged") from error
    if math.prod(shape) > MOST_INPUTS:
        raise ValueError("the shape of its tuned_answers is damaged")


def warn_of_other_answers(model: nn.Module, kept: Kept | None, folder: Path) -> None:
    """Warn if a module does not give the answers of the saved model, with the same weights.

    Parameters
    ----------
    model : nn.Module
        Into which the weights were loaded.
    kept : dict or None
        Of the record. In one of an earlier version there are no answers.
    folder : Path
        Of the saved model.
    """
    if not gives_answers(model, kept):
        warnings.warn(
            f"The weights of {folder} fit the module, but with them it does not answer as the "
            "saved model did: it computes something else. Restore into the module that was tuned, "
            "with its adapter if it had one.",
            DataWarning,
            stacklevel=3,
        )


def _over_seeds(
    model: nn.Module, contract: str, shape: Sequence[int]
) -> tuple[torch.Tensor, float]:
    """Return the means of some values over seeds, and the deviation from seed to seed.

    Two means of other random numbers differ by half of that deviation.
    """
    answers = torch.stack([_values(model, contract, shape, seed) for seed in range(N_SEEDS)])
    return answers.mean(0), _root_mean_square(answers.std(0))


def _root_mean_square(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def _values(model: nn.Module, contract: str, shape: Sequence[int], seed: int) -> torch.Tensor:
    """Return some values of a copy's answers to the fixed inputs, float64, on the CPU."""
    random = torch.Generator().manual_seed(0)
    duplicate = frozen_copy(model)
    with own_conditions(seed, gradients=False):
        if contract == "generator":
            inputs = torch.randn(*shape, generator=random)
            answer = duplicate(inputs.to(device_of(duplicate)))
        else:
            inputs = 0.5 + CONTRAST * (torch.rand(*shape, generator=random) - 0.5)
            answer = log_prob_of(duplicate, inputs.to(device_of(duplicate)))
    flat = answer.detach().cpu().double().flatten()
    if len(flat) <= N_VALUES:
        return flat
    return flat[torch.randint(len(flat), (N_VALUES,), generator=random)]


def _adapter(model: nn.Module) -> dict[str, Any] | None:
    """Return how an adapter calls its module, as JSON holds it; None of what is no adapter."""
    if isinstance(model, AdaptedGenerator):
        shapes = [list(shape) for shape in model.latent_shapes]
        return {"is_plain": model.is_plain, "shapes": shapes, "range": list(model.value_range)}
    if isinstance(model, AdaptedFlow):
        return {"is_plain": model.is_plain}
    return None


def _as_kept(model: nn.Module, adapter: Mapping[str, Any] | None) -> nn.Module | None:
    """Return a module in the adapter that the saved model had, or None if that is unknown."""
    if adapter is None or isinstance(model, AdaptedGenerator | AdaptedFlow):
        return model
    if not adapter["is_plain"]:
        return None
    if "shapes" not in adapter:
        return as_flow(model)
    shapes = tuple(tuple(shape) for shape in adapter["shapes"])
    low, high = adapter["range"]
    return AdaptedGenerator(model, shapes, (low, high), call)
