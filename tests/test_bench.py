"""The bench runs anyone's method on named tasks, and leaves a record of each run."""

import json
import shutil
import sys

import pytest
import torch
from bars import Bars
from bench_methods import MINE, PRINTED, call, call_anew, table_of
from explained import unexplained
from small_flow import save_small_flow

from forgetting.book import bench_tasks, checkout
from forgetting.book.checkout import Checkout
from forgetting.book.records import read_record
from forgetting.errors import ParameterError
from forgetting.experiments import bench, bench_unlearning, person_task
from forgetting.methods.direction import Direction
from forgetting.methods.problem import UnlearningProblem


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
