"""Methods for the bench, in a file as a user writes one, and calls of the bench with them."""

import re

import pytest
from click.testing import CliRunner
from small_flow import NAME as SMALL

from forgetting.cli import main
from forgetting.experiments import bench
from forgetting.foundation.files import ROOT
from forgetting.methods import METHODS
from forgetting.methods.taming_registry import TAMING_METHODS

PAGE = (ROOT / "book" / "bench.md").read_text(encoding="utf-8")


PRINTED = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, flags=re.S))
"""The files that the page prints, by name."""


MINE = """
import torch
from pydantic import BaseModel

from forgetting.methods.finetune import FinetuneConfig, finetune
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult

class NoSteps(BaseModel):
    lr: float = 0.1

def darken(batch):
    return {"darken": (batch.selected * batch.images.flatten(1).sum(1)).mean()}

@unlearning_method("bench darkening", FinetuneConfig, source="a test")
def darkening(problem, config):
    return finetune(problem, darken, config)

@unlearning_method("bench spoiling", FinetuneConfig, source="a test")
def spoiling(problem, config):
    with torch.no_grad():
        next(problem.generator.parameters()).mul_(0.5)
    return finetune(problem, darken, config)

@unlearning_method("bench giving nothing", FinetuneConfig, source="a test")
def giving_nothing(problem, config):
    pass

@unlearning_method("bench giving nan", FinetuneConfig, source="a test")
def giving_nan(problem, config):
    result = finetune(problem, darken, config)
    next(result.model.parameters()).data.fill_(float("nan"))
    return result

@unlearning_method("bench giving another", FinetuneConfig, source="a test")
def giving_another(problem, config):
    return UnlearningResult(torch.nn.Identity(), [])

@unlearning_method("bench raising", FinetuneConfig, source="a test")
def raising(problem, config):
    raise ValueError("boo")

@unlearning_method("bench telling nan", FinetuneConfig, source="a test")
def telling_nan(problem, config):
    return UnlearningResult(problem.frozen_copy(), [{"step": 1, "loss": float("nan")}])

@unlearning_method("bench doing nothing", FinetuneConfig, source="a test")
def doing_nothing(problem, config):
    return UnlearningResult(problem.frozen_copy(), [{"step": 1}])

@unlearning_method("bench taking more", FinetuneConfig, source="a test")
def taking_more(problem, config):
    try:
        return finetune(problem, darken, config.model_copy(update={"steps": config.steps + 1}))
    except Exception:
        return finetune(problem, darken, config)

@unlearning_method("bench telling more", FinetuneConfig, source="a test")
def telling_more(problem, config):
    result = finetune(problem, darken, config)
    return UnlearningResult(result.model, [{"step": config.steps + 1}])

@unlearning_method("bench telling twice", FinetuneConfig, source="a test")
def telling_twice(problem, config):
    return darkening.function(problem, config)

@unlearning_method("bench without steps", NoSteps, source="a test")
def without_steps(problem, config):
    return None
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    small = {"n_collected": 300, "n_samples": 300, "steps": 3}
    person = {"max_steps": 2, "n_likelihood_reference": 200, "n_samples": 260, "model": SMALL}
    terms = {"digits_vae_thick_quick": small, "faces_glow_latent_quick": person}
    tasks = {name: bench.TASKS[name].model_copy(update=each) for name, each in terms.items()}
    monkeypatch.setattr(bench, "TASKS", tasks)
    for methods in (METHODS, TAMING_METHODS):
        len(methods)
        monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def call(method, output, *options):
    return CliRunner().invoke(main, ["bench", str(method), "--output", str(output), *options])


def call_anew(mine, *arguments, name="darkening"):
    """Call the bench as a new process would, in which the file has registered nothing."""
    for methods in (METHODS, TAMING_METHODS):
        for key in [key for key in methods._entries if key.startswith("bench_")]:
            del methods._entries[key]
    return call(f"{mine}:{name}", *arguments)


def table_of(done):
    """Return the lines of the table that a call prints, and of what follows it."""
    lines = done.output.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("task ")) :]
