"""Validation: published pages are executed again, and what was found is noted."""

import json

import nbformat
import pytest
import yaml
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from planted import checkout_of

from forgetting.book import validated, validated_page, validation
from forgetting.book.checkout import HERE
from forgetting.book.entries import pages
from forgetting.cli import main
from forgetting.errors import DataError, ForgettingError
from forgetting.zoo import store


def output(text):
    return new_output("stream", name="stdout", text=text)


CODE = """import json, os
from pathlib import Path
context = json.loads(os.environ["FORGETTING_RUN"])
share = json.loads(Path(os.environ["SOME_SHARE"]).read_text())
"""


def write_page(
    checkout, name, text="share  9.80% of all\n", code='print(f"share {share:6.2%} of all")'
):
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A page"),
            new_code_cell(CODE, execution_count=1),
            new_code_cell("print(share * 3)", execution_count=2, outputs=[output("not compared")]),
            new_code_cell(
                code,
                execution_count=3,
                outputs=[output(text)],
                metadata={"tags": ["nbval-check-output"]},
            ),
        ]
    )
    for folder in (checkout.published, checkout.results):
        folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, checkout.published / f"{name}.ipynb")
    metrics = {"share": 0.098, "share_low": 0.0901, "share_high": 0.1066}
    record = {"schema": 2, "template": "t", "parameters": {}, "metrics": metrics}
    (checkout.results / f"{name}.json").write_text(json.dumps(record))
    (checkout.results / f"{name}.run.json").write_text(json.dumps({"threads": 1, "seconds": 1}))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a book with four pages of which one is outdated and one needs data."""
    source = (HERE.templates / "taming_points.py").read_text(encoding="utf-8")
    checkout = checkout_of(tmp_path, "taming_points", source)
    entries = [
        {"name": "first"},
        {"name": "second"},
        {"name": "old", "outdated": "its measures are to change."},
        {"name": "with_data", "needs": "mnist"},
    ]
    for entry in entries:
        entry |= {"title": "A page", "template": "taming_points"}
        write_page(checkout, entry["name"])
    checkout.runs_file.write_text(yaml.safe_dump(entries), encoding="utf-8")
    monkeypatch.setenv("SOME_SHARE", str(tmp_path / "share.json"))
    measure(checkout, 0.098)
    return checkout


def measure(checkout, share):
    """Set the share that the pages measure on this processor."""
    (checkout.root / "share.json").write_text(json.dumps(share))


def validate(checkout, *names, again=False):
    lines = []
    differing = validation.validate(lines.append, names, again, checkout=checkout)
    return differing, [line.split(" (")[0] for line in lines]


def test_a_page_that_differs_within_its_interval_agrees_and_others_are_skipped(checkout):
    measure(checkout, 0.1035)
    differing, lines = validate(checkout)
    assert differing == []
    assert lines[:2] == ["first: agrees", "second: agrees"]
    assert lines[2] == (
        "old: skipped, because its code has changed since it was executed: its measures are to "
        "change."
    )
    assert lines[3].startswith("with_data: skipped, because its data is missing. ")
    assert "forgetting data mnist" in lines[3]


def test_a_page_beyond_its_interval_differs_and_shows_the_three_numbers(checkout):
    measure(checkout, 0.1135)
    differing, lines = validate(checkout, "first")
    assert differing == ["first"]
    assert lines == [
        "first: differs",
        "  share  9.80% of all",
        "    published 9.80%, here 11.35%, allowed ± 0.83",
    ]


def test_changed_text_and_a_failing_cell_differ(checkout):
    write_page(checkout, "first", text="part  9.80% of all\n")
    write_page(checkout, "second", code="1 / 0")
    differing, lines = validate(checkout, "first", "second")
    assert differing == ["first", "second"]
    assert lines[1:3] == ["  published: part  9.80% of all", "  here:      share  9.80% of all"]
    assert lines[3:5] == ["second: differs", "  A cell failed:"]
    assert "ZeroDivisionError" in lines[5]


def test_a_page_of_which_no_cell_was_compared_does_not_agree(checkout, monkeypatch):
    path = checkout.published / "first.ipynb"
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole[:-40], whole.replace(validation.CHECKED, "checked")):
        path.write_text(damaged, encoding="utf-8")
        differing, lines = validate(checkout, "first")
        assert differing == ["first"]
        assert "has no cell that is tagged nbval-check-output" in lines[1]
    path.write_text(whole, encoding="utf-8")
    monkeypatch.setattr(validation, "_has_checked_cell", lambda notebook: True)
    path.write_text(whole[:-40], encoding="utf-8")  # nbval has an error here, and no failure
    differing, lines = validate(checkout, "first")
    assert differing == ["first"]
    assert "could not be executed" in lines[1]


def test_a_stopped_validation_continues_where_it_stopped(checkout, monkeypatch):
    compare = validation._differences

    def stop(page, *arguments):
        if page.name == "second":
            raise KeyboardInterrupt
        return compare(page, *arguments)

    monkeypatch.setattr(validation, "_differences", stop)
    with pytest.raises(KeyboardInterrupt):
        validate(checkout)
    monkeypatch.setattr(validation, "_differences", compare)
    executed = []
    monkeypatch.setattr(
        validation, "_differences", lambda page, *arguments: executed.append(page.name) or []
    )
    assert validate(checkout)[1][:2] == ["first: agreed before", "second: agrees"]
    assert executed == ["second"]
    validate(checkout, again=True)
    assert executed == ["second", "first", "second"]
    write_page(checkout, "first", text="share  9.81% of all\n")
    assert validate(checkout)[1][:2] == ["first: agrees", "second: agreed before"]


def test_a_page_that_differed_is_executed_again(checkout, monkeypatch):
    verdicts = iter([["it differs"], []])
    monkeypatch.setattr(validation, "_differences", lambda *arguments: next(verdicts))
    assert validate(checkout, "first")[0] == ["first"]
    assert validate(checkout, "first") == ([], ["first: agrees"])


def test_a_named_page_without_its_data_or_its_entry_is_refused(checkout):
    with pytest.raises(DataError, match="forgetting data mnist"):
        validate(checkout, "with_data")
    with pytest.raises(ForgettingError, match=r"no page 'frist'. Did you mean first\?"):
        validate(checkout, "frist")


def test_the_command_fails_if_a_page_differs(monkeypatch):
    given = []

    def pretend(log, names, again, shard, is_noted):
        given.append((names, again, shard, is_noted))
        log("a: differs (1/1, 0.1 min)")
        return ["a"]

    monkeypatch.setattr(validation, "validate", pretend)
    result = CliRunner().invoke(main, ["validate", "a", "b", "--again", "--shard", "2/6"])
    assert given == [(("a", "b"), True, (2, 6), False)]
    assert result.exit_code == 1
    assert "These pages differ: a." in result.output
    monkeypatch.setattr(validation, "validate", lambda *_, is_noted: [])
    assert CliRunner().invoke(main, ["validate"]).exit_code == 0
    result = CliRunner().invoke(main, ["validate", "--shard", "second"])
    assert "--shard takes K/N, as in 2/6, not 'second'." in result.output


def test_shards_divide_the_pages_among_them(checkout, monkeypatch):
    monkeypatch.setattr(validation, "_differences", lambda *arguments: [])
    lines = []
    for part in (1, 2, 3):
        validation.validate(lines.append, shard=(part, 3), checkout=checkout)
    names = [line.split(":")[0] for line in lines]
    assert names == ["first", "with_data", "second", "old"]
    with pytest.raises(ForgettingError, match="no shard 4 of 3"):
        validation.validate(lines.append, shard=(4, 3), checkout=checkout)
    with pytest.raises(ForgettingError, match="divides 1 pages, and 2 parts are more"):
        validation.validate(lines.append, ["first"], shard=(2, 2), checkout=checkout)


@pytest.mark.parametrize("what", ["weights", "versions", "data"])
def test_a_page_that_agreed_is_executed_again_where_something_else_is_used(
    what, monkeypatch, tmp_path
):
    page = next(page for page in pages() if page.name == "unlearn_thick")
    path = tmp_path / "state.json"
    before = validation._State(path, HERE)
    before.note(page, agrees=True)
    assert validation._State(path, HERE).has_agreed(page)
    if what == "weights":
        monkeypatch.setattr(store, "record", lambda name: {"sha256": "of others"})
    elif what == "versions":
        monkeypatch.setattr(validation, "version", lambda name: "of another")
    else:
        monkeypatch.setenv("FORGETTING_DATA", str(tmp_path))
    assert not validation._State(path, HERE).has_agreed(page)


def machine(**changes):
    versions = {"torch": "2.14.1"}
    same = {"cpu": "A", "device": "cpu", "python": "3.11.7", "revision": "0123456789"}
    return {**same, "versions": versions, "seconds": 90.0, **changes}


def test_a_noted_validation_says_what_was_equal_and_where_it_was_executed(checkout, monkeypatch):
    def executed(page, folder, checkout):
        metrics = {"share": 0.098, "share_low": 0.0902, "share_high": 0.12, "new": 1.0}
        record = {"schema": 2, "metrics": metrics}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{page.name}.json").write_text(json.dumps(record))
        (folder / f"{page.name}.run.json").write_text(json.dumps(machine(cpu="B")))
        return ["it differs"] if page.name == "second" else []

    monkeypatch.setattr(validation, "_differences", executed)
    for name in ("first", "second"):
        (checkout.results / f"{name}.run.json").write_text(json.dumps(machine()))
    validate(checkout, "first")
    assert not validated.read_validations(checkout)
    validation.validate(print, ["first", "second"], checkout=checkout, is_noted=True)
    noted = validated.read_validations(checkout)
    first = noted["first"]
    assert first["agrees"]
    assert not noted["second"]["agrees"]
    assert noted["second"]["differences"] == ["it differs"]
    assert (first["metrics"], first["equal"]) == (3, 1)  # a metric that is new is not compared
    assert first["farthest"] == ["share_high", 0.1066, 0.12]
    assert (first["published"]["cpu"], first["executed"]["cpu"]) == ("A", "B")
    page = next(page for page in pages(checkout) if page.name == "first")
    assert validated.has_note(page, checkout)
    write_page(checkout, "first", text="share  9.81% of all\n")
    assert not validated.has_note(page, checkout)


def test_a_page_that_was_not_executed_to_its_end_is_noted_without_figures(checkout, monkeypatch):
    monkeypatch.setattr(validation, "_differences", lambda *arguments: ["A cell failed:"])
    (checkout.results / "first.run.json").write_text(json.dumps(machine()))
    validation.validate(print, ["first"], checkout=checkout, is_noted=True)
    noted = validated.read_validations(checkout)["first"]
    assert noted["differences"] == ["A cell failed:"]
    assert "executed" not in noted
    assert validated_page._where(noted) == ["was not executed to its end"]


def test_the_table_of_validations_names_what_differs_between_machines():
    there = validated._machine(machine())
    here = validated._machine(machine(cpu="B"))
    entry = {"published": there, "executed": here, "seconds": 90.0}
    lines = ["B, cpu, Python 3.11.7, PyTorch 2.14.1", "published on A", "2 minutes"]
    assert validated_page._where(entry) == lines
    entry |= {"executed": there, "seconds": 12.3}
    assert validated_page._where(entry) == ["A, cpu, Python 3.11.7, PyTorch 2.14.1", "12 s"]
    page = next(page for page in pages() if page.name == "unlearn_thick")
    told = {"metrics": 9, "equal": 8, "farthest": ["fid_after", 8.0, 8.25], "differences": []}
    told["page"] = validated.digest_of(page)
    found = ["8 of 9 metrics are equal", "farthest: fid_after, 8 and 8.25"]
    assert validated_page._differences(page, told) == found
    told["page"] = "older"
    assert validated_page._differences(page, told)[-1] == "the page was published anew since"


def test_a_validation_outlives_new_words_but_no_new_output(checkout):
    (page, *_) = pages(checkout)
    path = checkout.published / f"{page.name}.ipynb"
    before, whole = validated.digest_of(page, checkout), path.read_text()
    path.write_text(whole.replace("# A page", "# Another title"))
    assert validated.digest_of(page, checkout) == before
    path.write_text(whole.replace("share  9.80% of all", "share  9.90% of all"))
    assert validated.digest_of(page, checkout) != before
