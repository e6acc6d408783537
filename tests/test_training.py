"""The loop: the same weights whether a training is undisturbed, stopped or killed."""

import functools
import importlib
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_tasks import train_alone

from forgetting.errors import DataWarning, TrainingError
from forgetting.foundation import precision
from forgetting.models.glow import Glow, GlowConfig
from forgetting.zoo.code import code_digest
from forgetting.zoo.learner import Averaged, Learner, follow
from forgetting.zoo.recipes.learners import follow_average, start_averaged_glow, start_glow
from forgetting.zoo.recipes.losses import averaged_faces_glow, glow
from forgetting.zoo.training import TrainingConfig, train

CONFIG = TrainingConfig(
    steps=40, batch_size=4, lr=1e-3, warmup=5, max_grad_norm=50, log_every=2, checkpoint_every=4
)

SCRIPT = """
import sys
from pathlib import Path
from test_training import run
from safetensors.torch import save_file
torch_model, _ = run(Path(sys.argv[1]))
save_file({k: v.contiguous() for k, v in torch_model.state_dict().items()}, sys.argv[2])
"""


def learner():
    model = Glow(GlowConfig(image_size=8, n_steps=2, n_blocks=2, width=8), seed=0)
    return Learner(model, glow, start_glow)


def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (30, 1, 8, 8), generator=generator, dtype=torch.uint8)


def run(checkpoint=None, config=CONFIG):
    return train_alone(learner(), data(), config, checkpoint)


def stopping(loss, error, at=15):
    """Return a loss that raises an error at a call."""
    calls = itertools.count(1)

    @functools.wraps(loss)
    def failing(*arguments):
        if next(calls) == at:
            raise error
        return loss(*arguments)

    return failing


def step_of(checkpoint):
    with safe_open(checkpoint, "pt") as file:
        return int(file.metadata()["step"])


def same(first, second):
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    (first, history), (second, again) = run(), run()
    assert same(first, second)
    assert history == again
    assert history[-1]["loss"] < history[0]["loss"]
    other, _ = run(config=CONFIG.model_copy(update={"seed": 1}))
    assert not same(first, other)


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    undisturbed, history = run()

    class StopError(Exception):
        pass

    student, images, labels = learner(), data(), torch.zeros(30)
    loss = student.loss
    student.loss = stopping(loss, StopError)
    checkpoint = tmp_path / "c.safetensors"
    with pytest.raises(StopError):
        train(student, images, labels, CONFIG, checkpoint=checkpoint)
    assert step_of(checkpoint) == 12
    again, steps = learner(), []
    again.loss = functools.wraps(loss)(lambda *arguments: steps.append(1) or loss(*arguments))
    rest = train(again, images, labels, CONFIG, checkpoint=checkpoint)
    assert len(steps) == CONFIG.steps - 12
    assert same(undisturbed, again.model)
    assert rest == history


def test_a_killed_training_goes_on_bit_for_bit(tmp_path):
    """SIGKILL as soon as a checkpoint is there, then to the end."""
    checkpoint, out = tmp_path / "c.safetensors", tmp_path / "out.safetensors"
    command = [sys.executable, "-c", SCRIPT, str(checkpoint), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not checkpoint.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert step_of(checkpoint) < CONFIG.steps
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    undisturbed, _ = run()
    resumed = learner().model
    from safetensors.torch import load_file

    resumed.load_state_dict(load_file(out))
    assert same(undisturbed, resumed)


def averaged_learner():
    model = Averaged(learner().model)
    return Learner(model, averaged_faces_glow, start_averaged_glow, follow_average)


def test_the_average_of_the_weights_follows_without_a_gradient_and_resumes(tmp_path):
    torch.set_num_threads(1)
    images, labels, checkpoint = data(), torch.zeros(30), tmp_path / "c.safetensors"
    undisturbed = averaged_learner()
    history = train(undisturbed, images, labels, CONFIG, checkpoint=checkpoint)
    with safe_open(checkpoint, "pt") as file:
        keys = set(file.keys())
    plain = learner().model
    assert {key for key in keys if key.startswith("model.")} == {
        f"model.{part}.{key}" for part in ("model", "average") for key in plain.state_dict()
    }
    n_parameters = len(list(plain.parameters()))
    assert {key for key in keys if key.endswith("exp_avg")} == {
        f"adam..{index}.exp_avg" for index in range(n_parameters)
    }
    stopped = averaged_learner()
    stopped.loss = stopping(averaged_faces_glow, KeyboardInterrupt)
    checkpoint.unlink()
    with pytest.raises(KeyboardInterrupt):
        train(stopped, images, labels, CONFIG, checkpoint=checkpoint)
    resumed = averaged_learner()
    assert train(resumed, images, labels, CONFIG, checkpoint=checkpoint) == history
    assert same(undisturbed.model, resumed.model)
    assert not any(parameter.requires_grad for parameter in resumed.model.average.parameters())
    first = averaged_learner().model
    start_averaged_glow(first, images[:4].float() / 255, torch.Generator().manual_seed(0))
    assert same(first.model, first.average)
    assert not same(resumed.model.model, resumed.model.average)


def test_the_average_has_the_running_statistics_of_what_learns():
    model = torch.nn.BatchNorm1d(3)
    averaged = Averaged(model)
    model(5 + torch.randn(64, 3, generator=torch.Generator().manual_seed(0)))
    follow(averaged.average, model, 0.9)
    assert torch.equal(averaged.average.running_mean, model.running_mean)
    assert not torch.equal(model.running_mean, torch.zeros(3))


def test_the_average_is_what_evaluation_measures():
    student = averaged_learner()
    images, labels = data().float() / 255, torch.zeros(30)
    start_averaged_glow(student.model, images, torch.Generator().manual_seed(0))
    for parameter in student.model.average.parameters():
        parameter.add_(0.01)

    def loss(of, model):
        return float(of(model, images, labels, torch.Generator().manual_seed(0))["loss"].detach())

    student.model.eval()
    assert loss(averaged_faces_glow, student.model) == loss(glow, student.model.average)
    assert loss(averaged_faces_glow, student.model) != loss(glow, student.model.model)


def test_a_loss_that_is_not_finite_is_an_error():
    student = learner()
    student.loss = lambda model, *rest: {"loss": model.blocks[0].prior.scale.sum() * torch.nan}
    with pytest.raises(TrainingError, match=r"loss is nan .* at step 0\. Lower the"):
        train(student, data(), torch.zeros(30), CONFIG)


def test_images_of_another_scale_and_labels_of_others_are_refused():
    images, labels = data(), torch.zeros(30)
    for given in ((images / 255, labels), (images, torch.zeros(31))):
        with pytest.raises(TrainingError, match=r"Give images of torch\.uint8"):
            train(learner(), *given, CONFIG)
        with pytest.raises(TrainingError, match=r"Give images of torch\.uint8"):
            train(learner(), images, labels, CONFIG, held_out=given)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    checkpoint = tmp_path / "c.safetensors"
    run(checkpoint)
    with pytest.raises(TrainingError, match="belongs to a training with other settings"):
        run(checkpoint, CONFIG.model_copy(update={"lr": 0.5}))
    other = data().flip(0)
    with pytest.raises(TrainingError, match="on other images or labels"):
        train(learner(), other, torch.zeros(30), CONFIG, checkpoint=checkpoint)
    held_out = other, torch.zeros(30)
    with pytest.raises(TrainingError, match="with other held-out images"):
        train(learner(), data(), torch.zeros(30), CONFIG, checkpoint=checkpoint, held_out=held_out)
    with safe_open(checkpoint, "pt") as file:
        earlier = {**file.metadata(), "torch": "1.0"}
    tensors = load_file(checkpoint)
    save_file(tensors, checkpoint, earlier)
    with pytest.raises(TrainingError, match=r"a training with torch 1\.0, and this is"):
        run(checkpoint)
    checkpoint.write_bytes(b"broken")
    with pytest.raises(TrainingError, match="cannot be read"):
        run(checkpoint)


def half_glow(model, images, labels, generator):
    return {name: value / 2 for name, value in glow(model, images, labels, generator).items()}


def scaled_glow(model, images, labels, generator, factor):
    return half_glow(model, images, labels, generator) | {"factor": torch.tensor(factor)}


@pytest.mark.parametrize(
    "change",
    [
        lambda student: setattr(student, "loss", half_glow),
        lambda student: setattr(student, "loss", functools.partial(scaled_glow, factor=2.0)),
        lambda student: setattr(student, "after", lambda model: None),
        lambda student: setattr(student, "start", None),
        lambda student: student.model.add_module("more", torch.nn.Identity()),
    ],
)
def test_a_checkpoint_of_another_loss_or_model_is_refused(tmp_path, change):
    checkpoint = tmp_path / "c.safetensors"
    run(checkpoint)
    student = learner()
    change(student)
    with pytest.raises(TrainingError, match="with another loss or model, or with other code"):
        train(student, data(), torch.zeros(30), CONFIG, checkpoint=checkpoint)


def test_code_is_its_tree_and_not_its_words(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    texts = {
        "first": 'def loss(model):\n    """Return one."""\n    return 1\n',
        "reworded": '# A loss.\ndef loss(model):\n    """Return 1."""\n\n    return 1\n',
        "changed": "def loss(model):\n    return 2\n",
    }
    digests = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        student = learner()
        student.loss = importlib.import_module(name).loss
        student.loss.__module__ = "recipe"
        digests[name] = code_digest(student)
    assert digests["first"] == digests["reworded"] != digests["changed"]


def test_a_training_that_goes_on_with_other_imported_code_names_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package, checkpoint = tmp_path / "own_recipes", tmp_path / "c.safetensors"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("from . import scales\n")
    (package / "scales.py").write_text("FACTOR = 1.0\n")
    (package / "losses.py").write_text(
        "from forgetting.zoo.recipes.losses import glow\nfrom own_recipes.parts import scales\n"
        "def loss(*given):\n"
        "    return {key: x * scales.FACTOR for key, x in glow(*given).items()}\n"
    )

    def go_on():
        student = learner()
        student.loss = importlib.import_module("own_recipes.losses").loss
        train(student, data(), torch.zeros(30), CONFIG, checkpoint=checkpoint)

    go_on()
    with warnings.catch_warnings(action="error"):
        go_on()
    (package / "scales.py").write_text("FACTOR = 2.0\n")
    with pytest.warns(DataWarning, match=r"with other code of own_recipes\.scales\."):
        go_on()


def test_the_learning_rate_rises_stays_and_falls():
    config = TrainingConfig(steps=100, lr=1.0, warmup=10, decay=0.5)
    rates = [config.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.05


@pytest.mark.parametrize("multiplies", [True, False])
def test_networks_run_in_bfloat16_only_where_the_machine_multiplies_in_it(monkeypatch, multiplies):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: multiplies)
    x = torch.ones(2, 2)
    dtypes = {}
    for name in ("float32", "bfloat16"):
        with precision.autocast_context(name, x.device):
            dtypes[name] = (x @ x).dtype
    assert dtypes["float32"] == torch.float32
    assert dtypes["bfloat16"] == (torch.bfloat16 if multiplies else torch.float32)


def test_a_training_that_ends_before_its_first_row_is_refused():
    with pytest.raises(TrainingError, match="before the first row of the history"):
        run(config=CONFIG.model_copy(update={"steps": CONFIG.log_every - 1}))
