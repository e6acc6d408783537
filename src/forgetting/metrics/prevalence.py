"""Prevalence: the share of samples that have a feature, with its interval."""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest


@dataclass(frozen=True)
class Prevalence:
    """A share of n samples with its Wilson 95 % interval.

    Attributes
    ----------
    share, low, high : float
        The share and the ends of its interval, in [0, 1].
    n : int
        The number of samples.
    """

    share: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, has_feature: torch.Tensor) -> "Prevalence":
        """Compute the prevalence among samples.

        Parameters
        ----------
        has_feature : Tensor, bool, (n,)
            Which samples have the feature.

        Raises
        ------
        ValueError
            There are no samples.
        """
        n, count = len(has_feature), int(has_feature.sum())
        if not n:
            raise ValueError("a prevalence needs at least one sample")
        interval = binomtest(count, n).proportion_ci(0.95, method="wilson")
        return cls(count / n, float(interval.low), float(interval.high), n)

    def metrics(self, name: str) -> dict[str, float]:
        """Return {name, name_low, name_high} for a run record."""
        return {name: self.share, f"{name}_low": self.low, f"{name}_high": self.high}


def gap_to_retrained(original: float, unlearned: float, retrained: float) -> float:
    """Return the share of the gap between original and retrained model that remains.

    Parameters
    ----------
    original, unlearned, retrained : float
        The prevalence of the feature among samples of each model.

    Returns
    -------
    float
        (unlearned - retrained) / (original - retrained). 1 is the original's prevalence, 0 that
        of the retrained model; below 0 the feature is rarer than after training without it.

    Raises
    ------
    ValueError
        There is no gap.
    """
    if original == retrained:
        raise ValueError("the retrained model shows the feature as often as the original")
    return (unlearned - retrained) / (original - retrained)
