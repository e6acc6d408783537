"""Values that the cache keeps: for which models, inputs and circumstances they are found again."""

import copy
import math
import types
import warnings

import pytest
import torch
from torch import nn

import forgetting as fg
from forgetting.errors import DataWarning
from forgetting.experiments.samples import cached_samples
from forgetting.foundation import cache
from forgetting.foundation.cache import cached
from forgetting.metrics.likelihood import cached_bits_per_dim
from forgetting.models.glow import Glow, GlowConfig


def test_the_same_question_is_asked_once_and_another_again():
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    asked = []

    def ask():
        asked.append(1)
        return model(x).detach()

    first = cached([model], [x], "values", ask)
    assert torch.equal(cached([model], [x], "values", ask), first)
    assert len(asked) == 1
    cached([model], [x], "others", ask)
    cached([model], [x.double()], "values", ask)
    with torch.no_grad():
        model.bias.add_(1)
    assert torch.equal(cached([model], [x], "values", ask), model(x))
    assert len(asked) == 4
    cached([model], [x], "values", lambda: ask())  # in the same file: the same question
    assert len(asked) == 4
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    cached([model], [x], "values", ask)
    torch.set_num_threads(threads)
    assert len(asked) == 5
    for change in (
        {"temperature": 0.7},  # what a forward pass may use, and neither a weight nor a layer
        {"context": torch.zeros(2)},
        {"context": torch.ones(2)},
        {"training": False},
    ):
        before = len(asked)
        vars(model).update(change)
        for _ in range(2):
            cached([model], [x], "values", ask)
        assert len(asked) == before + 1
    model.settings = {"scale": 2}  # which cannot be known again
    before = len(asked)
    for _ in range(2):
        cached([model], [x], "values", ask)
    assert len(asked) == before + 2


@pytest.mark.parametrize("place", [-1, -9, 0])
def test_a_damaged_answer_is_told_and_computed_anew(place):
    model, x = nn.Linear(3, 2), torch.ones(2, 3)
    expected = model(x).detach()

    def ask():
        return cached([model], [x], "values", lambda: expected)

    ask()
    (path,) = (cache.CACHE / "answers").iterdir()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.warns(DataWarning, match="is damaged: what it held is computed anew"):
        assert torch.equal(ask(), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        assert torch.equal(ask(), expected)


class OnGpu(torch.Tensor):
    """A tensor that says that it lies on a GPU."""

    device = torch.device("cuda")


def test_an_answer_of_a_gpu_is_not_taken_for_one_of_the_cpu():
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    for weight in (torch.ones(1, 3), torch.ones(1, 3).as_subclass(OnGpu)):
        model.weight = nn.Parameter(weight)
        answer = cached(
            [model], [x], "values", lambda w=weight: torch.full((1,), len(w.device.type))
        )
        assert answer == len(weight.device.type)


def test_an_answer_that_cannot_be_kept_is_an_answer(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("forgetting.foundation.cache.CACHE", tmp_path / "file")
    model, x = nn.Linear(3, 1).bfloat16(), torch.ones(2, 3, dtype=torch.bfloat16)
    assert torch.equal(cached([model], [x], "values", lambda: model(x).detach()), model(x))


def test_samples_that_are_kept_are_the_samples(glow):
    fresh = glow.sample(6, 0.7, torch.Generator().manual_seed(3))
    for _ in range(2):
        assert torch.equal(cached_samples(glow, 6, 0.7, 3), fresh)
    assert not torch.equal(cached_samples(glow, 6, 0.7, 4), fresh)
    large = [cached_samples(glow, 6, 0.7, 2**60 + i) for i in range(2)]
    assert not torch.equal(*large)


class Shifted(Glow):
    """A Glow whose log-density is shifted by a buffer that is not saved with the weights."""

    def __init__(self, config, shift):
        super().__init__(config)
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def log_prob(self, images, noise=None):
        return super().log_prob(images, noise) + self.shift


TINY = GlowConfig(channels=1, image_size=4, n_steps=1, n_blocks=1, width=4)


def counted(model):
    """Return a call of `cached` that returns how often the result was computed."""
    computed = []

    def ask():
        computed.append(1)
        return torch.zeros(1)

    def call():
        cached([model], [], "values", ask)
        return len(computed)

    return call


def test_a_buffer_that_is_not_saved_tells_two_models_apart(monkeypatch):
    monkeypatch.setattr(Shifted, "cache_key", "1", raising=False)
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    low, high = (cached_bits_per_dim(Shifted(TINY, shift), x) for shift in (0.0, 16 * 5.0))
    torch.testing.assert_close(low - high, torch.full((3,), 5 / math.log(2)))


def test_code_from_elsewhere_is_cached_only_under_a_key_of_its_owner():
    model = Shifted(TINY, 0.0)
    calls = counted(model)
    assert [calls(), calls()] == [1, 2]
    model.cache_key = "1"
    assert [calls(), calls()] == [3, 3]
    model.cache_key = "2"
    assert [calls(), calls()] == [4, 4]
    ours = counted(Glow(TINY))
    assert [ours(), ours()] == [1, 1]


def test_what_is_put_around_a_models_functions_ends_its_caching():
    hooked, assigned, parametrised = (Glow(TINY) for _ in range(3))
    hooked.blocks[0].register_forward_hook(lambda module, inputs, output: output)
    assigned.log_prob = lambda images: images.sum()
    convolution = next(m for m in parametrised.modules() if isinstance(m, nn.Conv2d))
    nn.utils.parametrizations.weight_norm(convolution)
    for model in (hooked, assigned, parametrised):
        calls = counted(model)
        assert [calls(), calls()] == [1, 2]


def test_another_source_of_the_package_is_another_question(monkeypatch):
    calls = counted(nn.Linear(1, 1))
    assert [calls(), calls()] == [1, 1]
    monkeypatch.setattr("forgetting.foundation.resources.source_digest", lambda: b"changed")
    assert [calls(), calls()] == [2, 2]


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
