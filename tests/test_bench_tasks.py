"""The tasks of the bench: their versions, their budgets, and how they are listed."""

import hashlib
import json

import pytest
import torch
from bars import Bars
from bench_methods import PAGE
from click.testing import CliRunner
from torch.optim.optimizer import register_optimizer_step_pre_hook

from forgetting.book import bench_tasks, templates
from forgetting.cli import main
from forgetting.experiments import bench
from forgetting.foundation.files import ROOT
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction
from forgetting.methods.taming_methods import TamingSettings


def test_help_and_page_list_every_task_with_the_times_of_records():
    shown = CliRunner().invoke(main, ["bench", "--help"]).output
    rows = bench_tasks.listed()
    assert {row.name for row in rows if row.time} == {
        json.loads(path.read_text())["parameters"]["task"]
        for path in (ROOT / "results" / bench_tasks.FOLDER).glob("*[0-9].json")
    }
    for name in bench.TASKS:
        assert f"  {name} " in shown
        assert f"| `{name}` |" in PAGE
    assert bench_tasks.is_page_current()


def test_a_changed_task_is_a_new_version():
    """A digest that differs needs a higher version, and then its own line here."""
    digests = {
        f"{name}@{task.version}": hashlib.sha256(task.model_dump_json().encode()).hexdigest()[:8]
        for name, task in bench.TASKS.items()
    }
    assert digests == {
        "digits_gan_left_slant@2": "4731834d",
        "digits_gan_thick@2": "a335de36",
        "digits_gan_thick_quick@2": "c492c0ea",
        "digits_vae_left_slant@2": "9f6c04c1",
        "digits_vae_thick@2": "e7029c58",
        "digits_vae_thick_quick@2": "397ee8e8",
        "faces_gan_bangs@2": "28da08cd",
        "faces_glow_bush@2": "8e12b54a",
        "faces_glow_latent_quick@2": "54ad80ec",
        "faces_glow_powell@2": "249aa27e",
        "faces_glow_smiling@1": "4df806a1",
        "faces_style_gan_bangs@2": "594d5446",
        "faces_vae_bangs@2": "4d20a3f4",
    }


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_of_the_study_keeps_to_its_budget(name):
    steps = 2
    taken = []
    hook = register_optimizer_step_pre_hook(lambda *of_step: taken.append(of_step))
    generator = Bars()
    direction = Direction(torch.eye(6)[0], 0.0)
    config = METHODS[name].configure({"steps": steps, "batch_size": 4})
    score = (lambda images: images.sum((1, 2, 3))) if METHODS[name].needs_score else None
    try:
        METHODS[name](generator, direction, score, config)
    finally:
        hook.remove()
    assert len(taken) <= steps
    assert bool(taken) is ("steps" in METHODS[name].configuration.model_fields)


def test_taming_has_the_settings_of_the_pages_on_people():
    declared = templates.parameters("taming_person")
    own = TamingSettings()
    for name in TamingSettings.model_fields.keys() - {"max_steps", "precision", "n_retain"}:
        if name in declared:
            assert getattr(own, name) == declared[name].default, name
