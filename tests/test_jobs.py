"""Jobs: what each needs, what it waits for, and what is said of it at the end."""

import json
import math
import re
from pathlib import Path

import psutil
import pytest
from stand_ins import times_begun, write_jobs

from forgetting.book import batch, job, jobs, profiles
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweep
from forgetting.book.needs import MINUTES, UNKNOWN_MIB, needs
from forgetting.book.records import read_record
from forgetting.errors import ForgettingError

SNAKEMAKE = """
import json
import sys
from pathlib import Path

def leave(name, outcome):
    for place, text in (("logs/{}.log", "lines"), ("outcomes/{}.json", json.dumps(outcome))):
        path = Path(sys.argv[-1], place.format(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if outcome is not None or place.startswith("logs"):
            path.write_text(text)
"""
"""The head of a program that stands in for Snakemake, and leaves what its jobs would leave."""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a function that gives the plan of entries, of which none is executed."""

    def planned(wanted):
        plans = []

        def read(scratch, *rest):
            plans.append(json.loads((scratch / "plan.json").read_text(encoding="utf-8")))
            return []

        monkeypatch.setattr(jobs, "_follow", read)
        checkout = Checkout(tmp_path, HERE.root)
        jobs.run(wanted, tmp_path, tmp_path, lambda line: None, None, None, checkout)
        return plans[0]["jobs"]

    return planned


@pytest.fixture
def followed(tmp_path):
    """Return a function that follows a stand-in for Snakemake: its failures, and what is said."""

    def follow(program, *names):
        lines = []
        failed = jobs._follow(tmp_path, list(names), ["-c", SNAKEMAKE + program], lines.append)
        return failed, [line.split(" (")[0] for line in lines]

    return follow


def test_a_job_has_memory_and_minutes_of_its_own_record_with_a_reserve(plan):
    page = next(page for page in pages() if page.name == "base_faces_vae")
    noted = read_record(HERE.results / "base_faces_vae.run.json")
    planned = plan([page])[page.name]
    assert noted["peak_mib"] < planned["mem_mb"] < 2 * noted["peak_mib"]
    assert MINUTES < planned["minutes"] < MINUTES + 4 * noted["seconds"] / 60


def test_a_job_without_a_record_gets_what_its_template_needed_at_most(tmp_path):
    (run,) = Entry(name="some", title="Some", template="probes", grid={"seed": [99]}).runs()
    needed = needs(run, HERE)
    peaks = [
        read_record(HERE.results / f"{page.name}.run.json").get("peak_mib", 0)
        for page in pages()
        if page.template == "probes"
    ]
    assert needed.seconds == math.inf
    assert needed.mem_mb > max(peaks) > 0
    assert needs(run, Checkout(tmp_path)).mem_mb == UNKNOWN_MIB


def test_what_took_longest_begins(plan):
    listed = {page.name: page for page in pages()}
    wanted = [listed[name] for name in ("tour", "base_faces_vae", "tame_points")]
    planned = plan(wanted)
    by_priority = sorted(planned, key=lambda name: planned[name]["priority"], reverse=True)
    took = [read_record(HERE.results / f"{name}.run.json")["seconds"] for name in by_priority]
    assert took == sorted(took, reverse=True)
    assert by_priority != [page.name for page in wanted]


def test_a_table_waits_for_its_own_runs_only(plan):
    listed = {page.name: page for page in pages()}
    run, table = sweep("unlearn_digits").runs()[0], listed["unlearn_digits_table"]
    planned = plan([table, run, listed["tour"]])
    assert {name: each["after"] for name, each in planned.items()} == {
        table.name: [run.name],
        run.name: [],
        "tour": [],
    }
    assert plan([table, listed["tour"]])[table.name]["after"] == []


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        (job.PACKAGE, "runs that failed, such as runs/1"),
        ("/other/forgetting", f"code in {job.PACKAGE}, and the command in /other/forgetting"),
    ],
    ids=["runs", "code"],
)
def test_a_job_whose_runs_failed_or_whose_code_is_other_is_not_executed(
    tmp_path, package, sentence
):
    (entry,) = Entry(name="some", title="Some", template="no", grid={"seed": [0]}).runs()
    places = {key: str(tmp_path) for key in ("folder", "results")}
    each = {"entry": entry.model_dump(mode="json"), "after": ["runs/1"]}
    plan = {"package": package, "environment": {}, "threads": 1}
    plan |= {"checkout": {"root": str(tmp_path)}, "jobs": {"some/0": each}} | places
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (tmp_path / "outcomes" / "runs").mkdir(parents=True)
    job.outcome_path(tmp_path, "runs/1").write_text(json.dumps("No data."), encoding="utf-8")
    job.main(tmp_path, "some/0")
    assert sentence in job.read_outcome(tmp_path, "some/0")


def test_each_job_that_failed_has_a_sentence_and_the_place_of_its_log(followed, tmp_path):
    program = "leave('a/1', ''); leave('a/2', 'No data.'); leave('a/3', None)"
    failed, lines = followed(program, "a/1", "a/2", "a/3", "a/4")
    assert lines == [
        "a/1: executed",
        "a/2: failed",
        "a/3: failed",
        "a/4: failed",
        "executed: 1, failed: 3, in 0.0 min",
    ]
    assert failed[0] == "a/2: No data."
    assert "a/3: its process ended without an outcome" in failed[1]
    assert failed[1].endswith(str(tmp_path / "logs" / "a" / "3.log"))
    assert failed[2] == f"a/4: it did not begin. The log of Snakemake is {tmp_path}/snakemake.log"


def test_a_line_a_minute_says_what_is_under_way(followed, monkeypatch):
    monkeypatch.setattr(jobs, "MINUTE", 0.05)
    monkeypatch.setattr(jobs, "POLL", 0.05)
    program = "leave('page', None); import time; time.sleep(0.6); leave('page', '')"
    failed, lines = followed(program, "page")
    assert failed == []
    assert lines[-3:] == [
        "under way: page",
        "page: executed",
        "executed: 1, failed: 0, in 0.0 min",
    ]


def test_snakemake_ends_with_its_jobs_at_the_latest(followed, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.05)
    before = psutil.Process().children()
    followed("leave('page', ''); import time; time.sleep(300)", "page")
    assert psutil.Process().children() == before


def test_a_job_that_the_system_ends_begins_again_and_at_last_fails(tmp_path):
    runs = write_jobs(tmp_path, [], ["killed"], ["killed"] * 9)
    with pytest.raises(ForgettingError, match="some/2: its process ended without an outcome"):
        jobs.run(runs, tmp_path, tmp_path, print, 1, None, Checkout(tmp_path))
    assert times_begun(tmp_path) == {"some_0": 1, "some_1": 2, "some_2": 1 + jobs.RETRIES}


def test_without_snakemake_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "find_spec", lambda name: None)
    page = next(page for page in pages() if page.name == "tour")
    with pytest.raises(ForgettingError, match=r"pip install 'forgetting\[book\]'"):
        jobs.run([page], tmp_path, tmp_path, print, None, None, Checkout(tmp_path))


def test_a_profile_without_its_plugin_says_what_to_install(monkeypatch):
    monkeypatch.setattr(profiles, "find_spec", lambda name: None)
    with pytest.raises(ForgettingError, match=r"pip install 'forgetting\[book,cluster\]'"):
        profiles.find_profile("slurm")


def test_an_unknown_profile_is_refused_with_those_that_are_there():
    with pytest.raises(ForgettingError, match="no profile 'slrum': give one of kubernetes, slurm"):
        profiles.find_profile("slrum")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("- a list", "holds no settings"),
        ("executor: [", "is not a readable YAML file"),
    ],
)
def test_a_profile_that_holds_no_settings_is_refused(tmp_path, lines, sentence):
    (tmp_path / "config.yaml").write_text(lines, encoding="utf-8")
    with pytest.raises(ForgettingError, match=sentence):
        profiles.find_profile(str(tmp_path))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("", "has no container-image: set it in a copy of"),
        ("container-image: some", "No volume in kubernetes-persistent-volumes"),
        ("container-image: some\nkubernetes-persistent-volumes: ['a:/other']", "holds /here"),
    ],
)
def test_pods_without_an_image_or_without_the_checkout_are_refused(tmp_path, lines, sentence):
    (tmp_path / "config.yaml").write_text(f"executor: kubernetes\n{lines}\n", encoding="utf-8")
    with pytest.raises(ForgettingError, match=sentence):
        profiles.snakemake(tmp_path, [Path("/here/is/the/checkout")])


def test_the_others_are_executed_when_a_run_fails(tmp_path):
    bad, good = (
        Entry(
            name="some",
            title="Some",
            template="taming_points",
            parameters={"preset": "smoke", "lr": lr},
            grid={"seed": [0]},
        )
        .runs()[0]
        .model_copy(update={"name": f"some/{name}"})
        for name, lr in (("bad", -1.0), ("good", 0.001))
    )
    lines, checkout = [], Checkout(tmp_path, HERE.root)
    with pytest.raises(ForgettingError, match=r"some/bad: lr = -1\.0"):
        batch.execute([bad, good], tmp_path, tmp_path, lines.append, 1, checkout)
    said = [re.split(r" \(|, in ", line)[0] for line in lines if "under way" not in line]
    assert said == [
        "to execute: 2, 1 at once",
        "some/bad: failed",
        "some/good: executed",
        "executed: 1, failed: 1",
    ]
    assert (tmp_path / "some" / "good.json").is_file()


def test_a_worker_without_the_data_says_so_in_its_report_and_log_and_leaves_no_record(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("FORGETTING_DATA", str(tmp_path / "gone"))
    parameters = {"preset": "smoke", "model": "faces-vae", "source": "real"}
    entry = {"name": "needy", "title": "N", "template": "base_model", "parameters": parameters}
    runs, sentence = Entry(**entry, grid={"seed": [0]}).runs(), "FORGETTING_DATA names"
    with pytest.raises(
        ForgettingError, match=rf"needy/0: {sentence} \S*gone, which is not a folder"
    ):
        batch.execute(runs, tmp_path, tmp_path, print, 1, Checkout(tmp_path, HERE.root))
    (log,) = tmp_path.rglob("logs/needy/0.log")
    assert sentence in log.read_text(encoding="utf-8")
    assert not (tmp_path / "needy" / "0.json").exists()
