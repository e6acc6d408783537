"""What grades faces: thresholds of the classifiers, and the grader from outside the study.

The entry `faces-graders` holds them for faces of 32 and of 64 pixels. The outside networks are not
in it; `forgetting.zoo.face_api` fetches them.
"""

from dataclasses import dataclass
from functools import cache

import torch

from forgetting.errors import DataError
from forgetting.metrics.feature_statistics import Statistics
from forgetting.models.face_api import OutsideClassifier
from forgetting.zoo import store
from forgetting.zoo.face_api import load_face_api
from forgetting.zoo.made_with import check_made_with

GRADERS = "faces-graders"
CLASSIFIER_A, CLASSIFIER_B, OUTSIDE = "faces-classifier-a", "faces-classifier-b", "face-api"
SETS = ("celeba", "lfw", "both")
"""The faces that a Frechet distance can be measured to; `both` has as many of either."""


@dataclass(frozen=True)
class Thresholds:
    """From which score on a face has an attribute.

    Attributes
    ----------
    balanced : float
        The threshold that is right most often on held-out faces of CelebA.
    strict : float
        The threshold that one held-out face in 200 without the attribute passes.
    """

    balanced: float
    strict: float


def load_thresholds(grader: str, attribute: str, size: int) -> Thresholds:
    """Return a grader's thresholds of an attribute.

    Parameters
    ----------
    grader : str
        `CLASSIFIER_A`, `CLASSIFIER_B` or `OUTSIDE`.
    attribute : str
        One of `references.FACE_FEATURES`.
    size : int
        Side of the faces in pixels, one of `references.FACE_SIZES`.

    Raises
    ------
    DataError
        The entry has no such thresholds.
    WeightsError
        A classifier has other weights than those whose thresholds they are.
    """
    made = store.record(GRADERS)
    check_made_with(GRADERS, made, store.record)
    entry = made["graders"]
    try:
        row = entry[grader][str(size)][attribute]
    except KeyError:
        raise DataError(
            f"{GRADERS} has no thresholds of {grader} for {attribute} at {size} px; it has "
            f"{', '.join(entry)} at {', '.join(entry[CLASSIFIER_B])} px."
        ) from None
    return Thresholds(row["balanced"], row["strict"])


@cache
def load_outside_classifier(size: int) -> OutsideClassifier:
    """Return the classifier from outside the study, for faces of a size.

    Parameters
    ----------
    size : int
        Side of the faces in pixels, one of `references.FACE_SIZES`.

    Raises
    ------
    WeightsError
        The outside networks are not at hand.
    """
    tensors, entry = store.tensors(GRADERS), store.record(GRADERS)
    return OutsideClassifier(
        load_face_api(),
        tuple(entry["attributes"]),
        tensors[f"{size}.weight"],
        tensors[f"{size}.bias"],
    ).eval()


@dataclass(frozen=True)
class OutsideSpace:
    """Directions of the outside features of a Frechet distance that tells data sets less apart.

    The outside network's features of expressions are standardised by real faces of CelebA and of
    LFW and projected to the directions in which these vary most.

    Attributes
    ----------
    mean, scale : Tensor, (256,)
        Of the features of real faces.
    projection : Tensor, (256, 64)
        Orthonormal columns.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    projection: torch.Tensor

    def __call__(self, expression: torch.Tensor) -> torch.Tensor:
        """Return features of expressions (N, 256) in this space, (N, 64)."""
        return ((expression - self.mean) / self.scale) @ self.projection


def load_outside_space(size: int) -> OutsideSpace:
    """Return the space of a Frechet distance between faces of a size."""
    tensors = store.tensors(GRADERS)
    return OutsideSpace(*(tensors[f"{size}.{part}"] for part in ("mean", "scale", "projection")))


def load_outside_statistics(source: str, subset: str, size: int) -> Statistics:
    """Return the statistics of the outside features of real held-out faces.

    Parameters
    ----------
    source : str
        One of `SETS`.
    subset : str
        "all", or "without_ATTRIBUTE".
    size : int
        Side of the faces in pixels.

    Raises
    ------
    DataError
        The entry has no such statistics.
    """
    tensors, counts = store.tensors(GRADERS), store.record(GRADERS)["counts"]
    name = f"{size}.{source}.{subset}"
    if name not in counts:
        raise DataError(f"{GRADERS} has no statistics of {name}; it has {', '.join(counts)}.")
    return Statistics(
        tensors[f"{name}.mean"].double().numpy(),
        tensors[f"{name}.covariance"].double().numpy(),
        counts[name],
    )
