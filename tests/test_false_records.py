"""Caches, records, files and pictures that would be plausible and false lead to a sentence."""

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
from planted import Binned, Noisy
from torch import nn

import forgetting as fg
from forgetting.book import execution, kernel, plots, run, validation
from forgetting.book.checkout import HERE
from forgetting.book.entries import pages
from forgetting.book.schema import upgrade_folder
from forgetting.border.inference import once
from forgetting.border.preflight import check_flow
from forgetting.data.decoding import decode
from forgetting.data.faces import Faces
from forgetting.errors import (
    DataError,
    DataWarning,
    ForgettingError,
    ModelError,
    ParameterError,
)
from forgetting.foundation import cache, files, resources
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction
from forgetting.metrics.identity import pairs
from forgetting.metrics.likelihood import cached_bits_per_dim
from forgetting.probes.inversion import inversion_attack
from forgetting.zoo import store

ALONG = Direction(torch.eye(6)[0], 0.5)
SHORT = {"steps": 2, "batch_size": 8, "fisher_batches": 2}
IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


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
