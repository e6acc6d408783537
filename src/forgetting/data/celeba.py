"""The text files of CelebA: the attributes of each image, and whose face it shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from forgetting.errors import DataError

_ATTRIBUTES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA_ATTRIBUTES = tuple(_ATTRIBUTES.split())
"""The 40 attributes of CelebA, in the order of its file."""

ATTRIBUTE_FILE = "list_attr_celeba.txt"
IDENTITY_FILE = "identity_CelebA.txt"


def read_labels(folder: Path, files: Sequence[Path]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Return the attributes and the identities of image files of CelebA.

    Parameters
    ----------
    folder : Path
        The folder with the text files.
    files : sequence of Path
        N image files, named as the text files name them.

    Returns
    -------
    labels : Tensor, bool, (N, 40)
        Which attributes each image has, in the order of `CELEBA_ATTRIBUTES`.
    people : tuple of str
        The number of the person in each image, N names.

    Raises
    ------
    DataError
        A text file is missing, is not in CelebA's format, or lacks an image.
    """
    attributes, people = _read_attributes(folder), _read_identities(folder)
    for file in files:
        for name, table in ((IDENTITY_FILE, people), (ATTRIBUTE_FILE, attributes)):
            if file.name not in table:
                raise DataError(
                    f"{folder / name} has no line for {file.name}. Use the text files that belong "
                    "to these images."
                )
    labels = torch.from_numpy(np.stack([attributes[file.name] for file in files]))
    return labels, tuple(people[file.name] for file in files)


def _read_attributes(folder: Path) -> dict[str, np.ndarray]:
    """Return the attributes, bool (40,), of each file name."""
    path = folder / ATTRIBUTE_FILE
    lines = _read_lines(path)
    if len(lines) < 2 or tuple(lines[1].split()) != CELEBA_ATTRIBUTES:
        raise DataError(
            f"{path}, line 2, does not name CelebA's 40 attributes in their order. Copy the "
            "official file again."
        )
    attributes = {}
    for number, line in enumerate(lines[2:], start=3):
        name, *values = line.split()
        if len(values) != len(CELEBA_ATTRIBUTES) or not set(values) <= {"1", "-1"}:
            raise DataError(
                f"{path}, line {number}: expected a file name and {len(CELEBA_ATTRIBUTES)} values "
                "of 1 or -1. Copy the official file again."
            )
        attributes[name] = np.array([value == "1" for value in values])
    return attributes


def _read_identities(folder: Path) -> dict[str, str]:
    """Return the person of each file name."""
    path = folder / IDENTITY_FILE
    people = {}
    for number, line in enumerate(_read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 2:
            raise DataError(
                f"{path}, line {number}: expected a file name and the number of a person. Copy "
                "the official file again."
            )
        name, person = fields
        people[name] = person
    return people


def _read_lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise DataError(
            f"{path} cannot be read ({reason}). Copy it from the official CelebA to the folder "
            "of img_align_celeba."
        ) from error
