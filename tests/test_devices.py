"""Which device is chosen, and what a function leaves of its settings."""

import contextlib
import functools

import pytest
import torch
from click.testing import CliRunner
from elsewhere import DEVICE
from pydantic import ValidationError
from torch import nn

from forgetting.border.conditions import own_conditions, seeded
from forgetting.border.copies import device_of
from forgetting.cli import main
from forgetting.errors import ForgettingError, ParameterError
from forgetting.experiments.context import Experiment, Parameters
from forgetting.foundation.devices import choose_device
from forgetting.foundation.precision import autocast_context, has_bfloat16


def has(monkeypatch, n_gpus, mps):
    """Let torch find so many GPUs, and one of Apple or none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    found = functools.cache(lambda: mps)  # torch's own is cached as well, and it looks inside
    monkeypatch.setattr(torch.backends.mps, "is_available", found)


@pytest.mark.parametrize(
    ("n_gpus", "mps", "chosen"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch, n_gpus, mps, chosen):
    has(monkeypatch, n_gpus, mps)
    assert choose_device("auto") == choose_device() == torch.device(chosen)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_device_that_is_not_here_is_a_sentence(monkeypatch):
    has(monkeypatch, 0, False)
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(ParameterError, match=f"'{name}', but torch finds no such GPU here"):
            choose_device(name)
    has(monkeypatch, 2, True)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert choose_device("mps") == torch.device("mps")
    for name in ("cuda:2", "cuda:999"):
        with pytest.raises(ParameterError, match=r"the last GPU here is cuda:1\."):
            choose_device(name)
    for name in ("gpu", "cuda:", "cuda:01", "mps:0", "cpu\n", ""):
        with pytest.raises(ParameterError, match="give auto, cpu, cuda, cuda:N or mps"):
            choose_device(name)


def test_a_template_takes_the_same_names(monkeypatch):
    for name in ("auto", "cpu", "cuda", "cuda:3", "mps"):
        assert Parameters(device=name).device == name
    for name in ("gpu", "cuda:", "cpu\n"):
        with pytest.raises(ValidationError):
            Parameters(device=name)
    has(monkeypatch, 0, False)
    with pytest.raises(ParameterError, match="no such GPU"):
        Experiment("some", Parameters(device="mps"))


MADE = """
import torch
import forgetting as fg
def make():
    return fg.load("digits-vae")
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "digits-vae", "--again"],
        ["unlearn", "{}", "--feature", "7", "--output", "{}/out"],
        ["tame", "{}", "--forget", "{}/..", "--retain", "{}/..", "--output", "{}/out"],
        ["audit", "{}", "{}", "--feature", "7"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_that_computes_takes_a_device(monkeypatch, tmp_path, arguments):
    has(monkeypatch, 0, False)
    (tmp_path / "mine.py").write_text(MADE)
    place = {"{}": f"{tmp_path}/mine.py:make", "{}/..": str(tmp_path), "{}/out": f"{tmp_path}/out"}
    arguments = [place.get(argument, argument) for argument in arguments]
    result = CliRunner().invoke(main, [*arguments, "--device", "mps"])
    assert result.exit_code == 1
    assert "device = 'mps', but torch finds no such GPU here" in result.output


def test_models_of_a_command_go_to_its_device(monkeypatch, tmp_path, elsewhere):
    (tmp_path / "mine.py").write_text(MADE)
    place, places = f"{tmp_path}/mine.py:make", []

    def noting(*values, **options):
        given = *values, *options.values()
        models = [value for value in given if isinstance(value, nn.Module)]
        places.append([*map(device_of, models), options.get("device")])
        raise ForgettingError("noted")

    monkeypatch.setattr("forgetting.foundation.devices.choose_device", {"cuda": elsewhere}.get)
    monkeypatch.setattr("forgetting.experiments.own_audit.check_audit", lambda *a, **b: None)
    monkeypatch.setattr("forgetting.experiments.own_audit.audit", noting)
    monkeypatch.setattr("forgetting.experiments.own_flow.load_sets", lambda *a, **b: (None, None))
    monkeypatch.setattr("forgetting.experiments.own_flow.check_taming", noting)
    monkeypatch.setattr("forgetting.cli.own_models.leave_notebook", noting)
    for arguments in (
        ["audit", place, place, "--retrained", place, "--feature", "7"],
        ["tame", place, "--forget", str(tmp_path), "--retain", str(tmp_path)],
        ["unlearn", place, "--feature", "7"],
    ):
        output = [] if arguments[0] == "audit" else ["--output", str(tmp_path / "new")]
        result = CliRunner().invoke(main, [*arguments, *output, "--device", "cuda"])
        assert "noted" in result.output
    assert places == [[elsewhere] * 3 + [None], [elsewhere, None], ["cuda"]]


def test_a_function_leaves_the_random_numbers_of_mps(monkeypatch):
    calls = []
    has(monkeypatch, 0, True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: calls.append(state))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: calls.append(seed))
    with contextlib.suppress(KeyError), seeded(5):
        assert calls == [5]
        raise KeyError
    assert calls == [5, "before"]


def test_an_autocast_of_mps_does_not_reach_a_function():
    if not torch.amp.is_autocast_available("mps"):
        pytest.skip("torch has no autocast for mps here")
    with torch.autocast("mps", torch.bfloat16):
        assert torch.is_autocast_enabled("mps")
        with own_conditions():
            assert not torch.is_autocast_enabled("mps")
        with autocast_context("float32", torch.device("mps")):
            assert not torch.is_autocast_enabled("mps")


def test_a_device_without_bfloat16_or_autocast_runs_in_float32():
    for name in ("mps", "meta"):
        assert not has_bfloat16(torch.device(name))
    with autocast_context("bfloat16", torch.device("mps")):
        assert not torch.amp.is_autocast_available("mps") or not torch.is_autocast_enabled("mps")
    with autocast_context("bfloat16", DEVICE):
        pass
