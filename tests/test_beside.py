"""One's own run beside the published ones."""

import json

import pytest
from click.testing import CliRunner

from forgetting.book.beside import compare_run
from forgetting.book.checkout import Checkout
from forgetting.book.schema import digest, read_record
from forgetting.cli import main
from forgetting.errors import DataError


def write(folder, name, share, template="one", torch="2.1", **parameters):
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {"prevalence_after": share, "fid_after": 10 * share}
    metrics |= {"prevalence_after_low": share - 0.01, "prevalence_after_high": share + 0.01}
    record = {"schema": 2, "name": name, "template": template, "parameters": parameters}
    record |= {"metrics": metrics, "weights": {"digits-vae": "a" * 64}}
    (folder / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    noted = {"cpu": "some", "versions": {"torch": torch}}
    (folder / f"{name}.run.json").write_text(json.dumps(noted), encoding="utf-8")
    return folder / f"{name}.json"


@pytest.fixture
def checkout(tmp_path):
    """Return a book with three seeds of one setting, and one run of another."""
    checkout = Checkout(tmp_path / "book")
    for seed, share in enumerate((0.10, 0.11, 0.12)):
        write(checkout.results / "sweep", f"a-{seed}", share, lr=0.1, seed=seed)
    write(checkout.results, "b", 0.5, lr=0.2, seed=0)
    write(checkout.results, "page", 0.10, lr=0.1, seed=0)  # the first run, as a page
    (checkout.results / "claims.json").write_text("[]", encoding="utf-8")
    return checkout


def test_seeds_of_the_nearest_setting_stand_together(checkout, tmp_path):
    own = write(tmp_path, "own", 0.115, torch="2.2", lr=0.1, seed=7)
    compared = compare_run(own, checkout=checkout)
    assert len(compared.names) == 3
    published, here = compared.figures["prevalence_after"]
    assert published == "11.0 % (10.0 to 12.0)"
    assert here == "11.5 % (10.5 to 12.5)"
    assert compared.outside == []
    assert compared.differing == {"seed": ("0, 1, 2", "7"), "torch": ("2.1", "2.2")}


def test_a_record_that_was_changed_after_its_run_is_refused(checkout, tmp_path):
    own = write(tmp_path, "own", 0.115, lr=0.1, seed=7)
    noted = own.with_name("own.run.json")
    noted.write_text(json.dumps({"record": digest(read_record(own)), "cpu": "some"}))
    assert compare_run(own, checkout=checkout).outside == []
    write(tmp_path, "other", 0.5, lr=0.1, seed=7).replace(own)
    with pytest.raises(DataError, match=r"something else than when its run ended.*own\.run\.json"):
        compare_run(own, checkout=checkout)


def test_a_figure_that_does_not_touch_the_published_is_marked(checkout, tmp_path):
    own = write(tmp_path, "own", 0.3, lr=0.1, seed=7)
    compared = compare_run(own, checkout=checkout)
    assert compared.outside == ["prevalence_after"]
    (line,) = (line for line in compared.lines() if line.startswith("prevalence_after"))
    assert line.endswith("*")


def test_one_published_run_stands_with_its_own_interval(checkout, tmp_path):
    own = write(tmp_path, "own", 0.5, lr=0.25, seed=0)
    write(checkout.results, "b2", 0.5, lr=0.2, rounds=3, seed=0)
    compared = compare_run(own, checkout=checkout)
    assert "lr" in compared.differing
    (checkout.results / "sweep" / "a-0.run.json").unlink()
    assert compare_run(own, checkout=checkout).names


def test_only_runs_of_the_same_template_are_comparable(checkout, tmp_path):
    own = write(tmp_path, "own", 0.5, template="two", seed=0)
    with pytest.raises(DataError, match="No run of two is published"):
        compare_run(own, checkout=checkout)
    (tmp_path / "other.json").write_text('{"metrics": {}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.json is no"):
        compare_run(tmp_path / "other.json", checkout=checkout)


def test_the_command_compares_each_record(tmp_path):
    path = write(tmp_path, "own", 0.1, template="feature_unlearning", seed=3)
    done = CliRunner().invoke(main, ["compare", str(path), str(path)])
    assert done.exit_code == 0, done.output
    assert done.output.count("beside unlearn_") == 2
