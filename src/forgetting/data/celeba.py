"""The text files of CelebA: the attributes of each image, and whose face it shows."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from forgetting.data.tables import read_lines, read_table
from forgetting.errors import DataError, DataWarning, shortened

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

    A warning names the images that the text files list and that are not among the files.

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
        A text file is missing, is not in CelebA's format, lists an image twice, or lacks one.
    """
    attributes, people = _read_attributes(folder / ATTRIBUTE_FILE), _read_people(folder)
    for file in files:
        for name, table in ((IDENTITY_FILE, people), (ATTRIBUTE_FILE, attributes)):
            if file.name not in table:
                raise DataError(
                    f"{folder / name} has no line for {file.name}. Use the text files that belong "
                    "to these images."
                )
    present = {file.name for file in files}
    if missing := [name for name in attributes if name not in present]:
        warnings.warn(
            f"{ATTRIBUTE_FILE} lists {len(attributes):,} images, of which {len(missing):,} are "
            f"not in {folder} and are left out: {shortened(missing)}.",
            DataWarning,
            stacklevel=2,
        )
    labels = torch.tensor([attributes[file.name] for file in files])
    return labels, tuple(people[file.name] for file in files)


def _read_attributes(path: Path) -> dict[str, list[bool]]:
    """Return whether each file name has each of the 40 attributes."""
    lines = read_lines(path)
    if len(lines) < 2 or tuple(lines[1][1]) != CELEBA_ATTRIBUTES:
        raise DataError(
            f"{path}, line 2, does not name CelebA's 40 attributes in their order. Copy the "
            "official file again."
        )
    n = len(CELEBA_ATTRIBUTES)
    expected = f"a file name and {n} values of 1 or -1"
    table = read_table(path, lines[2:], n, ("1", "-1"), expected)
    return {name: [value == "1" for value in values] for name, values in table.items()}


def _read_people(folder: Path) -> dict[str, str]:
    """Return the number of the person of each file name."""
    path = folder / IDENTITY_FILE
    expected = "a file name and the number of a person"
    table = read_table(path, read_lines(path), 1, None, expected)
    return {name: person for name, (person,) in table.items()}
