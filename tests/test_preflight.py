"""Preflight: what breaks its contract is refused in one sentence, before anything starts."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bars import Bars, width
from torch import nn

import forgetting as fg
from forgetting.border.checks import check_images
from forgetting.border.feature_score import FeatureScore
from forgetting.border.preflight import check_flow, check_generator
from forgetting.border.sampling import check_scores_on
from forgetting.border.scores import check_score
from forgetting.errors import DataError, ModelError
from forgetting.methods.direction import Direction, collect_latents
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.likelihood import compare, mean_bits_per_dim
from forgetting.metrics.prevalence import prevalence
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)
ALONG = Direction(torch.eye(6)[0], 0.5)


class Density(nn.Module):
    """A flow whose log-density a function of itself and the points returns."""

    def __init__(self, function=None):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.function = function or each

    def log_prob(self, x):
        return self.function(self, x)


def each(self, x):
    return -((self.scale * x) ** 2).sum(1)


class Stateful:
    """Adds the number of its calls to the log-density."""

    def __init__(self):
        self.calls = 0

    def __call__(self, model, x):
        self.calls += 1
        return each(model, x) + self.calls


class Stale:
    """Keeps what it computed from the weights at its first call, as some flows do."""

    kept = None

    def __call__(self, model, x):
        if self.kept is None:
            self.kept = model.scale.detach().exp()
        return each(model, x) * 1e-3 - ((self.kept * x) ** 2).sum(1)


class StaleGraph(Stale):
    def __call__(self, model, x):
        if self.kept is None:
            self.kept = model.scale.exp()
        return -((self.kept * x) ** 2).sum(1)


def without_gradient(model, x):
    with torch.no_grad():
        return each(model, x)


@torch.inference_mode()
def in_inference_mode(model, x):
    return each(model, x)


def root_of_zero(model, x):
    return each(model, x) + (model.scale.sum() - model.scale.sum()).sqrt()


EVERYWHERE = {
    r"has the shape \(\d, 2\) for \d images, not \(\d,\): sum over": lambda m, x: (
        -((m.scale * x) ** 2)
    ),
    r"has the shape \(B, 1\), .*as_flow": lambda m, x: each(m, x)[:, None],
    r"has the shape \(\) for \d images.*not a sum or a mean of the batch": lambda m, x: each(
        m, x
    ).sum(),
    "beside other images": lambda m, x: each(m, x).mean().expand(len(x)),
    "statistics of the batch": lambda m, x: (
        each(m, x) - F.batch_norm(x, None, None, training=True).sum(1)
    ),
    r"is not finite .*\[nan, nan": lambda m, x: each(m, x) * torch.nan,
    "type list, not a tensor": lambda m, x: each(m, x).tolist(),
    "has the format torch.int64: return floats": lambda m, x: each(m, x).long(),
    "after another call": Stateful(),
    "draws random numbers that torch's seed": lambda m, x: each(m, x) + float(np.random.rand()),
    "changes its input in place": lambda m, x: each(m, x.add_(1)),
    r"fails on a batch of shape \(\d, 2\) in float32 \(ZeroDivisionError": lambda m, x: 1 / 0,
}

TUNED = {
    "has no gradient with respect to its weights": without_gradient,
    "no gradient with respect to its weights": in_inference_mode,
    "gradient with respect to the weights that are tuned": lambda m, x: (
        each(m, x).detach() + 0 * m.scale.sum()
    ),
    "with respect to its weights is not finite": root_of_zero,
    "keeps values that it computed": Stale(),
    "Switch off its cache": StaleGraph(),
}


@pytest.mark.parametrize("sentence", EVERYWHERE)
def test_a_flow_that_breaks_its_contract_is_refused_by_what_tunes_and_what_measures(sentence):
    flow = Density(EVERYWHERE[sentence])
    for call in (
        lambda: tame(flow, POINTS[:2], POINTS[2:], SHORT),
        lambda: mean_bits_per_dim(flow, POINTS),
    ):
        with pytest.raises(ModelError, match=sentence) as refusal:
            call()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("sentence", TUNED)
def test_a_flow_that_cannot_be_tuned_is_refused_and_can_be_measured(sentence):
    flow = Density(TUNED[sentence])
    with pytest.raises(ModelError, match=sentence):
        tame(flow, POINTS[:2], POINTS[2:], SHORT)
    assert mean_bits_per_dim(flow, POINTS).isfinite().all()


class Decoder(nn.Module):
    """A generator whose images a function of itself and the latents returns."""

    latent_dim = 6

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(6, 64)
        with torch.no_grad():
            values = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
            self.layer.weight.copy_(values)
            self.layer.bias.zero_()
        self.function = function

    def forward(self, z):
        return self.function(self.layer(z).view(-1, 1, 8, 8))


class Buffered:
    """Writes every answer to the same memory."""

    def __init__(self):
        self.buffer = torch.empty(0)

    def __call__(self, x):
        with torch.no_grad():
            return torch.sigmoid(x, out=self.buffer)


GENERATORS = {
    r"value_range=\(-1, 1\)": torch.tanh,
    r"value_range=\(0, 255\)\), with": lambda x: 255 * torch.sigmoid(x),
    "uint8, which have no gradient.*value_range=": lambda x: (255 * torch.sigmoid(x)).byte(),
    r"returns the shape \(5, 64\) .*forward=": lambda x: torch.sigmoid(x).flatten(1),
    "not finite": lambda x: torch.sigmoid(x) * torch.nan,
    "statistics of the batch": lambda x: torch.sigmoid(x - x.mean(0)),
    r"\(5, 8, 8, 1\), whose channels are last": lambda x: x.sigmoid().permute(0, 2, 3, 1),
    "returns the same tensor from every call": Buffered(),
}


@pytest.mark.parametrize("sentence", GENERATORS)
def test_a_generator_that_breaks_its_contract_is_refused_everywhere(sentence):
    generator = Decoder(GENERATORS[sentence])
    z = torch.zeros(20, 6)
    for call in (
        lambda: unlearn_feature(generator, ALONG, UnlearningConfig(steps=1)),
        lambda: collect_latents(generator, lambda x: x.mean((1, 2, 3)), 200),
        lambda: prevalence(generator, lambda x: x.mean((1, 2, 3)) - 0.5, n=10),
        lambda: latent_attack(generator, lambda x: x.mean((1, 2, 3)), 2),
        lambda: inversion_attack(generator, IMAGES, lambda x: x.flatten(1)),
        lambda: relearn(generator, IMAGES[:20], z, [1], id),
        lambda: linear_probe(generator, generator.layer, z, torch.arange(20) < 10),
    ):
        with pytest.raises(ModelError, match=sentence):
            call()


def unpacking(module, batch):
    z, _ = batch
    return module(z[None])


def test_a_module_that_fails_is_told_what_to_try_and_what_it_gets():
    layers = nn.Sequential(nn.ConvTranspose2d(8, 1, 8), nn.Sigmoid())
    for shape, shown in (
        ((4, 4, 4), r"\(5, 4, 4, 4\)"),
        ([(8, 1, 1), (2,)], r"\(5, 8, 1, 1\) and \(5, 2\)"),
    ):
        generator = fg.as_generator(layers, latent_shape=shape)
        sentence = rf"fails on a batch of shape {shown} in .*`latent_shape`.*forward=lambda"
        with pytest.raises(ModelError, match=sentence) as refusal:
            check_generator(generator)
        assert "\n" not in str(refusal.value)
    flow = fg.as_flow(Density(lambda m, x: each(m, x.view(len(x), 3))))
    with pytest.raises(ModelError, match=r"shape \(5, 2\) in .*as_flow\(flow, log_prob="):
        check_flow(flow, POINTS)


def test_a_batch_is_no_pair_that_a_module_could_unpack():
    generator = fg.as_generator(Decoder(torch.sigmoid), 6, forward=unpacking)
    with pytest.raises(ModelError, match="too many values to unpack"):
        check_generator(generator)


def test_images_that_are_no_floats_in_0_1_are_refused_in_a_sentence():
    flow = fg.as_flow(Density(), log_prob=lambda m, x: -m.scale.sum() * (x**2).flatten(1).sum(1))
    for images, sentence in (
        ((255 * IMAGES).byte(), r"torch\.uint8: give floats in \[0, 1\], such as images\.float"),
        (IMAGES * 2 - 1, r"such as \(images \+ 1\) / 2"),
        (IMAGES * 255, "such as images / 255"),
        (IMAGES * torch.nan, "values that are not finite"),
        (IMAGES.numpy(), "must be a tensor, not ndarray"),
    ):
        with pytest.raises(DataError, match=sentence):
            tame(flow, images[:2], images[2:], SHORT)
        with pytest.raises(DataError, match=sentence):
            compare(flow, flow, {"all": images}, images)
    for images in (IMAGES.double(), IMAGES.bfloat16(), IMAGES.clone().requires_grad_()):
        tame(flow, images[:2], images[2:], SHORT)
    assert check_images(POINTS * 9, "Points").dtype == torch.float32
    with pytest.raises(DataError, match="not a single number"):
        fg.tame(flow, torch.tensor(0.5), IMAGES)


class Noisy(nn.Module):
    """A generator, and a flow, that draws noise of its own in evaluation mode."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.bars = Bars()

    def forward(self, z):
        images = self.bars(z)
        return F.dropout(images, 0.1) * 0.9

    def log_prob(self, x):
        return -((self.bars.gain * (x + 0.1 * torch.randn_like(x))) ** 2).sum(1)


def test_a_model_with_noise_of_its_own_gives_equal_results_for_equal_seeds():
    generator, flow = Noisy(), Noisy()

    def results():
        torch.randn(7)  # another state of the global generator at every call
        before = torch.get_rng_state()
        figures = [
            prevalence(generator, lambda x: width(x) - 8, n=100).share,
            collect_latents(generator, width, 200).positive.sum(),
            unlearn_feature(generator, ALONG, UnlearningConfig(steps=2)).history[-1]["loss"],
            latent_attack(generator, width, 3, steps=3).sum(),
            mean_bits_per_dim(flow, POINTS).sum(),
            tame(flow, POINTS[:2], POINTS[2:], SHORT).history[-1]["forget_bpd"],
        ]
        assert torch.equal(before, torch.get_rng_state())
        return [float(figure) for figure in figures]

    assert results() == results()
    comparison = compare(flow, flow, {"all": POINTS}, POINTS)
    assert comparison.shift("all") == (0, 0, 0)
    first, second = (mean_bits_per_dim(flow, POINTS, 1, seed) for seed in (1, 2))
    assert not torch.equal(first, second)


def test_preflight_leaves_torchs_random_numbers_alone(flow, bars):
    before = torch.get_rng_state()
    check_flow(flow, POINTS, is_tuned=True)
    check_generator(bars, is_tuned=True, is_followed=True)
    check_score(width, bars(torch.eye(6)).detach(), is_followed=True)
    assert torch.equal(before, torch.get_rng_state())


class Eight(Bars):
    """A generator that rounds its images to 8 bits."""

    def forward(self, z):
        return (super().forward(z) * 255).round() / 255


def test_latents_without_a_gradient_to_follow_are_refused():
    with pytest.raises(ModelError, match="gradient of Eight with respect to its latents is 0"):
        latent_attack(Eight(), width, 2, steps=1)


def test_noise_of_a_flows_own_that_hardly_counts_is_no_dependence_on_the_place():
    def noisy(model, x):
        return -(model.scale.sum() * x).flatten(1).sum(1) * 0 - 8 + 6.4e-4 * torch.randn(len(x))

    check_flow(Density(noisy), POINTS)


class Normalised(nn.Module):
    """A generator, a flow and a classifier with a layer that normalises."""

    latent_dim, attributes = 4, ("bright", "dark")

    def __init__(self, *, is_trained):
        super().__init__()
        self.norm, self.scale = nn.BatchNorm1d(4), nn.Linear(4, 4)
        if is_trained:
            self.norm(torch.rand(9, 4))
        self.eval()

    def forward(self, latents):
        return self.scale(self.norm(latents)).sigmoid().view(-1, 1, 2, 2)

    def log_prob(self, images):
        return self(images.flatten(1)).log().sum((1, 2, 3))

    def logits(self, images):
        return self(images.flatten(1)).flatten(1)[:, :2] - 0.5

    def __getitem__(self, name):
        return FeatureScore(self, name)


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_layer_with_the_running_statistics_of_a_new_one_is_noted(is_trained):
    model, trained = Normalised(is_trained=is_trained), Normalised(is_trained=True)
    for check in (
        lambda: check_generator(model),
        lambda: check_flow(model, torch.rand(5, 1, 2, 2)),
        lambda: check_scores_on(trained, [model["bright"]], is_logit=False),
    ):
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            check()
        said = [w for w in noted if "1 of 1 normalising layers of Normalised" in str(w.message)]
        assert len(said) == (not is_trained)
