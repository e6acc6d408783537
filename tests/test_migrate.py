"""A renaming carries over the pages for which it is proven that only names changed."""

import json
import subprocess

import nbformat
import pytest
import yaml
from click.testing import CliRunner
from planted import git

from forgetting.book import check as checking
from forgetting.book import migrate as migrating
from forgetting.book import proof
from forgetting.book.checkout import Checkout
from forgetting.book.entries import entries, pages, sweep
from forgetting.book.fingerprint import Renaming
from forgetting.book.published import is_current
from forgetting.cli import main
from forgetting.errors import DataError, ForgettingError

TEMPLATE = """# %% [markdown]
# # A template

# %% tags=["parameters"]
seed: int = 0  # of everything that is random
case: str = ""  # of the sweep

# %%
if seed > 3:
    figure = measure(seed, draws=2)
else:
    figure = other(seed)
print(figure)
"""

RENAMED = TEMPLATE.replace("measure(seed, draws", "bits_per_dim(seed, n_draws")

MAP = {
    "names": {"measure": "bits_per_dim", "draws": "n_draws"},
    "strings": {"remembering": "retaining"},
}

CHANGES = {
    "literal": ("seed > 3", "seed > 4"),
    "argument": ("n_draws=2", "n_draws=3"),
    "branch": ("if seed", "if not seed"),
    "function": ("= other(seed)", "= bits_per_dim(seed)"),
}


def page(name):
    return {"name": name, "title": name, "template": name}


def entries_of(case):
    names = ["renamed", *CHANGES]
    cases = {case: {"case": "b"}, "same": {"case": "a"}}
    return [
        *map(page, names),
        {**page("runs"), "template": "renamed", "cases": cases, "grid": {"seed": [0, 1]}},
    ]


def write(checkout, case, templates):
    checkout.templates.mkdir(exist_ok=True)
    for name, text in templates.items():
        (checkout.templates / f"{name}.py").write_text(text, encoding="utf-8")
    checkout.runs_file.write_text(yaml.safe_dump(entries_of(case)), encoding="utf-8")


def publish(checkout):
    """Write pages and records as if every page and run had been executed."""
    for entry in entries(checkout):
        for run in entry.runs() if entry.is_sweep else [entry]:
            fingerprint = run.fingerprint(checkout)
            metadata = {"fingerprint": fingerprint, "weights": {}}
            path = checkout.results / f"{run.name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"name": run.name, "weights": {}}))
            path.with_suffix(".run.json").write_text(json.dumps(metadata))
            if not run.is_run_of_a_sweep:
                write_page(checkout, run, metadata)


def write_page(checkout, entry, metadata):
    from forgetting.book import templates
    from forgetting.book.execution import clean

    notebook = templates.read(entry.template, checkout)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="7\n")]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    checkout.published.mkdir(parents=True, exist_ok=True)
    nbformat.write(
        clean(notebook, entry.title, metadata), checkout.published / f"{entry.name}.ipynb"
    )


@pytest.fixture
def checkout(tmp_path):
    """Return a git repository whose code has changed since its last commit.

    In the template `renamed` only names have changed; in each other template something else has,
    too. A case of the sweep has another name.
    """
    checkout = Checkout(tmp_path / "repository")
    checkout.root.mkdir()
    write(checkout, "remembering", dict.fromkeys(["renamed", *CHANGES], TEMPLATE))
    publish(checkout)
    git(checkout.root, "init", "-q")
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-q", "-m", "Before")
    changed = {name: RENAMED.replace(*change) for name, change in CHANGES.items()}
    assert RENAMED not in changed.values()
    write(checkout, "retaining", {"renamed": RENAMED, **changed})
    for seed in (0, 1):
        for end in ("json", "run.json"):
            old = checkout.results / "runs" / f"remembering-{seed}.{end}"
            old.rename(old.with_name(f"retaining-{seed}.{end}"))
    return checkout


def current(checkout):
    runs = [*pages(checkout), *sweep("runs", checkout).runs()]
    folders = checkout.published, checkout.results
    return [run.name for run in runs if is_current(run, *folders, checkout)]


CARRIED = [
    "renamed",
    "runs/retaining-0",
    "runs/retaining-1",
    "runs/same-0",
    "runs/same-1",
]


def test_a_page_and_the_runs_of_a_renamed_case_are_carried_over(checkout):
    assert current(checkout) == []
    sentences = []
    carried = migrating.migrate("HEAD", Renaming(**MAP), sentences.append, checkout=checkout)
    assert sorted(carried) == CARRIED
    assert current(checkout) == CARRIED
    notebook = nbformat.read(checkout.published / "renamed.ipynb", as_version=4)
    assert "bits_per_dim(seed, n_draws=2)" in notebook.cells[-1].source
    assert notebook.cells[-1].outputs[0].text == "7\n"


@pytest.mark.parametrize("change", CHANGES)
def test_a_page_stays_stale_when_more_than_names_changed(checkout, change):
    path = checkout.published / f"{change}.ipynb"
    before = path.read_bytes()
    sentences = []
    migrating.migrate("HEAD", Renaming(**MAP), sentences.append, checkout=checkout)
    assert f"{change}: more than names changed." in sentences
    assert path.read_bytes() == before
    assert change not in current(checkout)


def test_a_page_that_was_stale_before_stays_stale(checkout):
    path = checkout.published / "renamed.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["forgetting"]["fingerprint"] = "that of an earlier form"
    nbformat.write(notebook, path)
    sentences = []
    carried = migrating.migrate("HEAD", Renaming(**MAP), sentences.append, checkout=checkout)
    assert "renamed" not in carried
    assert "renamed: it was not current at HEAD." in sentences


def test_changed_parameters_are_not_a_renaming(checkout):
    listed = entries_of("retaining")
    listed[0]["parameters"] = {"seed": 1}
    checkout.runs_file.write_text(yaml.safe_dump(listed), encoding="utf-8")
    carried = migrating.migrate("HEAD", Renaming(**MAP), lambda sentence: None, checkout=checkout)
    assert "renamed" not in carried


def test_an_unknown_commit_is_refused(checkout):
    with pytest.raises(ForgettingError, match="git cannot read the commit 'nowhere'"):
        migrating.migrate("nowhere", Renaming(), print, checkout=checkout)


@pytest.mark.parametrize("name", ["--output={}", "--exec={}", "-o{}"])
def test_a_name_that_begins_with_a_dash_is_no_option_of_git(checkout, tmp_path, name):
    name = name.format(tmp_path / "stray")
    with pytest.raises(ForgettingError, match="git cannot read the commit"):
        migrating.migrate(name, Renaming(), print, checkout=checkout)
    with pytest.raises(ForgettingError, match="git cannot read the commit"):
        proof._has_present_template("renamed", name, checkout)
    assert not checking._is_library_of(name, checkout)
    assert not [*tmp_path.rglob("stray*")]


def test_without_git_a_commit_is_refused_in_a_sentence(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ForgettingError, match="git cannot be called"):
        migrating.migrate("HEAD", Renaming(), print, checkout=checkout)


def test_the_command_carries_over_and_counts(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(migrating.migrate, "__defaults__", (checkout,))
    path = tmp_path / "map.yaml"
    path.write_text(yaml.safe_dump(MAP), encoding="utf-8")
    result = CliRunner().invoke(main, ["migrate", "HEAD", str(path)])
    assert result.exit_code == 0, result.output
    assert "renamed: carried over" in result.output
    assert f"pages and runs carried over: {len(CARRIED)}" in result.output
    assert current(checkout) == CARRIED


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("[]", "holds no renaming"), ("{unheard: {}}", "unheard"), ("{", "not a readable YAML")],
)
def test_a_map_that_is_no_renaming_is_refused(tmp_path, text, sentence):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    result = CliRunner().invoke(main, ["migrate", "HEAD", str(path)])
    assert result.exit_code == 1
    assert sentence in result.output
    assert result.output.count("\n") <= 5


RESULT = {
    "schema": 2,
    "template": "renamed",
    "parameters": {"seed": 0, "case": "a"},
    "metrics": {"bits_per_dim": 2.5},
    "weights": {},
    "history": [{"step": 1, "loss": 0.5}],
}
MACHINE = {
    "cpu": "a processor",
    "bfloat16": False,
    "device": "cpu",
    "threads": 1,
    "python": "3.11.7",
    "versions": {"torch": "2.14.1"},
}


@pytest.fixture
def executed(checkout, tmp_path):
    """Return a folder with equal records of one run, made before and after a new branch."""
    changed = RENAMED.replace("if seed", "if not seed")
    write(checkout, "remembering", {"renamed": changed})
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-q", "-m", "After")
    write(checkout, "retaining", {})
    for part, commit in (("before", "HEAD~1"), ("after", "HEAD")):
        revision = short_hash(commit, checkout)
        write_run(tmp_path / part, RESULT, {**MACHINE, "revision": revision})
    return tmp_path


def short_hash(commit, checkout):
    command = ["git", "-C", str(checkout.root), "rev-parse", "--short=10", commit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def write_run(folder, record, circumstances):
    path = folder / "runs" / "same-0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": "runs/same-0", **record}))
    path.with_suffix(".run.json").write_text(json.dumps(circumstances))


def carry_over(checkout, executed):
    sentences = []
    migrating.migrate("HEAD~1", Renaming(**MAP), sentences.append, executed, checkout)
    return sentences


def test_an_equal_record_keeps_the_runs_of_its_sweep_but_no_page(checkout, executed):
    assert "renamed: more than names changed." in carry_over(checkout, executed)
    assert current(checkout) == [name for name in CARRIED if name != "renamed"]
    proof = json.loads((checkout.results / "proofs" / "runs.json").read_text())
    assert (proof["run"], proof["n_metrics"], proof["n_rows"]) == ("runs/same-0", 1, 1)


def test_runs_that_an_earlier_renaming_carried_over_are_kept_as_well(checkout, request):
    migrating.migrate("HEAD", Renaming(**MAP), lambda _: None, checkout=checkout)
    sentences = carry_over(checkout, request.getfixturevalue("executed"))
    assert not any(sentence.startswith("runs/") for sentence in sentences)
    assert current(checkout) == [name for name in CARRIED if name != "renamed"]


@pytest.mark.parametrize(
    ("change", "circumstance", "sentence"),
    [
        ({"metrics": {"bits_per_dim": 2.5000001}}, {}, "differ in metrics"),
        ({"history": []}, {}, "differ in history"),
        ({"parameters": {"seed": 1, "case": "a"}}, {}, "differ in parameters"),
        ({}, {"cpu": "another processor"}, "differ in cpu"),
        ({}, {"threads": 2}, "differ in threads"),
        ({}, {"revision": "0123456789"}, "'after' was made|git cannot read"),
        ({}, {"revision": "dirty"}, "whose template renamed is not the present one"),
    ],
)
def test_records_that_prove_nothing_are_refused(
    checkout, executed, change, circumstance, sentence
):
    revision = short_hash("HEAD", checkout)
    if circumstance.get("revision") == "dirty":
        circumstance = {"revision": f"{revision}-dirty"}
    circumstances = {**MACHINE, "revision": revision, **circumstance}
    write_run(executed / "after", {**RESULT, **change}, circumstances)
    with pytest.raises(DataError, match=sentence):
        carry_over(checkout, executed)
    assert current(checkout) == []


def test_the_record_before_must_come_from_the_commit(checkout, executed):
    write_run(executed / "before", RESULT, {**MACHINE, "revision": "0123456789"})
    with pytest.raises(DataError, match="'before' was made at 0123456789, not at HEAD~1"):
        carry_over(checkout, executed)


def test_an_empty_folder_proves_nothing(checkout, executed, tmp_path):
    with pytest.raises(DataError, match="proves nothing"):
        carry_over(checkout, tmp_path / "nothing")
