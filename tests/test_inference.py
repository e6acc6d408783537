"""An answer of a model is that of its own image alone, and every answer is looked at."""

import math

import pytest
import torch
from bars import Bars, width
from planted import IMAGES, Binned
from points import POINTS, Gaussian
from torch import nn

import forgetting as fg
from forgetting.border.forms import tells_forms
from forgetting.border.inference import classes, features, logits
from forgetting.border.preflight import check_flow
from forgetting.errors import DataError, DataWarning, ModelError
from forgetting.metrics.likelihood import mean_bits_per_dim


class SummedOverAll(Gaussian):
    """A flow that sums its constant Jacobian over the batch, too."""

    def log_prob(self, points):
        return super().log_prob(points) - self.scale.sum().expand(len(points)).sum()


class Sorted(Gaussian):
    """A flow whose answers are in the order of their size."""

    def log_prob(self, points):
        return super().log_prob(points).sort().values


class DimmedBySize(Bars):
    """A generator whose images depend on how many there are."""

    def forward(self, z):
        return super().forward(z) * min(1, 0.3 + len(z) / 500)


def test_an_answer_does_not_depend_on_the_size_of_the_batch_or_its_order():
    ascending = POINTS[POINTS.norm(dim=1).argsort(descending=True)]
    for flow in (SummedOverAll(), Sorted()):
        with pytest.raises(ModelError, match="another answer in a larger batch"):
            mean_bits_per_dim(flow, ascending)
    with pytest.raises(ModelError, match="another answer in a larger batch"):
        fg.prevalence(DimmedBySize(), width, threshold=5, n=20)
    for score in (
        lambda images: width(images) * len(images),
        lambda images: width(images) / len(images),
    ):
        with pytest.raises(ModelError, match="on their number"):
            fg.collect_latents(Bars(), score, 200)


class Placed(Bars):
    """A generator whose images depend on their place in the batch, as if on a class."""

    def forward(self, z):
        return super().forward(z) * (0.5 + 0.5 * (torch.arange(len(z)) % 2))[:, None, None, None]


class PlacedFlow(Binned):
    """A flow whose likelihoods depend on their place in the batch."""

    def log_prob(self, images):
        return super().log_prob(images) + torch.arange(len(images))


def test_an_answer_does_not_depend_on_its_place_in_the_batch():
    with pytest.raises(ModelError, match="depend on their place"):
        fg.prevalence(Placed(), width, threshold=8, n=20)
    with pytest.raises(ModelError, match="depend on their place"):
        check_flow(PlacedFlow(), IMAGES)
    with pytest.raises(ModelError, match="or on its place"):
        fg.prevalence(Bars(), lambda x: width(x) + torch.arange(len(x)), threshold=8, n=20)
    drawn = fg.as_generator(
        Bars(), 6, forward=lambda bars, z: bars(z) * torch.rand(len(z))[:, None, None, None]
    )
    fg.prevalence(drawn, width, threshold=8, n=20)


class Sometimes(Bars):
    """A generator whose images of some latents are wrong."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def forward(self, z):
        return torch.where((z[:, 2] > 2)[:, None, None, None], self.wrong, super().forward(z))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, 7.0])
def test_every_sampled_image_is_looked_at_not_only_the_first(wrong):
    def dark(images):  # a comparison hides what is not finite
        return (images.clone() > 0.5).float().mean((1, 2, 3))

    for call in (
        lambda: fg.prevalence(Sometimes(wrong), dark, threshold=0.2, n=500),
        lambda: fg.collect_latents(Sometimes(wrong), dark, 500, threshold=0.2),
    ):
        with pytest.raises(ModelError, match=r"Sometimes returns (images with )?values"):
            call()


class Classifier(nn.Module):
    """A classifier whose answers are pixels."""

    def logits(self, images):
        return images.flatten(1)

    features = classes = forward = logits


@pytest.mark.parametrize("read", [features, logits, classes])
def test_no_classifier_describes_images_of_another_range(read):
    for images in (255 * IMAGES, 2 * IMAGES - 1, IMAGES - 0.5):
        with pytest.raises(DataError, match=r"give images in \[0, 1\]"):
            read(Classifier(), images)
    for images in ((255 * IMAGES).to(torch.uint8), IMAGES, IMAGES[:0], IMAGES * math.nan):
        assert len(read(Classifier(), images)) == len(images)


class InForm(nn.Module):
    """A generator of faces whose images come in another form."""

    def __init__(self, form):
        super().__init__()
        self.inner, self.form = fg.load("faces-vae"), form
        self.latent_dim = self.inner.latent_dim

    def forward(self, z):
        return self.form(self.inner(z))


def test_a_classifier_that_is_surer_of_images_in_another_form_is_noted(recwarn):
    bangs = fg.load("faces-classifier-b")["Bangs"]
    ink = lambda images: images.sum((1, 2, 3))  # noqa: E731
    fg.prevalence(fg.load("faces-vae"), bangs, n=20)
    fg.prevalence(InForm(lambda x: x.flip(1)), ink, threshold=5000, n=20)
    assert not recwarn.list
    for form, words in (
        (lambda x: x.flip(1), "red and blue exchanged"),
        (lambda x: 1 - x, "negat"),
    ):
        with pytest.warns(DataWarning, match=f"surer of 64 images of InForm .*{words}.*learned"):
            fg.prevalence(InForm(form), bangs, n=20)


def test_classifiers_of_few_attributes_say_nothing_of_the_form_of_images():
    assert tells_forms(fg.load("digits-classifier-a")["3"])
    few = fg.as_classifier(Bars(), ["wide"], logits=lambda model, images: images.mean((2, 3)))
    assert not tells_forms(few["wide"])
    assert not tells_forms(width)
