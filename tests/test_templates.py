"""Templates: notebooks agree, parameters are checked, each runs and runs again alike."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from click.testing import CliRunner
from planted import checkout_of
from small_flow import NAME as SMALL
from small_flow import save_small_flow

from forgetting.book import execution, templates
from forgetting.book.annotation import ManualLabels
from forgetting.book.checkout import HERE
from forgetting.book.records import SCHEMA
from forgetting.book.run import CONTEXT
from forgetting.border.inference import generate
from forgetting.cli import main
from forgetting.errors import DataError, ForgettingError, ParameterError
from forgetting.zoo import store as zoo

FAST = {"preset": "smoke"}


@pytest.mark.parametrize("name", templates.names())
def test_a_template_and_its_notebook_agree(name):
    text = (HERE.templates / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == templates.notebook_text(name)
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("name", templates.names())
def test_every_parameter_has_a_comment_and_papermill_sees_it(name):
    declared = templates.parameters(name)
    assert {"seed", "preset", "device"} <= set(declared)
    assert all(parameter.comment for parameter in declared.values())
    inferred = papermill.inspect_notebook(HERE.templates / f"{name}.ipynb")
    assert set(inferred) == set(declared)


TWICE = ("feature_unlearning", "taming_points")
"""Templates that nbval executes again; the others read records or are made of the same parts."""

ON_A_SMALL_FLOW = {
    "flow_two_ways": {"feature": "Male", "n_collected": 600},
    "membership": {},
    "taming_attribute": {},
    "taming_generation": {},
    "taming_in_turn": {"people": "0,1"},
    "taming_person": {},
    "taming_target": {},
}
"""Templates that sample a flow of faces by the thousand, with parameters that fit a small flow."""


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """Return two empty caches, so that a second execution computes everything again."""
    return [str(tmp_path_factory.mktemp(name)) for name in ("first", "second")]


@pytest.fixture(scope="session")
def own_zoo(tmp_path_factory):
    """Return a folder of weights as a user has it: it holds one small flow."""
    folder = tmp_path_factory.mktemp("zoo")
    save_small_flow(folder)
    return folder


@pytest.mark.parametrize("name", templates.names())
def test_runs_at_smoke_and_again_alike(name, tmp_path, caches, monkeypatch, capfd, request):
    """papermill leaves a record; nbval then computes the same outputs of the marked cells."""
    monkeypatch.setenv("XDG_CACHE_HOME", caches[0])
    given = FAST
    if name in ON_A_SMALL_FLOW:
        monkeypatch.setenv("FORGETTING_ZOO", str(request.getfixturevalue("own_zoo")))
        given = FAST | {"model": SMALL} | ON_A_SMALL_FLOW[name]
    notebook = tmp_path / f"{name}.ipynb"
    execution.execute(name, given, notebook, name=name, role="headline", results=tmp_path)
    assert "WARNING" not in capfd.readouterr().err  # of the kernel
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["template"] == name
    assert record["metrics"]
    assert record["weights"] or name in ("taming_points", "speed")  # which load none
    assert json.loads((tmp_path / f"{name}.run.json").read_text())["seconds"] > 0
    executed = nbformat.read(notebook, as_version=4)
    assert any("nbval-check-output" in cell.metadata.tags for cell in executed.cells)
    text = notebook.read_text(encoding="utf-8")
    for place in (str(HERE.root), str(Path.home()), str(tmp_path)):
        assert place not in text
    if name not in TWICE:
        return
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(notebook)]
    command += ["-c", str(HERE.root / "pyproject.toml"), "--confcutdir", str(tmp_path)]
    (tmp_path / "conftest.py").write_text((HERE.root / "conftest.py").read_text(encoding="utf-8"))
    environment = json.dumps({"name": name, "role": "headline", "folder": str(tmp_path / "again")})
    done = subprocess.run(
        command,
        env={**_environment(), CONTEXT: environment, "XDG_CACHE_HOME": caches[1]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    again = json.loads((tmp_path / "again" / f"{name}.json").read_text())
    assert again["metrics"] == record["metrics"]
    assert again["history"] == record["history"]


def _environment():
    return {key: value for key, value in os.environ.items() if key != "FORGETTING_DATA"}


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def test_a_misspelt_parameter_is_refused_with_the_most_similar_name():
    result = run("run", "feature_unlearning", "-p", "featur=x")
    assert result.exit_code == 1
    assert "no parameter 'featur'. Did you mean feature?" in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("steps=many", "steps = 'many' is no int: "),
        ("seed=1.5", "seed = '1.5' is no int"),
        ("steps=1.000", "steps = '1.000' is 1 or 1000, as its point is read: write it without."),
        ("steps", "'steps' is not of the form NAME=VALUE"),
    ],
)
def test_wrong_types_are_refused_at_once(pair, sentence):
    result = run("run", "feature_unlearning", "-p", pair)
    assert result.exit_code == 1
    assert sentence in result.output


@pytest.mark.parametrize(
    ("template", "pair", "sentence"),
    [
        ("feature_unlearning", "feature=bangs", "feature = 'bangs': of digits-vae it can be"),
        ("taming_images", "n_forget=0", "n_forget = 0: input should be greater than"),
        (
            "taming_class",
            "preset=huge",
            "preset = 'huge', but the presets of taming_class are smoke, default",
        ),
        ("base_model", "model=digits-gna", "The zoo has no 'digits-gna'"),
    ],
)
def test_values_out_of_range_leave_a_sentence_and_nothing_else(
    template, pair, sentence, tmp_path, monkeypatch
):
    monkeypatch.setattr(execution, "EARLY", 600.0)  # a busy machine starts a kernel in minutes
    pairs = [pair] if pair.startswith("preset=") else ["preset=smoke", pair]
    options = [option for each in pairs for option in ("-p", each)]
    result = run("run", template, *options, "--output", str(tmp_path))
    assert result.exit_code == 1, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("template", "old", "new"),
    [
        ("feature_unlearning", "by_hand", "manual_labels"),
        ("feature_unlearning", "threshold", "projection_threshold"),
        ("unlearning_baselines", "judge_lr", "classifier_lr"),
        ("taming_person", "remember_batch_size", "retain_batch_size"),
        ("taming_person", "n_yardstick", "n_likelihood_reference"),
    ],
)
def test_a_renamed_parameter_is_refused_with_its_present_name(template, old, new):
    result = run("run", template, "-p", f"{old}=1")
    assert result.exit_code == 1
    assert (
        f"The parameter '{old}' of {template} is now called '{new}': use {new}." in result.output
    )
    assert result.output.count("\n") == 1


def test_an_announcement_gives_the_time_that_comparable_published_runs_took(tmp_path):
    source = templates.source("feature_unlearning").read_text(encoding="utf-8")
    checkout = checkout_of(tmp_path, "feature_unlearning", source)
    checkout.results.mkdir()
    took = (("a", "faces-gan", 90), ("b", "faces-gan", 120), ("c", "digits-vae", 600))
    for name, model, seconds in took:
        record = {
            "schema": SCHEMA,
            "template": "feature_unlearning",
            "parameters": {"preset": "default", "model": model},
            "metrics": {},
        }
        (checkout.results / f"{name}.json").write_text(json.dumps(record))
        (checkout.results / f"{name}.run.json").write_text(
            json.dumps({"seconds": seconds, "threads": 1})
        )

    def announcement(given):
        return execution.announcement("feature_unlearning", given, checkout)

    text = announcement({"model": "faces-gan", "feature": "Bangs"})
    assert "Unlearning a feature: preset default, model faces-gan, feature Bangs" in text
    assert "took 1.5 to 2.0 minutes (threads: 1)" in text
    assert "took 10.0 minutes" in announcement({})
    assert "shows the nearest" in announcement({"preset": "smoke"})


def test_a_feature_is_unlearned_by_manual_labels(tmp_path):
    """The labels are those of a person who takes the blackest digits for thick ones."""
    generator = zoo.load("digits-vae")
    labels = ManualLabels(generator, "thick strokes", 200, tmp_path / "hand.safetensors")
    ink = generate(generator, labels.latents).sum((1, 2, 3))
    labels.answer((ink > ink.quantile(0.85)).tolist())
    pairs = ["preset=smoke", f"manual_labels={labels.path}"]
    options = [option for pair in pairs for option in ("-p", pair)]
    result = run(
        "run", "feature_unlearning", *options, "--name", "hand", "--output", str(tmp_path)
    )
    assert result.exit_code == 0, result.output
    assert "30 positive, 170 negative" in (tmp_path / "hand.ipynb").read_text(encoding="utf-8")
    assert "prevalence_after" in json.loads((tmp_path / "hand.json").read_text())["metrics"]


def test_an_unknown_template_is_refused_with_the_most_similar_name():
    result = run("run", "feature_unlerning")
    assert result.exit_code == 1
    assert "Did you mean feature_unlearning?" in result.output


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run("run", "base_model", "--output", str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert "Cannot write" in result.output


BROKEN = """# %% [markdown]
# # A template that fails

# %% tags=["parameters"]
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke or default
device: str = "auto"  # auto, cpu or cuda

# %%
print("until here")

# %%
1 / 0
"""


@pytest.fixture
def broken(tmp_path):
    """Return a checkout with a template that fails, whose notebook was never written."""
    return checkout_of(tmp_path / "checkout", "broken", BROKEN)


def test_the_cells_before_a_failure_are_kept_and_no_notebook_is_needed(tmp_path, broken):
    results = tmp_path / "results"
    with pytest.raises(ForgettingError, match=r"broken failed\. The cells .*some\.failed"):
        execution.execute("broken", {}, None, name="some", results=results, checkout=broken)
    kept = results / "some.failed.ipynb"
    assert [path.name for path in results.iterdir()] == [kept.name]
    assert "until here" in kept.read_text(encoding="utf-8")
    first = kept.read_bytes()
    with pytest.raises(ForgettingError, match=r"some\.failed-2"):
        execution.execute("broken", {}, None, name="some", results=results, checkout=broken)
    assert kept.read_bytes() == first


def test_a_notebook_that_a_full_disk_has_cut_off_is_not_called_the_cells_that_ran(tmp_path):
    executed, kept = tmp_path / "executed.ipynb", tmp_path / "some.failed.ipynb"
    executed.write_text('{"cells": []}', encoding="utf-8")
    assert str(kept) in execution._keep(executed, kept)
    kept.unlink()
    executed.write_text('{"cells": [', encoding="utf-8")
    assert (execution._keep(executed, kept), kept.exists()) == ("", False)


@pytest.mark.parametrize(("early", "kept"), [(600.0, []), (0.0, ["some.failed.ipynb"])])
def test_a_run_that_is_refused_late_keeps_its_cells(tmp_path, monkeypatch, broken, early, kept):
    monkeypatch.setattr(execution, "EARLY", early)
    refusing = BROKEN.replace(
        "1 / 0", "from forgetting.errors import DataError\nraise DataError('no')"
    )
    (broken.templates / "broken.py").write_text(refusing)
    results = tmp_path / "results"
    with pytest.raises(DataError, match=r"^no"):
        execution.execute("broken", {}, None, name="some", results=results, checkout=broken)
    assert [path.name for path in results.glob("*")] == kept


def test_a_name_made_of_many_parameters_is_short_enough_for_a_file(monkeypatch, tmp_path):
    names = []

    def execute(template, values, notebook, *, name, results):
        names.append(name)
        (results / f"{name}.run.json").write_text('{"data": {}}')
        return {"metrics": {}, "template": template}

    monkeypatch.setattr(execution, "execute", execute)
    for seed in (1, 2):
        pairs = [f"feature={'thick' * 60}", f"seed={seed}"]
        options = [option for pair in pairs for option in ("-p", pair)]
        result = run("run", "feature_unlearning", *options, "--output", str(tmp_path))
        assert result.exit_code == 0, result.output
    assert len(set(names)) == 2
    assert all(len(name) < 200 for name in names)


def test_parameters_are_converted():
    given = {"seed": "3", "lr": "1e-4", "feature": "thick"}
    values = templates.convert("feature_unlearning", given)
    assert values == {"seed": 3, "lr": 1e-4, "feature": "thick"}
    with pytest.raises(ParameterError, match="no int"):
        templates.convert("feature_unlearning", {"seed": "x"})


@pytest.mark.parametrize("name", templates.names())
def test_papermill_reads_every_parameter(name):
    """An equals sign in a comment would hide its parameter."""
    seen = papermill.inspect_notebook(HERE.templates / f"{name}.ipynb")
    assert seen.keys() == templates.parameters(name).keys()
