"""Images of one's own: a folder becomes a tensor."""

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms.functional import rgb_to_grayscale

from forgetting.border.checks import check_scale
from forgetting.border.options import check_counts
from forgetting.data.decoding import upright_size
from forgetting.data.faces import CROPS
from forgetting.data.images import Crop, hash_files, image_files, read_images
from forgetting.errors import DataError, DataWarning, check_option, shortened
from forgetting.foundation.files import expanded, named_folder

SHAPES = {"celeba": 178 / 218, "lfw": 1.0}
"""Width by height of the photographs by which a crop was chosen."""

SHAPE_ERROR = 0.02
"""By how much the shape of a photograph may differ, as resizing rounds it."""


def load_images(
    folder: Path | str, *, crop: str = "folder", size: int = 64, channels: int = 3
) -> torch.Tensor:
    """Return the images of a folder as a tensor.

    Parameters
    ----------
    folder : Path or str
        It holds image files; subfolders are left out.
    crop : {"folder", "celeba", "lfw"}
        The square of each image that is kept: the largest in its middle, or the one by which the
        study crops the photographs of CelebA or of LFW. A warning names images of another shape
        than these have: their faces lie elsewhere.
    size : int
        Side of the result in pixels.
    channels : {3, 1}
        Colours, or grey: 0.299 of red, 0.587 of green and 0.114 of blue.

    Returns
    -------
    Tensor
        Float32 in [0, 1], (N, channels, size, size), in the order of the files' names.

    Raises
    ------
    DataError
        The folder is no path, or there is none. It holds no images, one cannot be read, or no
        value of any is above 1 of 255 though not all are 0.
    ParameterError
        There is no such crop or number of channels, or the size is no whole number of at least 1.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import forgetting as fg
    >>> import numpy as np
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i in range(3):
    ...         grey = np.full((80, 60), 80 * i, dtype=np.uint8)
    ...         Image.fromarray(grey).save(Path(folder) / f"{i}.png")
    ...     images = fg.load_images(folder, size=32)
    >>> images.shape
    torch.Size([3, 3, 32, 32])
    """
    check_counts(size=size, channels=channels)
    names = [name for name in CROPS if name != "astronaut"]
    chosen: Crop = CROPS[check_option("crop", crop, names)]
    if not isinstance(folder, str | PathLike):
        raise DataError(
            f"The folder of images is {type(folder).__name__}: give a path. Images that are there "
            "already need no folder: give them as a tensor of torch, (N, C, H, W) in [0, 1]."
        )
    folder = expanded(named_folder(folder))
    files = image_files(folder, least=1)
    check_option("channels", channels, (1, 3))
    images = read_images(files, hash_files(files), folder, chosen, size).float() / 255
    check_scale(images, f"The images of {folder}", [file.name for file in files])
    _warn_of_shape(folder, files, crop)
    return rgb_to_grayscale(images) if channels == 1 else images


def _warn_of_shape(folder: Path, files: Sequence[Path], crop: str) -> None:
    """Warn of images that have not the shape of those for which a crop is meant."""
    others = []
    for file in files if crop in SHAPES else ():
        with Image.open(file) as image:
            width, height = upright_size(image)
            if abs(width / height - SHAPES[crop]) > SHAPE_ERROR:
                others.append(file.name)
    if others:
        warnings.warn(
            f"{folder}: {len(others):,} cropped as photographs of {crop}, whose shape they have "
            f"not: {shortened(others)}. Leave out `crop`, unless faces lie as in these.",
            DataWarning,
            stacklevel=3,
        )
