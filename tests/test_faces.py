"""Faces are read from any layout and cropped alike; nobody is in training and held out."""

import shutil
import unicodedata
import warnings

import numpy as np
import pytest
import torch
from data_sets import photograph
from PIL import Image

from forgetting.data import faces, images
from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.data.faces import Faces, astronaut, is_held_out, load_faces
from forgetting.data.images import Crop
from forgetting.errors import DataError, DataWarning, ParameterError


def test_celeba_carries_attributes_and_people(celeba):
    loaded = load_faces("celeba", "all", 32)
    assert loaded.images.shape == (40, 3, 32, 32)
    assert loaded.images.dtype == torch.uint8
    assert loaded.attributes == CELEBA_ATTRIBUTES
    assert torch.equal(loaded.labels, torch.eye(40, dtype=torch.bool))
    assert loaded.label("Bangs").nonzero().item() == CELEBA_ATTRIBUTES.index("Bangs")
    assert loaded.people[:4] == ("100", "100", "101", "101")
    assert loaded.of("101").nonzero().flatten().tolist() == [2, 3]
    selected = loaded.where(torch.tensor([3, 1]))
    assert selected.people == ("101", "100")
    assert torch.equal(selected.images[0], loaded.images[3])
    assert torch.equal(selected.labels, loaded.labels[[3, 1]])


def test_a_person_is_in_training_or_held_out_but_never_both(celeba):
    train, held_out = load_faces("celeba", "train", 32), load_faces("celeba", "held_out", 32)
    assert len(train) + len(held_out) == 40
    assert not set(train.people) & set(held_out.people)
    assert all(is_held_out(person) for person in held_out.people)
    share = np.mean([is_held_out(f"person {i}") for i in range(4000)])
    assert abs(share - faces.HELD_OUT) < 0.03


def test_a_person_is_held_out_however_a_file_system_writes_the_name():
    names = [f"José Müller {i}" for i in range(200)]
    written = [[unicodedata.normalize(form, name) for name in names] for form in ("NFC", "NFD")]
    held_out = [[is_held_out(name) for name in form] for form in written]
    assert held_out[0] == held_out[1]


def test_images_of_any_resolution_are_framed_alike(celeba, tmp_path, monkeypatch):
    big = tmp_path / "big" / "celeba"
    shutil.copytree(celeba, big)
    for path in (big / "img_align_celeba").iterdir():
        with Image.open(path) as image:
            image.resize((178, 218), Image.Resampling.LANCZOS).save(path, quality=98)
    small = load_faces("celeba", "all", 32).floats()
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "big"))
    large = load_faces("celeba", "all", 32).floats()
    assert (small - large).abs().mean() < 0.03


def test_a_crop_stays_inside_the_image():
    assert Crop().box(100, 80) == (10, 0, 90, 80)
    left, top, right, bottom = Crop(0.5, 0.05, 0.99).box(100, 200)
    assert (left, bottom) == (0, 200)
    assert right - left == bottom - top == 50


def test_lfw_and_any_folder_per_class_are_read(tmp_path, monkeypatch):
    for seed, person in ((0, "Ada_Lovelace"), (100, "Alan_Turing")):
        for i in range(12):
            photograph(tmp_path / "lfw" / person / f"{person}_{i:04}.jpg", seed + i, (250, 250))
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path))
    lfw = load_faces("lfw", "all", 64)
    assert lfw.images.shape == (24, 3, 64, 64)
    assert lfw.of("Alan_Turing").sum() == 12
    assert lfw.attributes == ()
    with pytest.raises(DataError, match="lfw has no attribute 'Bangs'"):
        lfw.label("Bangs")
    any_folder = load_faces(str(tmp_path / "lfw"), "all", 64)
    assert any_folder.source == "folder"
    assert not torch.equal(any_folder.images, lfw.images)
    parts = [load_faces(str(tmp_path / "lfw"), split, 64) for split in ("train", "held_out")]
    assert sum(map(len, parts)) == 24
    assert all(set(part.people) == {"Ada_Lovelace", "Alan_Turing"} for part in parts)
    with pytest.raises(DataError, match=r"too few people \(2\) to keep a quarter"):
        load_faces("lfw", "train", 64)


def test_resized_images_are_cached_and_a_corrupt_cache_is_replaced(celeba, monkeypatch):
    first = load_faces("celeba", "all", 32)
    (cached,) = (images.CACHE / "faces").glob("32-*.safetensors")
    monkeypatch.setattr(images, "decode", None)
    assert torch.equal(load_faces("celeba", "all", 32).images, first.images)
    monkeypatch.undo()
    monkeypatch.setenv("FORGETTING_DATA", str(celeba.parent))
    monkeypatch.setattr(images, "CACHE", cached.parents[1])
    content = cached.read_bytes()
    for damaged in (b"not safetensors", content[:-1] + bytes([content[-1] ^ 1])):
        cached.write_bytes(damaged)
        with pytest.warns(DataWarning, match="is damaged: what it held is computed anew"):
            assert torch.equal(load_faces("celeba", "all", 32).images, first.images)


def break_image(folder):
    path = folder / "img_align_celeba" / "000007.jpg"
    path.write_bytes(path.read_bytes()[:700])


def drop_attributes(folder):
    (folder / "list_attr_celeba.txt").unlink()


def drop_line(folder):
    path = folder / "identity_CelebA.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def spoil_line(folder):
    path = folder / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("000003.jpg -1", "000003.jpg"))


def rename_attribute(folder):
    path = folder / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("Bangs", "Bang"))


def drop_images(folder):
    for path in sorted((folder / "img_align_celeba").iterdir())[5:]:
        path.unlink()


def drop_everything(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (break_image, r"000007\.jpg cannot be read as an image"),
        (drop_attributes, r"list_attr_celeba\.txt cannot be read \(No such file"),
        (drop_line, r"identity_CelebA\.txt has no line for 000040\.jpg"),
        (spoil_line, r"list_attr_celeba\.txt, line 5: expected a file name and 40 values"),
        (rename_attribute, r"list_attr_celeba\.txt, line 2, does not name"),
        (drop_images, r"img_align_celeba holds 5 images; at least 20 are needed"),
        (drop_everything, r"FORGETTING_DATA names .*data, which holds none of them"),
    ],
)
def test_a_fault_in_the_data_is_reported_in_one_sentence(celeba, spoil, sentence):
    spoil(celeba)
    with pytest.raises(DataError, match=sentence):
        load_faces("celeba", "all", 32)


def test_other_sizes_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="size = 48 is not allowed"):
        load_faces("celeba", "all", 48)
    with pytest.raises(DataError, match="is not a folder"):
        load_faces(str(tmp_path / "nothing"), "all", 32)


def test_a_failed_download_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(**arguments):
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_lfw_people", fail)
    with pytest.raises(DataError, match=r"lfw could not be downloaded .* \(no network\)"):
        faces.download_faces("lfw", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_lies_where_the_loader_looks(tmp_path, monkeypatch):
    def fetch(data_home):
        for i in range(20):
            photograph(tmp_path / data_home / "lfw_home" / "lfw_funneled" / "A_B" / f"{i}.jpg", i)

    monkeypatch.setattr("sklearn.datasets.fetch_lfw_people", fetch)
    faces.download_faces("lfw", tmp_path / "data")
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "data"))
    assert len(load_faces("lfw", "all", 32)) == 20
    assert faces.has_faces("lfw")
    assert not faces.has_faces("celeba", "lfw")


def test_the_astronaut_is_a_face_at_every_size():
    for size in faces.SIZES:
        image = astronaut(size)
        assert image.shape == (1, 3, size, size)
        assert 0 <= image.min() < 0.1 < 0.9 < image.max() <= 1


@pytest.mark.parametrize(
    ("source", "size", "eyes"),
    [
        ("celeba", (178, 218), ((69, 111), (108, 111))),  # the official aligned landmarks
        ("astronaut", (512, 512), ((202, 101), (250, 100))),  # read off the photograph
    ],
)
def test_the_eyes_are_at_one_place_in_every_crop(source, size, eyes):
    left, top, right, _ = faces.CROPS[source].box(*size)
    (x1, y1), (x2, y2) = (
        ((x - left) / (right - left), (y - top) / (right - left)) for x, y in eyes
    )
    assert x2 - x1 == pytest.approx(0.26, abs=0.025)
    assert (x1 + x2) / 2 == pytest.approx(0.5, abs=0.03)
    assert (y1 + y2) / 2 == pytest.approx(0.43, abs=0.03)


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


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int32, torch.float32])
def test_a_mask_of_faces_selects_images_with_their_people_or_is_refused(kind):
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 2, 2)
    people = tuple("abcdef")
    faces = Faces(images, people, torch.zeros(6, 0, dtype=torch.bool), (), "folder")
    mask = torch.tensor([0, 1, 0, 1, 1, 0])
    for selected in (faces.where(mask.bool()), faces.where(torch.tensor([1, 3, 4]))):
        assert selected.images[:, 0, 0, 0].tolist() == [1, 3, 4]
        assert selected.people == ("b", "d", "e")
    with pytest.raises(ValueError, match="give bools, or indices of int64"):
        faces.where(mask.to(kind))
