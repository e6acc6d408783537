"""Readers of weights, of what stands beside them, and of checkpoints."""

import json
import shutil

import torch
from bars import Bars
from file_readers import Reader
from test_training import CONFIG, learner

import forgetting as fg
from forgetting.book.checkout import HERE
from forgetting.foundation.files import sha256
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import Decoder, VAEConfig
from forgetting.zoo import references, release, store
from forgetting.zoo.checkpoint import Progress, read_checkpoint, write_checkpoint
from forgetting.zoo.saved import read_report, recorded, save_model
from forgetting.zoo.training import _Part


def zoo(folder, monkeypatch, model, entry):
    monkeypatch.setenv("FORGETTING_ZOO", str(folder))
    store.save("mine", model, entry, "card", folder)
    record, weights = folder / "mine.json", folder / "mine.safetensors"
    files = [record, record, weights]
    return Reader(files, lambda _: fg.load("mine"), lambda: seal(record, weights))


def seal(record, weights):
    """Write the hash of the weights into a record that can be read."""
    try:
        content = json.loads(record.read_text())
        content["sha256"] = sha256(weights)
        record.write_text(json.dumps(content))
    except (OSError, ValueError, TypeError, RecursionError):
        pass


def zoo_glow(folder, monkeypatch):
    config = GlowConfig(image_size=8, n_steps=2, n_blocks=2, width=4)
    entry = {"kind": "glow", "config": config.model_dump()}
    return zoo(folder, monkeypatch, Glow(config), entry)


def zoo_vae(folder, monkeypatch):
    config = VAEConfig(latent_dim=4, width=4)
    entry = {"kind": "vae", "config": config.model_dump(), "parts": {}}
    return zoo(folder, monkeypatch, Decoder(config), entry)


def zoo_classifier(folder, monkeypatch):
    config = ClassifierConfig(attributes=("a", "b"), width=4, n_features=4)
    entry = {"kind": "classifier", "config": config.model_dump()}
    return zoo(folder, monkeypatch, Classifier(config), entry)


def statistics(folder, monkeypatch):
    monkeypatch.setattr(store, "checkout_folder", lambda: None)
    tensors = {"all.mean": torch.zeros(4), "all.covariance": torch.eye(4)}
    entry = {"kind": "statistics", "counts": {"all": 9, "all.floor": 9}, "classifier": {}}
    entry |= {"floors": {"all": 1.0}, "floors_of_few": {"all": 2.0}}
    entry |= {"thresholds": {"faces-classifier-a": {"64": {"Bangs": 1.0}}}}
    reader = zoo(folder, monkeypatch, tensors, entry)
    for end in ("json", "safetensors"):
        (folder / f"mine.{end}").rename(folder / f"{references.FACES}.{end}")
    reader.files = [path.with_stem(references.FACES) for path in reader.files]
    record, weights = reader.files[1:]

    def read(_):
        references.load_statistics("all", references.FACES)
        references.threshold_a("Bangs", 64)
        references.floor(store.record(references.FACES), "all", 100)

    return Reader(reader.files, read, lambda: seal(record, weights))


def manifest(folder, monkeypatch):
    path = folder / "manifest.json"
    shutil.copy(release.MANIFEST, path)
    monkeypatch.setattr(release, "MANIFEST", path)
    monkeypatch.setattr(store, "checkout_folder", lambda: None)

    (release.CACHE / "zoo").mkdir(parents=True)
    for end in ("json", "safetensors"):
        shutil.copy(HERE.root / f"zoo/digits-vae.{end}", release.CACHE / "zoo")

    def read(_):
        release.manifest.cache_clear()
        fg.list_models()
        return fg.load("digits-vae")

    yield Reader([path], read)
    release.manifest.cache_clear()


def saved(folder, monkeypatch):
    parameters = {"tuned_answers": None, "tuned_sha256": "x"}
    record = {"parameters": parameters, "report": "all is well"}
    save_model(folder / "saved", Bars(), record, "card")
    record, weights = folder / "saved/record.json", folder / "saved/weights.safetensors"

    def read(_):
        recorded(folder / "saved", "tuned_sha256")
        fg.restore(folder / "saved", into=Bars())
        read_report(record)

    return Reader([record, weights], read, lambda: seal(record, weights))


def answered(folder, monkeypatch):
    from forgetting.zoo.same_answers import answers_of

    parameters = {"tuned_answers": answers_of(Bars(), "generator", (6,))}
    save_model(folder / "saved", Bars(), {"parameters": parameters}, "card")
    record, weights = folder / "saved/record.json", folder / "saved/weights.safetensors"
    read = lambda _: fg.restore(folder / "saved", into=Bars())  # noqa: E731
    return Reader([record], read, lambda: seal(record, weights))


def pair(folder, monkeypatch):
    from forgetting.border.feature_score import FeatureScore
    from forgetting.zoo.classifier_pair import TrainedPair

    config = ClassifierConfig(attributes=("a",), width=2, n_features=2)
    scores = [FeatureScore(Classifier(config, seed), "a", 0.0) for seed in (0, 1)]
    TrainedPair(*scores, Auc(0.9, 0.8, 1.0), Auc(0.9, 0.8, 1.0)).save(folder / "pair")
    record, weights = folder / "pair/record.json", folder / "pair/weights.safetensors"
    read = lambda _: fg.load(str(folder / "pair"))  # noqa: E731
    return Reader([record, record, weights], read, lambda: seal(record, weights))


def checkpoint(folder, monkeypatch):
    path = folder / "checkpoint.safetensors"
    student = learner()
    parts, random = _Part.of(student, CONFIG), torch.Generator()
    identity = dict.fromkeys(("config", "data", "held_out", "torch", "code"), "")
    identity |= {"device": "cpu", "imports": "{}"}

    def step():
        for parameter in student.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        for part in parts:
            part.optimizer.step()

    def read(_):
        read_checkpoint(path, student.model, parts, random, identity)
        step()

    step()
    progress = Progress(2, [{"step": 2, "loss": 1.0}])
    write_checkpoint(path, student.model, parts, random, identity, progress)
    return Reader([path], read)
