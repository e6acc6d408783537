"""What tells images with a feature from those without, beside the feature itself.

A classifier learns whatever parts the two sets, and so does its AUC on images that were held out.
Each function warns of one such difference, or of images that were held out in name only.
"""

import statistics
import warnings
from pathlib import Path

import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from forgetting.data.images import image_files
from forgetting.data.near_copies import near_copies
from forgetting.errors import DataWarning
from forgetting.foundation.files import expanded
from forgetting.metrics.calibration import Auc

RARE = 0.1
"""Share of a set below which images of one kind are hardly any."""

LOSSY = ("JPEG", "MPO", "WEBP")
"""Formats, as PIL names them, that leave traces in an image."""

FLAT = 2
"""Of 255, by which the values along a side of one colour differ at most."""

MUCH_SHARPER = 2
"""Ratio of the sides of two folders' images beyond which their sharpness tells them apart."""

TELLING = 0.8
"""AUC that colours alone may reach with the lower end of its interval.

Of 40 attributes in 6,000 photographs of CelebA blond hair reaches it, at 0.88; the next are pale
skin at 0.82, whose interval begins at 0.799, and black hair at 0.73.
"""


def _formats_and_sides(folder: Path) -> tuple[list[str], list[int]]:
    """Return the format of every image of a folder, and its shorter side in pixels."""
    with warnings.catch_warnings(action="ignore"):  # `load_images` has warned
        files = image_files(folder, least=1)
    formats, sides = [], []
    for path in files:
        with Image.open(path) as image:
            formats.append(image.format or "")
            sides.append(min(image.size))
    return formats, sides


def warn_of_files(
    given: tuple[Path | str | torch.Tensor, Path | str | torch.Tensor], size: int, name: str
) -> None:
    """Warn if folders hold only small images, or two differ in the format or the sharpness."""
    folders = [expanded(each) for each in given if not isinstance(each, torch.Tensor)]
    found = [_formats_and_sides(folder) for folder in folders]
    for folder, (_, sides) in zip(folders, found, strict=True):
        if max(sides) < size:
            warnings.warn(
                f"The images of {folder} have at most {max(sides)} px and are enlarged to {size}: "
                f"give size={max(sides)}, if those of the generator have it.",
                DataWarning,
                stacklevel=3,
            )
    if len(found) < len(given):
        return
    lossy = [sum(kind in LOSSY for kind in formats) / len(formats) for formats, _ in found]
    if max(lossy) > 1 - RARE and min(lossy) < RARE:
        warnings.warn(
            f"Of the files with {name} {lossy[0]:.0%} are JPEG or WebP, of those without "
            f"{lossy[1]:.0%}: the classifiers may learn the traces of compression. Give both in "
            "one format from the start.",
            DataWarning,
            stacklevel=3,
        )
    medians = [statistics.median(sides) for _, sides in found]
    sharp = [min(median, size) for median in medians]  # beyond `size` images are made smaller
    if max(sharp) > MUCH_SHARPER * min(sharp):
        warnings.warn(
            f"Half of the images with {name} have at least {medians[0]:g} px, half of those "
            f"without at least {medians[1]:g}: the classifiers may learn to tell sharp from "
            "blurred. Give both in one size.",
            DataWarning,
            stacklevel=3,
        )


def warn_of_copies(held_out: torch.Tensor, trained: torch.Tensor) -> None:
    """Warn if images that are held out are nearly equal to ones that are trained on."""
    if n_near := int(near_copies(held_out, trained).sum()):
        warnings.warn(
            f"{n_near} of {len(held_out)} images that are held out nearly equal one that is "
            "trained on, as copies of a photograph do, or the frames of a film: the AUC is "
            "higher than that of new images. Give each photograph once.",
            DataWarning,
            stacklevel=4,
        )


def warn_of_grey(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Warn if nearly all images of one set are grey, and of the other hardly any."""
    grey = [float((x == x[:, :1]).flatten(1).all(1).float().mean()) for x in (first, second)]
    if max(grey) > 1 - RARE and min(grey) < RARE:
        warnings.warn(
            f"Of the images with {name} {grey[0]:.0%} are grey, of those without {grey[1]:.0%}: "
            "the classifiers would learn to tell grey from colour. Give both in one kind.",
            DataWarning,
            stacklevel=4,
        )


def warn_of_borders(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Warn if nearly all images of one set have a side of one colour, and hardly any other has."""
    sides = {"upper": (2, 0), "lower": (2, -1), "left": (3, 0), "right": (3, -1)}
    for side, (dim, place) in sides.items():
        edges = [images.select(dim, place) for images in (first, second)]  # (N, 3, pixels)
        flat = [float((e.amax(2) - e.amin(2) <= FLAT).all(1).float().mean()) for e in edges]
        if max(flat) > 1 - RARE and min(flat) < RARE:
            warnings.warn(
                f"Of the images with {name} {flat[0]:.0%} have one colour along their {side} "
                f"side, of those without {flat[1]:.0%}: the classifiers may learn a border or a "
                "plain ground. Cut it off, or give both alike.",
                DataWarning,
                stacklevel=4,
            )
            return


def warn_of_colours(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Warn if the mean colours and the contrasts of two sets of images tell these apart."""
    images = torch.cat([first, second]).float().flatten(2)
    is_first = torch.arange(len(images)) < len(first)
    colours = torch.cat([images.mean(2), images.std(2)], dim=1).numpy()
    linear = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    scores = cross_val_predict(linear, colours, is_first.numpy(), method="decision_function")
    auc = Auc.of(torch.from_numpy(scores), is_first)
    if auc.low > TELLING:
        warnings.warn(
            f"The mean colours and the contrasts alone tell images with {name} from those without "
            f"(AUC {auc.value:.2f}), so that the classifiers may learn light or colour. Unless "
            "that is the feature, give both alike.",
            DataWarning,
            stacklevel=4,
        )
