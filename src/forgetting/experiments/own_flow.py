"""Tame anyone's flow on images, and measure it on images that had no part in taming."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import check_images
from forgetting.border.copies import name_of
from forgetting.border.options import check_seed
from forgetting.data.selection import hold_out
from forgetting.errors import DataError, validated
from forgetting.foundation.progress import phase
from forgetting.methods.results import TamingResult
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.likelihood import Comparison, compare
from forgetting.zoo.saved import save_model, state_digest


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
    """

    result: TamingResult
    comparison: Comparison
    parameters: dict[str, Any]

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
        lines = [str(self.result)]
        for name, title in (("forget", "to forget"), ("held_out", "held out")):
            line = (
                f"{n[name]} images {title}: quantile {metrics[f'quantile_before_{name}']:.2f} -> "
                f"{metrics[f'quantile_after_{name}']:.2f}, shift "
                f"{metrics[f'shift_{name}']:+.2f} sigma of the base"
            )
            if (low := metrics.get(f"shift_{name}_low")) is not None:
                line += f" ({low:+.2f} to {metrics[f'shift_{name}_high']:+.2f})"
            lines.append(line)
        return "\n".join(lines)

    def save(self, folder: Path | str) -> None:
        """Write weights, record and card to a folder; `fg.restore` loads them.

        Raises
        ------
        ForgettingError
            The folder holds a model, or cannot be written to.
        """
        record = {
            "is_within_rule": self.result.is_within_rule,
            "parameters": self.parameters,
            "metrics": self.metrics,
            "history": self.result.history,
        }
        card = f"# {self.parameters['model']}, tamed\n\n```\n{self}\n```\n"
        save_model(Path(folder), self.result.model, record, card)


MIN_RETAINED = 160
"""Retained images of which a quarter is enough for a likelihood reference and for a shift."""


def tame_and_measure(
    flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor, seed: int = 0, **settings: Any
) -> TamingReport:
    """Tame a flow on images, and compare it with the base on images that were held out.

    Parameters
    ----------
    flow : nn.Module
        As `as_flow` returns it; it is not changed.
    forget, retain : Tensor
        (N, C, H, W), images to forget, and (M, C, H, W), at least 160 others. A quarter of these
        are held out and measured.
    seed : int
        Of all random draws.
    **settings
        Fields of `TamingConfig`.

    Raises
    ------
    DataError
        There are too few retained images.
    ParameterError
        A setting is unknown or not allowed.
    """
    check_seed(seed)
    config = validated(TamingConfig, {"seed": seed} | settings)
    retain = check_images(retain, "The images to retain")
    if len(retain) < MIN_RETAINED:
        raise DataError(
            f"{len(retain)} images to retain are too few to tame with and to measure on: give at "
            f"least {MIN_RETAINED}."
        )
    kept, held_out = hold_out(retain, torch.Generator().manual_seed(seed))
    result = tame(flow, forget, kept, config)
    reference, measured = held_out.chunk(2)
    sets = {"forget": forget, "held_out": measured}
    with phase("comparing"):
        comparison = compare(flow, result.model, sets, reference, seed=seed)
    parameters = {
        "model": name_of(flow),
        "base_sha256": state_digest(flow),
        "images_to_forget": len(forget),
        "images_to_retain": len(kept),
        **config.model_dump(mode="json"),
    }
    return TamingReport(result, comparison, parameters)
