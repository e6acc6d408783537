"""Statistics of real images, in the zoo: what stands for data that a machine does not have.

This module reads them; `forgetting.zoo.recipes.references` makes them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from forgetting.errors import DataError, WeightsError
from forgetting.metrics.feature_statistics import Statistics
from forgetting.zoo import store
from forgetting.zoo.made_with import check_made_with

DIGITS, FACES = "digits-reference", "faces-reference"
LIKELIHOODS = "faces-likelihoods"

FACE_SIZES = (32, 64)
FACE_FEATURES = ("Bangs", "Eyeglasses", "Smiling", "Wearing_Hat", "Male", "Blond_Hair")
"""The attributes for which `faces-reference` has statistics of the faces without them."""

NOT_READ = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What code raises that reads a damaged record."""

TRUSTED = (
    *("5_o_Clock_Shadow", "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Chubby", "Double_Chin"),
    *("Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male"),
    *("Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Wearing_Hat", "Wearing_Lipstick"),
    "Wearing_Necktie",
)
"""The attributes for which classifier B has an AUC over 0.9 on held-out faces, at both sizes."""

N_FEW = 500
"""Training faces in each of the three smaller sets whose mean FID is the floor of few."""


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """Raise an error where the block misses something in a record, or finds something else."""
    try:
        yield
    except NOT_READ as e:
        raise WeightsError(
            f"The record of {name} is damaged ({type(e).__name__}: {e}): restore it from git, or "
            f"measure it anew with `forgetting train {name} --again`."
        ) from e


def load_statistics(subset: str = "all", name: str = DIGITS) -> Statistics:
    """Return the statistics of classifier A's features of real held-out images.

    Parameters
    ----------
    subset : str
        Of `digits-reference`: "all", "without_thick" or "without_left_slant". Of
        `faces-reference`, after the size in pixels: "64.all", "64.without_Bangs", ....
    name : str
        "digits-reference" or "faces-reference".

    Raises
    ------
    DataError
        The entry has no statistics of that subset.
    WeightsError
        Its record is damaged.
    """
    tensors, entry = store.tensors(name), store.record(name)
    subsets = [key.removesuffix(".mean") for key in tensors if key.endswith(".mean")]
    if subset not in subsets:
        raise DataError(f"{name} has no statistics of {subset!r}; it has {', '.join(subsets)}.")
    with _whole(name):
        mean, covariance = (tensors[f"{subset}.{part}"] for part in ("mean", "covariance"))
        n = int(entry["counts"][subset])
        if mean.ndim != 1 or covariance.shape != 2 * mean.shape or n < 1:
            raise ValueError(f"{subset} has no mean, covariance and count that fit")
        return Statistics(mean.double().numpy(), covariance.double().numpy(), n)


def threshold_a(attribute: str, size: int) -> float:
    """Return the logit at which classifier A finds nine of ten faces that show an attribute.

    It is set on people whom the classifier has not seen. On its own training images the threshold
    would be too high, because the classifier's logits are larger there.

    Parameters
    ----------
    attribute : str
        One of CelebA's 40.
    size : int
        Side of the faces in pixels, one of `FACE_SIZES`.

    Raises
    ------
    WeightsError
        The classifier has other weights than those whose threshold it is, or the record is
        damaged.
    """
    entry = store.record(FACES)
    check_made_with(FACES, entry, store.record)
    with _whole(FACES):
        thresholds = entry["thresholds"]["faces-classifier-a"]
        return float(thresholds[str(size)][attribute])


def floor(entry: Mapping[str, Any], subset: str, n: int) -> float:
    """Return the FID of n real training faces to held-out ones: the floor for n samples.

    The bias of FID falls as 1 / n (Chong and Forsyth, 2020), so that the floors of two numbers of
    faces give the floor of any other.

    Parameters
    ----------
    entry : mapping
        The record of `faces-reference`.
    subset : str
        Of the faces, as in `load_statistics`.
    n : int
        Number of samples, at least 1.

    Raises
    ------
    WeightsError
        The record is damaged.
    """
    with _whole(FACES):
        n_many, floors = entry["counts"][f"{subset}.floor"], entry["floors"]
        slope = (entry["floors_of_few"][subset] - floors[subset]) / (1 / N_FEW - 1 / n_many)
        return float(floors[subset] + slope * (1 / n - 1 / n_many))
