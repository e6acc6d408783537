"""A JPEG of which bytes were lost is no picture of grey blocks, and any whole one is read."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from forgetting.data.decoding import decode
from forgetting.errors import DataError

FACE = Image.fromarray(astronaut()[:200, 130:303])
FILE = Path("face.jpg")
KINDS = {
    "plain": {},
    "fine": {"quality": 100, "subsampling": 0},
    "coarse": {"quality": 5},
    "optimised": {"optimize": True},
}


def encoded(image=FACE, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def zeroed(content, middle):
    return content[:middle] + bytes(256) + content[middle + 256 :]


def shortened(content, middle):
    return content[:middle] + content[middle + 200 :]


def cut_off_with_an_end(content, middle):
    return content[:middle] + b"\xff\xd9"


@pytest.mark.parametrize("damage", [zeroed, shortened, cut_off_with_an_end])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_of_which_bytes_were_lost_is_refused(kind, damage):
    content = encoded(**KINDS[kind])
    scan = content.index(b"\xff\xda")
    for part in (0.3, 0.5, 0.7):
        middle = scan + round(part * (len(content) - scan))
        with pytest.raises(DataError, match=r"face\.jpg cannot be read as an image"):
            decode(damage(content, middle), FILE)


@pytest.mark.parametrize("damage", [shortened, cut_off_with_an_end])
@pytest.mark.parametrize("options", [{}, {"quality": 30, "subsampling": 0}, {"optimize": True}])
def test_a_progressive_jpeg_of_which_a_scan_was_lost_is_refused(options, damage):
    content = encoded(progressive=True, **options)
    scans = [m.start() for m in re.finditer(b"\xff\xda", content)]
    for scan in scans[3:]:  # the start of a scan is lost, or all that follows it
        with pytest.raises(DataError, match="scans are missing"):
            decode(damage(content, scan - 5), FILE)


WHOLE = [FACE, FACE.convert("L"), FACE.convert("CMYK"), Image.new("RGB", (170, 90), "white")]
WHOLE += [FACE.resize(size) for size in ((1, 1), (7, 9), (8, 8), (17, 16), (300, 2))]


@pytest.mark.parametrize("image", WHOLE, ids=lambda image: f"{image.mode}-{image.size}")
def test_every_whole_jpeg_is_read(image):
    for options in (*KINDS.values(), {"progressive": True}, {"restart_marker_rows": 1}):
        content = encoded(image, **options)
        for whole in (content, content + b"what a phone writes behind it", content + content):
            read, _ = decode(whole, FILE)
            assert read.size == image.size
