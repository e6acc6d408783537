"""A person's own runs: no name stands for two, nothing is overwritten, no setting leaks in."""

import errno
import json
import os
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from click.testing import CliRunner
from planted import checkout_of

from forgetting.book import execution, kernel, own_runs, run, templates
from forgetting.book.checkout import Checkout
from forgetting.book.entries import Entry, entries
from forgetting.border.conditions import MAX_SEED
from forgetting.cli import main
from forgetting.errors import ForgettingError, ParameterError, validated
from forgetting.experiments.context import Experiment, Parameters

TEMPLATE = """# %% [markdown]
# # A template that draws

# %% tags=["parameters"]
seed: int = 0  # of everything that is random
preset: str = "default"  # only default
device: str = "cpu"  # auto, cpu or cuda

# %%
import sys

import matplotlib.pyplot as plt

from forgetting.book import run as runs

run = runs.begin("drawn", runs.Parameters, {"default": {}}, globals())
print(sys.executable, "of_the_user" in globals())

# %%
plt.plot([1, 2])
plt.show()

# %%
metrics = run.finish({"one": 1.0 + run.parameters.seed}, [])
"""


@pytest.fixture
def drawn(tmp_path):
    """Return a checkout with a template that draws a picture."""
    return checkout_of(tmp_path / "checkout", "drawn", TEMPLATE)


def outputs(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def has_picture(notebook):
    return any("image/png" in output.get("data", {}) for output in outputs(notebook))


def command(*arguments):
    return CliRunner().invoke(main, ["run", *arguments])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# names and parameters


def test_different_parameters_never_lead_to_one_name():
    given = [
        {"target": "Male&~Smiling: 0.3"},
        {"target": "Male& Smiling: 0.3"},
        {"target": "Male__Smiling__0.3"},
        {"target": "Male&~Smiling: 0.3" * 20},
        {"target": "Male&~Smiling: 0.3" * 20 + " "},
        {"target": "Bangs-seed=1"},
        {"target": "Bangs", "seed": "1"},
        {},
    ]
    names = [own_runs.name_run("taming_target", each) for each in given]
    names += [own_runs.name_run("taming_target", {}, name) for name in ("a b", "a_b", "a/b")]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) < 200 and "/" not in name for name in names)


@pytest.mark.parametrize("end", ["run", "failed"])
def test_a_name_is_not_that_of_a_file_of_another_run(end):
    assert own_runs.name_run("some", {}, f"x.{end}").startswith(f"x.{end}-")


@pytest.mark.parametrize("text", ["é" * 300, "東" * 300])
def test_a_name_is_short_enough_in_bytes(text):
    assert len(own_runs.name_run("some", {}, text).encode()) < 200


def test_plain_parameters_and_plain_names_are_names_as_they_are():
    given = {"model": "digits-vae", "lr": "1e-4"}
    assert own_runs.name_run("some", given) == "some-model=digits-vae-lr=1e-4"
    assert own_runs.name_run("some", given, "mine") == "mine"


@pytest.mark.parametrize("second", ["1", "2"])
def test_a_parameter_that_is_given_twice_is_refused(second, tmp_path):
    arguments = ["-p", "seed=1", "-p", f"seed={second}", "--output", str(tmp_path)]
    result = command("speed", *arguments)
    assert result.exit_code == 1
    assert result.output == (
        f"forgetting: seed is given twice, as '1' and as '{second}': give it once.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [10**23, MAX_SEED + 1, -1])
def test_a_seed_beyond_what_generators_take_is_refused_in_a_sentence(value):
    with pytest.raises(ParameterError, match=rf"^seed = {value}: input should be"):
        validated(Parameters, {"seed": value})


def test_the_greatest_seed_seeds_everything():
    experiment = Experiment("some", Parameters(seed=MAX_SEED, device="cpu"))
    assert experiment.latents("own", 2, 3).shape == (2, 3)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_is_not_finite_is_refused(value):
    class Tuned(Parameters):
        lr: float

    with pytest.raises(ParameterError, match=r"lr = .*finite"):
        validated(Tuned, {"lr": value})


def test_two_runs_of_a_sweep_or_two_pages_with_one_name_are_refused(tmp_path):
    entry = Entry(
        name="some",
        title="Some",
        template="taming_points",
        cases={"near": {"lr": ["b-c", "c"]}},
        grid={"radius": ["a", "a-b"]},
    )
    with pytest.raises(ForgettingError, match="one name to two runs, some/near-"):
        entry.runs()
    checkout = Checkout(tmp_path)
    checkout.runs_file.write_text("- {name: some, title: Some, template: taming_points}\n" * 2)
    with pytest.raises(ForgettingError, match="one name to two runs, some:"):
        entries(checkout)


def test_a_parameter_that_runs_yaml_gives_twice_is_refused_with_its_line(tmp_path):
    checkout = Checkout(tmp_path)
    entry = "- name: some\n  title: Some\n  template: taming_points\n  parameters:\n"
    checkout.runs_file.write_text(f"{entry}    seed: 1\n    seed: 2\n")
    with pytest.raises(ForgettingError, match=r"runs\.yaml, line 6: seed is given twice"):
        entries(checkout)


# a name that is taken


@pytest.mark.parametrize("end", ["json", "run.json", "ipynb"])
def test_a_name_that_is_taken_is_refused_and_its_files_stay(end, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "execute", lambda *arguments, **options: pytest.fail("it ran"))
    (tmp_path / f"x.{end}").write_text("of the first run")
    before = contents(tmp_path)
    result = command("speed", "--name", "x", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert f"x.{end} is there, and no run is overwritten: give another --name" in result.output
    assert result.output.count("\n") == 1
    assert contents(tmp_path) == before


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch):
    """As plain papermill and Jupyter execute a template."""
    monkeypatch.delenv(run.CONTEXT, raising=False)
    for seed in (0, 1, 2):
        each = run.begin("some", Parameters, {"default": {}}, {"seed": seed, "device": "cpu"})
        each.folder = tmp_path
        each.finish({"seed": seed}, [])
    records = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("some*.json")}
    assert set(records) == {
        f"some{number}.{end}" for number in ("", "-2", "-3") for end in ("json", "run.json")
    }
    assert records["some-3.json"]["name"] == "some-3"
    assert records["some.json"]["metrics"] == {"seed": 0}


# files that appear together


@pytest.mark.parametrize("is_again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_on_a_full_disk_record_and_notebook_stay_together(
    which, is_again, drawn, tmp_path, monkeypatch
):
    """The second run is that of a page, which replaces its first."""
    folder = tmp_path / "runs"
    notebook = folder / "x.ipynb"
    if is_again:
        folder.mkdir()
        for end in ("json", "run.json", "ipynb"):
            (folder / f"x.{end}").write_text("of the first run")
    before = contents(folder) if is_again else {}
    replace, calls = Path.replace, []

    def full(path, target):
        if Path(target).parent == folder:
            calls.append(target)
            if len(calls) == which + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        return replace(path, target)

    def executed(source, target, **options):
        context = json.loads(os.environ[run.CONTEXT])
        record = {"schema": run.SCHEMA, "weights": {}}
        for text in run.files(Path(context["folder"]), "x", record, {"data": {}}).items():
            text[0].write_text(text[1])
        return nbformat.read(source, as_version=4)

    monkeypatch.setattr(papermill, "execute_notebook", executed)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ForgettingError, match="No space left"):
        execution.execute("drawn", {}, notebook, name="x", results=folder, checkout=drawn)
    monkeypatch.setattr(Path, "replace", replace)
    assert contents(folder) == before


# what a user has set


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            {"cases": {"a": {"seed": 7}}, "grid": {"seed": [0, 1]}},
            "in the grid, whose values would count",
        ),
        ({"cases": {"a": {"seed": []}}}, "some, case a: seed has no values"),
        ({"grid": {"seed": []}}, "some: seed has no values"),
        ({"cases": {"a-b": {}, "a-c": {}}}, "'-' ends the name of a case"),
        ({"grid": {"seed": ["../../stray"]}}, "a value that no file's name can hold"),
        ({"grid": {"seed": [".."]}}, "a value that no file's name can hold"),
        ({"cases": {"a": {"seed": ["two\nlines"]}}}, "a value that no file's name can hold"),
        ({"grid": {"seed": ["x" * 10_000]}}, "a value that no file's name can hold"),
    ],
)
def test_a_sweep_of_which_a_value_would_count_for_nothing_is_refused(parts, sentence):
    entry = {"name": "some", "title": "Some", "template": "taming_points"}
    with pytest.raises(ParameterError, match=sentence):
        validated(Entry, entry | parts)


@pytest.mark.parametrize("backend", ["Agg", "TkAgg", "none_of_matplotlib"])
def test_a_run_has_this_python_and_its_pictures_whatever_the_user_has_set(
    backend, drawn, tmp_path, monkeypatch
):
    other = tmp_path / "jupyter" / "kernels" / "python3"
    with (drawn.templates / "drawn.py").open("a", encoding="utf-8") as source:
        source.write("\n\n# %%\nimport warnings\n\nwarnings.warn('a note', stacklevel=1)\n")
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    for folder in (other, startup):
        folder.mkdir(parents=True)
    spec = {"argv": ["false", "{connection_file}"], "display_name": "x", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    (startup / "own.py").write_text("of_the_user = 1\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "own.py"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", backend)
    monkeypatch.setenv("PYTHONWARNINGS", "error::UserWarning")
    notebook = tmp_path / "x.ipynb"
    execution.execute(
        "drawn", {}, notebook, name="x", results=tmp_path, checkout=drawn, progress=False
    )
    assert has_picture(notebook)
    assert f"{sys.executable} False\n" in [output.get("text") for output in outputs(notebook)]
    assert os.environ["MPLBACKEND"] == backend
    assert os.environ["JUPYTER_PATH"] == str(tmp_path / "jupyter")


def test_plain_papermill_has_its_pictures_whatever_backend_is_set(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    context = {"name": "x", "folder": str(tmp_path), "results": str(tmp_path)}
    monkeypatch.setenv(run.CONTEXT, json.dumps(context))
    source, target = tmp_path / "drawn.ipynb", tmp_path / "executed.ipynb"
    source.write_text(templates.notebook_text("drawn", drawn))
    papermill.execute_notebook(source, target, kernel_name="python3", progress_bar=False)
    assert has_picture(target)


STARTING = """
import os, sys
from pathlib import Path

if "ipykernel_launcher" in sys.orig_argv:
    starts = Path(os.environ["STARTS"])
    if len(list(starts.iterdir())) < int(os.environ["MOST"]):
        (starts / str(os.getpid())).touch()
        sys.exit("Address already in use")
"""


@pytest.mark.parametrize("most", [2, 3])
def test_a_run_begins_again_whose_kernel_ends_before_its_first_cell(
    most, drawn, tmp_path, monkeypatch
):
    """As one does whose port another kernel has taken meanwhile."""
    for name in ("starts", "path"):
        (tmp_path / name).mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(STARTING)
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    monkeypatch.setenv("MOST", str(most))
    places = filter(None, [str(tmp_path / "path"), os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))

    def run_it():
        execution.execute("drawn", {}, None, name="x", results=tmp_path, checkout=drawn)

    if most < kernel.STARTS:
        run_it()
        assert (tmp_path / "x.json").is_file()
    else:
        with pytest.raises(ForgettingError, match="could not be executed: Kernel died"):
            run_it()
    assert len(list((tmp_path / "starts").iterdir())) == most


# a notebook that was edited


def test_an_edited_notebook_is_not_passed_over(drawn, tmp_path):
    notebook = drawn.templates / "drawn.ipynb"
    templates.check_notebook("drawn", drawn)  # there is none
    templates.write_notebooks(drawn)
    templates.check_notebook("drawn", drawn)
    text = notebook.read_text(encoding="utf-8")
    notebook.write_text(text.replace("A template that draws", "With a note of mine"))
    templates.check_notebook("drawn", drawn)  # words and outputs do not count
    for edited in (text.replace("[1, 2]", "[1, 3]"), "no notebook", "{}"):
        notebook.write_text(edited)
        with pytest.raises(ForgettingError, match=r"drawn\.ipynb was edited, or is older than"):
            templates.check_notebook("drawn", drawn)


def test_a_run_of_a_template_with_an_edited_notebook_is_refused(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "execute", lambda *arguments, **options: pytest.fail("it ran"))
    monkeypatch.setattr(templates, "source", lambda *_: drawn.templates / "drawn.py")
    templates.write_notebooks(drawn)
    notebook = drawn.templates / "drawn.ipynb"
    notebook.write_text(notebook.read_text().replace("[1, 2]", "[1, 3]"))
    result = command("drawn", "--output", str(tmp_path / "runs"))
    assert result.exit_code == 1
    assert "drawn.ipynb was edited" in result.output
    assert result.output.count("\n") == 1


def test_a_book_without_templates_says_so(tmp_path):
    with pytest.raises(ForgettingError, match=r"No template is in .*install the package anew"):
        templates.names(Checkout(tmp_path))


def test_another_preset_than_that_of_a_record_brings_its_own_sizes():
    recorded = {"preset": "default", "n_samples": "5000", "seed": "3", "lr": "0.001"}
    changed = own_runs.with_changes("feature_unlearning", recorded, {"preset": "smoke"})
    assert changed == {"preset": "smoke", "seed": "3", "lr": "0.001"}
    given = {"preset": "smoke", "n_samples": "900"}
    changed = own_runs.with_changes("feature_unlearning", recorded, given)
    assert changed["n_samples"] == "900"
    changed = own_runs.with_changes("feature_unlearning", recorded, {"preset": "default"})
    assert changed == recorded


def test_another_preset_changes_no_parameter_that_it_does_not_fill_in():
    recorded = {"preset": "default", "share": "0.1", "rounds": "6"}
    changed = own_runs.with_changes("unlearning_own", recorded, {"preset": "smoke"})
    assert changed == {"preset": "smoke", "share": "0.1"}


def test_a_run_from_a_record_says_in_what_it_is_another(tmp_path):
    path = tmp_path / "old.json"
    recorded = {"seed": 3, "stop_within": 0.2, "margin": 1, "lr": 0.1}
    path.write_text(json.dumps({"schema": 2, "parameters": recorded, "metrics": {}}))
    done = {"parameters": {"seed": 3, "stop_within": 0.15, "rounds": 0, "lr": 0.2}}
    assert own_runs.not_as_recorded(path, {"lr": "0.2"}, done) == [
        f"Not as in {path}, though not given:",
        "  margin: 1 -> none",
        "  rounds: none -> 0",
        "  stop_within: 0.2 -> 0.15",
    ]
    done = {"parameters": recorded}
    assert own_runs.not_as_recorded(path, {}, done) == []
