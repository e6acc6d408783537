"""Faces: CelebA, LFW, any folder of images per class, and one photograph that no model saw.

Each source has a crop to the same square around the face, so that CelebA at any size and LFW show
faces alike. The hash of the identity decides who is held out: all photographs of a person are in
training, or none.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image

from forgetting.data.celeba import CELEBA_ATTRIBUTES, read_labels
from forgetting.data.images import Crop, files_per_class, jpeg_files, read_images, resize
from forgetting.errors import DataError
from forgetting.files import CACHE

Split = Literal["train", "held_out", "all"]

SIZES = (32, 64, 128)
HELD_OUT = 0.25
"""The share of the identities on which nothing in the zoo is trained."""

CROPS = {
    "celeba": Crop(0.85, 0.5, 0.557),
    "lfw": Crop(0.65, 0.5, 0.5),
    "folder": Crop(),
    "astronaut": Crop(0.355, 0.441, 0.22),
}


@dataclass(frozen=True)
class Faces:
    """Faces with their identities and attributes.

    Attributes
    ----------
    images : Tensor, uint8, (N, 3, size, size)
        The images.
    people : tuple of str
        The person in each image, N names; in any other folder, the image's class.
    labels : Tensor, bool, (N, A)
        Which attributes each image has; A = 0 for a source without attributes.
    attributes : tuple of str
        The A names of the labels' columns.
    source : str
        "celeba", "lfw" or "folder".
    """

    images: torch.Tensor
    people: tuple[str, ...]
    labels: torch.Tensor
    attributes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: torch.Tensor) -> "Faces":
        """Return the faces that a boolean mask (N,) or an index tensor (K,) selects."""
        index = torch.nonzero(mask).flatten() if mask.dtype == torch.bool else mask
        people = tuple(self.people[i] for i in index.tolist())
        return Faces(self.images[index], people, self.labels[index], self.attributes, self.source)

    def floats(self) -> torch.Tensor:
        """Return the images as float32 in [0, 1], (N, 3, size, size)."""
        return self.images.float() / 255

    def label(self, attribute: str) -> torch.Tensor:
        """Return which faces have an attribute, bool (N,).

        Raises
        ------
        DataError
            The source has no such attribute.
        """
        if attribute not in self.attributes:
            names = ", ".join(self.attributes) or "none"
            raise DataError(f"{self.source} has no attribute {attribute!r}. It has: {names}.")
        return self.labels[:, self.attributes.index(attribute)]

    def of(self, person: str) -> torch.Tensor:
        """Return which faces show a person, bool (N,)."""
        return torch.tensor([name == person for name in self.people], dtype=torch.bool)


def load_faces(source: str, split: Split = "train", size: int = 64) -> Faces:
    """Load faces; the resized images stay in the user's cache.

    Parameters
    ----------
    source : str
        "celeba" is the official layout, full or part, at any image size: `img_align_celeba`,
        `list_attr_celeba.txt` and `identity_CelebA.txt`. "lfw" is a folder per person. Both are
        in `FORGETTING_DATA`, or in the cache where `forgetting data` puts them. Any other value
        is the path of a folder that holds a folder of images per class.
    split : "train", "held_out" or "all"
        "held_out" is a quarter of the people, by the hash of their names. In any other folder it
        is a quarter of the images, by the hash of theirs.
    size : int
        Side of the images in pixels: 32, 64 or 128.

    Raises
    ------
    DataError
        The source is missing, one of its files is missing, incomplete or not an image, or there
        are too few images or people.
    """
    if size not in SIZES:
        raise DataError(f"Faces come at {', '.join(map(str, SIZES))} px, not at {size}.")
    attributes: tuple[str, ...] = ()
    if source == "celeba":
        folder = faces_folder("celeba")
        files = jpeg_files(folder / "img_align_celeba")
        labels, people = read_labels(folder, files)
        attributes = CELEBA_ATTRIBUTES
    else:
        folder = faces_folder("lfw") if source == "lfw" else Path(source)
        files = files_per_class(folder)
        people = tuple(file.parent.name for file in files)
        labels = torch.zeros(len(files), 0, dtype=torch.bool)
        source = "lfw" if source == "lfw" else "folder"
    images = read_images(files, folder, CROPS[source], size)
    faces = Faces(images, people, labels, attributes, source)
    if split == "all":
        return faces
    # in any other folder a class is not a person, so single images are held out
    names = [str(f.relative_to(folder)) for f in files] if source == "folder" else people
    held_out = torch.tensor([is_held_out(name) for name in names])
    if held_out.all() or not held_out.any():
        raise DataError(
            f"{folder} holds too few {'images' if source == 'folder' else 'people'} "
            f"({len(set(names))}) to keep a quarter of them out. Load all of them, or add some."
        )
    return faces.where(held_out if split == "held_out" else ~held_out)


def is_held_out(person: str) -> bool:
    """Return whether a person is held out of all training, by hash: the same everywhere."""
    digest = hashlib.blake2b(f"faces/{person}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < HELD_OUT * 2**64


def astronaut(size: int = 64) -> torch.Tensor:
    """Return the photograph of Eileen Collins that ships with scikit-image.

    No model of the zoo has seen it.

    Returns
    -------
    Tensor, (1, 3, size, size)
        float32 in [0, 1].
    """
    from skimage.data import astronaut as photograph

    pixels = resize(Image.fromarray(photograph()), CROPS["astronaut"], size)
    return torch.from_numpy(pixels)[None].float() / 255


def faces_folder(name: str) -> Path:
    """Return the folder of "celeba" or "lfw": in `FORGETTING_DATA`, or in the user's cache.

    Raises
    ------
    DataError
        There is no such folder.
    """
    data = os.environ.get("FORGETTING_DATA")
    folder = (Path(data) if data else CACHE / "data") / name
    if not folder.is_dir():
        option = f" --to {data}" if data else ""
        raise DataError(
            f"{folder} is not there. Run `forgetting data {name}{option}`, or point "
            f"FORGETTING_DATA at a folder that holds {name}."
        )
    return folder


def has_faces(*names: str) -> bool:
    """Return whether all of these sources ("celeba", "lfw") are on this machine."""
    try:
        return all(faces_folder(name) for name in names)
    except DataError:
        return False


def download_faces(name: Literal["celeba", "lfw"], folder: Path) -> None:
    """Download CelebA with torchvision or LFW with scikit-learn: all of it or nothing.

    scikit-learn has the *funneled* LFW. The published pages use *deep-funneled* images, whose
    faces are aligned a little better.

    Parameters
    ----------
    name : "celeba" or "lfw"
        The data set.
    folder : Path
        The folder that gets a folder of that name. Nothing is done if it has one already.

    Raises
    ------
    DataError
        The download fails, or the folder cannot be written to.
    """
    if (folder / name).is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            if name == "celeba":
                from torchvision.datasets import CelebA

                CelebA(temporary, split="all", download=True)
                (Path(temporary) / "celeba").rename(folder / name)
            else:
                from sklearn.datasets import fetch_lfw_people

                fetch_lfw_people(data_home=temporary)
                (Path(temporary) / "lfw_home" / "lfw_funneled").rename(folder / name)
    except Exception as error:  # three libraries download here, each with errors of its own
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(":")
        raise DataError(
            f"{name} could not be downloaded to {folder} ({reason}). Check the network, or copy "
            f"the data by hand to {folder / name}."
        ) from error
