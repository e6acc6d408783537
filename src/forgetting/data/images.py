"""The one reader of image files: it finds, crops, resizes and caches them.

Every image is cropped to a square given in shares of its size, so that photographs of any
resolution are framed alike, and then resized.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from forgetting.errors import DataError
from forgetting.files import CACHE, replacing

MIN_IMAGES = 20
ENDINGS = frozenset({".jpg", ".jpeg", ".png"})


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


def jpeg_files(folder: Path) -> list[Path]:
    """Return the JPEG files of a folder, sorted by name.

    Raises
    ------
    DataError
        There is no such folder, or it holds fewer than 20 images.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not there; it should hold the images as JPEG files.")
    return _check_number(sorted(folder.glob("*.jpg")), folder)


def files_per_class(folder: Path) -> list[Path]:
    """Return the image files of a folder that holds a folder per class, sorted by path.

    Raises
    ------
    DataError
        There is no such folder, or it holds fewer than 20 images.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder. Give celeba, lfw, or the path of a folder that holds a "
            "folder of images per class."
        )
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in ENDINGS)
    return _check_number(files, folder)


def read_images(files: Sequence[Path], folder: Path, crop: Crop, size: int) -> torch.Tensor:
    """Read, crop and resize image files, or take the result from the user's cache.

    Parameters
    ----------
    files : sequence of Path
        N files below `folder`.
    folder : Path
        The data set's folder. Its name, and the names and sizes of the files, identify the
        cached result.
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
        A file is not an image.
    """
    listing = [(str(file.relative_to(folder)), file.stat().st_size) for file in files]
    key = hashlib.sha256(json.dumps([listing, repr(crop), size]).encode()).hexdigest()[:16]
    path = CACHE / "faces" / f"{folder.name}-{size}-{key}.safetensors"
    try:
        with safe_open(path, framework="pt") as cache:
            cached: torch.Tensor = cache.get_tensor("images")
            return cached
    except (OSError, SafetensorError):
        pass  # missing or corrupt: the images are read again
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        arrays = pool.map(lambda file: read_image(file, crop, size), files)
        title = f"reading {folder.name} at {size} px"
        for i, pixels in enumerate(tqdm(arrays, total=len(files), desc=title)):
            images[i] = torch.from_numpy(pixels)
    with replacing(path) as temporary:
        save_file({"images": images}, temporary)
    return images


def read_image(path: Path, crop: Crop, size: int) -> np.ndarray:
    """Read, crop and resize one image file.

    Returns
    -------
    ndarray, uint8, (3, size, size)
        The image, in RGB.

    Raises
    ------
    DataError
        The file is not an image, or the image is incomplete.
    """
    try:
        with Image.open(path) as image:
            return resize(image.convert("RGB"), crop, size)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}). Copy it again, or remove it."
        ) from error


def resize(image: Image.Image, crop: Crop, size: int) -> np.ndarray:
    """Crop and resize an RGB image to an array (3, size, size), uint8, by Lanczos resampling."""
    square = image.resize((size, size), Image.Resampling.LANCZOS, box=crop.box(*image.size))
    return np.asarray(square).transpose(2, 0, 1).copy()


def _check_number(files: list[Path], folder: Path) -> list[Path]:
    if len(files) < MIN_IMAGES:
        raise DataError(
            f"{folder} holds {len(files)} images; at least {MIN_IMAGES} are needed. Is it the "
            "right folder, and fully unpacked?"
        )
    return files
