"""The page on classifiers: planted faces, planted scores, and what is told of them."""

import matplotlib as mpl
import pytest
import torch
from planted import AttributeClassifier
from torch import nn

from forgetting.book import classifier_plots
from forgetting.data.faces import CELEBA_ATTRIBUTES, Faces
from forgetting.experiments import face_classifiers
from forgetting.experiments.context import Experiment, Parameters
from forgetting.metrics.calibration import Auc, calibration_error
from forgetting.zoo import references

mpl.use("Agg")
MALE = CELEBA_ATTRIBUTES.index("Male")


class Reader(AttributeClassifier):
    """An attribute's logit is a pixel of the first row minus one half, times a sign."""

    def logits(self, images):
        return self.weight * (images[:, 0].flatten(1)[:, : len(self.attributes)] - 0.5)


@pytest.fixture
def experiment():
    return Experiment("test", Parameters(seed=3))


@pytest.fixture
def classifiers():
    return {"a": Reader(1.0), "b": Reader(-1.0)}


def planted(size, n=120):
    """Return faces whose first row of pixels shows the labels, but for one face in eight."""
    generator = torch.Generator().manual_seed(size)
    labels = torch.rand(n, 40, generator=generator) < 0.4
    labels[:, 0] = False  # nobody has it
    images = torch.zeros(n, 3, size, size, dtype=torch.uint8)
    wrong = (torch.arange(n) % 8 == 0)[:, None]
    images[:, 0].flatten(1)[:, :40] = 200 * (labels ^ wrong).byte()
    people = tuple(f"person {i // 2}" for i in range(n))
    return Faces(images, people, labels, CELEBA_ATTRIBUTES, "celeba")


@pytest.fixture
def scores(classifiers, monkeypatch):
    monkeypatch.setattr(face_classifiers, "load_faces", lambda source, split, size: planted(size))
    return face_classifiers.score_held_out(classifiers)


@pytest.fixture(autouse=True)
def _strict(monkeypatch):
    monkeypatch.setattr(face_classifiers, "strict_threshold", lambda run, attribute, size: 0.2)


def test_held_out_faces_of_both_sizes_are_scored(scores):
    assert set(scores.faces) == {32, 64}
    assert set(scores.logits) == {(name, size) for name in "ab" for size in (32, 64)}
    assert torch.equal(scores.logits["a", 32], -scores.logits["b", 32])
    assert scores.logits["a", 64].shape == (120, 40)


def test_every_attribute_that_some_show_and_some_lack_has_an_auc(classifiers, scores):
    aucs, left_out = face_classifiers.measure_aucs(classifiers, scores)
    assert left_out == [CELEBA_ATTRIBUTES[0]]
    assert len(aucs) == 2 * 2 * 39
    labels = scores.faces[32].labels[:, MALE]
    assert aucs["a", 32, "Male"] == Auc.of(scores.logits["a", 32][:, MALE], labels)
    assert aucs["a", 32, "Male"].value > 0.8
    assert aucs["b", 32, "Male"].value == pytest.approx(1 - aucs["a", 32, "Male"].value)


def test_accuracy_stands_beside_the_more_frequent_answer(experiment, classifiers, scores):
    rows = face_classifiers.measure_accuracy(experiment, classifiers, scores)
    assert set(rows) == {
        (name, size, attribute)
        for name in "ab"
        for size in (32, 64)
        for attribute in references.FACE_FEATURES
    }
    labels = scores.faces[32].labels[:, MALE]
    share = float(labels.float().mean())
    a, b = rows["a", 32, "Male"], rows["b", 32, "Male"]
    assert a["frequent"] == pytest.approx(max(share, 1 - share))
    assert a["accuracy"] == pytest.approx(1 - 15 / 120)
    assert b["accuracy"] == pytest.approx(15 / 120)
    assert a["calibration_error"] == calibration_error(scores.logits["a", 32][:, MALE], labels)
    assert "recall" not in a
    # B's logit exceeds 0.2 where the pixel is dark: of the faces with the attribute, every eighth
    dark = labels & (torch.arange(120) % 8 == 0)
    assert b["recall"] == pytest.approx(int(dark.sum()) / int(labels.sum()))


def test_images_without_labels_are_noise_and_samples(experiment):
    found = face_classifiers.draw_unlabelled(experiment, 3)
    assert list(found) == ["uniform noise", "blurred noise", "VAE samples", "Glow samples"]
    noise, blurred = found["uniform noise"], found["blurred noise"]
    expected = torch.rand((3, 3, 64, 64), generator=experiment.generator("noise"))
    assert torch.equal(noise, expected)
    assert blurred.shape == noise.shape
    middle = 0.5 + 6 * (noise[0, 0, 10:19, 20:29].mean() - 0.5)
    assert blurred[0, 0, 14, 24] == pytest.approx(middle.clamp(0, 1).item(), abs=1e-5)
    assert set(experiment.weights) == {"faces-vae", "faces-glow"}
    assert found["Glow samples"].shape == (3, 3, 32, 32)


def test_agreement_is_told_of_samples_and_shares_of_everything(experiment):
    images = torch.zeros(10, 3, 8, 8)
    images[:6, 0].flatten(1)[:, MALE] = 0.9  # a logit of 0.4
    images[6:9, 0].flatten(1)[:, MALE] = 0.6  # a logit of 0.1
    pair = {"a": Reader(1.0), "b": Reader(1.0)}
    rows = face_classifiers.measure_agreement(
        experiment, pair, {"uniform noise": images, "VAE samples": images}
    )
    row = rows["VAE samples", "Male"]
    assert row["share_a"] == pytest.approx(0.9)
    assert row["share_b"] == pytest.approx(0.6)
    assert row["agreement"] == 1
    assert row["correlation"] == pytest.approx(1)
    assert set(rows["uniform noise", "Male"]) == {"share_a", "share_b"}
    opposed = {"a": Reader(1.0), "b": Reader(-1.0)}
    row = face_classifiers.measure_agreement(experiment, opposed, {"VAE samples": images})[
        "VAE samples", "Male"
    ]
    assert row["agreement"] == 0
    assert row["correlation"] == pytest.approx(-1)
    assert row["share_b"] == pytest.approx(0.1)


class Embedding(nn.Module):
    """People lie where their number of bright pixels puts them on a circle."""

    def __init__(self):
        super().__init__()
        self.turn = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        angle = self.turn * images[:, 0].sum((1, 2))
        return torch.stack([angle.cos(), angle.sin()], 1)


def test_an_embedding_that_tells_people_apart_is_seen_to(monkeypatch):
    def load(source, split, size):
        assert (source, split) == ("lfw", "held_out")
        images = torch.zeros(16, 3, size, size, dtype=torch.uint8)
        for i in range(16):
            images[i, 0, 0, : i // 2] = 128
        people = tuple(f"person {i // 2}" for i in range(16))
        return Faces(images, people, torch.zeros(16, 0, dtype=torch.bool), (), "lfw")

    monkeypatch.setattr(face_classifiers, "load_faces", load)
    rows = face_classifiers.measure_verification(Embedding())
    assert set(rows) == {32, 64}
    assert int(rows[32].same.sum()) == 8
    assert (rows[32].auc.value, rows[32].recall) == (1.0, 1.0)
    figure = classifier_plots.draw_verification(rows)
    assert [axis.get_title() for axis in figure.axes] == ["32 px, AUC 1.000", "64 px, AUC 1.000"]
    assert classifier_plots.draw_verification({}) is None


def test_rows_are_recorded_under_their_figures_and_keys():
    rows = {("VAE samples", "Wearing_Hat"): {"share_a": 0.5, "hidden": 1.0}, ("b", 64, "Male"): {}}
    found = face_classifiers.flat_metrics(rows, ("share_a", "agreement"))
    assert found == {"share_a_vae_samples_wearing_hat": 0.5}


def test_tables_and_figures_show_every_classifier(experiment, classifiers, scores):
    aucs, _ = face_classifiers.measure_aucs(classifiers, scores)
    table = classifier_plots.auc_table(aucs)
    assert set(table.columns) == {"A, 32 px", "B, 32 px", "A, 64 px", "B, 64 px"}
    assert set(table.index) == set(references.FACE_FEATURES)
    assert table.loc["Male", "A, 32 px"].startswith(f"{aucs['a', 32, 'Male'].value:.3f} (")
    (axis,) = classifier_plots.draw_aucs(aucs).axes
    best_first = list(axis.collections[0].get_offsets()[:, 0])
    of_a = [auc.value for (name, size, _), auc in aucs.items() if (name, size) == ("a", 64)]
    assert best_first == pytest.approx(sorted(of_a, reverse=True))
    assert classifier_plots.draw_aucs({}) is None
    rows = face_classifiers.measure_accuracy(experiment, classifiers, scores)
    html = classifier_plots.accuracy_table(rows).to_html()
    assert "found by B" in html
    assert "87.5%" in html
    assert len(classifier_plots.draw_calibration(classifiers, scores).axes) == 2
    assert classifier_plots.draw_calibration(classifiers, None) is None
    agreement = {("VAE samples", "Male"): {"share_a": 0.5, "share_b": 0.25, "agreement": 1.0}}
    assert "25.0%" in classifier_plots.agreement_table(agreement).to_html()
