"""Faces: CelebA, LFW, any folder of images per class, and one photograph that no model saw.

Each source has a crop to the same square around the face, so that CelebA at any size and LFW show
faces alike. A hash of the identity decides who is held out, with all photographs of that person.
"""

import hashlib
import os
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from PIL import Image

from forgetting.data import images as reader
from forgetting.data.celeba import CELEBA_ATTRIBUTES, read_labels
from forgetting.data.images import Crop, hash_files, image_files, image_files_per_class, resize
from forgetting.data.selection import indices
from forgetting.data.sources import get_folder, has_data, note
from forgetting.errors import DataError, check_option, did_you_mean
from forgetting.foundation.files import expanded

Split = Literal["train", "held_out", "all"]
DataSet = Literal["celeba", "lfw"]

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

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.people) == len(self.labels):
            raise DataError(
                f"Of {len(self.images)} images there are {len(self.people)} names and labels of "
                f"{len(self.labels)}: give one of each for every image."
            )

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: torch.Tensor) -> "Faces":
        """Return the faces that a boolean mask (N,) or an index tensor (K,), int64, selects.

        Raises
        ------
        ValueError
            A boolean mask has another length, or the tensor has another format: of 8 bits it
            would select images as a mask and people as indices.
        """
        index = indices(mask, len(self))
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
            hint = did_you_mean(attribute, self.attributes or ("none",))
            raise DataError(f"{self.source} has no attribute {attribute!r}. {hint}")
        return self.labels[:, self.attributes.index(attribute)]

    def of(self, person: str) -> torch.Tensor:
        """Return which faces show a person, bool (N,); none where nobody has that name."""
        return torch.tensor([name == person for name in self.people], dtype=torch.bool)


def load_faces(source: str, split: Split = "train", size: int = 64) -> Faces:
    """Load faces; the resized images stay in the user's cache.

    A `DataWarning` names what is left out or changed, see `forgetting.data.images` and
    `forgetting.data.decoding`.

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
    ParameterError
        The split or the size is not allowed.
    DataError
        The source is missing, one of its files is missing, incomplete or not an image, or there
        are too few images or people.
    """
    split = check_option("split", split, get_args(Split))
    size = check_option("size", size, SIZES)
    folder = _folder(source)
    attributes: tuple[str, ...] = ()
    if source == "celeba":
        files = image_files(folder / "img_align_celeba")
        labels, people = read_labels(folder, files)
        attributes = CELEBA_ATTRIBUTES
    else:
        files = image_files_per_class(folder)
        people = tuple(file.parent.name for file in files)
        labels = torch.zeros(len(files), 0, dtype=torch.bool)
        source = "lfw" if source == "lfw" else "folder"
    hashes = hash_files(files)
    images = reader.read_images(files, hashes, folder, CROPS[source], size)
    faces = Faces(images, people, labels, attributes, source)
    reader.warn_of_spellings(folder, people)
    note(source, f"{len(files):,} images, blake2b {_digest(hashes, faces)}")
    if split == "all":
        return faces
    # in any other folder a class is not a person, so single images are held out
    names = [f.relative_to(folder).as_posix() for f in files] if source == "folder" else people
    held_out = torch.tensor([is_held_out(name) for name in names])
    if held_out.all() or not held_out.any():
        raise DataError(
            f"{folder} holds too few {'images' if source == 'folder' else 'people'} "
            f"({len(set(names))}) to keep a quarter of them out. Load all of them, or add some."
        )
    return faces.where(held_out if split == "held_out" else ~held_out)


def _folder(source: str) -> Path:
    """Return the folder of a source; a word without a folder of that name is a misspelt source."""
    if source in get_args(DataSet):
        return get_folder(source)
    folder = expanded(source)
    if not source or not os.path.isdir(folder):
        hint = did_you_mean(source, get_args(DataSet))
        raise DataError(
            f"source = {source!r} is not a folder, and no data set. {hint} Or give the path of a "
            "folder that holds a folder of images per class."
        )
    return folder


def _digest(hashes: list[str], faces: Faces) -> str:
    """Return a hash of all that a run reads of a source: files, people and attributes."""
    digest = hashlib.blake2b(repr((hashes, faces.people)).encode(), digest_size=16)
    digest.update(faces.labels.numpy().tobytes())
    return digest.hexdigest()


def is_held_out(person: str) -> bool:
    """Return whether a person is held out of all training, by hash: the same everywhere."""
    name = unicodedata.normalize("NFC", person)  # file systems differ in how they write é
    text = f"faces/{name}".encode(errors="surrogateescape")  # which need not be UTF-8
    digest = hashlib.blake2b(text, digest_size=8).digest()
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


def has_faces(*names: str) -> bool:
    """Return whether all of these sources ("celeba", "lfw") are on this machine.

    Raises
    ------
    ParameterError
        A name is none of the two.
    DataError
        `FORGETTING_DATA` is set, and names no folder or one that holds no data set at all.
    """
    return has_data(*(check_option("name", name, get_args(DataSet)) for name in names))


def download_faces(name: DataSet, folder: Path) -> int:
    """Download CelebA with torchvision or LFW with scikit-learn: all of it or nothing.

    scikit-learn has the *funneled* LFW. The published pages use *deep-funneled* images, whose
    faces are aligned a little better.

    Parameters
    ----------
    name : "celeba" or "lfw"
        The data set.
    folder : Path
        The folder that gets a folder of that name. Nothing is done if it has the data already.

    Returns
    -------
    int
        The number of images that are there.

    Raises
    ------
    ParameterError
        There is no such data set.
    DataError
        The folder has a part of the data, the download fails, or the folder cannot be written to.
    """
    name = check_option("name", name, get_args(DataSet))
    wanted = folder / name
    if wanted.is_dir() and any(wanted.iterdir()):
        return _count(name, wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            if name == "celeba":
                from torchvision.datasets import CelebA

                CelebA(temporary, split="all", download=True)
                (Path(temporary) / "celeba").rename(wanted)
            else:
                from sklearn.datasets import fetch_lfw_people

                fetch_lfw_people(data_home=temporary)
                (Path(temporary) / "lfw_home" / "lfw_funneled").rename(wanted)
    except Exception as error:  # three libraries download here, each with errors of its own
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(":")
        raise DataError(
            f"{name} could not be downloaded to {folder} ({reason}). Check the network, or copy "
            f"the data by hand to {wanted}."
        ) from error
    return _count(name, wanted)


def _count(name: DataSet, folder: Path) -> int:
    """Return the number of images in a data set's folder that `load_faces` can read.

    Raises
    ------
    DataError
        The folder lacks what the data set needs.
    """
    try:
        if name == "lfw":
            return len(image_files_per_class(folder))
        files = image_files(folder / "img_align_celeba")
        read_labels(folder, files)
        return len(files)
    except DataError as error:
        raise DataError(
            f"{folder} is there, but not complete, and is left as it is. {error} Or delete the "
            f"folder and run `forgetting data {name}` again."
        ) from error
