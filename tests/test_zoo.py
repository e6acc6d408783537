"""The zoo: verified weights, never a pickle, a sentence for what is wrong."""

import json
import pickle

import pytest
import torch

from forgetting.border.inference import classes
from forgetting.data.digits import load_digits
from forgetting.errors import DataError, DataWarning, WeightsError
from forgetting.experiments import tuned_models
from forgetting.foundation import resources
from forgetting.models import MODELS
from forgetting.models.vae import Decoder, VAEConfig
from forgetting.zoo import references, release, store
from forgetting.zoo.graders import load_thresholds
from forgetting.zoo.recipes import RECIPES, Measurement, Recipe
from forgetting.zoo.train import card

FOLDER = resources.checkout() / "zoo"


@pytest.fixture(autouse=True)
def _no_zoo_elsewhere(monkeypatch, tmp_path):
    monkeypatch.delenv(store.VARIABLE, raising=False)
    monkeypatch.setattr(release, "CACHE", tmp_path / "cache")


@pytest.fixture
def entry(tmp_path):
    """Return a folder that holds one small VAE."""
    torch.manual_seed(0)
    config = VAEConfig(latent_dim=4, width=4)
    store.save(
        "small", Decoder(config), {"kind": "vae", "config": config.model_dump()}, "card", tmp_path
    )
    return tmp_path


def change_record(folder, **values):
    path = folder / "small.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_saved_model_is_loaded_and_nothing_is_drawn(entry):
    torch.manual_seed(0)
    model = store.load("small", str(entry))
    expected = Decoder(VAEConfig(latent_dim=4, width=4)).eval()
    z = torch.randn(2, 4)
    assert torch.equal(model(z), expected(z))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_unknown_missing_and_corrupt_weights_are_errors(entry):
    with pytest.raises(WeightsError, match=r"no 'large'. It has: small"):
        store.load("large", entry)
    path = entry / "small.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(WeightsError, match="corrupt or another"):
        store.load("small", entry)
    path.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        store.load("small", entry)


def test_a_pickle_is_refused_unread(entry):
    path = entry / "small.safetensors"

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was read",))

    path.write_bytes(pickle.dumps(Trap()))
    change_record(entry, sha256=release.sha256(path))
    with pytest.raises(WeightsError, match="pickled weights are never read"):
        store.load("small", entry)


def test_weights_of_another_model_are_refused(entry):
    config = json.loads((entry / "small.json").read_text())["config"]
    change_record(entry, config=config | {"latent_dim": 5})
    with pytest.raises(WeightsError, match="do not fit"):
        store.load("small", entry)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": {"latent_dim": 4, "colour": 1}}, "do not fit"),
        ({"config": {"latent_dim": "many"}}, "do not fit"),
        ({"kind": None}, "not a model"),
        ({"kind": "statistics"}, "not a model"),
    ],
)
def test_a_record_that_describes_no_model_is_refused(entry, change, sentence):
    change_record(entry, **change)
    with pytest.raises(WeightsError, match=sentence):
        store.load("small", entry)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weight: (100 * weight).to(torch.int8), "is of torch.int8, where torch.float32"),
        (lambda weight: weight / 0, "has values that are not finite"),
    ],
)
def test_weights_that_are_rounded_or_broken_are_refused(entry, change, reason):
    tensors = {key: change(value) for key, value in store.tensors("small", entry).items()}
    store.save("small", tensors, store.record("small", entry), "", entry)
    with pytest.raises(WeightsError, match=reason):
        store.load("small", entry)


@pytest.mark.parametrize("name", store.names(FOLDER))
def test_every_entry_is_whole_and_has_the_card_of_its_recipe(name):
    assert store.tensors(name)
    text = (FOLDER / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert max(map(len, text.splitlines())) < 100
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 25 * 2**20
    record = store.record(name)
    assert (record["kind"] in MODELS) == (name in store.list_models())
    if record["kind"] in MODELS:
        assert store.load(name)
    if "base" in record:
        assert text == tuned_models.card(name, record)
    if isinstance(RECIPES[name], Recipe):
        assert record["history"]
        assert text == card(name, RECIPES[name], record)


@pytest.mark.parametrize("name", ["digits-classifier-a", "digits-classifier-b"])
def test_classifiers_recognise_digits_that_nothing_was_trained_on(name):
    held_out = load_digits("held_out")
    predicted = classes(store.load(name), held_out.floats()).argmax(1)
    assert float((predicted == held_out.labels).float().mean()) > 0.98
    of_padded = classes(store.load(name), held_out.floats(32)).argmax(1)
    assert torch.equal(of_padded, predicted)


@pytest.mark.parametrize("name", store.names(FOLDER))
def test_measurements_were_made_with_the_weights_of_the_zoo(name):
    entry = store.record(name)
    for made_with in (entry.get("classifier", {}), entry.get("flow", {})):
        for other, digest in made_with.items():
            assert store.record(other)["sha256"] == digest
            assert isinstance(RECIPES[name], Measurement)
            assert other in RECIPES[name].needs


@pytest.mark.parametrize(
    ("other", "read"),
    [
        ("digits-classifier-a", references.load_statistics),
        ("faces-classifier-a", lambda: references.threshold_a("Smiling", 64)),
        ("faces-classifier-b", lambda: load_thresholds("faces-classifier-b", "Smiling", 64)),
        ("faces-classifier-a", lambda: store.load("faces-embedding")),
        ("faces-glow", lambda: store.tensors("faces-likelihoods")),
    ],
)
def test_what_was_measured_with_other_weights_is_refused(other, read, monkeypatch):
    read()
    record = store.record

    def trained_anew(name, folder=None):
        return record(name, folder) | ({"sha256": "f" * 64} if name == other else {})

    monkeypatch.setattr(store, "record", trained_anew)
    with pytest.raises(WeightsError, match=f"was measured with {other} of sha256 .*measure it"):
        read()


def test_statistics_of_real_images_travel_with_the_zoo():
    assert references.load_statistics().n == 10_000
    assert references.load_statistics("without_thick").n < 10_000
    faces = [
        references.load_statistics(subset, references.FACES)
        for subset in ("64.all", "64.without_Bangs")
    ]
    assert faces[0].n > faces[1].n > 2000
    assert faces[0].covariance.shape == (128, 128)
    with pytest.raises(DataError, match=r"no statistics of '128\.all'; it has .*64\.all"):
        references.load_statistics("128.all", references.FACES)


def test_weights_that_another_folder_hides_are_named(tmp_path, monkeypatch, recwarn):
    first, second = tmp_path / "checkout", tmp_path / "own"
    own, same = (store.load("digits-vae") for _ in range(2))
    with torch.no_grad():
        next(own.parameters()).add_(1)
    entry = {"kind": store.record("digits-vae")["kind"]}
    entry["config"] = store.record("digits-vae")["config"]
    for folder, model in ((first, same), (second, same)):
        store.save("digits-vae", model, entry, "", folder)
    monkeypatch.setattr(store, "local_folders", lambda: [first, second])
    store.load("digits-vae")
    assert not recwarn.list
    store.save("digits-vae", own, entry, "", second)
    with pytest.warns(DataWarning, match=r"loaded from .*checkout, not from .*own"):
        store.load("digits-vae")
