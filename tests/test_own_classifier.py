"""Classifiers of a feature from two sets of images, or two folders."""

import pytest
import torch
from torchvision.utils import save_image

import forgetting as fg
from forgetting.errors import DataError, ParameterError


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


def test_what_grades_is_of_another_architecture_than_what_steers(pair):
    steering, grader = pair.steering.classifier, pair.grader.classifier
    assert steering.config.architecture != grader.config.architecture
    assert str(pair).startswith("steers: AUC")
    assert "grades: AUC" in str(pair)


def test_a_poor_classifier_is_said_to_be_poor():
    same = crossed(160, 0, has_bar=False)
    pair = fg.train_classifier(same[:80], same[80:], steps=2)
    assert str(pair).count("which is poor: give more images") == 2


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


def test_images_with_their_channels_last_are_refused():
    images = [crossed(60, i, has_bar=bool(i)).permute(0, 2, 3, 1) for i in range(2)]
    with pytest.raises(DataError, match=r"channels are last: give images\.permute"):
        fg.train_classifier(*images)


def test_channels_are_a_number(tmp_path):
    with pytest.raises(ParameterError, match="channels = True: give a whole number"):
        fg.load_images(tmp_path, channels=True)
