"""The one reader of image files: it finds, crops, resizes and caches them.

Every image is cropped to a square given in shares of its size, so that photographs of any
resolution are framed alike, and then resized. What the reader leaves out or changes, it names in a
`DataWarning`. The cache is found by the bytes of all files: it cannot be of other images.
"""

import hashlib
import json
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from forgetting.data.decoding import decode, decoder, endings
from forgetting.errors import DataError, DataWarning, shortened
from forgetting.foundation.files import CACHE, read_bytes
from forgetting.foundation.kept import keep, read_kept
from forgetting.foundation.progress import tracked

MIN_IMAGES = 20
_OF_A_SYSTEM = (".", "@", "#", "$", "~", "__")
"""What the names of folders begin with that systems and programs make among a user's."""


@dataclass(frozen=True)
class Crop:
    """A square in an image of any size.

    Attributes
    ----------
    side : float
        Its side, as a share of the image's shorter side.
    x, y : float
        Its centre, as shares of the image's width and height.
    """

    side: float = 1.0
    x: float = 0.5
    y: float = 0.5

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom in pixels, moved into the image where necessary."""
        side = self.side * min(width, height)
        left = min(max(self.x * width - side / 2, 0), width - side)
        top = min(max(self.y * height - side / 2, 0), height - side)
        return left, top, left + side, top + side


def image_files(folder: Path, least: int = MIN_IMAGES) -> list[Path]:
    """Return the image files of a folder, sorted by name; a warning names what is left out.

    Parameters
    ----------
    folder : Path
        The folder; its subfolders are left out.
    least : int
        Images that it must hold; a data set must hold 20.

    Raises
    ------
    DataError
        There is no such folder, or it holds fewer images.
    """
    files, others = _scan(folder)
    names = [other.name for other in others]
    _check_number(files, folder, names, least)
    _warn(folder, "left out, for these are no images", names)
    return files


def image_files_per_class(folder: Path) -> list[Path]:
    """Return the image files of a folder that holds a folder per class, sorted by path.

    A warning names what is left out: hidden folders and those of a system, such as
    `.ipynb_checkpoints`, `@eaDir` or `__MACOSX`, files beside the classes, files that are no
    images, and folders within a class.

    Raises
    ------
    DataError
        There is no such folder, or its classes hold fewer than 20 images.
    """
    beside, others = _scan(folder)
    is_class = [path.is_dir() and not path.name.startswith(_OF_A_SYSTEM) for path in others]
    classes = [path for path, kept in zip(others, is_class, strict=True) if kept]
    left_out = beside + [path for path, kept in zip(others, is_class, strict=True) if not kept]
    files: list[Path] = []
    empty = []
    for path in classes:
        images, others = _scan(path)
        files += images
        left_out += others
        empty += [] if images else [path.name]
    names = [path.relative_to(folder).as_posix() for path in sorted(left_out)]
    _check_number(files, folder, names)
    _warn(folder, "left out, for these are no images in a folder of a class", names)
    _warn(folder, "left out, for these folders hold no images", empty)
    return sorted(files)


def hash_files(files: Sequence[Path]) -> list[str]:
    """Return a hash of the bytes of each file.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes = pool.map(lambda file: _hash(_content(file)), files)
        return list(tracked(hashes, "checking files", len(files)))


def read_images(
    files: Sequence[Path], hashes: Sequence[str], folder: Path, crop: Crop, size: int
) -> torch.Tensor:
    """Read, crop and resize image files, or take the result from the user's cache.

    Warnings name the files that have the same bytes, those with transparent parts or a colour
    profile that does not fit, and those whose square is smaller than the result, which shows no
    more than it does.

    Parameters
    ----------
    files : sequence of Path
        N files below `folder`.
    hashes : sequence of str
        Their hashes, from `hash_files`. With the crop, the size and the decoder they identify the
        cached result.
    folder : Path
        The data set's folder.
    crop : Crop
        The square to keep.
    size : int
        The side of the result in pixels.

    Returns
    -------
    Tensor, uint8, (N, 3, size, size)
        The images, in RGB.

    Raises
    ------
    DataError
        A file is not an image, or was changed since it was hashed.
    """
    names = [file.relative_to(folder).as_posix() for file in files]
    n_equal = Counter(hashes)
    equal = [name for name, digest in zip(names, hashes, strict=True) if n_equal[digest] > 1]
    _warn(folder, "read, though the bytes of each are those of another", equal)
    code = [decoder(), Path(__file__).read_bytes().hex()]
    key = _hash(json.dumps([list(hashes), repr(crop), size, code]).encode())
    path = CACHE / "faces" / f"{size}-{key}.safetensors"
    if (kept := read_kept(path)) is not None:
        images, changes = kept[0], json.loads(kept[1]["changes"])
    else:
        images, changes = _read(files, hashes, folder, crop, size)
        keep(path, images, {"changes": json.dumps(changes)})
    for change, indices in changes.items():
        _warn(folder, change, [names[i] for i in indices])
    return images


def warn_of_spellings(folder: Path, names: Iterable[str]) -> None:
    """Warn of different names that case, Unicode form or spaces alone tell apart."""
    spellings: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        key = "".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())
        spellings.setdefault(key, []).append(name)
    alike = [name for same in spellings.values() if len(same) > 1 for name in same]
    _warn(folder, "read as different people or classes, though they seem to be the same", alike)


def resize(image: Image.Image, crop: Crop, size: int) -> np.ndarray:
    """Crop and resize an RGB image to an array (3, size, size), uint8, by Lanczos resampling."""
    square = image.resize((size, size), Image.Resampling.LANCZOS, box=crop.box(*image.size))
    return np.asarray(square).transpose(2, 0, 1).copy()


def _read(
    files: Sequence[Path], hashes: Sequence[str], folder: Path, crop: Crop, size: int
) -> tuple[torch.Tensor, dict[str, list[int]]]:
    """Return the images, and for each change the indices of the images that it befell."""

    enlarged = f"enlarged to {size} px, for their squares have fewer pixels"

    def read(file: Path, expected: str) -> tuple[np.ndarray, list[str]]:
        content = _content(file)
        if _hash(content) != expected:
            raise DataError(f"{file} was changed while it was read. Load the images again.")
        image, changes = decode(content, file)
        is_small = crop.side * min(image.size) < size
        return resize(image, crop, size), changes + [enlarged] * is_small

    befell: dict[str, list[int]] = {}
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        title = f"reading {folder.name} at {size} px"
        results = tracked(pool.map(read, files, hashes), title, len(files))
        for i, (pixels, changes) in enumerate(results):
            images[i] = torch.from_numpy(pixels)
            for change in changes:
                befell.setdefault(change, []).append(i)
    return images, befell


def _content(file: Path) -> bytes:
    try:
        return read_bytes(file)
    except OSError as error:
        reason = "it is a link to nothing" if file.is_symlink() else error.strerror
        raise DataError(
            f"{file} cannot be read as an image ({reason}). Copy it again, or remove it."
        ) from error


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _scan(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the image files of a folder and everything else in it, both sorted."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder} is not a folder that can be read ({error.strerror}). It should hold images."
        ) from error
    is_image = [_is_image(path) for path in paths]
    images = [path for path, image in zip(paths, is_image, strict=True) if image]
    return images, [path for path, image in zip(paths, is_image, strict=True) if not image]


def _is_image(path: Path) -> bool:
    """Return whether a name is that of an image; a link to nothing is one, and cannot be read."""
    is_named = path.suffix.lower() in endings() and not path.name.startswith(".")
    return is_named and not path.is_dir()


def _warn(folder: Path, what: str, names: Iterable[str]) -> None:
    if names := list(names):
        text = f"{folder}: {len(names):,} {what}: {shortened(names)}."
        warnings.warn(text, DataWarning, stacklevel=3)


def _check_number(
    files: list[Path], folder: Path, left_out: Sequence[str], least: int = MIN_IMAGES
) -> None:
    if len(files) < least:
        others = f" Left out are {len(left_out):,}: {shortened(left_out)}." if left_out else ""
        needed = f"at least {least} {'is' if least == 1 else 'are'} needed"
        raise DataError(
            f"{folder} holds {len(files)} images; {needed}.{others} Is it the right folder, and "
            "fully unpacked?"
        )
