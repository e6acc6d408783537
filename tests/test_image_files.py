"""What lies in a folder of images is read, named or refused; an image is what a viewer shows."""

import io
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_sets import picture, save
from PIL import Image, ImageFile

from forgetting.data.decoding import ON_WHITE, decode
from forgetting.data.faces import load_faces
from forgetting.data.images import image_files_per_class
from forgetting.errors import DataError, DataWarning

pytestmark = pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")


def load(folder):
    return load_faces(str(folder), "all", 32)


def decoded(path):
    image, changes = decode(path.read_bytes(), path)
    return np.asarray(image), changes


# what lies in a folder


@pytest.mark.parametrize(
    "litter",
    [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".thumbnails", "#recycle", "$RECYCLE.BIN"],
)
def test_folders_of_systems_are_no_classes_and_are_named(folder, litter):
    shutil.copytree(folder / "cat", folder / litter)
    with pytest.warns(DataWarning, match=rf"1 left out, .*: {re.escape(litter)}\.$"):
        loaded = load(folder)
    assert set(loaded.people) == {"cat", "dog"}
    assert len(loaded) == 24


def test_everything_that_is_left_out_is_named_in_one_line(folder):
    (folder / "cat" / "._00.png").write_bytes(b"\0\5\x16\7")  # macOS writes it on foreign disks
    (folder / "cat" / "IMG.HEIC").write_bytes(b"photograph of a phone")
    (folder / "dog" / "05.png.part").touch()
    (folder / "dog" / "raw.png").mkdir()
    save(folder / "dog" / "puppies" / "1.png", picture(50))
    save(folder / "beside.png", picture(51))
    (folder / "README.txt").touch()
    with pytest.warns(DataWarning) as told:
        assert len(load(folder)) == 24
    (line,) = [str(warning.message) for warning in told]
    assert line == (
        f"{folder}: 7 left out, for these are no images in a folder of a class: README.txt, "
        "beside.png, cat/._00.png, cat/IMG.HEIC, dog/05.png.part and 2 more."
    )


def test_a_class_without_images_is_named(folder):
    (folder / "bird").mkdir()
    with pytest.warns(DataWarning, match=r"1 left out, for these folders hold no images: bird"):
        assert set(load(folder).people) == {"cat", "dog"}


@pytest.mark.parametrize("n", [0, 1])
def test_a_folder_with_hardly_an_image_is_refused(tmp_path, n):
    (tmp_path / "set" / "x").mkdir(parents=True)
    for i in range(n):
        save(tmp_path / "set" / "x" / f"{i}.png", picture(i))
    with pytest.raises(DataError, match=rf"holds {n} images; at least 20 are needed"):
        image_files_per_class(tmp_path / "set")


def test_images_without_folders_of_classes_are_refused_by_name(tmp_path):
    for i in range(30):
        save(tmp_path / "set" / f"{i:02}.png", picture(i))
    with pytest.raises(DataError, match=r"holds 0 images; .* Left out are 30: 00\.png, 01\.png"):
        load(tmp_path / "set")


def test_images_that_occur_twice_are_named(folder):
    shutil.copy(folder / "cat" / "00.png", folder / "dog" / "copy.png")
    (folder / "dog" / "link.png").symlink_to(folder / "cat" / "01.png")
    with pytest.warns(DataWarning, match=r"4 read, .* bytes .* another: cat/00\.png, cat/01"):
        assert len(load(folder)) == 26


def test_a_link_to_nothing_is_refused(folder):
    (folder / "dog" / "99.png").symlink_to(folder / "gone.png")
    with pytest.raises(DataError, match=r"dog/99\.png cannot be read .*a link to nothing"):
        load(folder)


@pytest.mark.parametrize(
    "ending", ["jpg", "JPG", "jpeg", "JPEG", "png", "webp", "bmp", "tif", "TIFF", "gif", "ppm"]
)
def test_every_common_format_is_read_whatever_the_case_of_its_ending(folder, ending):
    path = save(folder / "cat" / f"other.{ending}", picture(70))
    loaded = load(folder)
    assert len(loaded) == 25
    assert path in image_files_per_class(folder)


# what an image shows


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_stands_as_its_camera_says(tmp_path, ending, orientation):
    image = Image.new("RGB", (16, 8), "black")
    image.paste("white", (0, 0, 8, 8))  # the left half
    exif = image.getexif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"x.{ending}", image, exif=exif)
    pixels, _ = decoded(path)
    assert pixels.shape[:2] == ((8, 16) if orientation in (1, 3) else (16, 8))
    half = {1: pixels[:, :7], 3: pixels[:, 9:], 6: pixels[:7], 8: pixels[9:]}[orientation]
    assert half.mean() > 200
    assert pixels.mean() < 160


def transparent(mode):
    """Return green under an alpha of 0 on the left, blue on the right."""
    image = Image.new("RGBA", (80, 40), (0, 255, 0, 0))
    image.paste((0, 0, 255, 255), (40, 0, 80, 40))
    return image.convert(mode)


def palette():
    image = Image.new("P", (80, 40), 0)
    image.putpalette([0, 255, 0, 0, 0, 255])
    image.paste(1, (40, 0, 80, 40))
    return image


@pytest.mark.parametrize(
    ("image", "options", "right"),
    [
        (transparent("RGBA"), {}, (0, 0, 255)),
        (transparent("LA"), {}, (29, 29, 29)),
        (palette(), {"transparency": 0}, (0, 0, 255)),
        (transparent("RGBA").convert("RGB"), {"transparency": (0, 255, 0)}, (0, 0, 255)),
    ],
    ids=["RGBA", "LA", "palette", "one colour"],
)
def test_transparent_parts_lie_on_white_and_are_named(folder, image, options, right):
    path = save(folder / "cat" / "logo.png", image, **options)
    pixels, changes = decoded(path)
    assert changes == [ON_WHITE]
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[0, -1]) == right
    for _ in range(2):  # read, and from the cache
        with pytest.warns(DataWarning, match=r"1 read with .* on white: cat/logo\.png"):
            load(folder)


def test_images_that_show_less_than_is_wanted_are_named(folder):
    save(folder / "cat" / "icon.png", picture(70, (31, 90)))
    for _ in range(2):  # read, and from the cache
        with pytest.warns(DataWarning, match=r": 1 enlarged to 32 px, .* pixels: cat/icon\.png"):
            load(folder)


def test_an_alpha_that_hides_nothing_changes_nothing(folder):
    path = save(folder / "cat" / "opaque.png", picture(3).convert("RGBA"))
    pixels, changes = decoded(path)
    assert not changes
    assert np.array_equal(pixels, np.asarray(picture(3)))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_cut(tmp_path, ending):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    path = save(tmp_path / f"deep.{ending}", Image.fromarray(values))
    pixels, _ = decoded(path)
    assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_show_the_same_picture(tmp_path, mode):
    image = Image.new("RGB", (8, 4), "white")
    image.paste("black", (0, 0, 4, 4))
    path = save(tmp_path / ("x.tif" if mode == "CMYK" else "x.png"), image.convert(mode))
    assert np.array_equal(decoded(path)[0], np.asarray(image))


def animation(path):
    frames = [picture(i) for i in range(3)]
    save(path, frames[0], save_all=True, append_images=frames[1:])


def floats(path):
    save(path, Image.fromarray(np.ones((4, 4), dtype=np.float32)))


def integers(path):
    save(path, Image.fromarray(np.ones((4, 4), dtype=np.int32)))


def truncated(path):
    save(path, picture(1, (64, 64)))
    path.write_bytes(path.read_bytes()[:-300])


def empty_file(path):
    path.write_bytes(b"")


def page_of_an_error(path):
    path.write_bytes(b"<html>404 Not Found</html>")


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("x.gif", animation, "holds 3 images: an animation, or pages"),
        ("x.png", animation, "holds 3 images"),
        ("x.webp", animation, "holds 3 images"),
        ("x.tif", animation, "holds 3 images"),
        ("x.tif", floats, "32 bits per pixel, and nothing says which value is white"),
        ("x.tif", integers, "32 bits per pixel"),
        ("x.jpg", truncated, r"cannot be read as an image \(.*truncated"),
        ("x.png", truncated, "cannot be read as an image"),
        ("x.bmp", truncated, "cannot be read as an image"),
        ("x.jpg", empty_file, r"cannot be read as an image \(it is empty\)"),
        ("x.jpg", page_of_an_error, r"cannot be read as an image \(its format is unknown\)"),
    ],
)
def test_an_image_that_cannot_be_shown_as_one_is_refused_by_its_path(
    folder, name, spoil, sentence
):
    spoil(folder / "cat" / name)
    with pytest.raises(DataError, match=rf"cat/{name} .*{sentence}|cat/{name} {sentence}"):
        load(folder)


def test_half_an_image_is_refused_even_where_pillow_is_told_to_accept_it(folder, monkeypatch):
    truncated(folder / "cat" / "x.jpg")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES is on"):
        load(folder)


def test_a_phones_photograph_of_two_images_is_its_first(tmp_path):
    path = tmp_path / "phone.jpg"
    picture(1).save(path, format="MPO", save_all=True, append_images=[picture(2)], quality=95)
    assert np.abs(decoded(path)[0].astype(int) - np.asarray(picture(1))).mean() < 60
    assert Image.open(path).n_frames == 2


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_values_of_fewer_bits_in_a_file_of_16_are_no_night(kind, white):
    values = np.linspace(0, white, 64).reshape(8, 8).astype(np.uint16)
    with pytest.raises(DataError, match=f"16 bits and no value over {white}"):
        decode(encoded(Image.fromarray(values), kind), Path("a"))
    for whole in (values * 16 + 15, values * 0):
        if not whole.any() or whole.max() > 4095:
            decode(encoded(Image.fromarray(whole), kind), Path("a"))


def colours_of_16_bits(values, kind):
    """Return the bytes of an image of colours with 16 bits, which Pillow does not write."""
    height, width, _ = values.shape
    rows = values.astype(">u2").tobytes()
    if kind == "PPM":
        return f"P6 {width} {height} 65535\n".encode() + rows
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


@pytest.mark.parametrize("kind", ["PNG", "PPM"])
@pytest.mark.parametrize("white", [255, 1023, 4095])
def test_colours_of_fewer_bits_in_a_file_of_16_are_no_night(kind, white):
    values = np.linspace(0, white, 192).reshape(8, 8, 3).astype(int)
    with pytest.raises(DataError, match="colours with 16 bits and no value over a sixteenth"):
        decode(colours_of_16_bits(values, kind), Path("a"))
    image, _ = decode(colours_of_16_bits(values * (65535 // white), kind), Path("a"))
    assert np.abs(np.asarray(image) - values * 255 / white).max() <= 1


def tiff(order, bits, photometric, values):
    """Return the bytes of a grey TIFF of one row; the order is "<" or ">"."""
    text = "".join(f"{value:0{bits}b}" for value in values)
    pixels = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    if bits == 16:
        pixels = struct.pack(f"{order}{len(values)}H", *values)
    short, long = 3, 4
    fields = {256: len(values), 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    entries = [(tag, short, value) for tag, value in fields.items()]
    entries += [(278, short, 1), (279, long, len(pixels))]
    table = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + struct.pack(f"{order}HH" if kind == short else f"{order}I", *[value, 0][: 5 - kind])
        for tag, kind, value in entries
    )
    start = 8 + len(pixels) + len(pixels) % 2
    body = pixels + bytes(len(pixels) % 2) + struct.pack(f"{order}H", len(entries)) + table
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("zero_is_white", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_a_grey_tiff_of_any_kind_is_read_as_it_shows_or_refused(order, bits, zero_is_white):
    white = 2**bits - 1
    values = [round(white * i / 7) for i in range(8)]
    content = tiff(order, bits, int(not zero_is_white), values)
    try:
        image, _ = decode(content, Path("grey.tif"))
    except DataError:
        assert bits in (12, 16)  # of which Pillow reads some
        assert (order, zero_is_white) != ("<", False)
        return
    expected = np.array([255 * value / white for value in values])
    if zero_is_white:
        expected = 255 - expected
    assert np.abs(np.asarray(image)[0, :, 0] - expected).max() <= 1
