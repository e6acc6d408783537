"""A sweep on a stand-in for a Kubernetes cluster, which runs the commands of pods here."""

import runpy
import subprocess
import threading
from types import SimpleNamespace

import pytest
from stand_ins import times_begun, write_jobs

pytest.importorskip("snakemake_executor_plugin_kubernetes")
pytest.importorskip("kubernetes_validate")

from cluster_stand_in import KUBECONFIG, Cluster

from forgetting.book import jobs, needs
from forgetting.book.checkout import Checkout
from forgetting.book.profiles import WORKFLOW
from forgetting.errors import ForgettingError


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    server = Cluster()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def profile(tmp_path):
    shipped = (WORKFLOW / "kubernetes" / "config.yaml").read_text(encoding="utf-8")
    own = f"container-image: some\nkubernetes-persistent-volumes: ['claim:{tmp_path}']\n"
    folder = tmp_path / "profile"
    folder.mkdir()
    quick = "seconds-between-status-checks: 1\nlatency-wait: 1\n"
    shipped = shipped.replace("latency-wait: 60\n", "")
    (folder / "config.yaml").write_text(shipped + own + quick, encoding="utf-8")
    return str(folder)


def test_a_pod_that_fails_begins_again_with_more_memory_and_minutes_and_at_last_fails(
    cluster, profile, tmp_path, monkeypatch
):
    monkeypatch.setattr(needs, "UNKNOWN_MIB", 100)
    runs = write_jobs(tmp_path, [], ["killed"] * 9)
    with pytest.raises(ForgettingError, match="some/1: its process ended without an outcome"):
        jobs.run(runs, tmp_path, tmp_path, print, None, profile, Checkout(tmp_path))
    assert times_begun(tmp_path) == {"some_0": 1, "some_1": 1 + jobs.RETRIES}
    assert cluster.problems == []
    specs = [each["spec"]["template"]["spec"] for each in cluster.manifests.values()]
    containers = [spec["containers"][0] for spec in specs]
    memory = sorted(int(each["resources"]["limits"]["memory"][:-1]) for each in containers)
    assert memory == [memory[0], memory[0], 2 * memory[0], 3 * memory[0]]
    seconds = sorted(int(each["args"][1].split()[6]) for each in containers)
    assert seconds == [seconds[0], seconds[0], 2 * seconds[0], 3 * seconds[0]]
    assert seconds[0] >= 60 * needs.MINUTES
    for spec, container in zip(specs, containers, strict=True):
        assert spec["restartPolicy"] == "Never"
        assert container["image"] == "some"
        assert {"name": "claim", "mountPath": str(tmp_path)} in container["volumeMounts"]
        claims = [each.get("persistentVolumeClaim") for each in spec["volumes"]]
        assert {"claimName": "claim"} in claims
    left = {name for name in cluster.manifests if f"/jobs/{name}" not in str(cluster.deleted)}
    assert left == set()


def test_a_pod_ends_with_its_minutes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    executor = runpy.run_path(str(WORKFLOW / "pods.py"))["Executor"]
    sleep = "true && sleep 60; echo woken"
    monkeypatch.setattr(executor.__base__, "format_job_exec", lambda self, job: sleep)
    job = SimpleNamespace(resources={"runtime": 0.01})
    command = executor.format_job_exec(object.__new__(executor), job)
    ended = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30)
    assert ended.returncode != 0
    assert ended.stdout == b""
