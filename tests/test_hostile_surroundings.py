"""A clock that goes back, and folders of hostile names."""

import json
import os
import time

import pytest
import torch
from bars import Bars
from data_sets import picture, save
from small_tasks import train_alone
from test_training import CONFIG, data, learner

import forgetting as fg
from forgetting.book import own_runs
from forgetting.book import run as runs
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.errors import DataError, ForgettingError, WeightsError
from forgetting.foundation import kept
from forgetting.zoo.saved import save_model

NAMES = (
    *("two\nlines", "'", '"', "a b", "$(id)", "`id`", "-rf", "--help", "a;b", "%s", "{0}"),
    *(os.fsdecode(b"not-utf8-\xff"), "x" * 255, "é" * 120, "a\\b", "\u202eback", "~nobody", "*"),
)
"""Names that a folder can have."""

NO_NAMES = ("x" * 256, "../" * 2000, "x/" * 3000, "two\n" * 100, "~nobody", "../nowhere")
"""Texts that name no folder, of which some can be none."""


@pytest.fixture
def clock(monkeypatch):
    """Set the clock back by an hour at every look."""
    now = iter(range(2_000_000_000, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)


def finished(folder, name):
    run = runs.begin("some", runs.Parameters, {"default": {}}, {})
    run.folder, run.name, run._is_named = folder, name, True
    run.finish({"metric": 1.0}, [])
    return json.loads((folder / f"{name}.run.json").read_text())


def test_a_clock_that_goes_back_makes_no_negative_duration(tmp_path, clock):
    for name in ("first", "second"):
        noted = finished(tmp_path, name)
        assert 0 <= noted["seconds"] < 60
        assert all(value >= 0 for key, value in noted.items() if key.startswith("seconds"))


def test_a_clock_that_goes_back_breaks_no_checkpoint_lock_or_cache(tmp_path, clock):
    path = tmp_path / "training" / "checkpoint"
    expected, _ = train_alone(learner(), data(), CONFIG)
    train_alone(learner(), data(), CONFIG, path)
    os.utime(path, (4e9, 4e9))  # written in what is now the future
    resumed, _ = train_alone(learner(), data(), CONFIG, path)
    assert all(map(torch.equal, expected.state_dict().values(), resumed.state_dict().values()))
    with own_runs.claimed(tmp_path, "run"):
        os.utime(tmp_path / ".run.lock", (4e9, 4e9))
        with pytest.raises(own_runs.NameTakenError), own_runs.claimed(tmp_path, "run"):
            pass
    kept.keep(tmp_path / "answer", torch.ones(3))
    os.utime(tmp_path / "answer", (4e9, 4e9))
    assert torch.equal(kept.read_kept(tmp_path / "answer")[0], torch.ones(3))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_any_name_is_read_and_written(tmp_path, monkeypatch, name):
    top = tmp_path / name
    for i in range(20):
        save(top / "lfw" / f"P {i}" / "a.png", picture(i, (8, 8)))
    monkeypatch.setenv("FORGETTING_DATA", str(top))
    assert len(load_faces("lfw", "all", 32)) == 20
    assert len(load_faces(str(top / "lfw"), "train", 32)) < 20
    assert len(fg.load_images(top / "lfw" / "P 0", size=8)) == 1
    monkeypatch.setenv("FORGETTING_ZOO", str(top))
    assert fg.load("digits-vae").latent_dim == 32
    save_model(top / "model", Bars(), {}, "card")
    fg.restore(top / "model", into=Bars())
    assert finished(top, "run")["seconds"] >= 0


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_of_no_folder_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORGETTING_DATA", name)
    monkeypatch.setenv("FORGETTING_ZOO", name)
    for call, kind in (
        (lambda: load_digits("train"), DataError),
        (lambda: load_faces(name), DataError),
        (lambda: fg.load_images(name), ForgettingError),
        (lambda: fg.load("digits-vae"), WeightsError),
        (lambda: fg.restore(name, into=Bars()), ForgettingError),
    ):
        with pytest.raises(kind) as told:
            call()
        assert str(told.value).isprintable()
