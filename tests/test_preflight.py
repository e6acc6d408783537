"""Preflight: what breaks its contract is refused in one sentence, before anything starts."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bars import Bars, width
from torch import nn

import forgetting as fg
from forgetting import methods, metrics, probes
from forgetting.contracts import check_images, check_score
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, collect_latents
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig, TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.metrics.likelihood import cached_bits_per_dim, compare, mean_bits_per_dim
from forgetting.metrics.prevalence import prevalence
from forgetting.preflight import check_flow, check_generator
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
    r"has the shape \(2, 2\) for 2 images, not \(2,\): sum over": lambda m, x: (
        -((m.scale * x) ** 2)
    ),
    r"has the shape \(B, 1\), .*as_flow": lambda m, x: each(m, x)[:, None],
    r"has the shape \(\) for 2 images.*not a sum or a mean of the batch": lambda m, x: each(
        m, x
    ).sum(),
    "beside other images": lambda m, x: each(m, x).mean().expand(len(x)),
    "statistics of the batch": lambda m, x: (
        each(m, x) - F.batch_norm(x, None, None, training=True).sum(1)
    ),
    r"is not finite .*\[nan, nan\]": lambda m, x: each(m, x) * torch.nan,
    "type list, not a tensor": lambda m, x: each(m, x).tolist(),
    "has the format torch.int64: return floats": lambda m, x: each(m, x).long(),
    "after another call": Stateful(),
    "draws random numbers that torch's seed": lambda m, x: each(m, x) + float(np.random.rand()),
    r"fails on a batch of shape \(2, 2\) in float32 \(ZeroDivisionError": lambda m, x: 1 / 0,
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


def test_flows_of_other_libraries_are_refused_with_the_adapter_that_they_need():
    class Distribution(nn.Module):
        def forward(self):
            return torch.distributions.Normal(0.0, 1.0)

    class Conditional(Density):
        def log_prob(self, x, y):
            return super().log_prob(x)

    for call in (fg.as_flow, lambda flow: tame(flow, POINTS[:2], POINTS[2:])):
        with pytest.raises(ModelError, match=r"no `log_prob`: give as_flow.*zuko.*flow\(\)"):
            call(Distribution())
        with pytest.raises(ModelError, match=r"needs `y` besides .*flow.log_prob\(images, y="):
            call(Conditional())
    adapted = fg.as_flow(Conditional(), log_prob=lambda flow, x: flow.log_prob(x, None)[:, None])
    result = tame(adapted, POINTS[:2], POINTS[2:], SHORT)
    assert not torch.equal(result.model.module.scale, adapted.module.scale)


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


GENERATORS = {
    r"value_range=\(-1, 1\)": torch.tanh,
    r"value_range=\(0, 255\)\), with": lambda x: 255 * torch.sigmoid(x),
    "uint8, which have no gradient.*value_range=": lambda x: (255 * torch.sigmoid(x)).byte(),
    r"returns the shape \(2, 64\) .*forward=": lambda x: torch.sigmoid(x).flatten(1),
    "not finite": lambda x: torch.sigmoid(x) * torch.nan,
    "statistics of the batch": lambda x: torch.sigmoid(x - x.mean(0)),
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
        lambda: relearn(generator, IMAGES, z, [1], id),
        lambda: linear_probe(generator, generator.layer, z, torch.arange(20) < 10),
    ):
        with pytest.raises(ModelError, match=sentence):
            call()


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
    with pytest.raises(ParameterError, match="lower value first"):
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


SCORES = {
    r"returns the shape \(8, 1\) for 8 images": lambda x: width(x)[:, None],
    r"returns the shape \(\)": lambda x: x.mean(),
    r"format torch\.bool: return floats": lambda x: width(x) > 5,
    r"format torch\.uint8": lambda x: width(x).byte(),
    "type ndarray, not a tensor": lambda x: width(x).detach().numpy(),
    "not finite": lambda x: width(x) / 0,
    "depends on the other images": lambda x: width(x) - width(x).mean(),
    "fails on images of shape": lambda x: x.no_such_thing,
}


@pytest.mark.parametrize("sentence", SCORES)
def test_a_score_that_breaks_its_contract_is_refused_everywhere(bars, sentence):
    score = SCORES[sentence]
    for call in (
        lambda: gradient_ascent(bars, ALONG, score),
        lambda: collect_latents(bars, score, 200),
        lambda: prevalence(bars, score, n=10),
        lambda: latent_attack(bars, score, 2),
    ):
        with pytest.raises(ModelError, match=sentence):
            call()


def test_probabilities_are_not_taken_for_logits(bars):
    def probability(images):
        return torch.sigmoid(width(images) - 8)

    for call in (
        lambda: gradient_ascent(bars, ALONG, probability),
        lambda: collect_latents(bars, probability, 200, threshold=0.0),
        lambda: prevalence(bars, probability, n=10),
    ):
        with pytest.raises(ModelError, match=r"as probabilities do.*threshold=0\.5"):
            call()
    assert prevalence(bars, probability, n=10, threshold=0.5).n == 10
    assert collect_latents(bars, probability, 200).positive.shape == (20, 6)


def test_a_score_without_gradient_is_refused_where_its_gradient_is_followed(bars):
    for call in (
        lambda: gradient_ascent(bars, ALONG, lambda x: width(x.detach())),
        lambda: latent_attack(bars, lambda x: (x > 0.5).float().mean((1, 2, 3)), 2),
    ):
        with pytest.raises(ModelError, match="score has no gradient with respect to the images"):
            call()


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, lambda _: nn.Dropout(0.5)])
def test_a_score_in_training_mode_is_refused_and_its_statistics_stay(bars, kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Flatten(), nn.Linear(1024, 4), kind(4), nn.Linear(4, 1)
    model = nn.Sequential(*layers).train()
    before = [value.clone() for value in (*model.parameters(), *model.buffers())]
    with pytest.raises(ModelError, match=r"evaluation mode with `eval\(\)`"):
        prevalence(bars, lambda x: 9 * model(x)[:, 0], n=10)
    after = [*model.parameters(), *model.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    model.eval()
    config = gradient_ascent.configure({"steps": 1})
    gradient_ascent(bars, ALONG, lambda x: 9 * (model(x)[:, 0] - 0.1), config)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_images_that_are_no_floats_in_0_1_are_refused_in_a_sentence():
    flow = fg.as_flow(Density(), log_prob=lambda m, x: -m.scale.sum() * (x**2).flatten(1).sum(1))
    for images, sentence in (
        ((255 * IMAGES).byte(), r"torch\.uint8: give floats in \[0, 1\], such as images\.float"),
        (IMAGES * 2 - 1, r"such as \(images \+ 1\) / 2"),
        (IMAGES * 255, "such as images / 255"),
        (IMAGES * torch.nan, "values from nan"),
        (IMAGES.numpy(), "must be a tensor, not ndarray"),
    ):
        with pytest.raises(DataError, match=sentence):
            tame(flow, images[:2], images[2:], SHORT)
        with pytest.raises(DataError, match=sentence):
            compare(flow, flow, {"all": images}, images)
    tame(flow, IMAGES[:2].double(), IMAGES[2:].double(), SHORT)
    assert check_images(POINTS * 9, "Points").dtype == torch.float32


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


def test_settings_of_the_callers_program_do_not_reach_a_method(bars):
    def results():
        config = UnlearningConfig(steps=2, batch_size=8)
        direction = Direction(torch.eye(6, dtype=torch.float32)[0], 0.5)
        return [
            unlearn_feature(bars, direction, config).history[-1]["loss"],
            tame(Density(), POINTS[:2], POINTS[2:], SHORT).history[-1]["forget_bpd"],
            prevalence(bars, width, n=20, threshold=8).share,
            float(latent_attack(bars, width, 3, steps=2).sum()),
        ]

    usual = results()
    for settings in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
    ):
        with settings:
            assert results() == usual
    torch.set_default_dtype(torch.float64)
    try:
        density = Density().float()
        assert tame(density, POINTS[:2], POINTS[2:], SHORT).history[-1]["forget_bpd"] == usual[1]
        assert (
            unlearn_feature(bars, ALONG, UnlearningConfig(steps=2, batch_size=8)).history[-1][
                "loss"
            ]
            == usual[0]
        )
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("seed", [10**23, -1, True, 1.5])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(bars, seed):
    for call in (
        lambda: prevalence(bars, width, seed=seed),
        lambda: collect_latents(bars, width, 200, seed=seed),
        lambda: latent_attack(bars, width, 2, seed=seed),
        lambda: mean_bits_per_dim(Density(), POINTS, 1, seed),
    ):
        with pytest.raises(ParameterError, match=r"seed = .*whole number from 0 to 2\*\*62"):
            call()
    for config in (TamingConfig, TargetConfig, UnlearningConfig):
        with pytest.raises(ValueError, match="seed"):
            config(seed=seed)


@pytest.mark.parametrize("n", [0, -3, True, 2.5])
def test_a_count_that_is_no_positive_whole_number_is_refused(bars, n):
    for call in (
        lambda: prevalence(bars, width, n=n),
        lambda: prevalence(bars, width, batch_size=n),
        lambda: collect_latents(bars, width, n),
        lambda: latent_attack(bars, width, n),
        lambda: latent_attack(bars, width, 2, restarts=n),
        lambda: inversion_attack(bars, IMAGES, width, restarts=n),
    ):
        with pytest.raises(ParameterError, match=r"= .*: give a whole number of at least 1"):
            call()
    with pytest.raises(ValueError, match="steps"):
        UnlearningConfig(steps=n)


class Touchy:
    """Raises if a module is used or changed that is marked, which its copies are not."""

    marked = None

    def _notice(self):
        assert self.marked != id(self), "the original was touched"


def noticing(name):
    def method(self, *args, **kwargs):
        self._notice()
        return getattr(super(Touchy, self), name)(*args, **kwargs)

    return method


for _name in ("train", "eval", "requires_grad_", "zero_grad", "_apply", "__call__"):
    setattr(Touchy, _name, noticing(_name))
for _name in ("register_forward_hook", "register_forward_pre_hook", "load_state_dict"):
    setattr(Touchy, _name, noticing(_name))


class TouchyGenerator(Touchy, Noisy):
    """Has batch norm in training mode, and is a flow as well."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def forward(self, z):
        return self.bars(self.norm(z))

    def log_prob(self, x):
        self._notice()
        return -((self.bars.gain * x) ** 2).sum(1)


def touchy():
    model = TouchyGenerator().train()
    model.bars.gain.grad = torch.ones(2)
    model.marked = id(model)
    return model


Z = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
LINE = Target(("Right",), torch.tensor([0.4, 0.6]))
CALLS = {
    "tame": lambda m: tame(m, POINTS[:2], POINTS[2:], SHORT),
    "meet_target": lambda m: meet_target(
        m, POINTS, (POINTS[:, 0] < 0).long(), LINE, lambda *_: torch.tensor([0.5, 0.5]),
        TargetConfig(max_steps=2, log_every=1),
    ),
    "compare": lambda m: compare(m, m, {"all": POINTS}, POINTS),
    "cached_bits_per_dim": lambda m: cached_bits_per_dim(m, POINTS),
    "mean_bits_per_dim": lambda m: mean_bits_per_dim(m, POINTS),
    "collect_latents": lambda m: collect_latents(m, width, 200),
    "unlearn_feature": lambda m: unlearn_feature(m, ALONG, UnlearningConfig(steps=1)),
    "prevalence": lambda m: prevalence(m, width, n=20, threshold=8),
    "latent_attack": lambda m: latent_attack(m, width, 2, steps=2),
    "inversion_attack": lambda m: inversion_attack(m, Bars()(Z), lambda x: x.flatten(1), steps=2),
    "relearn": lambda m: relearn(m, Bars()(Z), Z, [1], lambda model: model(Z)),
    "linear_probe": lambda m: linear_probe(m, m.norm, Z, torch.arange(20) < 10),
    **{
        name: lambda m, method=method: method(
            m, ALONG, width, method.configure({"steps": 1, "fisher_batches": 1})
        )
        for name, method in METHODS.items()
    },
}  # fmt: skip


def public_functions():
    """Yield the names of all public functions of methods, metrics and probes on a model."""
    for package in (methods, metrics, probes):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    parameters = inspect.signature(function).parameters.values()
                    if nn.Module in [parameter.annotation for parameter in parameters]:
                        yield name


def test_every_public_function_on_a_model_is_tried_on_one_that_notices():
    picks_a_part = {"all_weights"}
    assert set(public_functions()) - picks_a_part | set(METHODS) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_model_that_notices_being_touched_notices_nothing(name):
    model = touchy()
    before = [
        (t, t.detach().clone(), t._version, t.requires_grad, t.grad)
        for t in (*model.parameters(), *model.buffers())
    ]
    random = torch.get_rng_state()
    CALLS[name](model)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for module in model.modules())
    for tensor, value, version, requires_grad, grad in before:
        assert torch.equal(tensor, value)
        assert (tensor._version, tensor.requires_grad) == (version, requires_grad)
        assert tensor.grad is grad
    assert torch.equal(model.bars.gain.grad, torch.ones(2))
    with pytest.raises(AssertionError, match="was touched"):
        model(Z)


def test_preflight_leaves_torchs_random_numbers_alone(flow, bars):
    before = torch.get_rng_state()
    check_flow(flow, POINTS, is_tuned=True)
    check_generator(bars, is_tuned=True, is_followed=True)
    check_score(width, bars(Z).detach(), is_followed=True)
    assert torch.equal(before, torch.get_rng_state())
