"""Records: older ones are upgraded by a command, and no reader takes them for present ones."""

import json
import math

import pytest
from click.testing import CliRunner

from forgetting.book import run as runs
from forgetting.book.checkout import HERE
from forgetting.book.records import SCHEMA, read_record
from forgetting.book.schema import upgrade, upgrade_folder
from forgetting.cli import main
from forgetting.errors import DataError

OLD = {
    "name": "mine/twice_to_remember-0",
    "template": "taming_person",
    "role": "headline",
    "parameters": {"n_remember": 5, "by_hand": "", "seed": 0},
    "metrics": {"threshold": 0.5, "presence_after": 0.1, "shift_remembered_sigma": 0.2},
    "weights": {"digits-judge-a": "abc"},
    "history": [{"step": 1, "remember_bpd": 2.0}],
}
NEW = {
    "schema": SCHEMA,
    "name": "mine/twice_to_retain-0",
    "template": "taming_person",
    "role": "headline",
    "parameters": {"n_retain": 5, "manual_labels": "", "seed": 0},
    "metrics": {
        "projection_threshold": 0.5,
        "prevalence_after": 0.1,
        "shift_retained_sigma": 0.2,
    },
    "weights": {"digits-classifier-a": "abc"},
    "history": [{"step": 1, "retain_bpd": 2.0}],
}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an old record, its circumstances, a present record and another file."""
    (tmp_path / "mine").mkdir()
    for name, content in (
        ("mine/twice_to_remember-0.json", OLD),
        ("mine/twice_to_remember-0.run.json", {"seconds": 3.0}),
        ("present.json", {**NEW, "name": "present"}),
        ("other.json", {"anything": 1}),
    ):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("old", [OLD, {"schema": 1, **OLD}])
def test_an_upgrade_changes_names_and_no_value(old):
    assert upgrade(old) == NEW
    assert list(upgrade(old)) == list(NEW)
    assert upgrade(NEW) is NEW


def test_the_command_upgrades_old_records_and_leaves_other_files_alone(folder):
    untouched = {name: (folder / name).read_bytes() for name in ("present.json", "other.json")}
    result = CliRunner().invoke(main, ["upgrade", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"records of schema {SCHEMA} written: 1" in result.output
    assert read_record(folder / "mine" / "twice_to_retain-0.json") == NEW
    assert read_record(folder / "mine" / "twice_to_retain-0.run.json") == {"seconds": 3.0}
    assert len(list((folder / "mine").iterdir())) == 2
    assert untouched == {name: (folder / name).read_bytes() for name in untouched}
    again = CliRunner().invoke(main, ["upgrade", str(folder)])
    assert "written: 0" in again.output


def test_an_upgrade_that_fails_leaves_the_old_record(folder, monkeypatch):
    path = folder / "mine" / "twice_to_remember-0.json"
    before = path.read_bytes()

    def replace(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", replace)
    result = CliRunner().invoke(main, ["upgrade", str(folder)])
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert path.read_bytes() == before
    assert len(list((folder / "mine").iterdir())) == 2


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["upgrade", str(tmp_path / "missing")])
    assert result.exit_code == 1
    assert "is not a folder" in result.output


def test_a_reader_of_an_old_record_names_the_command(folder):
    name = "mine/twice_to_remember-0"
    sentence = f"is a record of schema 1, .* run `forgetting upgrade {folder / 'mine'}` first"
    with pytest.raises(DataError, match=sentence):
        runs.records(folder, [name])
    with pytest.raises(DataError, match=sentence):
        read_record(folder / f"{name}.json")


def test_a_record_of_a_newer_schema_is_refused(folder):
    (folder / "present.json").write_text(json.dumps({**NEW, "schema": SCHEMA + 1}))
    with pytest.raises(DataError, match="install a newer version of forgetting"):
        runs.records(folder, ["present"])
    result = CliRunner().invoke(main, ["upgrade", str(folder)])
    assert result.exit_code == 1


def test_a_spoilt_record_is_refused(folder):
    (folder / "present.json").write_text('{"half": ')
    with pytest.raises(DataError, match="not valid JSON"):
        runs.records(folder, ["present"])


def test_all_published_records_have_the_present_schema():
    for path in HERE.results.rglob("*.run.json"):
        read_record(path)
        read_record(path.with_name(path.name.replace(".run.json", ".json")))


RECORD = {"schema": 2, "name": "a", "template": "t", "parameters": {}, "metrics": {"fid": 1.0}}
RECORD |= {"weights": {}, "history": []}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a record, or a text, and returns the file's path."""

    def write(record=None, text=None):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(record) if text is None else text)
        return path

    return write


@pytest.mark.parametrize("value", [math.nan, math.inf, "12", None, True, [1.0]])
def test_a_metric_in_a_record_is_a_finite_number(written, value):
    assert read_record(written(RECORD))["metrics"] == {"fid": 1.0}
    with pytest.raises(DataError, match=r"the metric fid is .*, not a finite number"):
        read_record(written(RECORD | {"metrics": {"fid": value}}))


@pytest.mark.parametrize("end", ["low", "high"])
def test_half_an_interval_is_none(written, end):
    metrics = {"share": 0.1, f"share_{end}": 0.1}
    with pytest.raises(DataError, match="share has half an interval"):
        read_record(written(RECORD | {"metrics": metrics}))


@pytest.mark.parametrize("ends", [(0.4, 0.9), (-0.5, 0.05), (0.9, 0.1), (0.2, 0.1)])
def test_a_metric_outside_its_interval_was_changed_by_hand(written, ends):
    low, high = ends
    metrics = {"share": 0.1, "share_low": 0.05, "share_high": 0.1 - 1e-9, "other_low": 7.0}
    assert read_record(written(RECORD | {"metrics": metrics}))["metrics"] == metrics
    metrics |= {"share_low": low, "share_high": high}
    with pytest.raises(DataError, match=r"the metric share is 0\.1, outside its interval from"):
        read_record(written(RECORD | {"metrics": metrics}))


@pytest.mark.parametrize("content", [[1, 2], 3, "text", RECORD | {"metrics": [1.0]}])
def test_json_of_another_kind_is_no_record(written, content):
    with pytest.raises(DataError, match="is not a record"):
        read_record(written(content))


def test_a_name_that_is_twice_in_a_record_does_not_take_the_place_of_the_first(written):
    text = json.dumps(RECORD)
    for added in (', "metrics": {"fid": 0.0}}', ', "parameters": {"seed": 1, "seed": 2}}'):
        with pytest.raises(DataError, match="is there twice"):
            read_record(written(text=text[:-1] + added))


@pytest.mark.parametrize("schema", ["2", 2.5, 0, -1, True, None])
def test_a_schema_that_never_was_is_read_as_no_other(written, schema):
    path = written(RECORD | {"schema": schema})
    for read in (read_record, lambda path: upgrade_folder(path.parent)):
        with pytest.raises(DataError, match=r"is a record of schema .*: make the run again"):
            read(path)


@pytest.mark.parametrize(
    "part",
    [
        {"metrics": {"presence_x": 1, "prevalence_x": 2}},
        {"parameters": {"threshold": 1, "projection_threshold": 2}},
    ],
)
def test_an_upgrade_drops_no_value_for_another_of_the_same_present_name(written, part):
    path = written(RECORD | {"schema": 1} | part)
    before = path.read_text()
    with pytest.raises(DataError, match="is there twice"):
        upgrade_folder(path.parent)
    assert path.read_text() == before


def test_an_upgraded_record_replaces_no_other(tmp_path):
    for name, schema in (("a_to_remember", 1), ("a_to_retain", 2)):
        text = json.dumps(RECORD | {"name": name, "schema": schema})
        (tmp_path / f"{name}.json").write_text(text)
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"would be called a_to_retain.json"):
        upgrade_folder(tmp_path)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before
