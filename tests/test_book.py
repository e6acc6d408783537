"""The book: its parts agree, it renders without a warning, its pages are clean."""

import json
import re
import shutil
import tomllib
from types import SimpleNamespace

import nbformat
import pytest
import yaml

from forgetting.book.catalogue import catalogue as book
from forgetting.book.catalogue import check as checking
from forgetting.book.catalogue import publish as publishing
from forgetting.book.catalogue import templates
from forgetting.errors import ForgettingError
from forgetting.files import ROOT, replacing


def toc_files():
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"(?:file|root): (\S+)", text)


def test_every_page_of_the_contents_is_there_and_every_run_is_in_them():
    pages = toc_files()
    assert len(pages) == len(set(pages))
    for page in pages:
        assert any((ROOT / f"{page}{end}").is_file() for end in (".md", ".ipynb")), page
    assert {f"book/runs/{entry.name}" for entry in book.pages()} <= set(pages)


def test_everything_in_the_checkout_agrees():
    assert checking.report() == []


@pytest.mark.parametrize("entry", book.pages(), ids=lambda entry: entry.name)
def test_a_published_page_is_executed_clean_and_carries_no_path(entry):
    path = book.PUBLISHED / f"{entry.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    kinds = {out.output_type for cell in code for out in cell.outputs}
    assert "error" not in kinds
    assert notebook.cells[0].source.startswith(f"# {entry.title}\n")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/\w", text)


def test_no_published_page_shows_a_photograph():
    for entry in book.pages():
        record = json.loads((book.RESULTS / f"{entry.name}.json").read_text(encoding="utf-8"))
        assert not record["parameters"].get("show_real"), entry.name


@pytest.mark.parametrize("entry", book.pages(), ids=lambda entry: entry.name)
def test_a_record_explains_its_metrics(entry):
    record = json.loads((book.RESULTS / f"{entry.name}.json").read_text(encoding="utf-8"))
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
    assert (record["name"], record["template"]) == (entry.name, entry.template)
    assert entry.parameters.items() <= record["parameters"].items()
    explained = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    patterns = re.findall(r"^\| `([^`]+)`", explained, flags=re.M)
    known = [re.compile(re.sub(r"[A-Z]+", r"[a-z0-9_]+", pattern)) for pattern in patterns]
    for name in record["metrics"]:
        stem = re.sub(r"_(low|high|std)$", "", name)
        assert any(pattern.fullmatch(stem) for pattern in known), name


SWEEP = book.Entry(
    name="some",
    title="Some",
    template="taming_points",
    parameters={"lr": 0.01},
    cases={"near": {"radius": 0.2}, "far": {"radius": 0.5}},
    grid={"seed": [0, 1]},
)


def test_a_sweep_is_every_case_with_every_value():
    runs = SWEEP.runs()
    assert [run.name for run in runs] == [
        "some/near-0",
        "some/near-1",
        "some/far-0",
        "some/far-1",
    ]
    assert runs[3].parameters == {"lr": 0.01, "radius": 0.5, "seed": 1}
    assert not any(run.is_sweep for run in runs)
    assert len({run.fingerprint(book.RESULTS) for run in runs}) == 4


def test_a_run_of_a_sweep_leaves_a_record_and_goes_stale_with_its_code_not_its_prose(
    tmp_path, monkeypatch
):
    source = (templates.FOLDER / "taming_points.py").read_text(encoding="utf-8")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(templates, "FOLDER", folder)

    def write(text):
        (folder / "taming_points.py").write_text(text, encoding="utf-8")
        templates.write_notebooks()

    write(source)
    entry = book.Entry(
        name="some",
        title="Some",
        template="taming_points",
        parameters={"preset": "smoke"},
        grid={"seed": [7]},
    )
    (run,) = entry.runs()
    results = tmp_path / "results"
    assert not book.is_current(run, tmp_path, results)
    publishing._execute(run, tmp_path / "pages", results)
    assert book.is_current(run, tmp_path, results)
    assert sorted(path.name for path in (results / "some").iterdir()) == ["7.json", "7.run.json"]
    assert not (tmp_path / "pages").exists()
    write(source.replace("What was seen", "What one saw"))
    assert book.is_current(run, tmp_path, results)
    write(source.replace("torch.randint(", "torch.randint(0, "))
    assert not book.is_current(run, tmp_path, results)


def test_an_unknown_sweep_is_refused_with_the_nearest_name():
    with pytest.raises(ForgettingError, match="no sweep 'tame_peple'"):
        book.sweep("tame_peple")


def test_a_table_is_made_of_the_runs_that_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book, "entries", lambda: [SWEEP])
    monkeypatch.setattr(book, "RESULTS", tmp_path)
    run = SimpleNamespace(weights={"digits-vae": "a"})
    with pytest.raises(ForgettingError, match="`forgetting sweep some` makes them"):
        book.table("some", run)
    record = {"parameters": {"seed": 1}, "metrics": {"drop": 2.0}, "weights": {"digits-glow": "b"}}
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "far-1.json").write_text(json.dumps(record), encoding="utf-8")
    took = {"seconds": 5.0, "seconds_forgetting": 3.0, "cpu": "any"}
    (tmp_path / "some" / "far-1.run.json").write_text(json.dumps(took), encoding="utf-8")
    (row,) = book.table("some", run).to_dict("records")
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
    monkeypatch.setattr(book, "is_current", lambda entry, folder, results: True)
    book.table("some", run)
    assert "earlier" not in capsys.readouterr().out


def test_the_book_renders_without_a_warning(rendered):
    html = (rendered / "book" / "runs" / "introduction.html").read_text(encoding="utf-8")
    assert "The Forgetting Book" in html
    assert str(rendered.parents[1]) not in html


def test_environment_and_project_say_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, pip, packages = environment["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert packages["pip"] == ["--constraint constraints.txt", "--editable .[all]"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"all", "book", "data", "test"}
    assert extras["all"] == ["forgetting[book,data,test]"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0].lower().replace("_", "-") for line in pinned.splitlines()}
    requirements = [*project["dependencies"], *extras["data"], *extras["book"], *extras["test"]]
    for requirement in requirements:
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


def test_other_words_need_no_other_run(tmp_path, monkeypatch):
    entry = next(entry for entry in book.pages() if entry.name == "tame_points")
    page = nbformat.read(book.PUBLISHED / "tame_points.ipynb", as_version=4)
    (tmp_path / "runs").mkdir()
    nbformat.write(page, tmp_path / "runs" / "tame_points.ipynb")
    assert book.is_worded(entry, tmp_path / "runs")

    folder = tmp_path / "notebooks"
    folder.mkdir()
    source = (templates.FOLDER / "taming_points.py").read_text(encoding="utf-8")
    words = source.replace("# ## What was seen", "# A new cell.\n\n# %% [markdown]\n# ## Seen")
    (folder / "taming_points.py").write_text(words, encoding="utf-8")
    monkeypatch.setattr(templates, "FOLDER", folder)
    assert not book.is_worded(entry, tmp_path / "runs")
    said = []
    publishing.execute([entry], tmp_path / "runs", book.RESULTS, said.append)
    assert said == ["tame_points: current, in other words"]
    assert book.is_worded(entry, tmp_path / "runs")
    found = nbformat.read(tmp_path / "runs" / "tame_points.ipynb", as_version=4)
    text = [cell.source for cell in found.cells if cell.cell_type == "markdown"]
    assert text[0].startswith(f"# {entry.title}\n")
    assert text[-1].startswith("## Seen")
    outputs = [
        [cell.get("outputs") for cell in nb.cells if "outputs" in cell] for nb in (page, found)
    ]
    assert outputs[0] == outputs[1]


def test_a_list_in_a_case_is_all_of_its_values():
    given = {"lr": 0.1, "seed": [0, 1]}
    found = book.Entry(name="some", title="Some", template="probes", cases={"a": given}).runs()
    assert [run.name for run in found] == ["some/a-0", "some/a-1"]
    assert [run.parameters for run in found] == [{"lr": 0.1, "seed": seed} for seed in (0, 1)]


def test_a_run_that_fails_does_not_keep_the_others_from_being_made(tmp_path):
    bad, good = (
        book.Entry(
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
    said = []
    with pytest.raises(ForgettingError, match=r"some/bad: lr = -1\.0"):
        publishing.execute([bad, good], tmp_path, tmp_path, said.append, jobs_at_once=1)
    assert [line.split(" (")[0] for line in said] == ["some/bad: failed", "some/good: executed"]
    assert (tmp_path / "some" / "good.json").is_file()


def test_a_run_that_was_made_elsewhere_is_taken_from_there(tmp_path):
    page = next(entry for entry in book.pages() if entry.name == "tame_points")
    for end in ("json", "run.json"):
        shutil.copy(book.RESULTS / f"tame_points.{end}", tmp_path)
    parameters = {**page.parameters, "seed": 0}  # the template's own, said once more
    run = page.model_copy(update={"name": "some/0", "parameters": parameters})
    said = []
    publishing.execute([run], book.PUBLISHED, tmp_path, said.append)
    assert said == ["some/0: taken from tame_points"]
    assert book.is_current(run, book.PUBLISHED, tmp_path)
    made, taken = (
        json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("tame_points", "some/0")
    )
    assert taken == {**made, "name": "some/0"}
