"""What a user may give by mistake leads to a sentence, never to a plausible number."""

import copy
import json
import math
import struct
import subprocess
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from bars import Bars, width
from torch import nn

import forgetting as fg
from forgetting import cache, files, resources
from forgetting.adapters import log_prob_of, mean_bits_per_dim
from forgetting.book import execution, kernel, plots, run, validation
from forgetting.book.checkout import HERE
from forgetting.book.entries import pages
from forgetting.book.schema import upgrade_folder
from forgetting.data.decoding import decode
from forgetting.data.faces import Faces
from forgetting.errors import (
    DataError,
    DataWarning,
    ForgettingError,
    ModelError,
    ParameterError,
    TrainingError,
)
from forgetting.inference import generate, once
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction, LabelledLatents
from forgetting.methods.feature_unlearning import UnlearningConfig
from forgetting.methods.image_sets import check_sets, distinct
from forgetting.methods.taming_config import TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.metrics.identity import pairs
from forgetting.metrics.likelihood import cached_bits_per_dim
from forgetting.preflight import check_flow, check_generator
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.relearning import relearn
from forgetting.probes.search import search_latents
from forgetting.zoo import store

ALONG = Direction(torch.eye(6)[0], 0.5)
SHORT = {"steps": 2, "batch_size": 8, "fisher_batches": 2}
IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


# options


@pytest.mark.parametrize(
    "options",
    [
        {"form": "Unit"},
        {"form": "normalised"},
        {"form": True},
        {"projection_threshold": "mid"},
        {"projection_threshold": 0.5},
    ],
)
def test_a_direction_has_a_form_and_a_threshold_of_those_that_there_are(options):
    random = torch.Generator().manual_seed(0)
    labelled = LabelledLatents(*torch.randn(2, 20, 6, generator=random))
    with pytest.raises(ParameterError, match="is not allowed"):
        fg.find_direction(labelled, **options)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, True, "10", torch.ones(5)])
def test_a_score_threshold_is_a_finite_number(threshold):
    with pytest.raises(ParameterError, match=r"threshold = .*: give a finite number"):
        fg.prevalence(Bars(), width, threshold=threshold, n=20)


@pytest.mark.parametrize("threshold", [9, np.float32(9), torch.tensor(9.0), np.int64(9)])
def test_a_score_threshold_may_be_a_number_of_any_library(threshold):
    share = fg.prevalence(Bars(), width, threshold=threshold, n=50).share
    assert share == fg.prevalence(Bars(), width, threshold=9.0, n=50).share


@pytest.mark.parametrize("lr", [0, -0.1, math.inf, math.nan, True, "0.1"])
def test_a_probe_has_a_finite_learning_rate(lr):
    bars, images = Bars(), torch.rand(2, 1, 32, 32)
    for call in (
        lambda: latent_attack(bars, width, 2, steps=1, lr=lr),
        lambda: inversion_attack(bars, images, lambda x: x.flatten(1), steps=1, lr=lr),
        lambda: relearn(bars, images, torch.randn(2, 6), [1], width, lr=lr),
    ):
        with pytest.raises(ParameterError, match=r"lr = .*: give a finite number above 0"):
            call()


@pytest.mark.parametrize("value_range", [(0, math.inf), (-math.inf, 1), (math.nan, 1), (1, 1)])
def test_a_range_of_values_is_finite(value_range):
    with pytest.raises(ParameterError, match="two finite numbers"):
        fg.as_generator(Bars(), 6, value_range=value_range)


# scores


@pytest.mark.parametrize(
    "score",
    [
        lambda images: (width(images) > 8).float(),
        lambda images: torch.zeros(len(images)),
        lambda images: (width(images) / 4).round(),
    ],
)
def test_chance_does_not_decide_which_samples_are_positive(score):
    with pytest.raises(DataError, match=r"have the score .* chance would decide"):
        fg.collect_latents(Bars(), score, 400, share=0.1)


def test_few_equal_scores_are_no_reason_to_refuse_a_share():
    def score(images):
        return (width(images) * 50).round()

    assert len(fg.collect_latents(Bars(), score, 400, share=0.1).positive) == 40


def nan_gradient(images):
    return width(images) + (images * 0).sum((1, 2, 3)).sqrt()


def no_gradient(images):
    return images.round().sum((1, 2, 3))


@pytest.mark.parametrize(
    ("score", "reason"), [(nan_gradient, "not finite"), (no_gradient, "is 0")]
)
def test_a_score_without_a_gradient_to_follow_is_refused(score, reason):
    bars = Bars()
    for call in (
        lambda: latent_attack(bars, score, 2, steps=1),
        lambda: METHODS["gradient_ascent"](bars, ALONG, lambda x: score(x) - 10),
    ):
        with pytest.raises(ModelError, match=f"gradient of the score .* {reason}"):
            call()


class Eight(Bars):
    """A generator that rounds its images to 8 bits."""

    def forward(self, z):
        return (super().forward(z) * 255).round() / 255


def test_latents_without_a_gradient_to_follow_are_refused():
    with pytest.raises(ModelError, match="gradient of Eight with respect to its latents is 0"):
        latent_attack(Eight(), width, 2, steps=1)


def test_a_search_that_leaves_the_finite_numbers_is_an_error_and_no_latent():
    def loss(images, _):
        return -width(images) * math.inf

    with pytest.raises(TrainingError, match="leaves the finite numbers"):
        search_latents(Bars(), 3, loss, loss, steps=2, restarts=1, lr=0.1, seed=0)


# shapes and ranges


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (3, 1, 1, 1), (3, 1, 1, 32)])
def test_images_are_not_repeated_until_they_fit_a_generators(shape):
    images = torch.rand(shape)
    for call in (
        lambda: inversion_attack(Bars(), images, lambda x: x.mean((2, 3)), steps=1),
        lambda: relearn(Bars(), images, torch.randn(3, 6), [1], width),
    ):
        with pytest.raises(DataError, match=r"where the generator's images are \(N, 1, 32, 32\)"):
            call()


@pytest.mark.parametrize("shape", [(4, 3), (2, 12), (6,), (2, 6, 1, 1)])
def test_values_of_two_latents_do_not_make_one(shape):
    generator = fg.as_generator(Bars(), latent_shape=(6,))
    with pytest.raises(DataError, match=r"give \(B, 6\)"):
        generator(torch.randn(shape))


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 1, 8, 8), (5, 3, 2, 4, 4)])
def test_images_of_any_number_of_dimensions_lie_in_the_unit_range(shape):
    with pytest.raises(DataError, match="give images in"):
        check_sets(255 * torch.rand(shape), 255 * torch.rand(shape))


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 255), (-2, 2)])
def test_a_range_that_is_too_wide_for_a_generators_values_is_noted(value_range):
    with pytest.warns(DataWarning, match=r"returns values from .*give value_range=\(0, 1\)"):
        check_generator(fg.as_generator(Bars(), 6, value_range=value_range))


def test_a_range_that_fits_a_generators_values_is_not_noted(recwarn):
    scaled = fg.as_generator(
        Bars(), 6, value_range=(-1, 1), forward=lambda bars, z: 2 * bars(z) - 1
    )
    check_generator(scaled)
    check_generator(Bars())
    assert not recwarn.list


@pytest.mark.parametrize("threshold", [50.0, -50.0])
def test_a_direction_that_selects_all_latents_or_none_is_no_feature(threshold):
    far = Direction(torch.eye(6)[0], threshold)
    for method in METHODS.values():
        with pytest.raises(DataError, match="standard normal, so that the direction selects"):
            method(Bars(), far, width)


# flows


class Binned(nn.Module):
    """A flow with bins of its own, whose noise is not the second argument of `log_prob`."""

    n_bits = 5

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(64))

    def log_prob(self, images, context=None, *, noise=None):
        assert context is None
        if isinstance(noise, torch.Generator):
            noise = torch.rand(images.shape, generator=noise)
        values = images if noise is None else images + noise / 32
        return -((values.flatten(1) - self.mean) ** 2).sum(1)


def test_noise_is_given_as_noise_wherever_it_stands():
    flow, noise = Binned(), torch.rand(IMAGES.shape)
    check_flow(flow, IMAGES, is_tuned=True)
    torch.testing.assert_close(
        log_prob_of(flow, IMAGES, noise), log_prob_of(flow, IMAGES + noise / 32)
    )


@pytest.mark.parametrize("draws", [0, 3])
def test_an_adapter_around_a_flow_gives_its_own_likelihoods(draws):
    flow = Binned()
    own = mean_bits_per_dim(flow, IMAGES, draws, 1)
    adapted = mean_bits_per_dim(fg.as_flow(flow), IMAGES, draws, 1)
    assert torch.equal(own, adapted)
    other = fg.as_flow(flow, log_prob=lambda module, images: module.log_prob(images))
    torch.testing.assert_close(
        mean_bits_per_dim(other, IMAGES), mean_bits_per_dim(flow, IMAGES) - 5
    )


def test_noise_that_is_a_number_is_not_ours():
    class Noisy(Binned):
        def log_prob(self, images, noise=0.05):
            return super().log_prob(images)

    with pytest.raises(ModelError, match=r"has `noise=0.05`.*as_flow"):
        check_flow(Noisy(), IMAGES)


@pytest.mark.parametrize(
    "again",
    [
        lambda images: images.double().mul(1 / 255).float(),
        lambda images: images.mul(torch.tensor(1 / 255)),
        lambda images: (images / 127.5 - 1 + 1) / 2,
        lambda images: -(-images / 255),
    ],
)
def test_an_image_is_the_same_whatever_arithmetic_made_it(again):
    pixels = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    pixels = pixels.float()
    pixels[0] = 0
    with pytest.raises(DataError, match="1 of the 1 images to forget are also to be retained"):
        check_sets(again(pixels[:1]), pixels / 255)
    with pytest.raises(DataError, match="1 of the 1 images to forget are also to be retained"):
        check_sets(again(pixels[3:4]), pixels / 255)
    assert len(distinct(torch.cat([pixels / 255, again(pixels)]))) == 6
    pixels[3, 0, 0, 0] = (pixels[3, 0, 0, 0] + 1) % 256
    assert len(distinct(torch.cat([pixels / 255, pixels[:3] / 255]))) == 6


@pytest.mark.parametrize(
    "shares",
    [
        torch.tensor(0.5),
        torch.tensor([0.5]),
        torch.tensor([0.5, 0.3]),
        torch.tensor([math.nan, 0.5]),
        torch.tensor([1.5, -0.5]),
        torch.tensor([0.2, 0.3, 0.5]),
        [0.5, 0.5],
    ],
)
def test_measured_shares_are_those_of_the_targets_combinations(shares):
    target = Target(("A",), torch.tensor([0.8, 0.2]))
    config = TargetConfig(max_steps=2, n_statistics=4)
    cells = torch.arange(len(IMAGES)) % 2
    with pytest.raises(DataError, match=r"`measure` returns"):
        meet_target(Binned(), IMAGES, cells, target, lambda model, n: shares, config)


# what a method may not depend on


class Noisy(Bars):
    """A generator with noise of its own."""

    def forward(self, z):
        return (super().forward(z) + 0.01 * torch.randn(len(z), 1, 32, 32)).clamp(0, 1)


def weights(result):
    return torch.cat([p.flatten() for p in result.model.parameters()])


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_gives_the_same_under_whatever_a_program_has_set(name):
    method = METHODS[name]
    arguments = Noisy(), ALONG, lambda images: width(images) - 10, method.configure(SHORT)
    torch.manual_seed(1)
    expected = weights(method(*arguments))
    torch.manual_seed(2)
    assert torch.equal(weights(method(*arguments)), expected)
    for context in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16),
    ):
        with context:
            assert torch.equal(weights(method(*arguments)), expected)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(weights(method(*arguments)), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")


class Dropping(Noisy):
    """A generator that training mode would change."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, z):
        return super().forward(self.drop(z))


def into_training_mode(row, model):
    model.train()


def without_gradients(row, model):
    torch.set_grad_enabled(False)


def frozen(row, model):
    model.requires_grad_(False)


def drawing(row, model):
    torch.randn(3)


def emptying(row, model):
    row.clear()


@pytest.mark.parametrize(
    "callback", [into_training_mode, without_gradients, frozen, drawing, emptying]
)
def test_a_callback_that_looks_does_not_change_what_is_tuned(callback):
    config = UnlearningConfig(steps=3, batch_size=8, log_every=1)
    expected = fg.unlearn_feature(Dropping(), ALONG, config)
    result = fg.unlearn_feature(Dropping(), ALONG, config, callback=callback)
    assert torch.equal(weights(result), weights(expected))
    assert result.history == expected.history


@pytest.mark.parametrize("callback", [into_training_mode, without_gradients, frozen, drawing])
def test_an_evaluation_does_not_change_what_is_relearned(callback):
    images, z = torch.rand(4, 1, 32, 32), torch.randn(4, 6)

    def evaluate(model):
        values = torch.cat([p.detach().flatten() for p in model.parameters()])
        callback({}, model)
        return values

    relearned = relearn(Dropping(), images, z, [0, 1, 2], evaluate)
    expected = relearn(
        Dropping(), images, z, [2], lambda m: torch.cat([p.flatten() for p in m.parameters()])
    )
    assert torch.equal(relearned[2], expected[2])
    assert not torch.equal(relearned[2], relearned[0])


def test_a_measurement_does_not_change_what_is_steered():
    target = Target(("A",), torch.tensor([0.9, 0.1]))
    config = TargetConfig(max_steps=3, n_statistics=4, log_every=1)
    cells = torch.arange(len(IMAGES)) % 2

    def tuned(callback):
        def measure(model, _):
            callback({}, model)
            return torch.tensor([0.5, 0.5])

        return weights(meet_target(Binned(), IMAGES, cells, target, measure, config))

    expected = tuned(lambda row, model: None)
    for callback in (into_training_mode, frozen):
        assert torch.equal(tuned(callback), expected)


def test_a_last_step_that_breaks_the_weights_leaves_no_model():
    with pytest.raises(TrainingError, match=r"not finite after step 1.*learning rate"):
        fg.unlearn_feature(Bars(), ALONG, UnlearningConfig(steps=1, lr=math.inf))


def test_relearning_that_breaks_the_weights_is_an_error():
    with pytest.raises(TrainingError, match=r"loss of relearning is nan"):
        relearn(Bars(), torch.rand(2, 1, 32, 32), torch.full((2, 6), math.nan), [2], width)


class Hiding(nn.Module):
    """A generator in evaluation mode with a layer in a plain list, which `eval` does not reach."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 16)
        self.hidden = [nn.BatchNorm1d(16)]

    def forward(self, z):
        return torch.sigmoid(self.hidden[0](self.layer(z))).view(-1, 1, 4, 4)


def test_images_are_made_in_evaluation_mode_by_layers_in_plain_lists_too():
    model, z = Hiding().eval(), torch.randn(9, 6)
    torch.testing.assert_close(generate(model, z)[:2], generate(model, z[:2]))
    assert model.hidden[0].training
    assert model.hidden[0].num_batches_tracked == 0


# cached answers and records


def test_a_class_that_was_given_another_function_has_no_cached_answer(glow, monkeypatch):
    images = torch.rand(4, 3, 8, 8)
    before = cached_bits_per_dim(glow, images)
    assert torch.equal(cached_bits_per_dim(glow, images), before)
    own = type(glow).log_prob

    def log_prob(self, images, noise=None):
        return own(self, images, noise) - 1

    monkeypatch.setattr(type(glow), "log_prob", log_prob)
    assert (cached_bits_per_dim(glow, images) > before).all()


def test_the_packages_own_models_are_cached(glow):
    for name in ("digits-vae", "digits-gan", "digits-glow"):
        assert list(cache._parts(fg.load(name)))
    patched = copy.deepcopy(glow)
    patched.log_prob = types.MethodType(lambda self, images: images, patched)
    with pytest.raises(cache._UnhashableError):
        list(cache._parts(patched))


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return the folder of a checkout with one commit, from which the package seems to be run."""
    top = (tmp_path / "checkout").resolve()
    (top / "src").mkdir(parents=True)
    (top / "src" / "code.py").write_text("")
    (top / ".gitignore").write_text("*.pyc\n")
    git(tmp_path, "init", "-q", str(top))
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    monkeypatch.setattr(resources, "checkout", lambda: top)
    return top


def test_a_revision_says_that_files_were_changed_or_added(repository):
    head = git(repository, "rev-parse", "--short=10", "HEAD")
    (repository / "src" / "code.pyc").write_text("")
    assert run._revision() == head
    (repository / "src" / "added.py").write_text("")
    assert run._revision() == f"{head}-dirty"
    (repository / "src" / "added.py").unlink()
    (repository / "src" / "code.py").write_text("pass")
    assert run._revision() == f"{head}-dirty"


def test_a_revision_is_that_of_the_checkout_and_of_no_other_repository(repository, monkeypatch):
    copied = repository / "copy"
    copied.mkdir()
    other = repository.parent / "other"
    git(repository.parent, "init", "-q", str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "other")
    head = git(repository, "rev-parse", "--short=10", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert run._revision() == head
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.setattr(resources, "checkout", lambda: copied)
    assert run._revision() is None


def test_a_notebook_of_another_package_than_its_command_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(resources.PACKAGE.parent))
    kernel.check_package(tmp_path)
    other = tmp_path / "src" / "forgetting"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    with pytest.raises(ForgettingError, match=f"set PYTHONPATH to {resources.PACKAGE.parent}"):
        kernel.check_package(tmp_path)
    with pytest.raises(ForgettingError, match=f"would import the one in {other}"):
        execution.execute("introduction", {}, None, name="run", results=tmp_path)
    with pytest.raises(ForgettingError, match=f"would import the one in {other}"):
        validation.validate(print, ["introduction"])


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


# what is computed at once, late or again


def test_threads_give_the_numbers_of_one_and_leave_a_programs_settings():
    noisy = Noisy()

    def share(_):
        return fg.prevalence(noisy, width, threshold=8.5, n=300, batch_size=10).share

    expected = share(None)
    torch.set_default_dtype(torch.float64)
    state = torch.get_rng_state()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(share, range(8))) == [expected] * 8
        assert torch.get_default_dtype() == torch.float64
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_default_dtype(torch.float32)


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


def test_what_is_remembered_of_images_is_of_the_images_as_they_are():
    calls = []

    def mean(images):
        calls.append(images)
        return float(images.mean())

    remembered, images = once(mean), torch.ones(3)
    assert [remembered(images), remembered(images), len(calls)] == [1, 1, 1]
    images.mul_(2)
    assert [remembered(images), remembered(images), len(calls)] == [2, 2, 2]
    with torch.inference_mode():
        inside = torch.ones(3)
        assert remembered(inside) == 1
        inside.mul_(2)
        assert remembered(inside) == 2


def test_embeddings_of_other_lengths_are_no_embeddings():
    random = torch.Generator().manual_seed(0)
    embeddings = nn.functional.normalize(torch.randn(12, 4, generator=random), dim=1)
    people = [str(i // 2) for i in range(12)]
    pairs(embeddings, people, 10)
    pairs(embeddings.bfloat16().float(), people, 10)
    for factor in (3 * torch.rand(12, 1, generator=random), 2, math.nan):
        with pytest.raises(DataError, match=r"lengths from .* divide each by its length"):
            pairs(embeddings * factor, people, 10)


def test_an_upgraded_record_replaces_no_other(tmp_path):
    record = {"template": "t", "parameters": {}, "metrics": {}, "weights": {}, "history": []}
    for name, schema in (("a_to_remember", 1), ("a_to_retain", 2)):
        text = json.dumps(record | {"name": name, "schema": schema})
        (tmp_path / f"{name}.json").write_text(text)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"would be called a_to_retain.json"):
        upgrade_folder(tmp_path)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("given", ["", "relative", None])
def test_the_cache_does_not_depend_on_the_folder_of_a_program(given, monkeypatch):
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert files._user_cache() == Path.home() / ".cache"


def tiff(order, bits, photometric, values):
    """Return the bytes of a grey TIFF of one row; the order is "<" or ">"."""
    text = "".join(f"{value:0{bits}b}" for value in values)
    pixels = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    if bits == 16:
        pixels = struct.pack(f"{order}{len(values)}H", *values)
    short, long = 3, 4
    fields = {256: len(values), 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    entries = [(tag, short, value) for tag, value in fields.items()]
    entries += [(278, short, 1), (279, long, len(pixels))]
    table = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + struct.pack(f"{order}HH" if kind == short else f"{order}I", *[value, 0][: 5 - kind])
        for tag, kind, value in entries
    )
    start = 8 + len(pixels) + len(pixels) % 2
    body = pixels + bytes(len(pixels) % 2) + struct.pack(f"{order}H", len(entries)) + table
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("zero_is_white", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_a_grey_tiff_of_any_kind_is_read_as_it_shows_or_refused(order, bits, zero_is_white):
    white = 2**bits - 1
    values = [round(white * i / 7) for i in range(8)]
    content = tiff(order, bits, int(not zero_is_white), values)
    try:
        image, _ = decode(content, Path("grey.tif"))
    except DataError:
        assert bits in (12, 16)  # of which Pillow reads some
        assert (order, zero_is_white) != ("<", False)
        return
    expected = np.array([255 * value / white for value in values])
    if zero_is_white:
        expected = 255 - expected
    assert np.abs(np.asarray(image)[0, :, 0] - expected).max() <= 1


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int32, torch.float32])
def test_a_mask_of_faces_selects_images_with_their_people_or_is_refused(kind):
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 2, 2)
    people = tuple("abcdef")
    faces = Faces(images, people, torch.zeros(6, 0, dtype=torch.bool), (), "folder")
    mask = torch.tensor([0, 1, 0, 1, 1, 0])
    for selected in (faces.where(mask.bool()), faces.where(torch.tensor([1, 3, 4]))):
        assert selected.images[:, 0, 0, 0].tolist() == [1, 3, 4]
        assert selected.people == ("b", "d", "e")
    with pytest.raises(ValueError, match="give bools, or indices of int64"):
        faces.where(mask.to(kind))


@pytest.mark.parametrize("name", ["learning_rate", "Steps", "stepz", ""])
def test_a_setting_that_no_method_has_is_not_passed_over(name):
    for method in METHODS.values():
        with pytest.raises(ParameterError, match="No method has a setting"):
            method.configure({"steps": 3, name: 1})
    assert METHODS["whole_image"].configure({"steps": 3, "elastic": 2.0}).steps == 3


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_features_have_a_finite_weight_in_an_inversion(weight):
    with pytest.raises(ParameterError, match=r"weight = .*: give a finite number"):
        inversion_attack(Bars(), torch.rand(2, 1, 32, 32), torch.flatten, weight=weight)


def test_weights_that_another_folder_hides_are_named(tmp_path, monkeypatch, recwarn):
    first, second = tmp_path / "checkout", tmp_path / "own"
    own, same = (fg.load("digits-vae") for _ in range(2))
    with torch.no_grad():
        next(own.parameters()).add_(1)
    entry = {"kind": store.record("digits-vae")["kind"]}
    entry["config"] = store.record("digits-vae")["config"]
    for folder, model in ((first, same), (second, same)):
        store.save("digits-vae", model, entry, "", folder)
    monkeypatch.setattr(store, "local_folders", lambda: [first, second])
    fg.load("digits-vae")
    assert not recwarn.list
    store.save("digits-vae", own, entry, "", second)
    with pytest.warns(DataWarning, match=r"loaded from .*checkout, not from .*own"):
        fg.load("digits-vae")


@pytest.mark.parametrize("what", ["weights", "versions", "data"])
def test_a_page_that_agreed_is_executed_again_where_something_else_is_used(
    what, monkeypatch, tmp_path
):
    page = next(page for page in pages() if page.name == "unlearn_thick")
    path = tmp_path / "state.json"
    before = validation._State(path, HERE)
    before.note(page, agrees=True)
    assert validation._State(path, HERE).has_agreed(page)
    if what == "weights":
        monkeypatch.setattr(store, "record", lambda name: {"sha256": "of others"})
    elif what == "versions":
        monkeypatch.setattr(validation, "version", lambda name: "of another")
    else:
        monkeypatch.setenv("FORGETTING_DATA", str(tmp_path))
    assert not validation._State(path, HERE).has_agreed(page)


# pictures


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


def test_no_curve_is_left_out_of_a_figure():
    history = [{"step": step} | {str(i): i for i in range(9)} for step in range(3)]
    for n in range(1, 5):
        axis = plots.curves(history, {str(i): str(i) for i in range(n)}, "value")
        assert len(axis.lines) == n
    with pytest.raises(ParameterError, match="9 curves in 4 colours"):
        plots.curves(history, {str(i): str(i) for i in range(9)}, "value")
