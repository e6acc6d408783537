"""Measurements of digits: right on shapes of known size, open to features of other packages."""

import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from skimage.morphology import medial_axis
from skimage.transform import pyramid_expand

from forgetting.border.contracts import Classifier
from forgetting.data.digit_features import FEATURES, DigitFeature
from forgetting.data.digits import load_digits
from forgetting.data.morphology import (
    BATCH,
    SCALE,
    Morphology,
    _enlarge,
    measure,
    slant,
    thickness,
)
from forgetting.errors import DataError, DataWarning, ParameterError
from forgetting.foundation import registry


def bar(width, shear=0.0):
    """Return a vertical bar of a width in pixels, sheared: positive leans like '/'."""
    rows, columns = np.mgrid[0:28, 0:28]
    centre = 13.5 - shear * (rows - 13.5)
    inside = (np.abs(columns - centre) <= width / 2) & (np.abs(rows - 13.5) < 9)
    return torch.from_numpy(inside).float()[None, None]


@pytest.mark.parametrize("width", [2, 4, 6])
def test_a_bar_is_as_thick_as_it_is_wide(width):
    assert float(measure(bar(width))["thickness"]) == pytest.approx(width, abs=0.6)


@pytest.mark.parametrize("shear", [-0.4, 0.0, 0.4])
def test_a_sheared_bar_leans_by_its_angle(shear):
    assert float(measure(bar(4, shear))["slant"]) == pytest.approx(np.arctan(shear), abs=0.05)


def test_enlargement_is_that_of_scikit_image():
    image = load_digits("held_out").images[7:8].double() / 255
    expected = pyramid_expand(image[0, 0].numpy(), upscale=SCALE, order=3)
    np.testing.assert_allclose(_enlarge(image)[0], expected, atol=0.01)


def test_the_skeleton_agrees_with_the_medial_axis():
    """Morpho-MNIST's own, fifty times slower, definition on 40 digits."""
    images = load_digits("held_out").images[::25]
    ours = measure(images)["thickness"].numpy()
    theirs = []
    for large in _enlarge(images.double() / 255).numpy():
        ink = large >= (large.min() + large.max()) / 2
        axis, distance = medial_axis(ink, return_distance=True)
        theirs.append(2 * distance[axis].mean() / SCALE)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert abs(ours.mean() - np.mean(theirs)) < 0.1


def test_digits_have_the_published_thickness_and_slant():
    """MNIST's test set: 2.69 +- 0.70 px and 0.088 +- 0.245 rad; these are 1,000 others."""
    measured = measure(load_digits("held_out").images)
    assert float(measured["thickness"].mean()) == pytest.approx(2.69, abs=0.15)
    assert float(measured["thickness"].std()) == pytest.approx(0.70, abs=0.15)
    assert float(measured["slant"].mean()) == pytest.approx(0.088, abs=0.08)
    assert float(measured["slant"].std()) == pytest.approx(0.245, abs=0.05)


def test_a_digit_is_measured_alike_alone_and_in_any_batch():
    images = load_digits("held_out").images[: BATCH + 3]
    measured = measure(images)
    for quantity, function in (("thickness", thickness), ("slant", slant)):
        assert measured[quantity].shape == (BATCH + 3,)
        torch.testing.assert_close(function(images[-4:]), measured[quantity][-4:])
    torch.testing.assert_close(measure(images[-4:].float() / 255)["slant"], measured["slant"][-4:])


def test_a_measurement_has_the_face_of_a_classifier():
    images = load_digits("held_out").floats()[::10]
    measured = measure(images)
    morphology = Morphology.of(measured, share=0.2)
    assert isinstance(morphology, Classifier)
    logits = morphology.logits(images)
    assert morphology.features(images).shape == (100, 2)
    assert set(morphology.attributes) == {"thick", "left_slant"}
    for index, name in enumerate(morphology.attributes):
        has_feature = morphology.has_feature(measured, name)
        assert torch.equal(logits[:, index] > 0, has_feature)
        assert int(has_feature.sum()) == 20


def test_thick_digits_have_large_values_and_left_slant_small_ones():
    measured = {
        "thickness": torch.tensor([1.0, 3.0, 3.5]),
        "slant": torch.tensor([0.1, -0.2, -0.3]),
    }
    morphology = Morphology(thick=3.0, left_slant=-0.2)
    assert (morphology.thick, morphology.left_slant) == (3.0, -0.2)
    assert morphology.has_feature(measured, "thick").tolist() == [False, False, True]
    assert morphology.has_feature(measured, "left_slant").tolist() == [False, False, True]


def test_a_blank_image_has_no_feature():
    blank = torch.zeros(1, 1, 28, 28)
    morphology = Morphology(thick=3.0, left_slant=-0.2)
    measured = measure(blank)
    assert torch.isnan(measured["thickness"]).all()
    assert torch.isnan(measured["slant"]).all()
    assert not (morphology.logits(blank) > 0).any()
    for feature in morphology.attributes:
        assert not morphology.has_feature(measured, feature).any()


def test_unknown_features_and_fields_are_refused():
    with pytest.raises(ParameterError, match=r"no digit feature 'thik'. Did you mean thick\?"):
        Morphology(thik=3.0)
    with pytest.raises(AttributeError, match="no threshold or method 'left_slant'"):
        _ = Morphology(thick=3.0).left_slant


def test_a_threshold_that_is_no_number_selects_no_digit_in_silence():
    for threshold in (float("nan"), float("inf")):
        with pytest.raises(ParameterError, match=r"thick = .*: give a finite threshold"):
            Morphology(thick=threshold)


@pytest.mark.parametrize("scale", [255, -1])
def test_digits_of_another_range_are_not_measured(scale):
    with pytest.raises(DataError, match=r"The digits have values from .* give images in \[0, 1\]"):
        measure(scale * bar(4))


def test_equal_values_have_no_outermost_share():
    with pytest.warns(DataWarning, match=r"50 values of the thickness .* none lies beyond 1:"):
        FEATURES["thick"].threshold(torch.ones(50), 0.1)


def test_digits_in_black_on_white_are_noted():
    for images in (1 - bar(4), 255 - (255 * bar(4)).byte()):
        with pytest.warns(DataWarning, match="white is measured as ink"):
            measure(images)


@pytest.fixture
def wide(tmp_path, monkeypatch):
    """Install a package that adds the feature `wide`, a digit of many columns, by entry point."""
    (tmp_path / "another_package.py").write_text(
        "from forgetting.data.digit_features import DigitFeature\n\n\n"
        "def width(images):\n"
        "    return (images.flatten(1, 2).amax(1) > 0).sum(1).float()\n\n\n"
        "WIDE = DigitFeature('width', width, 1, 'width, pixels', 'The digit is wide.')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    group = "forgetting.data.digit_features"
    point = EntryPoint("wide", "another_package:WIDE", group)
    monkeypatch.setattr(FEATURES, "_entries", dict(FEATURES._entries))
    monkeypatch.setattr(FEATURES, "_is_loaded", False)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point][: group == FEATURES.package]
    )
    yield
    sys.modules.pop("another_package", None)


def test_a_feature_of_another_package_is_measured_and_has_a_threshold(wide):
    images = torch.cat([bar(width) for width in (1, 3, 5, 7, 9)])
    measured = measure(images)
    assert measured["width"].tolist() == [2, 4, 6, 8, 10]
    morphology = Morphology.of(measured, share=0.2)
    assert morphology.attributes == ("left_slant", "thick", "wide")
    assert morphology.has_feature(measured, "wide").tolist() == [False] * 4 + [True]
    assert torch.equal(morphology.logits(images)[:, 2] > 0, measured["width"] > morphology.wide)


def test_one_name_for_two_measurements_is_refused(wide):
    FEATURES.register("narrow")(DigitFeature("width", thickness, -1, "pixels", "Narrow."))
    with pytest.raises(
        ParameterError, match=r"'wide' measures its 'width' with a function of its"
    ):
        measure(bar(4))


def test_features_of_one_quantity_share_its_measurement(wide):
    calls = []

    def counted(images):
        calls.append(len(images))
        return torch.zeros(len(images))

    for name, sign in (("large", 1), ("small", -1)):
        FEATURES.register(name)(DigitFeature("size", counted, sign, "pixels", "Large or small."))
    assert measure(bar(4))["size"].shape == (1,)
    assert calls == [1]
