"""Prevalence: the share of samples that show a feature, with its interval."""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest


@dataclass(frozen=True)
class Prevalence:
    """A share of n samples and its Wilson 95 % interval."""

    share: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, has_feature: torch.Tensor) -> "Prevalence":
        """Count a boolean tensor (n,).

        Raises
        ------
        ValueError
            It is empty.
        """
        n, count = len(has_feature), int(has_feature.sum())
        interval = binomtest(count, n).proportion_ci(0.95, method="wilson")
        return cls(count / n, float(interval.low), float(interval.high), n)

    def metrics(self, name: str) -> dict[str, float]:
        """Return {name, name_low, name_high} for a run record."""
        return {name: self.share, f"{name}_low": self.low, f"{name}_high": self.high}


def gap_to_retrained(original: float, unlearned: float, retrained: float) -> float:
    """Return what remains of the gap, (unlearned - retrained) / (original - retrained).

    1 is untouched, 0 as rare as in the retrained model; below 0 more is gone than training
    without the feature takes away.

    Raises
    ------
    ValueError
        There is no gap.
    """
    if original == retrained:
        raise ValueError("the retrained model shows the feature as often as the original")
    return (unlearned - retrained) / (original - retrained)
