"""The measurement: agrees with Morpho-MNIST's definition, on shapes of known size."""

import numpy as np
import pytest
import torch
from skimage.morphology import medial_axis
from skimage.transform import pyramid_expand

from forgetting.data.digits import load_digits
from forgetting.data.morphology import SCALE, Morphology, _enlarge, measure


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
    image = load_digits("held_out").images[7, 0].double() / 255
    expected = pyramid_expand(image.numpy(), upscale=SCALE, order=3)
    np.testing.assert_allclose(_enlarge(image[None])[0], expected, atol=0.01)


def test_skeleton_agrees_with_the_medial_axis():
    """Morpho-MNIST's own, fifty times slower, definition on 40 digits."""
    images = load_digits("held_out").images[::25]
    ours = measure(images)["thickness"].numpy()
    theirs = []
    for large in _enlarge(images[:, 0].double() / 255).numpy():
        ink = large >= (large.min() + large.max()) / 2
        axis, distance = medial_axis(ink, return_distance=True)
        theirs.append(2 * distance[axis].mean() / SCALE)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert abs(ours.mean() - np.mean(theirs)) < 0.1


def test_digits_have_the_published_thickness_and_slant():
    """MNIST's test set: 2.69 +- 0.70 px and 0.088 +- 0.245 rad; these are 1,000 others."""
    found = measure(load_digits("held_out").images)
    assert float(found["thickness"].mean()) == pytest.approx(2.69, abs=0.15)
    assert float(found["thickness"].std()) == pytest.approx(0.70, abs=0.15)
    assert float(found["slant"].mean()) == pytest.approx(0.088, abs=0.08)
    assert float(found["slant"].std()) == pytest.approx(0.245, abs=0.05)


def test_it_has_the_face_of_a_classifier():
    images = load_digits("held_out").floats()[::10]
    measured = measure(images)
    ruler = Morphology.of(measured, share=0.2)
    logits = ruler.logits(images)
    assert ruler.features(images).shape == (100, 2)
    for index, name in enumerate(ruler.attributes):
        has_feature = ruler.has_feature(measured, name)
        assert torch.equal(logits[:, index] > 0, has_feature)
        assert int(has_feature.sum()) == 20


def test_a_blank_image_shows_nothing():
    blank = torch.zeros(1, 1, 28, 28)
    ruler = Morphology(thick=3.0, left_slant=-0.2)
    assert torch.isnan(measure(blank)["thickness"]).all()
    assert not (ruler.logits(blank) > 0).any()
    assert not ruler.has_feature(measure(blank), "thick").any()
