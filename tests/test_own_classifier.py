"""Classifiers of a feature from two sets of images, or two folders."""

import copy
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision.utils import save_image

import forgetting as fg
from forgetting.errors import (
    DataError,
    DataWarning,
    ForgettingError,
    ModelError,
    ParameterError,
    WeightsError,
)
from forgetting.zoo.saved import state_digest


def crossed(n, seed, *, has_bar):
    """Return noise (n, 3, 32, 32), with a white bar across the middle or without."""
    images = 0.5 * torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    if has_bar:
        images[:, :, 14:18] = 1
    return images


@pytest.fixture(scope="module")
def pair():
    return fg.train_classifier(
        crossed(80, 0, has_bar=True), crossed(120, 1, has_bar=False), name="bar", steps=40
    )


def test_both_classifiers_tell_images_that_they_have_not_seen(pair):
    images = torch.cat([crossed(20, 2, has_bar=True), crossed(20, 3, has_bar=False)])
    for score, auc in ((pair.steering, pair.steering_auc), (pair.grader, pair.grader_auc)):
        assert auc.value > 0.95
        with torch.no_grad():
            has_bar = score(images) > 0
        assert int((has_bar == (torch.arange(40) < 20)).sum()) >= 36


def test_values_a_little_beyond_the_range_are_its_ends():
    with_bar, without = crossed(60, 0, has_bar=True), crossed(60, 1, has_bar=False)
    beyond = torch.where(with_bar == 1, 1.04, with_bar)
    digests = [
        state_digest(fg.train_classifier(images, without, steps=1).steering.classifier)
        for images in (with_bar, beyond)
    ]
    assert digests[0] == digests[1]


def test_what_grades_is_of_another_architecture_than_what_steers(pair):
    steering, grader = pair.steering.classifier, pair.grader.classifier
    assert steering.config.architecture != grader.config.architecture
    assert str(pair).startswith("steers: AUC")
    assert "grades: AUC" in str(pair)


def test_a_poor_classifier_is_said_to_be_poor():
    same = crossed(160, 0, has_bar=False)
    pair = fg.train_classifier(same[:80], same[80:], steps=2)
    assert str(pair).count("which is poor: give more images") == 2


@pytest.mark.parametrize("sides", [(0, 0, 2, 2), (2, 0, 0, 0), (2, 2, 2, 2)])
def test_a_border_that_the_images_of_one_set_alone_have_is_told(sides):
    images = crossed(120, 0, has_bar=False)
    framed = F.pad(images[..., sides[2] : 32 - sides[3], sides[0] : 32 - sides[1]], sides)
    with pytest.warns(DataWarning, match="of those without 0%: the classifiers may learn a bord"):
        fg.train_classifier(framed[:60], images[60:], steps=1)
    for first, second in ((images[:60], images[60:]), (framed[:60], framed[60:])):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*border", category=DataWarning)
            fg.train_classifier(first, second, steps=1)


def test_folders_are_read_at_the_size_of_the_generators_images(tmp_path):
    for name, has_bar in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(crossed(60, int(has_bar), has_bar=has_bar)):
            save_image(image, tmp_path / name / f"{i}.png")
    pair = fg.train_classifier(tmp_path / "with", tmp_path / "without", size=32, steps=2)
    assert pair.steering.classifier.config.image_size == 32


def test_too_few_images_equal_images_and_sets_of_two_shapes_are_refused():
    few, many = crossed(59, 0, has_bar=True), crossed(60, 1, has_bar=False)
    with pytest.raises(DataError, match="59 different images of one kind are too few"):
        fg.train_classifier(few, many)
    with pytest.raises(DataError, match="1 different images"):
        fg.train_classifier(few[:1].expand(100, -1, -1, -1), many)
    with pytest.raises(DataError, match="60 images are both with feature and without"):
        fg.train_classifier(many, many)
    with pytest.raises(DataError, match="bring them to one shape"):
        fg.train_classifier(many, many[..., :16, :16])


def test_images_of_ones_own_are_cropped_as_asked(tmp_path):
    for i in range(20):
        image = torch.zeros(3, 100, 100)
        image[:, 20:80, 20:80] = 1
        save_image(image, tmp_path / f"{i:02}.png")
    with pytest.warns(UserWarning, match="bytes of each are those of another"):
        whole = fg.load_images(tmp_path, size=32)
    with pytest.warns(UserWarning, match="bytes of each are those of another"):
        middle = fg.load_images(tmp_path, crop="lfw", size=32)
    assert whole.shape == middle.shape == (20, 3, 32, 32)
    assert float(middle.mean()) > float(whole.mean()) + 0.2
    with pytest.raises(ParameterError, match="Did you mean lfw"):
        fg.load_images(tmp_path, crop="lwf")


def test_a_crop_looks_at_a_photograph_as_its_camera_turns_it(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (178, 218)).save(tmp_path / "lying.jpg", exif=turned)
    Image.new("RGB", (218, 178)).save(tmp_path / "upright.jpg", exif=turned)
    with pytest.warns(UserWarning, match=r"1 cropped as .* they have not: lying\.jpg\."):
        fg.load_images(tmp_path, crop="celeba", size=32)


def test_a_folder_of_masks_of_0_and_1_is_no_folder_of_nights(tmp_path):
    for i in range(3):
        mask = (np.arange(1024).reshape(32, 32) % (i + 2) == 0).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match=r"values up to 0\.0039"):
        fg.load_images(tmp_path, size=16)
    Image.new("L", (32, 32), 200).save(tmp_path / "3.png")
    assert len(fg.load_images(tmp_path, size=16)) == 4


@pytest.mark.parametrize(
    ("crop", "width", "is_theirs"),
    [
        ("celeba", 89, True),
        ("celeba", 109, False),
        ("lfw", 109, True),
        ("lfw", 89, False),
        ("folder", 60, True),
    ],
)
def test_a_crop_of_photographs_of_another_shape_is_noted(tmp_path, crop, width, is_theirs):
    save_image(torch.rand(3, 109, width), tmp_path / "a.png")
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        fg.load_images(tmp_path, crop=crop, size=32)
    named = [
        str(each.message) for each in noted if "whose shape they have not: a.png" in str(each)
    ]
    assert bool(named) is not is_theirs


def test_images_with_their_channels_last_are_refused():
    images = [crossed(60, i, has_bar=bool(i)).permute(0, 2, 3, 1) for i in range(2)]
    with pytest.raises(DataError, match=r"channels are last: give images\.permute"):
        fg.train_classifier(*images)


class Noise(nn.Module):
    """Images with values around a half, of which a latent is the mean of a column."""

    latent_dim = 4

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z):
        rows = (self.scale * z).sigmoid().repeat(1, 8)
        return rows[:, None, :, None].expand(-1, self.channels, 32, 32)


def test_a_pair_grades_grey_images_as_three_equal_channels(pair):
    grey = crossed(8, 4, has_bar=True)[:, :1]
    for score in (pair.steering, pair.grader):
        torch.testing.assert_close(score(grey), score(grey.expand(-1, 3, -1, -1)))
        assert fg.prevalence(Noise(1), score, n=200).n == 200
        with pytest.raises(ModelError, match="takes images of 3 channels, not of 2"):
            fg.prevalence(Noise(2), score, n=200)


def test_grey_images_are_trained_on_as_three_equal_channels():
    grey = [crossed(60, i, has_bar=bool(i))[:, :1] for i in range(2)]
    pair = fg.train_classifier(*grey, steps=1)
    assert pair.steering.classifier.config.channels == 3
    with pytest.raises(DataError, match=r"\(60, 2, 32, 32\): give \(N, 3, H, W\) or"):
        fg.train_classifier(*(image.expand(-1, 2, -1, -1) for image in grey))
    with pytest.raises(DataError, match=r"\(60, 32, 32\): give"):
        fg.train_classifier(*(image[:, 0] for image in grey))


def test_a_saved_pair_is_loaded_by_the_name_of_its_folder(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pair.save("loop")
    assert {path.name for path in (tmp_path / "loop").iterdir()} == {
        "README.md",
        "record.json",
        "weights.safetensors",
    }
    images = crossed(4, 5, has_bar=True)
    with warnings.catch_warnings(action="error"):
        loaded = fg.load("loop")
    for place in ("loop/", str(tmp_path / "loop")):
        assert fg.load(place).name == "bar"
    for role in ("steering", "grader"):
        given, again = getattr(pair, role), getattr(loaded, role)
        assert torch.equal(given(images), again(images))
        assert (again.attribute, again.title) == ("bar", f"loop/{role}")
        assert not again.classifier.training
        assert not any(weight.requires_grad for weight in again.classifier.parameters())
    assert str(loaded) == str(pair)
    record = json.loads((tmp_path / "loop" / "record.json").read_text())
    assert (record["name"], record["size"], record["channels"]) == ("bar", 32, 3)
    for role, architecture in (("steering", "plain"), ("grader", "residual")):
        network = record["networks"][role]
        assert network["config"]["architecture"] == architecture
        assert network["auc"]["value"] == getattr(pair, f"{role}_auc").value
        assert network["state_sha256"] == state_digest(getattr(pair, role).classifier)
    with pytest.raises(ForgettingError, match="holds a model already"):
        pair.save("loop")


def test_a_damaged_pair_is_refused(pair, tmp_path):
    pair.save(tmp_path / "loop")
    record = tmp_path / "loop" / "record.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"networks": {}}))
    with pytest.raises(WeightsError, match=r"record\.json cannot be read .*save the pair anew"):
        fg.load(str(tmp_path / "loop"))
    record.write_text(json.dumps(content))
    weights = tmp_path / "loop" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"none")
    with pytest.raises(WeightsError, match="its sha256 differs"):
        fg.load(str(tmp_path / "loop"))
    record.write_text(json.dumps(content | {"kind": "generator"}))
    with pytest.raises(WeightsError, match="The zoo has no"):
        fg.load(str(tmp_path / "loop"))


def test_a_pair_and_its_scores_are_shown_in_a_line(pair):
    assert repr(pair).startswith("TrainedPair('bar', AUC ")
    assert repr(pair.steering) == "FeatureScore('bar' by Classifier)"
    assert repr(pair.grader.at(0.5)) == "FeatureScore('bar' by Classifier, threshold 0.5)"
    assert "\n" not in repr(pair)


def test_images_of_folders_that_are_enlarged_are_said_to_be(tmp_path):
    for name, has_bar in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(crossed(60, int(has_bar), has_bar=has_bar)):
            save_image(image, tmp_path / name / f"{i}.png")
    folders = tmp_path / "with", tmp_path / "without"
    with pytest.warns(DataWarning, match="at most 32 px and are enlarged to 40: give size=32"):
        fg.train_classifier(*folders, size=40, steps=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fg.train_classifier(*folders, size=32, steps=1)
    assert not [each for each in caught if "enlarged" in str(each.message)]


def test_folders_whose_files_differ_in_more_than_the_feature_are_told(tmp_path):
    def folder(name, form, size):
        (tmp_path / name).mkdir()
        for i, image in enumerate(crossed(60, len(name), has_bar="with" in name)):
            save_image(F.interpolate(image[None], size), tmp_path / name / f"{i}.{form}")
        return tmp_path / name

    one = folder("with", "png", 32)
    with pytest.warns(DataWarning, match="with bar 0% are JPEG .* without 100%: .* compression"):
        fg.train_classifier(one, folder("no", "jpg", 32), name="bar", size=32, steps=1)
    large = folder("none", "png", 72)
    with pytest.warns(DataWarning, match="with bar have at least 32 px, .* least 72: .* sharp"):
        fg.train_classifier(one, large, name="bar", size=72, steps=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for size in (32, 64):  # at which those of 72 px are made smaller
            fg.train_classifier(one, large, name="bar", size=size, steps=1)
    texts = [str(each.message) for each in caught]
    assert not [text for text in texts if "compression" in text or "sharp" in text]


@pytest.mark.parametrize(
    "change",
    [
        lambda x: (x + 0.2).clamp(0, 1),
        lambda x: 0.5 + 0.5 * (x - 0.5),
        lambda x: x * torch.tensor([1.0, 0.9, 0.7])[:, None, None],
    ],
    ids=["lighter", "fainter", "warmer"],
)
def test_light_and_colour_that_tell_two_folders_apart_are_noted(change):
    light = 0.6 + 0.2 * torch.rand(160, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    images = light * crossed(160, 4, has_bar=False)
    with pytest.warns(DataWarning, match=r"contrasts alone tell images with bar .*\(AUC"):
        fg.train_classifier(change(images[:80]), images[80:], name="bar", steps=1)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        fg.train_classifier(images[:80], images[80:], name="bar", steps=1)
    assert not [each for each in noted if "contrasts alone" in str(each.message)]


def test_channels_are_a_number(tmp_path):
    with pytest.raises(ParameterError, match="channels = True: give a whole number"):
        fg.load_images(tmp_path, channels=True)


def test_held_out_images_that_nearly_equal_ones_that_are_trained_on_are_noted():
    photographs = crossed(60, 4, has_bar=False)
    frames = photographs.repeat(4, 1, 1, 1) + 0.02 * crossed(240, 6, has_bar=False)
    with pytest.warns(DataWarning, match=r"\d+ of 75 images that are held out nearly equal"):
        fg.train_classifier(frames, crossed(60, 5, has_bar=True), steps=1)
    mirrored = torch.cat([photographs, photographs.flip(3)])
    with pytest.warns(DataWarning, match="images that are held out nearly equal"):
        fg.train_classifier(mirrored, crossed(60, 5, has_bar=True), steps=1)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        fg.train_classifier(photographs, crossed(60, 5, has_bar=True), steps=1)
    assert not [each for each in noted if "nearly equal" in str(each.message)]


def test_a_pair_is_the_same_under_whatever_a_program_has_set():
    sets = [crossed(60, seed, has_bar=bool(seed)) for seed in (1, 0)]

    def train():
        return fg.train_classifier(*sets, steps=2).grader.classifier

    state = torch.get_rng_state()
    usual = state_digest(train())
    assert torch.equal(torch.get_rng_state(), state)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert state_digest(train()) == usual
    with torch.device("meta"), torch.no_grad():
        assert state_digest(train()) == usual


@pytest.mark.parametrize("name", ["", " ", 7])
def test_a_feature_has_a_name(name):
    with pytest.raises(ParameterError, match="give the name of the feature as a text"):
        fg.train_classifier(crossed(60, 0, has_bar=True), crossed(60, 1, has_bar=False), name=name)


def test_a_saved_pair_keeps_its_thresholds(pair, tmp_path):
    moved = replace(pair, steering=pair.steering.at(1.5), grader=pair.grader.at(-0.5))
    moved.save(tmp_path / "loop")
    loaded = fg.load(str(tmp_path / "loop"))
    assert (loaded.steering.threshold, loaded.grader.threshold) == (1.5, -0.5)


def test_a_pair_of_one_attribute_of_several_is_loaded_as_that_attribute(pair, tmp_path):
    seven, three = (fg.load("digits-classifier-a")[name] for name in "73")
    replace(pair, steering=seven, grader=seven).save(tmp_path / "seven")
    with warnings.catch_warnings(action="ignore"):  # one network stands for both
        assert fg.load(str(tmp_path / "seven")).name == "7"
    with pytest.raises(ParameterError, match="A pair is of one feature: '7' steers, and '3'"):
        replace(pair, steering=seven, grader=three)


def test_a_pair_whose_network_was_trained_on_is_not_saved_with_its_old_auc(pair, tmp_path):
    own = copy.deepcopy(pair)
    own.save(tmp_path / "loop")
    with torch.no_grad():
        next(own.grader.classifier.parameters()).add_(0.1)
    with pytest.raises(ForgettingError, match="has changed since its AUC was measured"):
        own.save(tmp_path / "loop-2")


def test_grey_images_against_coloured_ones_are_told():
    random = torch.Generator().manual_seed(0)
    coloured, others = (torch.rand(60, 3, 16, 16, generator=random) for _ in range(2))
    grey = others.mean(1, keepdim=True)
    with pytest.warns(DataWarning, match="with loop 100% are grey, of those without 0%"):
        fg.train_classifier(grey, coloured, name="loop", steps=1)
    with warnings.catch_warnings(record=True, action="always") as told:
        fg.train_classifier(grey, coloured.mean(1, keepdim=True), name="loop", steps=1)
    assert not any("are grey" in str(each.message) for each in told)
