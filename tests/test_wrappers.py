"""Adapters: what another library made is a flow, a generator or a classifier."""

import math
import types

import numpy as np
import pytest
import torch
from bars import Bars, BendingBars, Eyes, width
from torch import nn

import forgetting as fg
from forgetting.border.feature_score import FeatureScore
from forgetting.border.preflight import check_generator
from forgetting.errors import DataError, DataWarning, ModelError, ParameterError
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.prevalence import prevalence

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)
ALONG = Direction(torch.eye(6)[0], 0.5)


class Density(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))

    def log_prob(self, x):
        return -((self.scale * x) ** 2).sum(1)


def test_flows_of_other_libraries_are_refused_with_the_adapter_that_they_need():
    class Distribution(nn.Module):
        def forward(self):
            return torch.distributions.Normal(0.0, 1.0)

    class Conditional(Density):
        def log_prob(self, x, y):
            return super().log_prob(x)

    with pytest.raises(ModelError, match=r"no `log_prob`: give as_flow.*zuko.*flow\(\)"):
        tame(Distribution(), POINTS[:2], POINTS[2:])
    for call in (fg.as_flow, lambda flow: tame(flow, POINTS[:2], POINTS[2:])):
        with pytest.raises(ModelError, match=r"needs `y` besides .*flow.log_prob\(images, y="):
            call(Conditional())
    adapted = fg.as_flow(Conditional(), log_prob=lambda flow, x: flow.log_prob(x, None)[:, None])
    result = tame(adapted, POINTS[:2], POINTS[2:], SHORT)
    assert not torch.equal(result.model.module.scale, adapted.module.scale)


def test_an_adapter_makes_a_strangers_generator_one_of_ours():
    class Convolutional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.ConvTranspose2d(6, 1, 8)

        def forward(self, z):
            return torch.tanh(self.layer(z))

    module = Convolutional()
    with pytest.raises(ModelError, match=r"no `latent_dim`.*latent_shape=\(100, 1, 1\)"):
        prevalence(module, width)
    with pytest.raises(ModelError, match=r"returns values from -.*value_range=\(-1, 1\)"):
        check_generator(fg.as_generator(module, latent_shape=(6, 1, 1)))
    generator = fg.as_generator(module, latent_shape=(6, 1, 1), value_range=(-1, 1))
    result = unlearn_feature(generator, ALONG, UnlearningConfig(steps=2, batch_size=8))
    assert not torch.equal(result.model.module.layer.weight, module.layer.weight)
    z = torch.randn(3, 6)
    torch.testing.assert_close(generator(z), (module(z[:, :, None, None]) + 1) / 2)
    for wrong in ({}, {"latent_dim": 0}, {"latent_dim": True}, {"latent_shape": (6, 1.5)}):
        with pytest.raises(ParameterError):
            fg.as_generator(module, **wrong)
    with pytest.raises(ParameterError, match="the lower one first"):
        fg.as_generator(module, 6, value_range=(1, -1))


def test_a_classifier_of_another_library_scores_attributes_by_name():
    classifier = fg.as_classifier(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), ("a", "b"))
    assert torch.equal(classifier.logit(IMAGES, "b"), classifier.module(IMAGES)[:, 1])
    with pytest.raises(ModelError, match="has no features: give as_classifier"):
        classifier.features(IMAGES)
    with pytest.raises(ModelError, match=r"the shape \(40, 2\) for 40 images and 1 attributes"):
        fg.as_classifier(classifier.module, ("a",)).logits(IMAGES)
    with pytest.raises(ParameterError, match="different names"):
        fg.as_classifier(classifier.module, "ab")


def test_a_function_of_an_adapter_that_holds_the_module_is_refused():
    module = Density()
    flow = fg.as_flow(module, log_prob=lambda _, points: module.log_prob(points))
    with pytest.raises(ModelError, match=r"tensor of the model itself.*first argument"):
        tame(flow, POINTS[:2], POINTS[2:], SHORT)


def test_flows_of_zuko_and_normflows_are_tamed_behind_an_adapter():
    zuko, normflows = (pytest.importorskip(name) for name in ("zuko", "normflows"))
    spline = zuko.flows.NSF(2, transforms=1, hidden_features=(8,))
    layers = [normflows.flows.AffineCouplingBlock(normflows.nets.MLP([1, 8, 2]))]
    real = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), layers)
    adapted = fg.as_flow(spline, log_prob=lambda flow, points: flow().log_prob(points))
    for flow in (adapted, real):
        before = [parameter.detach().clone() for parameter in flow.parameters()]
        tuned = tame(flow, POINTS[:2], POINTS[2:], SHORT).model
        assert any(not torch.equal(a, b) for a, b in zip(before, tuned.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(before, flow.parameters(), strict=True))
    spline.log_prob = lambda points: spline().log_prob(points)
    with pytest.raises(ModelError, match="tensor of the model itself"):
        tame(spline, POINTS[:2], POINTS[2:], SHORT)


@pytest.mark.parametrize("value_range", [(0, math.inf), (-math.inf, 1), (math.nan, 1), (1, 1)])
def test_a_range_of_values_is_finite(value_range):
    with pytest.raises(ParameterError, match="two finite numbers"):
        fg.as_generator(Bars(), 6, value_range=value_range)


@pytest.mark.parametrize("shape", [(4, 3), (2, 12), (6,), (2, 6, 1, 1)])
def test_values_of_two_latents_do_not_make_one(shape):
    generator = fg.as_generator(Bars(), latent_shape=(6,))
    with pytest.raises(DataError, match=r"give \(B, 6\)"):
        generator(torch.randn(shape))


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 255), (-2, 2)])
def test_a_range_that_is_too_wide_for_a_generators_values_is_noted(value_range):
    with pytest.warns(DataWarning, match=r"returns values from .*give value_range=\(0, 1\)"):
        check_generator(fg.as_generator(Bars(), 6, value_range=value_range))


@pytest.mark.parametrize("value_range", [(0, 255), (-2, 2), (-1, 2)])
def test_a_range_that_is_too_wide_for_the_values_of_a_tanh_is_noted(value_range):
    def signed(bars, latents):
        return 2 * bars(latents) - 1

    generator = fg.as_generator(Bars(), 6, value_range=value_range, forward=signed)
    with pytest.warns(DataWarning, match=r"returns values from -.*give value_range=\(-1, 1\)"):
        check_generator(generator)


def test_a_range_that_fits_a_generators_values_is_not_noted(recwarn):
    scaled = fg.as_generator(
        Bars(), 6, value_range=(-1, 1), forward=lambda bars, z: 2 * bars(z) - 1
    )
    check_generator(scaled)
    check_generator(Bars())
    assert not recwarn.list


@pytest.mark.parametrize("read", [lambda x: x.mean(0), lambda x: x[:1], lambda x: x[:, :, None]])
def test_a_classifier_describes_each_image_by_one_vector(read):
    def classifier(read):
        features = lambda _, images: read(images.flatten(1))  # noqa: E731
        return fg.as_classifier(Bars(), ("a",), features=features)

    images = torch.rand(3, 1, 8, 8)
    assert classifier(lambda x: x).features(images).shape == (3, 64)
    with pytest.raises(ModelError, match=r"for 3 images: return \(B, F\)"):
        classifier(read).features(images)


@pytest.mark.parametrize("form", [tuple, list, lambda parts: dict(enumerate(parts))])
@pytest.mark.parametrize("name", ["logits", "features"])
def test_what_a_classifier_returns_that_is_no_tensor_is_refused_with_what_to_give(name, form):
    function = {name: lambda _, images: form([images.flatten(1)[:, :1], images])}
    classifier = fg.as_classifier(Bars(), ("a",), **function)
    with pytest.raises(ModelError, match=rf"The {name} of Bars are a .* as_classifier\(\.\.\., "):
        getattr(classifier, name)(torch.rand(3, 1, 8, 8))


class Answers(nn.Module):
    """Returns the images of `Bars` as its `form` says."""

    def __init__(self, form):
        super().__init__()
        self.bars, self.form = Bars(), form

    def forward(self, z):
        images = self.bars(z)
        held = types.SimpleNamespace(sample=images, latents=z)
        forms = {
            "tuple": (images, z),
            "list": [z, images],
            "dictionary": {"latents": z, "images": images},
            "object": held,
            "no images": (z, z),
            "two": (images, images),
            "text": "images",
        }
        return forms[self.form]


@pytest.mark.parametrize("form", ["tuple", "list", "dictionary", "object"])
def test_images_are_found_in_whatever_a_generator_returns(form):
    generator = fg.as_generator(Answers(form), 6)
    check_generator(generator, is_tuned=True)
    latents = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(generator(latents), Bars()(latents))


@pytest.mark.parametrize(("form", "number"), [("no images", "no"), ("two", "2"), ("text", "no")])
def test_an_answer_without_images_or_with_several_is_refused(form, number):
    with pytest.raises(
        ModelError, match=rf"with {number} tensors \(B, C, H, W\): give .*forward="
    ):
        fg.as_generator(Answers(form), 6)(torch.zeros(2, 6))


def test_a_generator_with_several_latents_takes_their_concatenation():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.bars = Bars()

        def forward(self, first, second):
            assert second.shape[1:] == (2, 2)
            return self.bars(torch.cat([first, second.flatten(1)], 1))

    generator = fg.as_generator(Two(), latent_shape=[(2,), (2, 2)])
    assert generator.latent_dim == 6
    check_generator(generator, is_tuned=True)
    latents = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(generator(latents), Bars()(latents))


@pytest.mark.parametrize("number_format", [torch.float16, torch.bfloat16, torch.float64])
def test_a_generator_in_another_number_format_gives_float32_images(number_format):
    generator = fg.as_generator(Bars().to(number_format), 6)
    assert generator(torch.zeros(2, 6)).dtype == torch.float32


def test_wrappers_for_several_devices_and_for_speed_are_no_hindrance(tmp_path):
    generator = fg.as_generator(nn.DataParallel(Bars()), 6)
    check_generator(generator, is_tuned=True)
    compiled = torch.compile(Bars(), backend="eager")
    generator = fg.as_generator(compiled, 6)
    check_generator(generator, is_tuned=True)
    result = unlearn_feature(generator, ALONG, UnlearningConfig(steps=1))
    assert not torch.equal(result.model.module.gain, compiled.gain)


def test_a_flow_that_returns_a_distribution_has_the_log_density_of_that():
    class Returns(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Parameter(torch.zeros(16))

        def forward(self, c=None):
            normal = torch.distributions.Normal(self.mean, 1.0)
            return torch.distributions.Independent(normal, 1)

    flow = fg.as_flow(Returns())
    assert flow.log_prob(IMAGES).shape == (40,)
    result = tame(flow, IMAGES[:4], IMAGES[4:], SHORT)
    assert not torch.equal(result.model.module.mean, flow.module.mean)


class Softmax(nn.Module):
    """A classifier of four classes as `CrossEntropyLoss` trains one, and what is made of it."""

    def __init__(self, of=lambda logits: logits):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.linear = nn.Linear(16, 4)
        self.of = of

    def forward(self, images):
        return self.of(5 * self.linear(images.flatten(1)))


@pytest.mark.parametrize(
    "of", [lambda x: x, lambda x: x + 7, lambda x: x - 7, lambda x: x.log_softmax(1)]
)
def test_a_class_of_a_strangers_softmax_is_there_where_its_chance_is_above_one_half(of):
    classifier = fg.as_classifier(Softmax(of), ["a", "b", "c", "d"], n_classes=4)
    chances = Softmax()(IMAGES).softmax(1)
    scores = torch.stack([classifier[name](IMAGES) for name in "abcd"], 1)
    torch.testing.assert_close(scores.sigmoid(), chances)


def test_what_a_softmax_returns_is_not_taken_for_logits():
    names = ["a", "b", "c", "d"]
    logarithms = fg.as_classifier(Softmax(lambda x: x.log_softmax(1)), names)
    with pytest.raises(ModelError, match=r"none of which is above 0: give .*n_classes=4"):
        fg.prevalence(FourByFour(), logarithms["b"], n=10)
    chances = fg.as_classifier(Softmax(lambda x: x.softmax(1)), names, n_classes=4)
    with pytest.raises(ModelError, match="returns probabilities of 4 classes"):
        fg.prevalence(FourByFour(), chances["b"], n=10)
    for n_classes in (1, 5):
        with pytest.raises(ParameterError, match=f"n_classes = {n_classes} with 4 attributes"):
            fg.as_classifier(Softmax(), names, n_classes=n_classes)


def test_a_whole_number_is_the_shape_of_a_flat_latent():
    generator = fg.as_generator(FourByFour(), latent_shape=16)
    assert generator.latent_shapes == ((16,),)
    assert generator(torch.randn(3, 16)).shape == (3, 1, 4, 4)
    for shape in (0, 2.5, True, "16"):
        with pytest.raises(ParameterError, match="give a whole number of at least 1"):
            fg.as_generator(FourByFour(), latent_shape=shape)


def test_a_generator_is_shown_in_a_line():
    generator = fg.as_generator(Bars(), latent_shape=[(2,), (4, 1)], value_range=(-1, 1))
    expected = "AdaptedGenerator(Bars, latents (2,) and (4, 1), value_range (-1, 1))"
    assert repr(generator) == expected


def test_a_classifier_that_cannot_be_called_is_refused_at_once():
    with pytest.raises(ModelError, match=r"Classifier has no `forward`.*logits=.*index it by"):
        fg.as_classifier(fg.load("digits-classifier-a"), ("7",))
    logits = fg.as_classifier(
        fg.load("digits-classifier-a"), ("0",), logits=lambda module, x: module.logits(x)[:, :1]
    )
    assert logits["0"](torch.rand(2, 1, 28, 28)).shape == (2,)


class FourByFour(nn.Module):
    """Images of 4 px."""

    latent_dim = 16

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return torch.sigmoid(self.scale * z).view(-1, 1, 4, 4)


def test_a_score_with_a_threshold_is_counted_at_it():
    classifier = fg.as_classifier(Eyes(4.0), ("wide", "right"), logits=Eyes.logits)
    wide = classifier["wide"]
    at_six = prevalence(BendingBars(), wide, threshold=6, n=300)
    assert prevalence(BendingBars(), wide.at(6), n=300) == at_six
    assert prevalence(BendingBars(), wide, n=300).share > at_six.share
    assert prevalence(BendingBars(), wide.at(6), threshold=0, n=300).share > at_six.share
    with pytest.raises(ParameterError, match="the threshold 6, which a share does not use"):
        fg.collect_latents(BendingBars(), wide.at(6), 300)
    assert len(fg.collect_latents(BendingBars(), wide.at(6), 300, threshold=6).positive) > 10


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0", True, 1j, [0.5]])
def test_a_threshold_that_is_no_finite_number_is_refused_where_it_is_given(value):
    wide = fg.as_classifier(Eyes(4.0), ("wide", "right"), logits=Eyes.logits)["wide"]
    with pytest.raises(ParameterError, match=r"threshold = .*: give a finite number\."):
        wide.at(value)


def test_a_threshold_may_be_a_number_of_numpy_or_of_torch():
    wide = fg.as_classifier(Eyes(4.0), ("wide", "right"), logits=Eyes.logits)["wide"]
    for value in (np.float32(0.5), torch.tensor(0.5)):
        assert wide.at(value) == wide.at(0.5)


@pytest.mark.parametrize(
    "names", [{"wide", "right"}, {"wide": 1, "right": 0}, frozenset(["wide"])]
)
def test_names_without_an_order_are_refused(names):
    with pytest.raises(ParameterError, match=r"attributes is of type .*, where the order counts"):
        fg.as_classifier(Eyes(4.0), names, logits=Eyes.logits)
    with pytest.raises(ParameterError, match=r"attributes is of type .*, where the order counts"):
        FeatureScore(types.SimpleNamespace(attributes=names), "wide")


def test_shapes_and_ranges_without_an_order_are_refused():
    for options in (
        {"latent_shape": {4, 1}},
        {"latent_shape": {4: 1}},
        {"latent_dim": 6, "value_range": {-1, 1}},
    ):
        with pytest.raises(ParameterError, match="where the order counts: give a list"):
            fg.as_generator(Bars(), **options)
