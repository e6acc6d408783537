"""Features of digits that are measured, not classified: one file each, registered in `FEATURES`.

A new feature is one new file that registers a `DigitFeature` under its name; another package adds
one through an entry point in the group `forgetting.data.digit_features`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from forgetting.errors import DataWarning, ParameterError, check_option, quoted
from forgetting.foundation.registry import Registry


@dataclass(frozen=True)
class DigitFeature:
    """A feature that a digit has where a measured quantity lies in one tail of its distribution.

    Attributes
    ----------
    quantity : str
        The name of the measured quantity. Features of the same quantity share one measurement.
    measure : callable
        Maps images (B, 1, H, W), float32 in [0, 1] or uint8, to values (B,), float32, with nan
        for a blank image. It gets a few hundred images at a time.
    sign : {1, -1}
        1 if large values have the feature, -1 if small values have it.
    unit : str
        What `sign` times the value is and its unit, as an axis label.
    description : str
        When a digit has the feature, in a sentence.
    """

    quantity: str
    measure: Callable[[torch.Tensor], torch.Tensor]
    sign: Literal[1, -1]
    unit: str
    description: str

    def __post_init__(self) -> None:
        """Check the sign."""
        check_option("sign", self.sign, (1, -1))

    def threshold(self, values: torch.Tensor, share: float) -> float:
        """Return the value beyond which a share of the values (N,) lies; nan values are ignored.

        A `DataWarning` says where none lies beyond it, because the values at the end are equal.

        Parameters
        ----------
        values : Tensor, (N,)
            Values of the quantity.
        share : float
            The share with the feature, in (0, 1).

        Raises
        ------
        ParameterError
            The share is out of range, or no value is a number.
        """
        if not 0 < share < 1:
            raise ParameterError(
                f"share = {quoted(share)} is not allowed: it lies between 0 and 1."
            )
        if bool(values.isnan().all()):
            raise ParameterError(f"There is no {self.quantity} to set a threshold by.")
        threshold = float(values.nanquantile(1 - share if self.sign > 0 else share))
        if not self.has_feature(values, threshold).any():
            warnings.warn(
                f"Of {len(values)} values of the {self.quantity} those at the end are equal, so "
                f"that none lies beyond {threshold:g}: take other digits, or another share.",
                DataWarning,
                stacklevel=2,
            )
        return threshold

    def has_feature(self, values: torch.Tensor, threshold: float) -> torch.Tensor:
        """Return which values (N,) lie beyond the threshold, bool (N,); a nan value does not."""
        return values > threshold if self.sign > 0 else values < threshold


FEATURES: Registry[DigitFeature] = Registry("digit feature", "forgetting.data.digit_features")
