"""What is saved of a tuned model, and into which modules it is restored."""

import json
import os
import types
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import forgetting as fg
from forgetting.errors import DataWarning, ForgettingError
from forgetting.zoo.same_answers import answers_of
from forgetting.zoo.saved import check_unchanged, restore, save_model, state_digest


class Decoder(nn.Module):
    """A decoder with a constant, and with a buffer that is not saved."""

    def __init__(self, last=None, slope=0.2, gain=1.0, offset=0.0):
        super().__init__()
        self.gain = gain
        self.register_buffer("offset", torch.tensor(offset), persistent=False)
        self.net = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(slope), last or nn.Sigmoid())

    def forward(self, z):
        return (self.gain * self.net(z) + self.offset).view(-1, 1, 4, 4)


class Reversed(Decoder):
    def forward(self, z):
        return super().forward(z.flip(1))


def hooked():
    model = Decoder()
    model.net[2].register_forward_hook(lambda module, inputs, output: output / 2)
    return model


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "saved", fg.as_generator(Decoder(), 6), {}, "# A decoder\n")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Decoder(nn.Tanh()), r"net\.2, which was Sigmoid\(\) and is Tanh"),
        (lambda: Decoder(slope=0.9), r"net\.1, which was .*0\.2.* and is .*0\.9"),
        (lambda: Decoder(gain=0.5), r"the model, which was Decoder\(gain=1\.0"),
        (lambda: Decoder(offset=0.1), "the model, which was Decoder"),
        (Reversed, r"the model, which was Decoder.* and is Reversed"),
        (hooked, r"net\.2, which was Sigmoid\(\) and is Sigmoid\(hooks=1"),
    ],
)
def test_another_module_of_equal_shapes_is_noted(folder, make, what):
    with pytest.warns(DataWarning, match=f"1 of its parts differ, as {what}"):
        fg.restore(folder, into=make())


def test_a_module_as_it_was_is_restored_without_a_word(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        fg.restore(folder, into=Decoder().train())
        fg.restore(folder, into=fg.as_generator(Decoder(), 6))
        record = json.loads((folder / "record.json").read_text())
        del record["modules"]  # as an earlier version wrote it
        (folder / "record.json").write_text(json.dumps(record))
        fg.restore(folder, into=Decoder(nn.Tanh()))


@pytest.mark.parametrize("name", ["README.md", "weights.safetensors", "samples.png"])
def test_files_of_others_are_not_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ForgettingError, match=f"has a {name}, which would be overwritten"):
        save_model(tmp_path, Decoder(), {}, "# A decoder\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


class Counting(Decoder):
    """A decoder whose state holds more than tensors."""

    def get_extra_state(self):
        return {"epochs": 3}

    def set_extra_state(self, state):
        raise AssertionError("nothing is to be set")


def test_what_a_process_left_that_was_killed_while_it_saved_is_overwritten(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def move(path, target):
        if Path(target).name == "weights.safetensors":
            left.update({file.name: file.read_bytes() for file in tmp_path.iterdir()})
            raise Killed
        return replace(path, target)

    left, replace = {}, Path.replace
    monkeypatch.setattr(Path, "replace", move)
    with pytest.raises(Killed):
        save_model(tmp_path, Decoder(), {}, "# A decoder\n")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    for name, content in left.items():  # as a killed process cannot tidy up
        (tmp_path / name).write_bytes(content)
    assert "README.md" in left
    save_model(tmp_path, Decoder(), {}, "# Another\n")
    assert (tmp_path / "README.md").read_text() == "# Another\n"
    assert not (tmp_path / ".saving").exists()
    restore(tmp_path, Decoder())


def test_state_that_is_no_tensor_stays_where_it_is(tmp_path):
    first, second = Counting(), Counting()
    save_model(tmp_path / "saved", first, {}, "# A decoder\n")
    fg.restore(tmp_path / "saved", into=second)
    assert state_digest(first) == state_digest(second)


class Plain(nn.Module):
    """A module with a tensor and a function as plain attributes, and two weights of one shape."""

    def __init__(self, scale=1.0, last=torch.sigmoid, is_tied=False):
        super().__init__()
        self.scale, self.last, self.seen = torch.tensor(scale), last, None
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        if is_tied:
            self.second = self.first

    def forward(self, z):
        self.seen = z
        return self.last(self.second(self.first(self.scale * z))).view(-1, 1, 4, 4)


@pytest.mark.parametrize(
    ("into", "what"),
    [
        (fg.as_generator(Plain(2.0), 16), r"scale, which was torch\.float32 \(\) \w+ and is"),
        (Plain(last=torch.tanh), r"last, which was .*sigmoid and is .*tanh"),
        (
            fg.as_generator(Plain(), 16, value_range=(-1, 1)),
            r"AdaptedGenerator\.value_range, which was \[0\.0, 1\.0\] and is \[-1, 1\]",
        ),
        (Plain(is_tied=True), r"2 of the weights .*, as first\.\w+, have other values"),
        (Plain().half(), r"4 of the weights .*torch\.float16, where they are torch\.float32"),
    ],
)
def test_what_is_no_weight_of_a_module_and_values_that_it_does_not_take_are_noted(
    tmp_path, into, what
):
    generator = fg.as_generator(Plain(), 16, value_range=(0.0, 1.0))
    generator(torch.randn(2, 16))  # what a module keeps of its last call is no part of it
    save_model(tmp_path / "saved", generator, {}, "# Plain\n")
    with pytest.warns(DataWarning, match=what):
        fg.restore(tmp_path / "saved", into=into)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        fg.restore(tmp_path / "saved", into=Plain())
        fg.restore(tmp_path / "saved", into=fg.as_generator(Plain(), 16))


def edited(function):
    """Return a class that has the name and the weights of another, and an own `squash`."""

    def forward(self, latents):
        return self.squash(self.net(latents))

    body = {"forward": forward, "squash": lambda self, x: function(x)}
    parts = {"__init__": lambda self: (nn.Module.__init__(self), setattr(self, "net", small()))[0]}
    return type("Edited", (nn.Module,), body | parts)


def small():
    return nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)))


def doubled(module, latents):
    return module(2 * latents)


@pytest.mark.parametrize(
    ("saved", "into", "what"),
    [
        (edited(torch.sigmoid), edited(lambda x: x.clamp(0, 1)), "the code of Edited"),
        (edited(lambda x: x / 2), edited(lambda x: x / 3), "the code of Edited"),
        (
            lambda: fg.as_generator(small(), 4),
            lambda: fg.as_generator(small(), 4, forward=doubled),
            "the function of AdaptedGenerator",
        ),
    ],
)
def test_a_module_whose_code_became_another_is_noted(tmp_path, saved, into, what):
    save_model(tmp_path / "saved", saved(), {}, "")
    with pytest.warns(DataWarning, match=f"1 of its parts differ, as {what} in Python"):
        fg.restore(tmp_path / "saved", into=into())


@pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")
def test_code_in_another_place_with_another_docstring_is_the_same(tmp_path):
    def twice(module, latents):
        """Double the latents."""

        return module(2 * latents)

    save_model(tmp_path / "a", fg.as_generator(small(), 4, forward=doubled), {}, "")
    fg.restore(tmp_path / "a", into=fg.as_generator(small(), 4, forward=twice))
    save_model(tmp_path / "b", edited(lambda x: x / 2)(), {}, "")
    fg.restore(tmp_path / "b", into=edited(lambda x: x / 2)())
    fg.restore(tmp_path / "a", into=small())


class Hidden(nn.Module):
    """A module that computes with what neither its state nor its attributes show."""

    latent_dim = 4

    def __init__(self, last=torch.sigmoid, gain=1.0):
        super().__init__()
        self.net = small()
        self.settings = types.SimpleNamespace(gain=gain)
        self.steps = [last]

    def forward(self, latents):
        images = self.settings.gain * self.net(latents)
        return self.steps[0](images)

    def log_prob(self, images):
        return self.settings.gain * self.steps[0](self.net[0].weight).sum() - images.sum((1, 2, 3))


CONTRACTS = {"generator": (4,), "flow": (1, 4, 4)}


def saved(folder, model, contract):
    answers = answers_of(model, contract, CONTRACTS[contract])
    save_model(folder, model, {"parameters": {"tuned_answers": answers}}, "")
    return folder


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("changed", [{"last": torch.tanh}, {"gain": 1.01}])
def test_a_module_that_computes_something_else_with_equal_weights_is_noted(
    tmp_path, contract, changed
):
    adapted = (lambda m: fg.as_generator(m, 4)) if contract == "generator" else fg.as_flow
    for i, (adapt, into) in enumerate([(lambda m: m, adapted), (adapted, lambda m: m)]):
        folder = saved(tmp_path / str(i), adapt(Hidden()), contract)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataWarning)
            fg.restore(folder, into=into(Hidden()))
        with pytest.warns(DataWarning, match="it computes something else"):
            fg.restore(folder, into=into(Hidden(**changed)))


def test_a_model_whose_answers_changed_is_not_saved_as_the_one_that_was_measured():
    model = Hidden()
    kept = {"tuned_sha256": state_digest(model)}
    kept["tuned_answers"] = answers_of(model, "generator", (4,))
    check_unchanged(model, kept)
    model.settings.gain = 2.0
    with pytest.raises(ForgettingError, match="has changed since it was measured"):
        check_unchanged(model, kept)


def test_a_module_that_draws_random_numbers_is_restored_without_a_word(tmp_path):
    def noisy(images):
        return images + torch.randn_like(images)

    folder = saved(tmp_path / "saved", Hidden(noisy), "generator")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        fg.restore(folder, into=Hidden(noisy))


@pytest.mark.parametrize(
    "other", [lambda x: x + 0.5 + 0.1 * torch.randn_like(x), lambda x: x, lambda x: x + 0.1]
)
def test_a_module_that_draws_and_computes_something_else_is_noted(tmp_path, other):
    def noisy(images):
        return images + 0.1 * torch.randn_like(images)

    folder = saved(tmp_path / "saved", Hidden(noisy), "generator")
    with pytest.warns(DataWarning, match="it computes something else"):
        fg.restore(folder, into=Hidden(other))


def test_a_module_that_fails_where_the_saved_one_answered_is_noted(tmp_path):
    folder = saved(tmp_path / "saved", fg.as_generator(Hidden(), 4), "generator")
    with pytest.warns(DataWarning, match="it computes something else"):
        fg.restore(folder, into=Hidden(lambda images: 1 / 0))


def test_a_folder_whose_name_is_not_utf8_holds_a_model_that_is_restored(tmp_path):
    folder = saved(tmp_path / os.fsdecode(b"model-\xff"), Hidden(), "generator")
    into = Hidden()
    assert state_digest(restore(folder, into=into)) == state_digest(into)
