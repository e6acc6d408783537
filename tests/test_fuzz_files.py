"""Every reader of files works with damaged and hostile ones, or refuses them in one sentence."""

import json
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bars import Bars
from damage import PLACES, damaged
from data_sets import write_idx
from fuzzing import fuzzed, survives
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_training import CONFIG, learner

import forgetting as fg
from forgetting.book import beside, execution, own_runs, profiles, templates
from forgetting.book.catalogue import table
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.claims import CLAIMS, judged_claims
from forgetting.book.entries import entries, sweep
from forgetting.book.labels import ManualLabels
from forgetting.book.needs import needs
from forgetting.book.numerals import Results
from forgetting.book.papers import paper_rows
from forgetting.book.published import is_current
from forgetting.book.schema import upgrade_folder
from forgetting.book.validated import read_validations
from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.data.decoding import endings
from forgetting.data.digits import load_digits
from forgetting.data.faces import load_faces
from forgetting.data.tables import read_lines, read_table
from forgetting.foundation import kept
from forgetting.foundation.files import sha256
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import Decoder, VAEConfig
from forgetting.zoo import references, release, store
from forgetting.zoo.checkpoint import Progress, read_checkpoint, write_checkpoint
from forgetting.zoo.saved import read_report, recorded, save_model
from forgetting.zoo.training import _Part

SECONDS = 20
"""After which a reader counts as one that hangs."""

PUBLISHED = HERE.results


@dataclass
class Reader:
    """Files, and what reads them.

    Attributes
    ----------
    files : list of Path
        Of which one is damaged.
    read : callable
        Takes the damaged file, and reads it where a caller would.
    seal : callable
        Makes the others fit to a damaged file, as one does who damages it on purpose.
    """

    files: list[Path]
    read: Any
    seal: Any = None

    def __post_init__(self):
        self.contents = {path: path.read_bytes() for path in self.files}


@contextmanager
def in_time():
    """Raise an error where a block hangs."""

    def late(*_):
        raise TimeoutError(f"not done in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def noise(path, number, size=(10, 12), **options):
    pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def celeba(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    top = folder / "celeba"
    names = [f"{i:06}.png" for i in range(20)]
    images = [noise(top / "img_align_celeba" / name, i) for i, name in enumerate(names)]
    rows = [f"{name} {' '.join(['1', '-1'] * 20)}" for name in names]
    attributes, people = top / "list_attr_celeba.txt", top / "identity_CelebA.txt"
    attributes.write_text("\n".join(["20", " ".join(CELEBA_ATTRIBUTES), *rows, ""]))
    people.write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)))
    return Reader([attributes, people, images[3]], lambda _: load_faces("celeba", "train", 32))


def lfw(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    images = [noise(folder / "lfw" / f"P_{i // 2}" / f"{i:04}.jpg", i) for i in range(20)]
    return Reader(images[:1], lambda _: load_faces("lfw", "all", 32))


def idx(folder, monkeypatch):
    monkeypatch.setenv("FORGETTING_DATA", str(folder))
    raw = folder / "MNIST" / "raw"
    for kind in ("train", "t10k"):
        images = torch.zeros(9, 28, 28, dtype=torch.uint8)
        write_idx(raw, kind, images, torch.arange(9))
    digests = {path.name: sha256(path) for path in raw.iterdir()}
    monkeypatch.setattr("forgetting.data.digits.RAW_FILES", digests)
    return Reader(sorted(raw.iterdir()), lambda _: load_digits("held_out", "mnist"))


def attribute_table(folder, monkeypatch):
    path = folder / "attributes.csv"
    path.write_text("".join(f"{i}.jpg 1 -1 1\n" for i in range(9)))
    return Reader([path], lambda _: read_table(path, read_lines(path), 3, ("1", "-1"), "3 values"))


def images(folder, monkeypatch):
    """Return a reader of a folder with an image of every format that is read and written."""
    paths = []
    for ending in sorted(endings()):
        try:
            paths.append(noise(folder / f"all/a{ending}", 0))
        except (OSError, ValueError, KeyError):
            (folder / f"all/a{ending}").unlink(missing_ok=True)  # Pillow reads it alone
    for mode in ("L", "LA", "RGBA", "P", "1", "CMYK", "I;16"):
        image = Image.new(mode if mode != "I;16" else "I;16", (9, 9))
        paths.append(folder / f"all/{mode.replace(';', '')}.tif")
        image.save(paths[-1])
    pages = [Image.new("RGB", (9, 9), name) for name in ("red", "blue")]
    paths.append(folder / "all/pages.gif")
    pages[0].save(paths[-1], save_all=True, append_images=pages[1:])
    return Reader(paths, decoded)


def decoded(path):
    """Read an image as a folder of its own would be read."""
    from forgetting.data.images import Crop, hash_files, read_images

    return read_images([path], hash_files([path]), path.parent, Crop(), 8)


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


def labels(folder, monkeypatch):
    path = folder / "labels.safetensors"
    labelled = ManualLabels(Bars(), "wide", 10, path)
    labelled.answer([True, False, True])
    return Reader([path], lambda _: ManualLabels.read(Bars(), path))


def of_cache(folder, monkeypatch):
    path = folder / "kept.safetensors"
    kept.keep(path, torch.ones(3), {"changes": "{}"})
    return Reader([path], lambda _: kept.read_kept(path))


def results(folder, monkeypatch):
    """Return a reader of records as the commands read them."""
    checkout = Checkout(folder, HERE.root)
    monkeypatch.setattr(Checkout, "results", folder / "results")
    monkeypatch.setattr(Checkout, "published", HERE.published)
    (folder / "results").mkdir()
    ends = (".json", ".run.json")
    for end in ends:
        shutil.copy(PUBLISHED / f"tour{end}", folder / "results")
        shutil.copy(PUBLISHED / f"tour{end}", folder / f"own{end}")
    page = next(page for page in entries(checkout) if page.name == "tour")
    own = folder / "own.json"

    def read(_):
        needs(page, checkout)
        execution.announcement("tour", {}, checkout)
        Results(folder / "results").seconds("tour")
        Results(folder / "results").value("tour", "l1_others")
        template, given = own_runs.of_record(own)
        own_runs.with_changes(template, given, {"preset": "smoke"})
        execution.closing(own, own)
        is_current(page, HERE.published, folder / "results", checkout)
        "\n".join(beside.compare_run(own, True, checkout).lines())

    files = [folder / f"{name}{end}" for name in ("own", "results/tour") for end in ends]
    return Reader(files, read)


def sweep_table(folder, monkeypatch):
    """Return a reader of the records of a sweep as a table reads them."""
    name = "unlearn_digits"
    checkout = Checkout(folder, HERE.root)
    first = sorted(path for path in (PUBLISHED / name).glob("*.run.json"))[0]
    entry = sweep(name, checkout)
    monkeypatch.setattr("forgetting.book.catalogue.sweep", lambda *_: entry)
    monkeypatch.setattr(Checkout, "results", folder / "results")
    (folder / "results" / name).mkdir(parents=True)
    files = [first, first.with_name(first.name.replace(".run.json", ".json"))]
    paths = [Path(shutil.copy(file, folder / "results" / name)) for file in files]

    return Reader(paths, lambda _: table(name, SimpleNamespace(weights={}), checkout))


def older_record(folder, monkeypatch):
    path = folder / "old.json"
    record = {"name": "old", "template": "tour", "role": "headline", "parameters": {"by_hand": 1}}
    record |= {"metrics": {"presence_b_x": 0.5}, "weights": {"a-judge-a": "x"}, "history": [{}]}
    path.write_text(json.dumps(record))

    def read(_):
        try:
            return upgrade_folder(folder)
        finally:
            for other in folder.iterdir():
                if other != path and other.is_file():
                    other.unlink()

    return Reader([path], read)


def runs(folder, monkeypatch):
    path = folder / "runs.yaml"
    text = HERE.runs_file.read_text(encoding="utf-8")
    listed = text.split("\n- ")
    path.write_text("\n- ".join([*listed[:3], listed[-1]]), encoding="utf-8")
    monkeypatch.setattr(Checkout, "templates", HERE.templates)

    def read(_):
        return [entry.runs() for entry in entries(Checkout(folder)) if entry.is_sweep]

    return Reader([path], read)


def profile(folder, monkeypatch):
    path = folder / "config.yaml"
    path.write_text((profiles.WORKFLOW / "kubernetes/config.yaml").read_text())
    monkeypatch.setattr(profiles, "find_spec", lambda name: name)  # a profile needs its plugin
    with path.open("a") as file:
        file.write(f"container-image: some\nkubernetes-persistent-volumes: ['a:{folder}']\n")
    return Reader(
        [path], lambda _: profiles.snakemake(profiles.find_profile(str(folder)), [folder])
    )


def notebook(folder, monkeypatch):
    monkeypatch.setattr(Checkout, "templates", folder)
    for end in ("py", "ipynb"):
        shutil.copy(HERE.root / "notebooks" / f"tour.{end}", folder)

    def read(_):
        templates.convert("tour", {"seed": "1"})
        templates.check_notebook("tour")

    return Reader([folder / "tour.py", folder / "tour.ipynb"], read)


def page(folder, monkeypatch):
    """Return a reader of an executed page."""
    (folder / "runs").mkdir()
    monkeypatch.setattr(Checkout, "published", folder / "runs")
    path = Path(shutil.copy(HERE.root / "book/runs/tour.ipynb", folder / "runs"))
    own = next(page for page in entries() if page.name == "tour")
    return Reader([path], lambda _: is_current(own, folder / "runs", HERE.results))


def judged(folder, monkeypatch):
    """Return a reader of claims and papers, and of what was judged from them."""
    monkeypatch.setattr(Checkout, "results", folder / "results")
    for name in ("book", "results"):
        (folder / name).mkdir()
    files = []
    for name in ("claims", "papers"):
        first, *listed = (HERE.root / f"book/{name}.yaml").read_text("utf-8").split("\n- ")
        files.append(folder / f"book/{name}.yaml")
        files[-1].write_text("\n- ".join([first, *listed[:2]]), encoding="utf-8")
    checkout = Checkout(folder)
    for name in ("claims", "papers", "validation"):
        files.append(Path(shutil.copy(PUBLISHED / f"{name}.json", folder / "results")))
    monkeypatch.setattr(Results, "__init__", by_default(PUBLISHED))

    def read(_):
        judged_claims(checkout)
        paper_rows(checkout)
        CLAIMS.check(checkout)
        read_validations(checkout)

    return Reader(files, read)


def by_default(folder):
    original = Results.__init__
    return lambda self, _: original(self, folder)


READERS = (
    *(celeba, lfw, idx, attribute_table, images, zoo_glow, zoo_vae, zoo_classifier, statistics),
    *(manifest, saved, answered, pair, checkpoint, labels, of_cache, results, sweep_table),
    *(older_record, runs, profile, notebook, page, judged),
)


@pytest.fixture(params=READERS, ids=[make.__name__ for make in READERS])
def reader(request, tmp_path, monkeypatch):
    made = request.param(tmp_path, monkeypatch)
    if isinstance(made, Reader):
        yield made
    else:
        yield from made


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.filterwarnings("ignore")
def test_what_is_undamaged_is_read(reader):
    for path in {*reader.files}:
        if path.name != "pages.gif":
            reader.read(path)


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_a_sentence(reader, request, data):
    path = data.draw(st.sampled_from(reader.files))
    place = data.draw(st.sampled_from([None] * 9 + list(PLACES)))
    content = None if place else data.draw(damaged(reader.contents[path], path.name))
    is_sealed = bool(reader.seal and not place and data.draw(st.booleans()))
    if place:
        path.unlink()
        place(path)
    else:
        path.write_bytes(content)
    if is_sealed:
        reader.seal()
    try:
        with in_time():
            survives(request.node.callspec.id, lambda: reader.read(path))
    finally:
        remove(path)
        for other, before in reader.contents.items():
            other.write_bytes(before)
