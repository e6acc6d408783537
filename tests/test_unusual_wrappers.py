"""Directions, adapters and scores of odd numbers and shapes lead to a sentence."""

import math

import pytest
import torch
from bars import Bars, width

import forgetting as fg
from forgetting.border.adapters import AtTemperature, ConcatenatedLatents
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.methods.direction import Direction


def test_a_direction_does_not_change_with_the_tensor_that_it_was_made_of():
    vector, latents = torch.eye(6)[0].clone(), torch.randn(4, 6)
    direction = Direction(vector, 0.5)
    expected = direction.project(latents)
    vector.zero_()
    assert torch.equal(direction.project(latents), expected)


@pytest.mark.parametrize("factor", [1e-30, 1e30, 0, math.nan])
def test_a_direction_has_a_length(factor):
    with pytest.raises(DataError, match="one vector of finite numbers"):
        Direction(torch.ones(6) * factor, 0.5)


def test_a_projection_threshold_is_a_number():
    for threshold in (True, math.nan, math.inf):
        with pytest.raises(DataError, match="give a finite number"):
            Direction(torch.ones(6), threshold)
    assert Direction(torch.ones(6), torch.tensor(0.5)).projection_threshold == 0.5


@pytest.mark.parametrize("sizes", [(6, 0), (7, -1), (3.0, 3.0)])
def test_each_of_several_latents_has_a_dimension(sizes):
    with pytest.raises(ParameterError, match=r"sizes = .*: give a whole number"):
        ConcatenatedLatents(Bars(), sizes)


@pytest.mark.parametrize("temperature", [0, -0.7, math.nan, math.inf, True, torch.ones(6)])
def test_a_temperature_is_a_finite_number_above_zero(temperature):
    with pytest.raises(ParameterError, match=r"temperature = .*: give a finite number above 0"):
        AtTemperature(Bars(), temperature)
    AtTemperature(Bars(), 0.7)


@pytest.mark.parametrize("read", [lambda x: x.mean(0), lambda x: x[:1], lambda x: x[:, :, None]])
def test_a_classifier_describes_each_image_by_one_vector(read):
    def classifier(read):
        features = lambda _, images: read(images.flatten(1))  # noqa: E731
        return fg.as_classifier(Bars(), ("a",), features=features)

    images = torch.rand(3, 1, 8, 8)
    assert classifier(lambda x: x).features(images).shape == (3, 64)
    with pytest.raises(ModelError, match=r"for 3 images: return \(B, F\)"):
        classifier(read).features(images)


def test_scores_of_one_batch_do_not_make_up_for_those_of_another():
    def shifted(images):
        scores = width(images)
        return {20: scores.repeat(2)[:27], 13: scores[:6]}.get(len(images), scores)

    with pytest.raises(ModelError, match="for 20 images"):
        fg.prevalence(Bars(), shifted, threshold=8, n=33, batch_size=20)
