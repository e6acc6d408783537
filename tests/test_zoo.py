"""The zoo: verified weights, never a pickle, a sentence for what is wrong."""

import json
import pickle

import pytest
import torch

from forgetting.data.digits import load_digits
from forgetting.errors import DataError, WeightsError
from forgetting.inference import classes
from forgetting.models.vae import Decoder, VAEConfig
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo
from forgetting.zoo.recipes import RECIPES


@pytest.fixture
def entry(tmp_path):
    """Return a folder that holds one small VAE."""
    torch.manual_seed(0)
    config = VAEConfig(latent_dim=4, width=4)
    zoo.save(
        "small", Decoder(config), {"kind": "vae", "config": config.model_dump()}, "card", tmp_path
    )
    return tmp_path


def test_what_was_saved_is_loaded(entry):
    torch.manual_seed(0)
    model = zoo.load("small", entry)  # draws nothing
    expected = Decoder(VAEConfig(latent_dim=4, width=4)).eval()
    z = torch.randn(2, 4)
    assert torch.equal(model(z), expected(z))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_unknown_missing_and_corrupt_weights_are_said(entry):
    with pytest.raises(WeightsError, match=r"no 'large'. It has: small"):
        zoo.load("large", entry)
    path = entry / "small.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    with pytest.raises(WeightsError, match="corrupt or another"):
        zoo.load("small", entry)
    path.unlink()
    with pytest.raises(WeightsError, match="are missing"):
        zoo.load("small", entry)


def test_a_pickle_is_refused_unread(entry):
    path = entry / "small.safetensors"

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was read",))

    path.write_bytes(pickle.dumps(Trap()))
    record = json.loads((entry / "small.json").read_text())
    record["sha256"] = zoo.sha256(path)
    (entry / "small.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match="pickled weights are never read"):
        zoo.load("small", entry)


def test_weights_of_another_model_are_refused(entry):
    record = json.loads((entry / "small.json").read_text())
    record["config"]["latent_dim"] = 5
    (entry / "small.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match="do not fit"):
        zoo.load("small", entry)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": {"latent_dim": 4, "colour": 1}}, "do not fit"),
        ({"config": {"latent_dim": "many"}}, "do not fit"),
        ({"kind": None}, "not a model"),
    ],
)
def test_a_record_that_describes_no_model_is_refused(entry, change, sentence):
    record = json.loads((entry / "small.json").read_text()) | change
    (entry / "small.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match=sentence):
        zoo.load("small", entry)


@pytest.mark.parametrize("name", zoo.names())
def test_every_entry_is_whole_and_has_a_card(name):
    assert zoo.tensors(name)
    assert (zoo.FOLDER / f"{name}.md").read_text().startswith(f"# {name}\n")
    assert (zoo.FOLDER / f"{name}.safetensors").stat().st_size < 25 * 2**20
    if zoo.record(name)["kind"] in zoo.KINDS:
        assert zoo.load(name)
    if name in RECIPES:
        assert zoo.record(name)["history"]


@pytest.mark.parametrize("name", ["digits-classifier-a", "digits-classifier-b"])
def test_classifiers_know_digits_that_nothing_was_trained_on(name):
    held_out = load_digits("held_out")
    found = classes(zoo.load(name), held_out.floats()).argmax(1)
    assert float((found == held_out.labels).float().mean()) > 0.98
    padded = classes(zoo.load(name), held_out.floats(32)).argmax(1)
    assert torch.equal(padded, found)


@pytest.mark.parametrize("name", zoo.names())
def test_what_was_measured_was_measured_with_the_weights_that_are_here(name):
    entry = zoo.record(name)
    for made_with in (entry.get("classifier", {}), entry.get("flow", {})):
        for other, digest in made_with.items():
            assert zoo.record(other)["sha256"] == digest


def test_statistics_of_real_images_travel_with_the_zoo():
    assert reference.load_statistics().n == 10_000
    assert reference.load_statistics("without_thick").n < 10_000
    faces = [reference.load_statistics(s, reference.FACES) for s in ("64.all", "64.without_Bangs")]
    assert faces[0].n > faces[1].n > 2000
    assert faces[0].covariance.shape == (128, 128)
    with pytest.raises(DataError, match=r"no statistics of '128\.all'; it has .*64\.all"):
        reference.load_statistics("128.all", reference.FACES)
