"""A fault in a table or a download is refused by file and line, never read as something else."""

import codecs
import os
import shutil

import pytest
import torch

from forgetting.data import digits, faces
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.errors import DataError, DataWarning

pytestmark = pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")


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
    with pytest.raises(DataError, match="not hold MNIST: t10k-labels-idx1-ubyte is not there"):
        digits.download_mnist(target)
    monkeypatch.setenv("FORGETTING_DATA", str(target))
    with pytest.raises(DataError, match="not hold MNIST: t10k-labels"):
        load_digits("train")


def test_files_of_another_set_under_the_names_of_mnist_are_refused(full):
    path = full / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[16:] = bytes(255 - value for value in content[16:])
    path.write_bytes(content)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is not the official file"):
        load_digits("held_out")


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_labels_in_another_order_are_refused(full, part):
    path = full / f"{part}-labels-idx1-ubyte"
    content = path.read_bytes()
    path.write_bytes(content[:8] + content[9:] + content[8:9])
    with pytest.raises(DataError, match=f"{part}-labels-idx1-ubyte is not the official file"):
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
