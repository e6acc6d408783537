"""The one decoder of image files: what a file shows, upright, in RGB, with 8 bits per channel.

What a camera's orientation says is applied. Transparent parts lie on white. Grey of 12 or 16 bits
is scaled to 8; of 16-bit colour Pillow keeps the upper 8 bits. A file's colour profile is applied,
so that all colours are those of sRGB; without one grey, palettes and CMYK become RGB as Pillow
converts them. Refused are animations and files of several pages, except a camera's MPO, whose
first image is the photograph. Refused are also floating-point and 32-bit images, and 12 bits in
16, grey or in colour, for nothing says which value is white, and JPEGs whose data do not end with
their picture.
"""

import io
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError, features

from forgetting.data import jpeg
from forgetting.errors import DataError

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
"""Names of the formats, as Pillow has them; WEBP and AVIF only where this Pillow reads them."""

ON_WHITE = "read with their transparent parts on white"
WITHOUT_PROFILE = "read without their colour profiles, which cannot be applied to them"
"""What is said of files that are read otherwise than they are."""

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_CUT = ("RGB", "RGBA", "LA")
_ORIENTATION, _ON_ITS_SIDE = 0x0112, 5
DARKEST = 2**12 - 1
"""Largest value of a 16-bit image up to which it seems to have fewer bits, as cameras do."""

_BITS, _PHOTOMETRIC = 258, 262
"""Tags of TIFF: bits of a value, and whether 0 is white (0) or black (1)."""


@cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that are read on this machine."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def endings() -> frozenset[str]:
    """Return the endings of names of image files, in lower case: ".jpg", ".jpeg", ".png", ..."""
    readable = formats()
    return frozenset(e for e, name in Image.registered_extensions().items() if name in readable)


def decoder() -> str:
    """Return what decoded pixels depend on beside a file: two modules and their libraries."""
    code = "".join(Path(file).read_bytes().hex() for file in (__file__, jpeg.__file__))
    libraries = [
        features.version(name)
        for name in ("jpg", "jpg_2000", "webp", "avif", "libtiff", "littlecms2")
    ]
    return f"{PIL.__version__} {libraries} {code}"


def decode(content: bytes, path: Path) -> tuple[Image.Image, list[str]]:
    """Decode an image file.

    Parameters
    ----------
    content : bytes
        The file's bytes.
    path : Path
        The file, for errors.

    Returns
    -------
    image : Image
        In sRGB, upright.
    changes : list of str
        `ON_WHITE` if parts of it are transparent, `WITHOUT_PROFILE` if its profile does not fit.

    Raises
    ------
    DataError
        The file is not an image, is incomplete, holds several images, or has an unknown white.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on, so a part of an image would count as the "
            "whole. Set it to False before images are loaded."
        )
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            n_images = getattr(image, "n_frames", 1)
            if n_images > 1 and image.format != "MPO":
                raise DataError(
                    f"{path} holds {n_images} images: an animation, or pages. Save the one "
                    "that you mean as a file of its own, or remove the file."
                )
            if image.format == "JPEG" and (reason := jpeg.what_is_wrong(content)):
                raise _unreadable(path, reason)
            return _in_rgb(image, path)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        reason = "its format is unknown" if content else "it is empty"
        raise _unreadable(path, reason) from error
    except Exception as error:  # every format has errors of its own
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _in_rgb(image: Image.Image, path: Path) -> tuple[Image.Image, list[str]]:
    bits, zero_is_white = _of_tiff(image)
    is_deep = _has_deep_colours(image)
    image.load()  # some formats say only at the end how the image is turned
    profile = image.info.get("icc_profile")
    if is_deep:
        _check_deep_colours(image, path)
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM")):
        image = _eight_bits(image, path, bits)
        image = ImageOps.invert(image) if zero_is_white else image
    if image.mode in ("I", "F"):
        raise DataError(
            f"{path} has 32 bits per pixel, and nothing says which value is white. Save it with 8 "
            "or 16 bits, or remove it."
        )
    colours, changes = _in_srgb(image, profile)
    if not image.has_transparency_data:
        return colours, changes
    alpha = image.convert("RGBA").getchannel("A")
    if alpha.getextrema() == (255, 255):
        return colours, changes
    colours.putalpha(alpha)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB"), [*changes, ON_WHITE]


def _in_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Return the colours of an image by a profile, or as they are and `WITHOUT_PROFILE`."""
    if not profile:
        return image.convert("RGB"), []
    is_grey = image.mode in ("1", "L", "LA")
    mode = "CMYK" if image.mode == "CMYK" else "L" if is_grey else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if is_grey and source.profile.xcolor_space.strip() == "RGB":
            mode = "RGB"  # for grey is given as equal red, green and blue
        target = ImageCms.createProfile("sRGB")
        found = ImageCms.profileToProfile(image.convert(mode), source, target, outputMode="RGB")
    except Exception:  # a damaged profile, or one of other colours, has errors of its own
        return image.convert("RGB"), [WITHOUT_PROFILE]
    return cast(Image.Image, found), []


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and the height of an opened image as a camera's orientation turns it."""
    width, height = image.size
    is_on_its_side = image.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE
    return (height, width) if is_on_its_side else (width, height)


def _has_deep_colours(image: Image.Image) -> bool:
    """Return whether values of 16 bits lose their lower 8 when an opened image is loaded."""
    coded = str([tile.args for tile in image.tile])  # type: ignore[attr-defined]
    return image.mode in _CUT and (";16" in coded or str(2**16 - 1) in coded)


def _check_deep_colours(image: Image.Image, path: Path) -> None:
    """Raise an error if a loaded image, of whose 16 bits 8 are left, seems to have had fewer."""
    colours = image.split()[: -1 if image.mode.endswith("A") else None]
    if max(colour.getextrema()[1] for colour in colours) <= (DARKEST + 1) >> 8:  # type: ignore[operator]
        raise DataError(
            f"{path} has colours with 16 bits and no value over a sixteenth of white, so that it "
            "would be nearly black: its white is another. Save it with 8 bits, or remove it."
        )


def _of_tiff(image: Image.Image) -> tuple[int, bool]:
    """Return the bits of a grey value of over 8 bits, and whether 0 is white.

    Pillow decodes 12 bits of a TIFF as they are, and does not invert over 8 bits.
    """
    if image.format != "TIFF":
        return 16, False
    tags = image.tag_v2  # type: ignore[attr-defined]
    return tags.get(_BITS, (16,))[0], tags.get(_PHOTOMETRIC, 1) == 0


def _eight_bits(image: Image.Image, path: Path, bits: int) -> Image.Image:
    if image.has_transparency_data:
        raise DataError(
            f"{path} is grey with 16 bits and has a transparent shade, which is not read. Save it "
            "with 8 bits, or remove it."
        )
    white = 2**bits - 1
    values = np.asarray(image).astype(np.int64)
    most = int(values.max())
    if bits == 16 and 0 < most <= DARKEST:
        raise DataError(
            f"{path} is grey with 16 bits and no value over {most}, so that it would be nearly "
            "black: its white is another. Save it with 8 bits, or remove it."
        )
    return Image.fromarray(((255 * values + white // 2) // white).astype(np.uint8))


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(f"{path} cannot be read as an image ({reason}). Copy it again, or remove it.")
