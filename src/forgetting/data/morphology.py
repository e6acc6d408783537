"""Stroke thickness and slant of digits, after Morpho-MNIST (Castro et al., JMLR 20, 2019).

An image is enlarged four times (cubic, smoothed), binarised at half of its range and thinned to a
skeleton. Thickness is twice the mean distance from the skeleton to the background. Slant is the
horizontal shear in the second moments of the grey image, positive for a stroke that leans like
'/'.

Morpho-MNIST computes the medial axis, which takes about 50 ms a digit. Here `skeletonize` and an
exact distance transform take less than a millisecond; a test measures how well the two agree.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from skimage.morphology import skeletonize
from torch.utils.weak import WeakIdKeyDictionary

from forgetting.border.checks import check_range
from forgetting.data.digit_features import FEATURES
from forgetting.errors import DataWarning, ParameterError, check_option
from forgetting.foundation.progress import tracked

SCALE = 4
BATCH = 500
BLANK = 1e-6
"""An image with less ink than this is blank."""

MOST_INK = 0.5
"""Mean brightness of digits beyond which they seem to be black on white."""


def measure(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Measure the quantities of all registered digit features on every image.

    A `DataWarning` says where digits seem to be black on white, so that paper counts as ink.

    Parameters
    ----------
    images : Tensor, (N, 1, H, W)
        Digits, float32 in [0, 1] or uint8, in any number.

    Returns
    -------
    dict
        For each quantity its values, float32 (N,), nan where the image is blank: "thickness" in
        pixels, "slant" in radians, and those of other packages.

    Raises
    ------
    DataError
        Values of floating-point images do not lie in [0, 1].
    ParameterError
        The images are not grey, or two features give one name to two different measurements.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ParameterError(f"Digits are (N, 1, H, W), not {tuple(images.shape)}.")
    _check_brightness(images.detach())
    functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}
    for name, feature in FEATURES.items():
        if functions.setdefault(feature.quantity, feature.measure) is not feature.measure:
            raise ParameterError(
                f"The digit feature {name!r} measures its {feature.quantity!r} with a function of "
                "its own, but another feature has a quantity of that name: rename the quantity."
            )
    values: dict[str, list[torch.Tensor]] = {quantity: [] for quantity in functions}
    for start in tracked(range(0, len(images), BATCH), "measuring"):
        batch = images[start : start + BATCH]
        _ENLARGED[batch] = _enlarge(batch)
        for quantity, function in functions.items():
            values[quantity].append(function(batch))
    return {quantity: torch.cat(parts) for quantity, parts in values.items()}


def _check_brightness(images: torch.Tensor) -> None:
    """Raise an error if float images leave [0, 1], and warn if digits are black on white."""
    if images.is_floating_point():
        check_range(images, "The digits")
    white = 1 if images.is_floating_point() else 255
    brightness = float(images.cpu().mean(dtype=torch.float64)) / white
    if brightness > MOST_INK:
        warnings.warn(
            f"The digits are {brightness:.0%} white in the mean, as black ink on white paper is, "
            "and white is measured as ink: give images that are white on black.",
            DataWarning,
            stacklevel=3,
        )


class Morphology:
    """Digit features with a threshold each: a measurement with the face of a classifier.

    A digit has a feature where its value lies beyond the threshold. A logit is the signed distance
    to the threshold, positive where the digit has the feature. A blank image has no feature.

    Attributes
    ----------
    thresholds : dict
        The threshold of each feature, by name; each is also an attribute (`morphology.thick`).
    """

    def __init__(self, **thresholds: float) -> None:
        """Set the thresholds.

        Parameters
        ----------
        **thresholds : float
            For each feature its threshold, in units of the quantity: `thick` in pixels,
            `left_slant` in radians.

        Raises
        ------
        ParameterError
            There is no such feature, or a threshold is no finite number.
        """
        self._features = {name: FEATURES[name] for name in thresholds}
        for name, threshold in thresholds.items():
            if not math.isfinite(threshold):
                raise ParameterError(f"{name} = {threshold!r}: give a finite threshold.")
        self.thresholds: Mapping[str, float] = thresholds

    def __getattr__(self, name: str) -> float:
        thresholds: Mapping[str, float] = self.__dict__.get("thresholds", {})
        if name not in thresholds:
            raise AttributeError(f"{type(self).__name__} has no threshold or method {name!r}")
        return thresholds[name]

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the features, in the order of the logits."""
        return tuple(self.thresholds)

    @classmethod
    def of(cls, measured: Mapping[str, torch.Tensor], share: float = 0.1) -> "Morphology":
        """Set each threshold where the outermost share of measured digits begins.

        Parameters
        ----------
        measured : dict
            Values (N,) of each quantity, as `measure` returns them. A feature whose quantity is
            missing gets no threshold.
        share : float
            The share of the digits that has each feature, in (0, 1).
        """
        return cls(
            **{
                name: feature.threshold(measured[feature.quantity], share)
                for name, feature in FEATURES.items()
                if feature.quantity in measured
            }
        )

    def has_feature(self, measured: Mapping[str, torch.Tensor], feature: str) -> torch.Tensor:
        """Return which measured digits have a feature, bool (N,).

        Parameters
        ----------
        measured : dict
            Values (N,) of each quantity, as `measure` returns them.
        feature : str
            One of `attributes`.

        Raises
        ------
        ParameterError
            There is no such feature here.
        """
        feature = check_option("feature", feature, self.attributes)
        values = measured[self._features[feature].quantity]
        return self._features[feature].has_feature(values, self.thresholds[feature])

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the value of each feature's quantity, (N, A), for digits (N, 1, H, W)."""
        measured = measure(images)
        return torch.stack([measured[f.quantity] for f in self._features.values()], dim=1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the signed distance to each threshold, (N, A), for digits (N, 1, H, W)."""
        signs = torch.tensor([float(feature.sign) for feature in self._features.values()])
        thresholds = torch.tensor(list(self.thresholds.values()))
        return torch.nan_to_num(signs * (self.features(images) - thresholds), nan=-1.0)


def thickness(images: torch.Tensor) -> torch.Tensor:
    """Return the mean stroke thickness of digits (B, 1, H, W) in pixels, (B,); nan if blank."""
    values = map(_thickness, _enlarged(images).numpy())
    return torch.tensor(list(values), dtype=torch.float32)


def slant(images: torch.Tensor) -> torch.Tensor:
    """Return the slant of digits (B, 1, H, W) in radians, (B,), positive like '/'; nan if blank.

    It is atan(-mu_11 / mu_02): the horizontal shear that undoes it, from central moments.
    """
    ink = _enlarged(images).clamp(min=0)
    total = ink.sum((1, 2))
    rows, columns = (torch.arange(size, dtype=ink.dtype) for size in ink.shape[1:])
    rows = rows - (ink.sum(2) @ rows / total)[:, None]
    columns = columns - (ink.sum(1) @ columns / total)[:, None]
    shear = torch.einsum("bh,bhw,bw->b", rows, ink, columns)
    angle = torch.atan(-shear / (ink.sum(2) * rows**2).sum(1))
    return torch.where(total < BLANK, torch.nan, angle).float()


def _thickness(large: np.ndarray) -> float:
    """Return the stroke thickness, in pixels of the original, of one enlarged image."""
    low, high = large.min(), large.max()
    if high - low < BLANK:
        return float("nan")
    ink = large >= (low + high) / 2
    ink = np.pad(ink[ndimage.find_objects(ink.view(np.int8))[0]], 1)  # the smallest box is enough
    distance = ndimage.distance_transform_edt(ink)
    return float(2 * distance[skeletonize(ink)].mean() / SCALE)


_ENLARGED = WeakIdKeyDictionary()
"""The enlarged images of a batch of `measure`, as long as it lives: all quantities need them."""


def _enlarged(images: torch.Tensor) -> torch.Tensor:
    large: torch.Tensor | None = _ENLARGED.get(images)
    return _enlarge(images) if large is None else large


def _enlarge(images: torch.Tensor) -> torch.Tensor:
    """Enlarge digits (B, 1, H, W) as `skimage.transform.pyramid_expand` (cubic) does.

    Returns
    -------
    Tensor, (B, SCALE H, SCALE W)
        float64, on the CPU.
    """
    grey = images[:, 0].detach().cpu().double()
    (rows, smooth_rows), (columns, smooth_columns) = map(_expansion, grey.shape[1:])
    large = rows @ grey @ columns.T
    low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
    return smooth_rows @ torch.clamp(large, low, high) @ smooth_columns.T


@cache
def _expansion(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrices of cubic enlargement and of the smoothing after it, for one axis."""
    enlarge = ndimage.zoom(np.eye(size), (SCALE, 1), order=3, mode="reflect", grid_mode=True)
    smooth = ndimage.gaussian_filter1d(np.eye(size * SCALE), SCALE / 3, axis=0, mode="reflect")
    return torch.from_numpy(enlarge), torch.from_numpy(smooth)
