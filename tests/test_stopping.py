"""One signal ends a command of the book with its workers and kernels."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from forgetting.book import jobs, stopping

TEMPLATE = """# %% [markdown]
# # Sleeping

# %% tags=["parameters"]
seed: int = 0  # of nothing

# %%
import os
import time
from pathlib import Path

Path(os.environ["SLEEPING"]).joinpath(str(os.getpid())).touch()
time.sleep(300)
"""

COMMAND = """
import sys
from pathlib import Path
from forgetting.book import jobs
from forgetting.book.checkout import Checkout
from forgetting.book.entries import Entry
from forgetting.errors import ForgettingError

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    runs = Entry(name="some", title="Some", template="sleeping", grid={"seed": [0, 1, 2]}).runs()
    try:
        jobs.run(runs, folder, folder, print, 2, None, Checkout(folder))
    except ForgettingError as error:
        sys.exit(f"forgetting: {error}")
"""


def wait_for(condition, seconds=100):
    """Return what a condition is when it holds, or fail."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return value


def family(process):
    """Return all processes that one has started, but the one that watches semaphores."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_pages_under_way_with_one_line(tmp_path, number):
    sleeping = tmp_path / "sleeping"
    for folder in (sleeping, tmp_path / "notebooks", tmp_path / "tmp"):
        folder.mkdir()
    (tmp_path / "notebooks" / "sleeping.py").write_text(TEMPLATE)
    (tmp_path / "command.py").write_text(COMMAND)
    variables = {**os.environ, "SLEEPING": str(sleeping), "TMPDIR": str(tmp_path / "tmp")}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "command.py"), str(tmp_path)],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as the group of a terminal's command
    )
    try:
        wait_for(lambda: len(list(sleeping.iterdir())) == 2)
        processes = family(process)
        assert len(processes) >= 5  # Snakemake, two jobs and their kernels
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends it to the group
        else:
            process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 1
    assert errors == f"forgetting: {jobs.STOPPED}\n"
    assert output == "to execute: 3, 2 at once\n"
    assert psutil.wait_procs(processes, timeout=5)[1] == []
    assert len(list(sleeping.iterdir())) == 2  # no other has begun
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "_build" / "jobs").iterdir()) == []
    assert not list(tmp_path.glob("*.failed.ipynb"))


def test_python_that_is_run_ends_with_its_own_processes(tmp_path):
    inner = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])".format(
        f"open({str(tmp_path / 'begun')!r}, 'w'); import time; time.sleep(300)"
    )
    outer = f"from forgetting.book.stopping import *; run_python(['-c', {inner!r}], {{}}, 'No.')"
    process = subprocess.Popen([sys.executable, "-c", outer], stderr=subprocess.PIPE, text=True)
    wait_for((tmp_path / "begun").exists)
    processes = family(process)
    assert len(processes) == 2
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert errors.splitlines()[-1] == "forgetting.book.stopping.StoppedError: No."
    assert psutil.wait_procs(processes, timeout=5)[1] == []


def test_what_ends_by_itself_has_its_exit_code_and_signals_are_as_before():
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    assert stopping.run_python(["-c", "raise SystemExit(3)"], dict(os.environ), "No.") == 3
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before
