"""Faces: CelebA, LFW, any folder of images per class, and one photograph that no model saw.

Every source is cropped to the same square around the face, given as a share of the image, so that
CelebA at any size and LFW show faces alike; then resized. Who is held out is decided by the hash
of the identity: a person is seen in training with all photographs or with none.
"""

import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from forgetting.errors import DataError
from forgetting.files import CACHE, replacing

Split = Literal["train", "held_out", "all"]

SIZES = (32, 64, 128)
HELD_OUT = 0.25
"""Share of the identities that nothing in the zoo is trained on."""

MIN_IMAGES = 20

_ATTRIBUTES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA_ATTRIBUTES = tuple(_ATTRIBUTES.split())
"""The 40 attributes of CelebA, in the order of its file."""


@dataclass(frozen=True)
class Crop:
    """A square: its side as a share of the image's shorter side, its centre as shares."""

    side: float = 1.0
    x: float = 0.5
    y: float = 0.5

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom in pixels, moved inside the image where it overhangs."""
        side = self.side * min(width, height)
        left = min(max(self.x * width - side / 2, 0), width - side)
        top = min(max(self.y * height - side / 2, 0), height - side)
        return left, top, left + side, top + side


CROPS = {
    "celeba": Crop(0.85, 0.5, 0.557),
    "lfw": Crop(0.65, 0.5, 0.5),
    "folder": Crop(),
    "astronaut": Crop(0.355, 0.441, 0.22),
}


@dataclass(frozen=True)
class Faces:
    """Faces and what is known of them.

    Attributes
    ----------
    images : Tensor, uint8, (N, 3, size, size)
    people : whose face it is (a folder's class where the source is any folder), N names
    labels : Tensor, bool, (N, A), where the source has attributes; A = 0 elsewhere
    attributes : the A names of the labels' columns
    source : "celeba", "lfw" or "folder"
    """

    images: torch.Tensor
    people: tuple[str, ...]
    labels: torch.Tensor
    attributes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def where(self, mask: torch.Tensor) -> "Faces":
        """Return the faces that a boolean mask or an index tensor picks."""
        index = torch.nonzero(mask).flatten() if mask.dtype == torch.bool else mask
        people = tuple(self.people[i] for i in index.tolist())
        return Faces(self.images[index], people, self.labels[index], self.attributes, self.source)

    def floats(self) -> torch.Tensor:
        """Return the images as float32 in [0, 1], (N, 3, size, size)."""
        return self.images.float() / 255

    def label(self, attribute: str) -> torch.Tensor:
        """Return which faces show an attribute: a boolean tensor (N,).

        Raises
        ------
        DataError
            The source has no such attribute.
        """
        if attribute not in self.attributes:
            known = ", ".join(self.attributes) or "none"
            raise DataError(f"{self.source} has no attribute {attribute!r}. It has: {known}.")
        return self.labels[:, self.attributes.index(attribute)]

    def of(self, person: str) -> torch.Tensor:
        """Return which faces are a person's: a boolean tensor (N,)."""
        return torch.tensor([name == person for name in self.people], dtype=torch.bool)


def load_faces(source: str, split: Split = "train", size: int = 64) -> Faces:
    """Load faces, resized once and kept in the user's cache.

    Parameters
    ----------
    source : "celeba" (the official layout: `img_align_celeba`, `list_attr_celeba.txt`,
        `identity_CelebA.txt`; any image size, full or part) or "lfw" (a folder per person), in
        `FORGETTING_DATA` or where `forgetting data` put them; or the path of a folder that holds
        a folder of images per class
    split : "train", "held_out" (a quarter of the people, by the hash of their names; in any other
        folder a quarter of the images, by the hash of theirs) or "all"
    size : side of the images in pixels: 32, 64 or 128

    Raises
    ------
    DataError
        The source is not there, a file of it is missing, cut short or not an image, or it has too
        few images or people.
    """
    if size not in SIZES:
        raise DataError(f"Faces come at {', '.join(map(str, SIZES))} px, not at {size}.")
    if source == "celeba":
        folder = faces_folder("celeba")
        attributes, people_of, labels_of = _celeba_texts(folder)
        files = _images_in(folder / "img_align_celeba")
        for file in files:
            if file.name not in people_of or file.name not in labels_of:
                lacking = "list_attr_celeba" if file.name in people_of else "identity_CelebA"
                raise DataError(
                    f"{folder / lacking}.txt has no line for {file.name}. Use the text files "
                    "that belong to these images."
                )
        people = tuple(people_of[file.name] for file in files)
        labels = torch.from_numpy(np.stack([labels_of[file.name] for file in files]))
    else:
        folder = faces_folder("lfw") if source == "lfw" else Path(source)
        files = _images_per_folder(folder)
        people, attributes = tuple(file.parent.name for file in files), ()
        labels = torch.zeros(len(files), 0, dtype=torch.bool)
        source = "lfw" if source == "lfw" else "folder"
    images = _resized(files, folder, CROPS[source], size)
    faces = Faces(images, people, labels, attributes, source)
    if split == "all":
        return faces
    # a class of any folder is no person: there the images themselves are held out
    names = [str(f.relative_to(folder)) for f in files] if source == "folder" else people
    held_out = torch.tensor([is_held_out(name) for name in names])
    if held_out.all() or not held_out.any():
        raise DataError(
            f"{folder} holds too few {'images' if source == 'folder' else 'people'} "
            f"({len(set(names))}) to keep a quarter of them out; ask for all of them, or add some."
        )
    return faces.where(held_out if split == "held_out" else ~held_out)


def is_held_out(person: str) -> bool:
    """Say whether an identity is held out of all training: by its hash, the same everywhere."""
    digest = hashlib.blake2b(f"faces/{person}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < HELD_OUT * 2**64


def astronaut(size: int = 64) -> torch.Tensor:
    """Return scikit-image's photograph of Eileen Collins as float32 in [0, 1], (1, 3, size, size).

    It ships with the package; no model of the zoo has seen it.
    """
    from skimage.data import astronaut as photograph

    pixels = _resize(Image.fromarray(photograph()), CROPS["astronaut"], size)
    return torch.from_numpy(pixels)[None].float() / 255


def faces_folder(name: str) -> Path:
    """Return the folder of "celeba" or "lfw": in `FORGETTING_DATA`, or in the user's cache.

    Raises
    ------
    DataError
        It is not there.
    """
    named = os.environ.get("FORGETTING_DATA")
    folder = (Path(named) if named else CACHE / "data") / name
    if not folder.is_dir():
        where = f" --to {named}" if named else ""
        raise DataError(
            f"{folder} is not there. Run `forgetting data {name}{where}`, or point "
            f"FORGETTING_DATA at a folder that holds {name}."
        )
    return folder


def has_faces(*names: str) -> bool:
    """Say whether all of these sources ("celeba", "lfw") are at hand."""
    try:
        return all(faces_folder(name) for name in names)
    except DataError:
        return False


def download_faces(name: Literal["celeba", "lfw"], folder: Path) -> None:
    """Download CelebA with torchvision or LFW with scikit-learn into `folder`, or nothing.

    scikit-learn's LFW is the *funneled* one; the published pages were made with *deep-funneled*
    images, whose faces are aligned a little better.

    Raises
    ------
    DataError
        It could not be downloaded, or the folder cannot be written to.
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
            f"it there by hand as {folder / name}."
        ) from error


def _celeba_texts(
    folder: Path,
) -> tuple[tuple[str, ...], dict[str, str], dict[str, np.ndarray]]:
    """Return the attributes' names, file name -> person, file name -> attributes as booleans."""
    lines = _lines(folder / "list_attr_celeba.txt")
    attributes = tuple(lines[1].split()) if len(lines) > 1 else ()
    if attributes != CELEBA_ATTRIBUTES:
        raise DataError(
            f"{folder / 'list_attr_celeba.txt'}, line 2, does not name CelebA's 40 attributes in "
            "their order. Copy the official file again."
        )
    labels = {}
    for number, line in enumerate(lines[2:], start=3):
        name, *values = line.split()
        if len(values) != len(attributes) or not set(values) <= {"1", "-1"}:
            raise DataError(
                f"{folder / 'list_attr_celeba.txt'}, line {number}: expected a file name and "
                f"{len(attributes)} values of 1 or -1. Copy the official file again."
            )
        labels[name] = np.array([value == "1" for value in values])
    people = {}
    for number, line in enumerate(_lines(folder / "identity_CelebA.txt"), start=1):
        if len(line.split()) != 2:
            raise DataError(
                f"{folder / 'identity_CelebA.txt'}, line {number}: expected a file name and the "
                "number of a person. Copy the official file again."
            )
        name, person = line.split()
        people[name] = person
    return attributes, people, labels


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise DataError(
            f"{path} cannot be read ({reason}). Copy it from the official CelebA beside "
            "img_align_celeba."
        ) from error


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not there; it should hold the images as JPEG files.")
    return _enough(sorted(folder.glob("*.jpg")), folder)


def _images_per_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder. Give celeba, lfw, or the path of a folder that holds a "
            "folder of images per class."
        )
    endings = {".jpg", ".jpeg", ".png"}
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in endings)
    return _enough(files, folder)


def _enough(files: list[Path], folder: Path) -> list[Path]:
    if len(files) < MIN_IMAGES:
        raise DataError(
            f"{folder} holds {len(files)} images; at least {MIN_IMAGES} are needed. Is it the "
            "right folder, and fully unpacked?"
        )
    return files


def _resized(files: list[Path], folder: Path, crop: Crop, size: int) -> torch.Tensor:
    """Return all images, (N, 3, size, size) uint8, from the cache where it has them."""
    listing = [(str(file.relative_to(folder)), file.stat().st_size) for file in files]
    key = hashlib.sha256(json.dumps([listing, repr(crop), size]).encode()).hexdigest()[:16]
    path = CACHE / "faces" / f"{folder.name}-{size}-{key}.safetensors"
    try:
        with safe_open(path, framework="pt") as cached:
            return cached.get_tensor("images")
    except (OSError, SafetensorError):
        pass  # not there, or spoilt: made again
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = pool.map(lambda file: _read(file, crop, size), files)
        title = f"reading {folder.name} at {size} px"
        for i, pixels in enumerate(tqdm(read, total=len(files), desc=title)):
            images[i] = torch.from_numpy(pixels)
    with replacing(path) as temporary:
        save_file({"images": images}, temporary)
    return images


def _read(path: Path, crop: Crop, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return _resize(image.convert("RGB"), crop, size)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}). Copy it again, or take it out."
        ) from error


def _resize(image: Image.Image, crop: Crop, size: int) -> np.ndarray:
    square = image.resize((size, size), Image.Resampling.LANCZOS, box=crop.box(*image.size))
    return np.asarray(square).transpose(2, 0, 1).copy()
