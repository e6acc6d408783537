"""Colours of a file are those that its colour profile says."""

import re

import numpy as np
import pytest
from PIL import Image, ImageCms

import forgetting as fg
from forgetting.data.decoding import WITHOUT_PROFILE, decode
from forgetting.errors import DataWarning

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = SRGB.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
"""A profile whose red is the green of sRGB, and the reverse."""


def saved(folder, image, name="x.png", profile=EXCHANGED):
    path = folder / name
    image.save(path, icc_profile=profile)
    return path


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "x.png"), ("RGBA", "x.png"), ("P", "x.png"), ("RGB", "x.jpg")]
)
def test_the_profile_of_a_file_is_applied(tmp_path, mode, name):
    path = saved(tmp_path, Image.new("RGB", (8, 8), "red").convert(mode), name)
    image, changes = decode(path.read_bytes(), path)
    assert np.abs(np.asarray(image).astype(int) - (0, 255, 0)).max() <= 3
    assert not changes


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_keeps_its_values_under_the_profile_of_the_study(tmp_path, depth):
    step = np.iinfo(depth).max // 255
    values = (step * np.arange(0, 256, 5)).astype(depth)[None]
    path = saved(tmp_path, Image.fromarray(values), profile=SRGB)
    image, changes = decode(path.read_bytes(), path)
    assert np.abs(np.asarray(image)[0].astype(int) - np.arange(0, 256, 5)[:, None]).max() <= 1
    assert not changes


@pytest.mark.parametrize("profile", [b"no profile", EXCHANGED[:200]])
def test_a_profile_that_cannot_be_applied_is_named(tmp_path, profile):
    saved(tmp_path, Image.new("RGB", (8, 8), "red"), profile=profile)
    with pytest.warns(DataWarning, match=re.escape(f"1 {WITHOUT_PROFILE}: x.png")):
        images = fg.load_images(tmp_path, size=8)
    assert images[0, 0].min() == 1
    assert images[0, 1:].max() == 0


def test_transparent_parts_lie_on_the_white_of_srgb(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    path = saved(tmp_path, image)
    assert decode(path.read_bytes(), path)[0].getpixel((0, 0)) == (255, 255, 255)


def test_a_mask_of_ones_among_photographs_is_named(tmp_path):
    saved(tmp_path, Image.new("L", (8, 8), 200), "photograph.png", None)
    saved(tmp_path, Image.new("L", (8, 8), 0), "night.png", None)
    saved(tmp_path, Image.new("L", (8, 8), 1), "mask.png", None)
    with pytest.warns(DataWarning, match=r"1 of 3 are next to black, .*: mask\.png\. Are they"):
        fg.load_images(tmp_path, size=8)
