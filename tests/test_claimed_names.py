"""A name of a run is claimed by a lock, and what a killed run left of its files is put aside."""

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from forgetting.book import own_runs
from forgetting.cli import main

HOLDER = (
    "import sys, time; from pathlib import Path; from forgetting.book import own_runs\n"
    "with own_runs.claimed(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(600)"
)


def test_a_name_is_kept_while_its_run_is_under_way_and_is_free_when_it_was_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        result = CliRunner().invoke(
            main, ["run", "speed", "--name", "x", "--output", str(tmp_path)]
        )
        with own_runs.claimed(tmp_path, "y"):
            pass
        holder.send_signal(signal.SIGKILL)
    assert result.exit_code == 1
    assert "A run called 'x' is under way" in result.output
    assert result.output.count("\n") == 1
    with own_runs.claimed(tmp_path, "x"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_complete", [False, True])
def test_what_a_killed_run_left_of_its_files_is_put_aside_and_a_complete_run_is_not(
    tmp_path, is_complete
):
    ends = ["ipynb", "json", *["run.json"] * is_complete]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        for end in ends:
            (tmp_path / f"x.{end}").touch()
        for name in ("weights", "not mine"):
            (tmp_path / name).touch()
        with pytest.raises(own_runs.NameTakenError, match="is under way"):
            own_runs.clear_killed(tmp_path, "x", ["weights"])
        holder.send_signal(signal.SIGKILL)
    own_runs.clear_killed(tmp_path, "x", ["weights"])
    files = ["weights", *(f"x.{end}" for end in ends)]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"not mine", *(files if is_complete else [own_runs.KILLED])}
    if not is_complete:
        assert {path.name for path in (tmp_path / own_runs.KILLED).iterdir()} == set(files)
    own_runs.clear_killed(tmp_path, "not mine", ["not mine"])
    assert (tmp_path / "not mine").exists()


def test_a_lock_that_its_holder_removes_is_not_taken_for_the_present_one(tmp_path, monkeypatch):
    """The second process opens the file, and the first removes it before the second locks it."""
    lock, opened = tmp_path / ".x.lock", os.open

    def removed_once(*arguments):
        handle = opened(*arguments)
        monkeypatch.undo()
        lock.unlink()
        return handle

    monkeypatch.setattr(own_runs.os, "open", removed_once)
    with own_runs.claimed(tmp_path, "x"):
        assert lock.is_file()
