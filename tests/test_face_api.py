"""Networks from outside the study: how they are read, checked and called."""

import shutil
import tarfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from forgetting.cli import main
from forgetting.errors import WeightsError
from forgetting.models.face_api import (
    FaceApi,
    OutsideClassifier,
    _normalised,
    _padding,
    _same_convolution,
)
from forgetting.zoo import face_api, graders


def test_weights_are_read_by_scale_and_minimum_and_put_in_torch_s_order():
    filters = np.arange(2 * 2 * 3 * 4, dtype=np.uint8)
    bias = np.array([0.5, -1.0], dtype="<f4")
    manifest = [
        {
            "weights": [
                {
                    "name": "a/filters",
                    "shape": [2, 2, 3, 4],
                    "quantization": {"scale": 0.5, "min": -1.0},
                },
                {"name": "a/bias", "shape": [2]},
            ]
        }
    ]
    data = filters.tobytes() + bias.tobytes()
    tensors = face_api._dequantised(data, manifest)
    assert tensors["a/filters"].shape == (4, 3, 2, 2)
    assert tensors["a/filters"][1, 2, 0, 1] == 0.5 * filters.reshape(2, 2, 3, 4)[0, 1, 2, 1] - 1
    assert tensors["a/bias"].tolist() == [0.5, -1.0]
    with pytest.raises(WeightsError, match="describes 56 of 57 bytes"):
        face_api._dequantised(data + b"x", manifest)


def test_padding_is_tensorflow_s_with_the_odd_rest_at_the_end():
    x = torch.arange(36.0).view(1, 1, 6, 6) + 1
    assert _padding(x, 3, 1) == [1, 1, 1, 1]
    assert _padding(x, 3, 2) == [0, 1, 0, 1]
    first, middle = torch.zeros(2, 1, 1, 3, 3)
    first[0, 0, 0, 0] = middle[0, 0, 1, 1] = 1
    assert torch.equal(_same_convolution(x, middle, None, 1), x)
    assert torch.equal(_same_convolution(x, first, None, 2), x[:, :, ::2, ::2])
    shifted = _same_convolution(x, first, None, 1)
    assert torch.equal(shifted[:, :, 1:, 1:], x[:, :, :-1, :-1])
    assert shifted[:, :, 0].sum() == shifted[:, :, :, 0].sum() == 0


def test_the_square_of_a_face_is_cut_where_it_is_said_to_be():
    images = torch.zeros(1, 3, 64, 64)
    images[:, :, 40:] = 1  # the lower part is white
    square = _normalised(images, (0.5, 0.125))  # rows 24 to 56
    white = square[0, 0, :, 56] - square.min()
    assert (white < 0.5).sum() == 56


def some_weights():
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator)
        for name, shape in {
            "expression/fc/weights": (256, 7),
            "expression/fc/bias": (7,),
            "gender/fc/gender/weights": (512, 2),
            "gender/fc/gender/bias": (2,),
        }.items()
    }


def test_smiles_and_gender_are_log_odds_and_other_attributes_are_probes():
    networks = FaceApi(some_weights())
    weight, bias = torch.randn(3, 768), torch.randn(3)
    attributes = ("Smiling", "Bangs", "Male")
    classifier = OutsideClassifier(networks, attributes, weight, bias)
    expression, gender = 0.05 * torch.randn(5, 256), torch.randn(5, 512)
    scores = expression @ networks.weights["expression/fc/weights"]
    happy = (scores + networks.weights["expression/fc/bias"]).softmax(1)[:, 1]
    smiling = classifier.read("Smiling", expression, gender)
    torch.testing.assert_close(smiling, torch.log(happy / (1 - happy)), atol=1e-3, rtol=1e-3)
    both = torch.cat([expression, gender], 1)
    expected = both @ weight[1] + bias[1]
    torch.testing.assert_close(classifier.read("Bangs", expression, gender), expected)
    networks.expression_features = lambda images: expression
    networks.gender_features = lambda images: gender
    images = torch.zeros(5, 3, 8, 8)
    assert torch.equal(classifier.features(images), both)
    torch.testing.assert_close(classifier["Bangs"](images), expected)
    assert torch.equal(
        classifier.read("Male", expression, gender),
        classifier.read("Male", expression[:0], gender),
    )


def test_without_the_package_it_is_said_how_to_get_it(tmp_path):
    assert not face_api.has_face_api(tmp_path)
    with pytest.raises(WeightsError, match=r"not at hand: `forgetting data face-api`"):
        face_api.load_face_api(tmp_path)


def test_a_file_that_is_not_the_package_s_is_refused(tmp_path):
    (tmp_path / face_api.FOLDER).mkdir()
    for name in face_api.FILES:
        (tmp_path / face_api.FOLDER / name).write_bytes(b"[]")
    assert face_api.has_face_api(tmp_path)
    with pytest.raises(WeightsError, match="is not that of @vladmandic/face-api"):
        face_api.load_face_api(tmp_path)


@pytest.mark.parametrize("content", [b"no archive", None])
def test_a_package_that_cannot_be_read_is_refused_and_nothing_is_kept(
    content, tmp_path, monkeypatch
):
    def pack(npm, folder):
        path = folder / "some.tgz"
        if content is None:
            with tarfile.open(path, "w:gz"):
                pass
        else:
            path.write_bytes(content)
        return path

    monkeypatch.setattr(face_api, "_pack", pack)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(WeightsError, match="came from npm, but cannot be read"):
        face_api.download_face_api(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_npm_the_command_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = CliRunner().invoke(main, ["data", "face-api"])
    assert result.exit_code == 1
    assert "comes from npm, which this machine lacks: install Node.js" in result.output


def test_every_grader_has_a_strict_threshold_above_its_balanced_one_for_common_attributes():
    for grader in (graders.CLASSIFIER_A, graders.CLASSIFIER_B, graders.OUTSIDE):
        for size in (32, 64):
            for attribute in ("Smiling", "Male", "Bangs"):
                thresholds = graders.load_thresholds(grader, attribute, size)
                assert thresholds.strict > thresholds.balanced


def test_unlisted_thresholds_and_statistics_are_refused():
    with pytest.raises(graders.DataError, match="no thresholds of face-api for Bald"):
        graders.load_thresholds(graders.OUTSIDE, "Bald", 64)
    with pytest.raises(graders.DataError, match=r"no statistics of 64\.ffhq\.all"):
        graders.load_outside_statistics("ffhq", "all", 64)
    statistics = graders.load_outside_statistics("both", "without_Smiling", 64)
    assert statistics.covariance.shape == (64, 64)


def test_celeba_and_lfw_are_less_than_three_times_as_far_apart_as_two_halves():
    distances = graders.store.record(graders.GRADERS)["distances"]
    for size in (32, 64):
        halves = (distances[f"{size}.{source}.halves"] for source in ("celeba", "lfw"))
        assert distances[f"{size}.celeba.lfw"] < 3 * max(halves)
