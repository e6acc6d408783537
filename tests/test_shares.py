"""A batch in shares: two processes compute what one does, and only the first writes."""

import json
import operator
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from tiny_glow import CONFIG, IMAGES, data, learner_of, one_layer, tiny
from torch import nn

from forgetting.cli import main
from forgetting.errors import ParameterError, TrainingError
from forgetting.zoo.shares import ALONE, Group, start
from forgetting.zoo.training import train

SCRIPT = """
import functools, os
from pathlib import Path
from forgetting.cli import main
from forgetting.zoo import store, train
from forgetting.zoo.recipes import RECIPES
from tiny_glow import tiny
folder = Path(os.environ["SHARES_FOLDER"])
train.CACHE = folder
store.save = functools.partial(store.save, folder=folder)
RECIPES.register("tiny-glow")(tiny())
main(["train", "tiny-glow", "--devices", "2", "--threads", "1"])
"""


def train_tiny(config, checkpoint=None):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    recipe = tiny()
    learner, given = learner_of(recipe), data(recipe)
    options = {"checkpoint": checkpoint, "held_out": given.held_out}
    return train(learner, given.images, given.labels, config, **options)


def test_two_processes_train_what_one_does_and_only_the_first_writes(tmp_path, monkeypatch):
    """Gloo, on the CPU; either way the batch is two shares, so that one sum is the same."""
    folder, script = tmp_path / "zoo", tmp_path / "script.py"
    folder.mkdir()
    script.write_text(SCRIPT)
    monkeypatch.setenv("SHARES_FOLDER", str(folder))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = ((folder / name).read_text().split() for name in "01")
    assert len(first) == 1 + CONFIG.steps  # after the actnorms were set, and after each step
    assert first == second
    entry = json.loads((folder / "tiny-glow.json").read_text())
    assert "--devices 2`" in (folder / "tiny-glow.md").read_text()
    files = {path.name for path in folder.iterdir()}
    assert files == {"0", "1", "copy.safetensors", "training", *_files("tiny-glow")}

    history = train_tiny(CONFIG.changed(shares=2))
    assert "held_out_loss" in history[3]
    for row, expected in zip(entry["history"], history, strict=True):
        assert row == pytest.approx(expected, rel=1e-6)
    assert train_tiny(CONFIG)[-1]["loss"] != pytest.approx(history[-1]["loss"], rel=1e-4)

    resumed = train_tiny(CONFIG.changed(shares=2), folder / "copy.safetensors")
    assert resumed[:4] == entry["history"][:4]
    assert resumed[-1] == pytest.approx(history[-1], rel=1e-6)
    with pytest.raises(TrainingError, match="belongs to a training with other settings"):
        train_tiny(CONFIG, folder / "copy.safetensors")


def _files(name):
    return {f"{name}{ending}" for ending in (".json", ".md", ".safetensors")}


def test_one_share_is_the_batch_and_no_setting_of_a_checkpoint(tmp_path):
    batch = torch.rand(4, 3, 2, 2), torch.zeros(4), torch.Generator()
    (share,) = ALONE.own_shares(batch, 1)
    assert all(map(operator.is_, share, batch))
    checkpoint = tmp_path / "c.safetensors"
    for shares in (1, 2):
        checkpoint.unlink(missing_ok=True)
        train(one_layer(), *IMAGES, CONFIG.changed(shares=shares), checkpoint=checkpoint)
        with safe_open(checkpoint, "pt") as file:
            settings = json.loads(file.metadata()["config"])
        assert settings.get("shares", "none") == {1: "none", 2: 2}[shares]


def test_shares_are_equal_parts_that_draw_for_themselves():
    images, labels = torch.rand(6, 1, 2, 2), torch.arange(6)
    batch = images, labels, torch.Generator().manual_seed(3)
    shares = list(ALONE.own_shares(batch, 3))
    assert torch.equal(torch.cat([some for some, _, _ in shares]), images)
    assert torch.equal(torch.cat([theirs for _, theirs, _ in shares]), labels)
    assert len({3, *(own.initial_seed() for _, _, own in shares)}) == 4
    second_of_two = Group(SimpleNamespace(world_size=2, global_rank=1))
    (share,) = second_of_two.own_shares(batch, 2)
    assert torch.equal(share[1], labels[3:])


@pytest.mark.parametrize(
    ("norm", "shares", "sentence"),
    [
        (nn.Identity(), 3, "a batch of 8 images does not fall into 3 equal shares"),
        (nn.BatchNorm2d(1), 2, "has batch normalisation, whose statistics are of a whole batch"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(norm, shares, sentence):
    with pytest.raises(TrainingError, match=sentence):
        train(one_layer(norm), *IMAGES, CONFIG.changed(shares=shares))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["digits-vae", "--device", "mps"], "devices = 2 on device = 'mps': give cuda, of which"),
        (["digits-vae", "--device", "cuda:1"], "devices = 2 on device = 'cuda:1': give cuda"),
        (["digits-vae", "--device", "cuda"], "devices = 2, but there are 1 GPUs here"),
        (["digits-vae", "digits-gan"], "Several devices train one model at a time: name one."),
        (["--all"], "Several devices train one model at a time: name one."),
        (["digits-reference"], "digits-reference is measured on one device: leave out"),
    ],
)
def test_devices_that_cannot_share_a_batch_are_one_sentence(monkeypatch, options, sentence):
    places = {"choose_device": torch.device, "torch.cuda.device_count": lambda: 1}
    for place, function in places.items():
        monkeypatch.setattr(f"forgetting.zoo.shares.{place}", function)
    result = CliRunner().invoke(main, ["train", *options, "--again", "--devices", "2"])
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_several_devices_without_lightning_fabric_are_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    assert start(torch.device("cpu"), 1) == (ALONE, torch.device("cpu"))
    with pytest.raises(ParameterError, match=r"pip install 'forgetting\[devices\]'"):
        start(torch.device("cpu"), 2)
