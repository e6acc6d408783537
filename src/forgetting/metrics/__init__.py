"""Measures of forgetting: numbers from tensors, with their intervals.

`prevalence`, `likelihood` and `locality` measure what changed, `fidelity` how good samples are,
`membership` what an attacker learns, `calibration` and `identity` how far a classifier and an
embedding can be trusted. A metric takes tensors and functions and depends on no model's name.
`METRICS` lists those that compare a model's
samples with other images; another package adds one through an entry point in the group
`forgetting.metrics`. This wing may import `border`, `foundation` and `errors`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from forgetting.foundation.registry import Registry


@dataclass(frozen=True)
class SampleMetric:
    """Numbers that compare samples with the images that they should resemble.

    Attributes
    ----------
    columns : dict of str to tuple
        By the name that a number has in records, its heading in tables and its format there.
    measure : callable
        Features of the samples (N, F) and of the images (M, F) to the numbers, in the order of
        `columns`.
    description : str
        What the numbers tell, in a sentence.
    """

    columns: Mapping[str, tuple[str, str]]
    measure: Callable[[torch.Tensor, torch.Tensor], tuple[float, ...]]
    description: str

    def __call__(self, samples: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
        """Return the numbers by name, of features (N, F) of samples and (M, F) of images."""
        return dict(zip(self.columns, self.measure(samples, target), strict=True))


def table_columns() -> dict[str, tuple[str, str]]:
    """Return heading and format of every number that a metric of `METRICS` gives, by name."""
    return {name: column for metric in METRICS.values() for name, column in metric.columns.items()}


METRICS: Registry[SampleMetric] = Registry("metric", "forgetting.metrics")
"""All metrics that compare samples with other images, by name."""
