"""The book: its parts agree, it renders without a warning, and its pages are clean."""

import itertools
import json
import re
import shutil
import tomllib
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from explained import unexplained

from forgetting.book import batch, catalogue, job, jobs, templates
from forgetting.book import check as checking
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.colab import without_installation
from forgetting.book.entries import Entry, pages, sweep
from forgetting.book.published import is_current, is_worded
from forgetting.errors import ForgettingError
from forgetting.foundation.files import ROOT, replacing


def test_everything_in_the_checkout_agrees():
    assert checking.report() == []


@pytest.mark.parametrize("entry", pages(), ids=lambda entry: entry.name)
def test_a_published_page_is_executed_clean_and_carries_no_path(entry):
    path = HERE.published / f"{entry.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in without_installation(notebook.cells) if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    kinds = {out.output_type for cell in code for out in cell.outputs}
    assert "error" not in kinds
    assert notebook.cells[0].source.startswith(f"# {entry.title}\n")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/\w", text)


def test_no_published_page_shows_a_photograph():
    for entry in pages():
        record = json.loads((HERE.results / f"{entry.name}.json").read_text(encoding="utf-8"))
        assert not record["parameters"].get("show_real"), entry.name


@pytest.mark.parametrize("entry", pages(), ids=lambda entry: entry.name)
def test_a_record_explains_its_metrics(entry):
    record = json.loads((HERE.results / f"{entry.name}.json").read_text(encoding="utf-8"))
    assert set(record) == {
        "schema",
        "name",
        "template",
        "role",
        "parameters",
        "metrics",
        "weights",
        "history",
    }
    assert record["name"] == entry.name
    assert record["template"] == entry.template or entry.outdated  # of a template merged since
    assert entry.parameters.items() <= record["parameters"].items()
    assert unexplained(record["metrics"]) == []


SWEEP = Entry(
    name="some",
    title="Some",
    template="taming_points",
    parameters={"lr": 0.01},
    cases={"near": {"radius": 0.2}, "far": {"radius": 0.5}},
    grid={"seed": [0, 1]},
)


def test_a_sweep_has_a_run_for_every_case_with_every_value():
    runs = SWEEP.runs()
    assert [run.name for run in runs] == [
        "some/near-0",
        "some/near-1",
        "some/far-0",
        "some/far-1",
    ]
    assert runs[3].parameters == {"lr": 0.01, "radius": 0.5, "seed": 1}
    assert not any(run.is_sweep for run in runs)
    assert len({run.fingerprint() for run in runs}) == 4


def test_a_run_of_a_sweep_leaves_a_record_and_goes_stale_with_its_code_not_its_prose(tmp_path):
    checkout = Checkout(tmp_path)
    checkout.templates.mkdir()
    path = checkout.templates / "taming_points.py"
    text = templates.source("taming_points").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    entry = Entry(
        name="some",
        title="Some",
        template="taming_points",
        parameters={"preset": "smoke"},
        grid={"seed": [7]},
    )
    (run,) = entry.runs()
    pages_folder, results = checkout.published, checkout.results
    assert not is_current(run, pages_folder, results, checkout)
    job.execute_entry(run, pages_folder, results, checkout)
    assert is_current(run, pages_folder, results, checkout)
    assert sorted(path.name for path in (results / "some").iterdir()) == ["7.json", "7.run.json"]
    assert not pages_folder.exists()
    record = results / "some" / "7.json"
    ours = record.read_text(encoding="utf-8")
    theirs = json.loads(ours)
    theirs["metrics"]["more"] = 1.0  # a kill between two files leaves the one's beside the other's
    record.write_text(json.dumps(theirs), encoding="utf-8")
    assert not is_current(run, pages_folder, results, checkout)
    record.write_text(ours, encoding="utf-8")
    path.write_text(text.replace("What was seen", "What one saw"), encoding="utf-8")
    assert is_current(run, pages_folder, results, checkout)
    assert "torch.randint(" in text
    path.write_text(text.replace("torch.randint(", "torch.randint(0, "), encoding="utf-8")
    assert not is_current(run, pages_folder, results, checkout)


@pytest.mark.parametrize("circumstances", [None, {"schema": 2, "record": "of another run"}])
def test_a_page_without_the_circumstances_of_its_record_is_not_current(tmp_path, circumstances):
    page = next(entry for entry in pages() if entry.name == "tame_points")
    for end in ("json", "run.json"):
        shutil.copy(HERE.results / f"tame_points.{end}", tmp_path)
    assert is_current(page, HERE.published, tmp_path)
    path = tmp_path / "tame_points.run.json"
    path.unlink()
    if circumstances:
        path.write_text(json.dumps(circumstances), encoding="utf-8")
    assert not is_current(page, HERE.published, tmp_path)


def test_a_page_whose_outputs_were_changed_is_not_current(tmp_path):
    checkout = Checkout(tmp_path)
    checkout.templates.mkdir()
    shutil.copy(templates.source("taming_points"), checkout.templates)
    page = Entry(
        name="some", title="Some", template="taming_points", parameters={"preset": "smoke"}
    )
    folders = checkout.published, checkout.results
    job.execute_entry(page, *folders, checkout)
    assert is_current(page, *folders, checkout)
    path = checkout.published / "some.ipynb"
    notebook = nbformat.read(path, as_version=4)
    output = next(
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream"
    )
    output["text"] += "as wished\n"
    nbformat.write(notebook, path)
    assert not is_current(page, *folders, checkout)


def test_a_current_page_is_executed_only_when_asked_again(monkeypatch):
    executed = []
    monkeypatch.setattr(jobs, "run", lambda wanted, *rest: executed.append(wanted))
    page = next(page for page in pages() if page.name == "base_digits_vae")
    folders = HERE.published, HERE.results
    batch.execute([page], *folders, log=lambda text: None)
    assert executed == [[]]
    batch.execute([page], *folders, log=lambda text: None, again=True)
    assert executed == [[], [page]]


def test_an_unknown_sweep_is_refused_with_the_most_similar_name():
    with pytest.raises(ForgettingError, match="no sweep 'tame_peple'"):
        sweep("tame_peple")


def test_a_table_is_made_of_the_runs_that_exist(tmp_path, monkeypatch, capsys):
    checkout = Checkout(tmp_path)
    checkout.templates.mkdir()
    shutil.copy(templates.source("taming_points"), checkout.templates)
    listed = SWEEP.model_dump(exclude_defaults=True)
    checkout.runs_file.write_text(yaml.safe_dump([listed]), encoding="utf-8")
    run = SimpleNamespace(weights={"digits-vae": "a"})
    with pytest.raises(ForgettingError, match="`forgetting sweep some` makes them"):
        catalogue.table("some", run, checkout)
    record = {"parameters": {"seed": 1}, "metrics": {"drop": 2.0}, "weights": {"digits-glow": "b"}}
    (checkout.results / "some").mkdir(parents=True)
    (checkout.results / "some" / "far-1.json").write_text(json.dumps(record), encoding="utf-8")
    took = {"seconds": 5.0, "seconds_forgetting": 3.0, "cpu": "any"}
    (checkout.results / "some" / "far-1.run.json").write_text(json.dumps(took), encoding="utf-8")
    (row,) = catalogue.table("some", run, checkout).to_dict("records")
    assert row == {
        "case": "far",
        "seed": 1,
        "drop": 2.0,
        "seconds": 5.0,
        "seconds_forgetting": 3.0,
        "bfloat16": None,
    }
    assert run.weights == {"digits-vae": "a", "digits-glow": "b"}
    assert "1 of them by an earlier form" in capsys.readouterr().out
    monkeypatch.setattr(catalogue, "is_current", lambda *arguments: True)
    catalogue.table("some", run, checkout)
    assert "earlier" not in capsys.readouterr().out
    (checkout.results / "some" / "far-1.run.json").unlink()
    with pytest.raises(ForgettingError, match="no circumstances beside them, such as some/far-1"):
        catalogue.table("some", run, checkout)


def test_the_book_renders_without_a_warning(rendered):
    html = (rendered / "book" / "index.html").read_text(encoding="utf-8")
    assert "Can an image generator forget?" in html
    assert str(rendered.parents[1]) not in html


def test_the_environment_and_the_project_list_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, pip, packages = environment["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert packages["pip"] == ["--constraint constraints.txt", "--editable .[all]"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"all", "book", "cluster", "data", "devices", "test"}
    assert extras["all"] == ["forgetting[book,data,devices,test]"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0].lower().replace("_", "-") for line in pinned.splitlines()}
    for requirement in [*project["dependencies"], *itertools.chain(*extras.values())]:
        name = re.match(r"[\w-]+", requirement)[0].lower()
        assert name in names | {"forgetting"}, requirement


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fill():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(ForgettingError, match="No space left"):
        fill()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_with_another_text_is_not_executed_again(tmp_path):
    checkout = Checkout(tmp_path)
    entry = next(page for page in pages() if page.name == "tame_points")
    page = nbformat.read(HERE.published / "tame_points.ipynb", as_version=4)
    checkout.published.mkdir(parents=True)
    nbformat.write(page, checkout.published / "tame_points.ipynb")
    assert is_worded(entry, checkout.published)

    checkout.templates.mkdir()
    source = templates.source("taming_points").read_text(encoding="utf-8")
    changed = source.replace("# ## What was seen", "# A new cell.\n\n# %% [markdown]\n# ## Seen")
    assert changed != source
    (checkout.templates / "taming_points.py").write_text(changed, encoding="utf-8")
    assert not is_worded(entry, checkout.published, checkout)
    lines = []
    batch.execute([entry], checkout.published, HERE.results, lines.append, checkout=checkout)
    assert lines == ["tame_points: current, with the new text of its template"]
    assert is_worded(entry, checkout.published, checkout)
    reworded = nbformat.read(checkout.published / "tame_points.ipynb", as_version=4)
    text = [cell.source for cell in reworded.cells if cell.cell_type == "markdown"]
    assert text[0].startswith(f"# {entry.title}\n")
    assert text[-1].startswith("## Seen")
    outputs = [
        [cell.get("outputs") for cell in notebook.cells if "outputs" in cell]
        for notebook in (page, reworded)
    ]
    assert outputs[0] == outputs[1]


def test_a_list_in_a_case_gives_a_run_for_each_value():
    given = {"lr": 0.1, "seed": [0, 1]}
    runs = Entry(name="some", title="Some", template="probes", cases={"a": given}).runs()
    assert [run.name for run in runs] == ["some/a-0", "some/a-1"]
    assert [run.parameters for run in runs] == [{"lr": 0.1, "seed": seed} for seed in (0, 1)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"grid": {"seed": [0, 1, 0.0]}}, "seed has the value 0.0 twice"),
        ({"cases": {"a": {"seed": [1, True]}}}, "case a: seed has the value True twice"),
        ({"cases": {"a/b": {}, "a/c": {}}}, "name a case with letters"),
        ({"cases": {"as here": {}, "as_here": {}}}, "name a case with letters"),
        ({"cases": {"A_b": {"seed": [0]}, "a_b": {"seed": [0]}}}, "one name to two runs"),
    ],
)
def test_runs_of_a_sweep_that_a_table_would_take_for_one_or_for_two_are_refused(given, reason):
    with pytest.raises((ValueError, ForgettingError), match=reason):
        Entry(name="some", title="Some", template="probes", **given).runs()


def test_a_run_is_copied_from_a_page_with_the_same_parameters(tmp_path):
    page = next(entry for entry in pages() if entry.name == "tame_points")
    for end in ("json", "run.json"):
        shutil.copy(HERE.results / f"tame_points.{end}", tmp_path)
    parameters = {**page.parameters, "seed": 0}  # the default of the template
    run = page.model_copy(update={"name": "some/0", "parameters": parameters})
    lines = []
    batch.execute([run], HERE.published, tmp_path, lines.append)
    assert lines == ["some/0: copied from tame_points"]
    assert is_current(run, HERE.published, tmp_path)
    original, copy = (
        json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("tame_points", "some/0")
    )
    assert copy == {**original, "name": "some/0"}
