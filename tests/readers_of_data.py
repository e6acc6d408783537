"""Readers of data sets, of folders of images, of labels and of the cache."""

import numpy as np
import torch
from bars import Bars
from data_sets import write_idx
from file_readers import Reader
from PIL import Image

from forgetting.book.labels import ManualLabels
from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.data.decoding import endings
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.data.tables import read_lines, read_table
from forgetting.foundation import kept
from forgetting.foundation.files import sha256


def noise(path, number, size=(10, 12), **options):
    pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def celeba(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    top = folder / "celeba"
    names = [f"{i:06}.png" for i in range(20)]
    images = [noise(top / "img_align_celeba" / name, i) for i, name in enumerate(names)]
    rows = [f"{name} {' '.join(['1', '-1'] * 20)}" for name in names]
    attributes, people = top / "list_attr_celeba.txt", top / "identity_CelebA.txt"
    attributes.write_text("\n".join(["20", " ".join(CELEBA_ATTRIBUTES), *rows, ""]))
    people.write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)))
    return Reader([attributes, people, images[3]], lambda _: load_faces("celeba", "train", 32))


def lfw(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    images = [noise(folder / "lfw" / f"P_{i // 2}" / f"{i:04}.jpg", i) for i in range(20)]
    return Reader(images[:1], lambda _: load_faces("lfw", "all", 32))


def idx(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    raw = folder / "MNIST" / "raw"
    for kind in ("train", "t10k"):
        images = torch.zeros(9, 28, 28, dtype=torch.uint8)
        write_idx(raw, kind, images, torch.arange(9))
    digests = {path.name: sha256(path) for path in raw.iterdir()}
    monkeypatch.setattr("forgetting.data.digits.RAW_FILES", digests)
    return Reader(sorted(raw.iterdir()), lambda _: load_digits("held_out", "mnist"))


def attribute_table(folder, monkeypatch):
    path = folder / "attributes.csv"
    path.write_text("".join(f"{i}.jpg 1 -1 1\n" for i in range(9)))
    return Reader([path], lambda _: read_table(path, read_lines(path), 3, ("1", "-1"), "3 values"))


def images(folder, monkeypatch):
    """Return a reader of a folder with an image of every format that is read and written."""
    paths = []
    for ending in sorted(endings()):
        try:
            paths.append(noise(folder / f"all/a{ending}", 0))
        except (OSError, ValueError, KeyError):
            (folder / f"all/a{ending}").unlink(missing_ok=True)  # Pillow reads it alone
    for mode in ("L", "LA", "RGBA", "P", "1", "CMYK", "I;16"):
        image = Image.new(mode if mode != "I;16" else "I;16", (9, 9))
        paths.append(folder / f"all/{mode.replace(';', '')}.tif")
        image.save(paths[-1])
    pages = [Image.new("RGB", (9, 9), name) for name in ("red", "blue")]
    paths.append(folder / "all/pages.gif")
    pages[0].save(paths[-1], save_all=True, append_images=pages[1:])
    return Reader(paths, decoded)


def decoded(path):
    """Read an image as a folder of its own would be read."""
    from forgetting.data.images import Crop, hash_files, read_images

    return read_images([path], hash_files([path]), path.parent, Crop(), 8)


def labels(folder, monkeypatch):
    path = folder / "labels.safetensors"
    labelled = ManualLabels(Bars(), "wide", 10, path)
    labelled.answer([True, False, True])
    return Reader([path], lambda _: ManualLabels.read(Bars(), path))


def of_cache(folder, monkeypatch):
    path = folder / "kept.safetensors"
    kept.keep(path, torch.ones(3), {"changes": "{}"})
    return Reader([path], lambda _: kept.read_kept(path))
