"""A sweep on a real Slurm cluster, which the test starts on this machine."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from stand_ins import times_begun, write_jobs
from test_stopping import wait_for

from forgetting.book import jobs, needs
from forgetting.book.checkout import Checkout
from forgetting.book.profiles import WORKFLOW

MISSING = [name for name in ("munged", "slurmctld", "slurmd") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed: {MISSING} missing."),
    pytest.mark.skipif(os.geteuid() != 0, reason="Only root starts a Slurm cluster."),
    pytest.mark.skipif(
        Path("/etc/slurm/slurm.conf").exists(), reason="This machine belongs to a cluster."
    ),
]


def ask(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def node(tmp_path):
    """Return the name of the node of a cluster."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    script = Path(__file__).with_name("slurm.sh")
    (tmp_path / "cluster").mkdir()
    ask("sh", str(script), str(tmp_path / "cluster"))
    try:
        wait_for(lambda: "idle" in ask("sinfo", "--noheader"))
        yield ask("sinfo", "--noheader", "--format=%N").strip()
    finally:
        ask("scancel", "--full", "--user=root")
        ask("sh", str(script), str(tmp_path / "cluster"), "stop")


def test_a_job_that_is_killed_or_cancelled_begins_again_and_a_drained_node_is_waited_for(
    node, tmp_path, monkeypatch
):
    monkeypatch.setattr(needs, "UNKNOWN_MIB", 100)
    runs = write_jobs(tmp_path, [], ["killed"], ["sleeps"])
    shipped = (WORKFLOW / "slurm" / "config.yaml").read_text(encoding="utf-8")
    profile = tmp_path / "profile"
    profile.mkdir()
    quick = "slurm-init-seconds-before-status-checks: 2\n"
    (profile / "config.yaml").write_text(shipped + quick, encoding="utf-8")
    ask("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    begun_while_drained = []

    def attend():
        queue = ("squeue", "--noheader", "--states=PENDING,RUNNING", "--format=%i %T %k")
        wait_for(lambda: ask(*queue).count("PENDING") == 3)
        begun_while_drained.extend(times_begun(tmp_path))
        ask("scontrol", "update", f"nodename={node}", "state=resume")
        wait_for(lambda: "some_2" in times_begun(tmp_path))
        (line,) = (line for line in ask(*queue).splitlines() if line.endswith("some_2"))
        ask("scancel", line.split()[0])

    attendant = threading.Thread(target=attend)
    attendant.start()
    limit = threading.Timer(300, os.kill, (os.getpid(), signal.SIGTERM))  # it stops the sweep
    limit.start()
    try:
        jobs.run(runs, tmp_path, tmp_path, print, None, str(profile), Checkout(tmp_path))
    finally:
        limit.cancel()
        attendant.join()
    assert begun_while_drained == []
    assert times_begun(tmp_path) == {"some_0": 1, "some_1": 2, "some_2": 2}
