"""Figures show what they are given: nothing is cut off, left out or squeezed."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from planted import IMAGES

from forgetting.book import plots
from forgetting.errors import DataError, ParameterError


@pytest.mark.parametrize(
    "images",
    [
        2 * IMAGES - 1,
        255 * IMAGES,
        (255 * IMAGES).to(torch.uint8),
        IMAGES.clone().index_fill_(0, torch.tensor([3]), math.nan),
    ],
)
def test_a_figure_does_not_cut_off_what_it_shows(images):
    for show in (plots.image_grid, lambda images: plots.image_rows({"a": IMAGES, "b": images})):
        with pytest.raises(DataError, match=r"in \[0, 1\]|not finite"):
            show(images)


@pytest.mark.parametrize("channels", [1, 3])
def test_columns_of_rows_of_different_lengths_are_comparable(channels):
    images = IMAGES.expand(-1, channels, -1, -1)
    figure = plots.image_rows({"long": images[:9], "short": images[:4]})
    long, short = (axis.get_images()[0].get_array() for axis in figure.axes)
    assert long.shape == short.shape
    assert np.array_equal(long[:, : 4 * 10], short[:, : 4 * 10])
    assert not short[:, 4 * 10 :].any()


def test_a_figure_does_not_follow_the_style_that_a_user_has_set():
    usual = plt.rcParams.copy()
    with plt.rc_context({"image.origin": "lower", "lines.linestyle": "none"}):
        plots.use_style()
        assert plots.image_grid(IMAGES).axes[0].get_images()[0].origin == "upper"
        assert plt.rcParams["lines.linestyle"] == "-"
    assert plt.rcParams == usual


def test_no_curve_is_left_out_of_a_figure():
    history = [{"step": step} | {str(i): i for i in range(9)} for step in range(3)]
    for n in range(1, 5):
        axis = plots.curves(history, {str(i): str(i) for i in range(n)}, "value")
        assert len(axis.lines) == n
    with pytest.raises(ParameterError, match="9 curves in 4 colours"):
        plots.curves(history, {str(i): str(i) for i in range(9)}, "value")
