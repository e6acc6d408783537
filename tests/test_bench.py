"""The bench runs anyone's method on named tasks, and leaves a record of each run."""

import hashlib
import json

import pytest
from click.testing import CliRunner
from explained import unexplained

from forgetting.book.records import read_record
from forgetting.cli import main
from forgetting.experiments import bench
from forgetting.methods import METHODS

MINE = """
from pydantic import BaseModel

from forgetting.methods.finetune import FinetuneConfig, finetune
from forgetting.methods.registry import unlearning_method

class NoSteps(BaseModel):
    lr: float = 0.1

def darken(batch):
    return {"darken": (batch.selected * batch.images.flatten(1).sum(1)).mean()}

@unlearning_method("bench darkening", FinetuneConfig, source="a test")
def darkening(problem, config):
    return finetune(problem, darken, config)

@unlearning_method("bench without steps", NoSteps, source="a test")
def without_steps(problem, config):
    return None
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    small = {"n_collected": 300, "n_samples": 300, "steps": 3}
    task = bench.TASKS["digits_vae_thick"].model_copy(update=small)
    monkeypatch.setitem(bench.TASKS, "digits_vae_thick", task)
    len(METHODS)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def call(method, output, *options):
    return CliRunner().invoke(main, ["bench", str(method), "--output", str(output), *options])


def test_a_method_of_a_file_leaves_a_record_that_names_the_task_and_its_version(mine, tmp_path):
    done = call(f"{mine}:darkening", tmp_path / "runs")
    assert done.exit_code == 0, done.output
    assert "bench darkening, digits_vae_thick@1: prevalence" in done.output
    record = read_record(tmp_path / "runs" / "bench_digits_vae_thick.json")
    given = record["parameters"]
    assert (given["task"], given["version"], given["steps"]) == ("digits_vae_thick", 1, 3)
    assert given["method"] == "bench darkening"
    assert {"digits-vae", "digits-vae-no-thick", "digits-classifier-b"} <= set(record["weights"])
    assert unexplained(record["metrics"]) == []
    times = json.loads((tmp_path / "runs" / "bench_digits_vae_thick.run.json").read_text())
    assert times["seconds_tuning"] > 0


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("darkenin", [], "Did you mean darkening?"),
        ("darken", [], "is a function, not a method: decorate"),
        ("without_steps", [], "has no field 'steps', which the bench sets"),
        ("darkening", ["--task", "digits_vae_thik"], "Did you mean digits_vae_thick?"),
        ("darkening", ["--seed", "-1"], "seed = -1"),
    ],
)
def test_what_the_bench_cannot_run_is_one_sentence_and_leaves_no_record(
    mine, tmp_path, name, options, sentence
):
    done = call(f"{mine}:{name}", tmp_path / "runs", *options)
    assert done.exit_code == 1
    assert sentence in done.output
    assert not (tmp_path / "runs").exists()


def test_a_changed_task_is_a_new_version():
    """A digest that differs needs a higher version, and then its own line here."""
    digests = {
        f"{name}@{task.version}": hashlib.sha256(task.model_dump_json().encode()).hexdigest()[:8]
        for name, task in bench.TASKS.items()
    }
    assert digests == {"digits_gan_thick@1": "3c66acf4", "digits_vae_thick@1": "7f2b555d"}
