"""The bench runs anyone's method on named tasks, and leaves a record of each run."""

import hashlib
import json
import re
import shutil
import sys

import pytest
import torch
from bars import Bars
from click.testing import CliRunner
from explained import unexplained
from small_flow import NAME as SMALL
from small_flow import save_small_flow
from torch.optim.optimizer import register_optimizer_step_pre_hook

from forgetting.book import bench_tasks, checkout, templates
from forgetting.book.checkout import Checkout
from forgetting.book.records import read_record
from forgetting.cli import main
from forgetting.errors import ModelError, ParameterError
from forgetting.experiments import bench, bench_unlearning, person_task
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.bench_solved import solved
from forgetting.experiments.context import Experiment, Parameters
from forgetting.foundation.files import ROOT
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.results import UnlearningResult
from forgetting.methods.taming_methods import TamingSettings
from forgetting.methods.taming_registry import TAMING_METHODS
from forgetting.models.glow import Glow, GlowConfig

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


def table_of(done):
    """Return the lines of the table that a call prints, and of what follows it."""
    lines = done.output.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("task ")) :]


def test_published_rows_of_the_same_terms_stand_below_ones_own(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, "HERE", Checkout(tmp_path))
    done = call(f"{mine}:darkening", tmp_path / "results" / bench_tasks.FOLDER, "--quick")
    assert done.exit_code == 0, done.output
    done = call_anew(mine, tmp_path / "runs", "--quick", name="telling_twice")
    assert done.exit_code == 0, done.output
    _, own, theirs, *_ = table_of(done)
    assert own.split()[1:5] == ["bench", "telling", "twice", "0"]
    assert theirs.split()[1:4] == ["bench", "darkening*", "0"]
    for head, sentence in bench.TASKS["digits_vae_thick_quick"].columns.items():
        assert f"{head}: {sentence}" in done.output


def test_a_method_of_two_stages_runs_as_printed(mine, tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(PRINTED["twice.py"])
    done = call(f"{path}:in_two_stages", tmp_path / "runs", "--quick")
    assert done.exit_code == 0, done.output
    (record,) = [read_record(p) for p in (tmp_path / "runs").glob("*[0-9].json")]
    assert record["history"][-1]["step"] == 3


def test_a_decorated_method_that_is_given_a_problem_says_how_it_is_called(mine):
    darkening = bench.load_method(f"{mine}:darkening")
    problem = UnlearningProblem(Bars(), Direction(torch.eye(6)[0], 0.5))
    with pytest.raises(ParameterError, match=r"call darkening\.function\(problem, config\)"):
        darkening(problem, darkening.configuration())


def test_a_method_of_a_file_leaves_a_record_that_names_the_task_and_its_version(mine, tmp_path):
    runs, path = tmp_path / "runs", tmp_path / "printed.py"
    path.write_text(PRINTED["mine.py"])
    done = call(f"{path}:forget_brightness", runs, "--quick")
    assert done.exit_code == 0, done.output
    heading, row, *_, end = table_of(done)
    assert heading.split()[:3] == ["task", "method", "seed"]
    assert row.split()[:4] == ["digits_vae_thick_quick@2", "forget", "brightness", "0"]
    assert str(runs) in end
    record = read_record(runs / "bench_forget_brightness_digits_vae_thick_quick_0.json")
    given = record["parameters"]
    assert (given["task"], given["version"]) == ("digits_vae_thick_quick", 2)
    assert json.loads(given["terms"])["steps"] == 3
    assert len(given["code"]) == 32
    assert json.loads(given["settings"])["steps"] == 3
    assert {"digits-vae", "digits-vae-no-thick", "digits-classifier-b"} <= set(record["weights"])
    assert unexplained(record["metrics"]) == []
    assert record["history"]


def test_a_method_that_tames_runs_on_the_tasks_of_flows(mine, tmp_path, monkeypatch):
    save_small_flow(tmp_path / "zoo")
    monkeypatch.setenv("FORGETTING_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setattr(person_task, "N_RETAIN", 300)
    runs = tmp_path / "runs"
    path = tmp_path / "printed.py"
    path.write_text(PRINTED["ours.py"])
    done = call(f"{path}:neggrad_plus", runs, "--quick")
    assert done.exit_code == 0, done.output
    heading, row, *_ = table_of(done)
    assert heading.split()[:5] == ["task", "method", "seed", "forgotten", "lie"]
    assert row.startswith("faces_glow_latent_quick@2  neggrad plus")
    record = read_record(runs / "bench_neggrad_plus_faces_glow_latent_quick_0.json")
    assert unexplained(record["metrics"]) == []
    assert "membership_change_forget" in record["metrics"]
    assert not list(runs.glob("*.tuned"))


def call_anew(mine, *arguments, name="darkening"):
    """Call the bench as a new process would, in which the file has registered nothing."""
    for methods in (METHODS, TAMING_METHODS):
        for key in [key for key in methods._entries if key.startswith("bench_")]:
            del methods._entries[key]
    return call(f"{mine}:{name}", *arguments)


def test_a_run_that_is_there_is_not_repeated_unless_code_of_the_method_changed(mine, tmp_path):
    beside, runs = mine.with_name("beside_bench.py"), tmp_path / "runs"
    mine.write_text("import beside_bench\n" + MINE)
    for text, n_records in (("K = 1\n", 1), ("K = 1\n", 1), ("K = 22\n", 2)):
        beside.write_text(text)
        sys.modules.pop("beside_bench", None)
        done = call_anew(mine, runs, "--quick")
        assert done.exit_code == 0, done.output
        assert len(list(runs.glob("*[0-9].json"))) == n_records
    assert "its record is there" not in done.output
    assert "its record is there" in call_anew(mine, runs, "--quick").output
    record = next(runs.glob("*[0-9].json"))
    record.write_text(record.read_text().replace('"fid_after": ', '"fid_after": 1'))
    refused = call_anew(mine, runs, "--quick")
    assert refused.exit_code == 1
    assert "was changed after its run" in refused.output


class Killed(BaseException):
    """What ends a process amid its work."""


def test_a_model_that_was_tuned_is_graded_after_a_fault_and_never_for_changed_code(
    mine, tmp_path, monkeypatch
):
    whole, runs = tmp_path / "whole", tmp_path / "runs"
    assert call_anew(mine, whole, "--quick").exit_code == 0

    def kill(*of_grading):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(bench_unlearning, "grade_samples", kill)
        with pytest.raises(Killed):
            call_anew(mine, runs, "--quick")
    (kept,) = runs.iterdir()
    weights = (kept / "weights.safetensors").read_bytes()
    tuned_anew = tmp_path / "copy"
    shutil.copytree(runs, tuned_anew)

    graded = call_anew(mine, runs, "--quick")
    assert "tuned before, and only graded now" in graded.output
    assert [path.suffix for path in runs.iterdir()] == [".json"] * 2
    record, other = (read_record(next(folder.glob("*[0-9].json"))) for folder in (whole, runs))
    assert record == other
    seconds = json.loads(next(runs.glob("*.run.json")).read_text())
    assert seconds["seconds"] > seconds["seconds_forgetting"] > 0

    mine.write_text(MINE.replace('"darken": (', '"darken": -('))
    with monkeypatch.context() as patched:
        patched.setattr(bench_unlearning, "grade_samples", kill)
        with pytest.raises(Killed):
            call_anew(mine, tuned_anew, "--quick")
    assert (tuned_anew / kept.name / "weights.safetensors").read_bytes() != weights


def test_what_was_tuned_and_is_damaged_is_told_and_tuned_again(mine, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    with monkeypatch.context() as patched:
        patched.setattr(bench_unlearning, "grade_samples", None)
        call_anew(mine, runs, "--quick")
    weights = next(runs.glob("*.tuned")) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = call_anew(mine, runs, "--quick")
    assert done.exit_code == 0
    assert "cannot be used, and is tuned again" in done.output


class Likelihoods(torch.nn.Module):
    """A flow around another, which draws no samples."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def log_prob(self, images):
        return self.flow.log_prob(images) + 1


class OtherSize(Likelihoods):
    """Draws images of another size."""

    n_bits = 5

    def sample(self, n, temperature, generator):
        return torch.zeros(n, 3, 4, 4)


@pytest.mark.parametrize(
    ("tune", "sentence"),
    [
        (Likelihoods, "returns a flow that draws no samples (AttributeError: "),
        (OtherSize, "returns a flow of other images than the base's"),
        (lambda flow: flow, "returns the model as it was given, with no weight changed"),
    ],
)
def test_a_flow_that_cannot_be_graded_is_one_sentence_and_is_not_kept(tmp_path, tune, sentence):
    flow = Glow(GlowConfig(channels=3, image_size=8, n_steps=1, n_blocks=1, width=8))
    kept = KeptResult(tmp_path / "kept", print)
    given = {"n_steps": 1, "contract": "flow", "shape": flow.image_shape}
    with pytest.raises(ModelError, match=re.escape(f"The method mine {sentence}")):
        solved(
            Experiment("a test", Parameters()),
            *(kept, "mine", flow),
            lambda: UnlearningResult(tune(flow), []),
            **given,
        )
    assert not kept.folder.exists()


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


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("spoiling", "The method bench spoiling changed or replaced weights"),
        ("giving_nothing", "The method bench giving nothing returns NoneType"),
        (
            "giving_nan",
            "returns a model that makes no images (ModelError: Decoder returns images with",
        ),
        ("giving_another", "returns a model that makes no images (ModelError"),
        ("raising", "The method bench raising fails (ValueError: boo)"),
        ("telling_nan", "The history of bench telling nan has a figure that is not finite"),
        ("doing_nothing", "bench doing nothing returns the model as it was given"),
        ("taking_more", "bench taking more takes more than 3 steps, its budget"),
        ("telling_more", "bench telling more takes more than 3 steps, its budget"),
    ],
)
def test_a_method_that_breaks_its_contract_is_one_sentence(mine, tmp_path, name, sentence):
    done = call(f"{mine}:{name}", tmp_path / "runs", "--quick")
    assert done.exit_code == 1
    assert sentence in done.output
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_is_told_before_the_method_runs(mine, tmp_path):
    (tmp_path / "file").touch()
    done = call(f"{mine}:raising", tmp_path / "file" / "runs", "--quick")
    assert done.exit_code == 1
    assert "boo" not in done.output


def test_a_file_that_ends_python_is_one_sentence(mine, tmp_path):
    mine.write_text("import sys\nsys.exit(0)\n")
    done = call(f"{mine}:darkening", tmp_path / "runs", "--quick")
    assert done.exit_code == 1
    assert "ends Python (SystemExit: 0): put what the file shall do" in done.output


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("darkenin", ["--quick"], "Did you mean darkening?"),
        ("darken", ["--quick"], "is a function, not a method: decorate"),
        (
            "darkening",
            ["--task", "faces_glow_latent_quick"],
            "is a Method, and faces_glow_latent_quick takes a TamingMethod",
        ),
        ("without_steps", ["--quick"], "has no field 'steps', which the bench sets"),
        ("darkening", ["--task", "digits_vae_thik_quick"], "Did you mean digits_vae_thick_quick?"),
        ("darkening", ["--quick", "--task", "digits_vae_thick_quick"], "Give either"),
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


def test_taming_has_the_settings_of_the_pages_on_people():
    declared = templates.parameters("taming_person")
    own = TamingSettings()
    for name in TamingSettings.model_fields.keys() - {"max_steps", "precision", "n_retain"}:
        if name in declared:
            assert getattr(own, name) == declared[name].default, name
