"""What the templates on a person begin with, on a small flow in place of the zoo's."""

import pytest
import torch
from colours import Colours
from pydantic import ValidationError

from forgetting.experiments import person_task
from forgetting.experiments.context import Experiment
from forgetting.experiments.people import load_person_splits
from forgetting.experiments.person_task import PRESETS, PersonTamingParameters, load_person_task


def parameters(preset="smoke", **given):
    values = {"source": "latent", "person": "", "model": "flow", "n_forget": 2}
    sizes = PRESETS["smoke"] | {"n_likelihood_reference": 20}
    return PersonTamingParameters(**values | given, **sizes, preset=preset, device="cpu")


@pytest.fixture
def run(glow, monkeypatch):
    models = {"flow": glow, "faces-embedding": Colours(), "faces-classifier-a": "classifier a"}
    experiment = Experiment("test", parameters())
    monkeypatch.setattr(experiment, "load", lambda name, *kinds: models[name])
    return experiment


def test_presets_are_of_the_same_parameters():
    assert PRESETS["smoke"].keys() == PRESETS["default"].keys()


def test_no_more_images_are_forgotten_than_are_kept_for_it():
    with pytest.raises(ValidationError, match="n_forget"):
        parameters(n_forget=16)


def test_a_task_has_the_person_and_the_images_that_its_parameters_name(run, glow):
    task = load_person_task(run, parameters(), radius=0.2, temperature=0.6)
    generator = run.generator("sets")
    person = load_person_splits(
        "latent", "", glow, Colours(), 20, generator, radius=0.2, temperature=0.6, n_retain=40
    )
    assert torch.equal(task.person.candidates, person.candidates)
    assert torch.equal(task.person.retain, person.retain)
    assert torch.equal(task.forget, person.candidates[:2])
    assert (task.base, task.classifier_a) == (glow, "classifier a")


@pytest.mark.parametrize(("preset", "n"), [("smoke", 40), ("default", 2048)])
def test_only_the_smallest_preset_retains_fewer_images(preset, n, run, monkeypatch):
    given = {}

    def load(*arguments, **settings):
        given.update(settings)
        return load_person_splits(*arguments, **settings | {"n_retain": 40})

    monkeypatch.setattr(person_task, "load_person_splits", load)
    monkeypatch.setattr(run, "parameters", parameters(preset))
    load_person_task(run, run.parameters)
    assert given == {"radius": 0.3, "temperature": 0.7, "n_retain": n}
