"""One's own run beside the published ones."""

import json
import warnings

import pytest
from click.testing import CliRunner

from forgetting.book import headline
from forgetting.book.beside import compare_run
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.differences import WITHOUT_USE
from forgetting.book.records import digest, read_record
from forgetting.cli import main
from forgetting.errors import DataError, DataWarning
from forgetting.experiments import unlearning_methods
from forgetting.experiments.grading import give_verdict


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


def test_a_record_without_its_circumstances_is_told(checkout, tmp_path):
    own = write(tmp_path, "own", 0.115, lr=0.1, seed=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        compare_run(own, checkout=checkout)
    own.with_name("own.run.json").unlink()
    with pytest.warns(DataWarning, match=r"own\.run\.json is not there.*own\.json says what"):
        compare_run(own, checkout=checkout)


def test_a_published_record_that_was_changed_after_its_run_is_refused(checkout, tmp_path):
    own = write(tmp_path, "own", 0.11, lr=0.2, seed=0)
    path = checkout.results / "b.run.json"
    path.write_text(json.dumps({"record": "of another"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"something else than when its run ended.*b\.run\.json"):
        compare_run(own, checkout=checkout)


def test_other_data_another_library_and_another_seeds_version_differ(checkout, tmp_path):
    own = write(tmp_path, "own", 0.11, lr=0.1, seed=0)
    same = {"versions": {"torch": "2.1"}, "revision": "one", "data": {"celeba": "9,000 images"}}
    places = [own.parent, *[checkout.results / "sweep"] * 2, checkout.results]
    for folder, name in zip(places, ("own", "a-1", "a-2", "page"), strict=True):
        (folder / f"{name}.run.json").write_text(json.dumps(same), encoding="utf-8")
    assert compare_run(own, checkout=checkout).differing == {"seed": ("0, 1, 2", "0")}
    noted = {**same, "revision": "two", "data": {"celeba": "90 images"}}
    own.with_name("own.run.json").write_text(json.dumps(noted), encoding="utf-8")
    differing = compare_run(own, checkout=checkout).differing
    assert differing["data: celeba"] == ("9,000 images", "90 images")
    assert differing["revision"] == ("one", "two")
    own.with_name("own.run.json").write_text(json.dumps({**same, "python": "3.14"}), "utf-8")
    assert compare_run(own, checkout=checkout).differing["python"] == ("–", "3.14")
    noted = {**same, "versions": {"torch": "2.2"}}
    (checkout.results / "sweep" / "a-2.run.json").write_text(json.dumps(noted), encoding="utf-8")
    own.with_name("own.run.json").write_text(json.dumps(same), encoding="utf-8")
    assert compare_run(own, checkout=checkout).differing["torch"] == ("2.1, 2.2", "2.1")


def test_a_figure_that_does_not_touch_the_published_is_marked(checkout, tmp_path):
    own = write(tmp_path, "own", 0.3, lr=0.1, seed=7)
    compared = compare_run(own, checkout=checkout)
    assert compared.outside == ["prevalence_after", "fid_after"]
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


def changed(path, **parts):
    """Change metrics or parameters of a record; those that are None go."""
    record = json.loads(path.read_text(encoding="utf-8"))
    for part, values in parts.items():
        together = record[part] | values
        record[part] = {name: value for name, value in together.items() if value is not None}
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_a_value_without_an_interval_outside_of_the_published_range_is_marked(checkout, tmp_path):
    for value, is_outside in ((1.05, False), (45.5, True)):
        own = write(tmp_path, "own", 0.115, lr=0.1, seed=7)
        compared = compare_run(changed(own, metrics={"fid_after": value}), checkout=checkout)
        assert ("fid_after" in compared.outside) is is_outside
    assert "lies outside of the published" in "\n".join(compared.lines())


def test_one_published_value_without_an_interval_marks_nothing(checkout, tmp_path):
    own = changed(write(tmp_path, "own", 0.5, lr=0.2, seed=1), metrics={"fid_after": 99})
    compared = compare_run(own, checkout=checkout)
    assert compared.outside == []
    assert "not judged, for no interval is published: fid_after" in compared.lines()
    same = write(tmp_path, "own", 0.5, lr=0.2, seed=1)
    assert compare_run(same, checkout=checkout).unclear == []


@pytest.mark.parametrize("part", ["metrics", "parameters"])
def test_distances_of_sets_of_other_sizes_are_not_comparable(checkout, tmp_path, part):
    name = "n_fid" if part == "metrics" else "n_samples"
    for path in checkout.results.rglob("*.json"):
        if not path.name.endswith((".run.json", "claims.json")):
            changed(path, **{part: {name: 5000}})
    own = write(tmp_path, "own", 0.3, lr=0.1, seed=7)
    compared = compare_run(changed(own, **{part: {name: 300}}), checkout=checkout)
    assert compared.outside == ["prevalence_after"]
    (line,) = (line for line in compared.lines() if line.startswith("fid_after"))
    assert line.endswith("not comparable: n differs, 5000 -> 300")
    compared = compare_run(changed(own, **{part: {name: 4900}}), checkout=checkout)
    assert compared.outside == ["prevalence_after", "fid_after"]


def test_what_a_run_lacks_and_what_is_not_shown_is_named(checkout, tmp_path):
    for path in checkout.results.rglob("*.json"):
        if not path.name.endswith((".run.json", "claims.json")):
            changed(path, metrics={"kid_after": 1.0, "auc_after": 0.5})
    own = changed(write(tmp_path, "own", 0.1, lr=0.1, seed=7), metrics={"kid_after": 2.0})
    lines = compare_run(own, checkout=checkout).lines()
    assert "not in this run: auc_after" in lines
    assert "with --every also: kid_after" in lines
    every = compare_run(own, every=True, checkout=checkout)
    assert "kid_after" in every.figures
    assert every.more == []


def test_parameters_without_use_for_the_method_do_not_differ(checkout, tmp_path):
    own = write(tmp_path, "own", 0.11, lr=0.1, seed=0, method="moon2024", rounds=4)
    assert compare_run(own, checkout=checkout).differing == {"seed": ("0, 1, 2", "0")}
    own = write(tmp_path, "own", 0.11, lr=0.1, seed=0, method="until_gone", rounds=4)
    differing = compare_run(own, checkout=checkout).differing
    assert differing["method"] == ("–", "until_gone")
    assert differing["rounds"] == ("–", "4")
    assert unlearning_methods.OF_ONE_PASS.keys() == {*WITHOUT_USE["until_gone"]}


def test_circumstances_among_records_are_passed_over_and_alone_refused(tmp_path):
    path = write(tmp_path, "own", 0.1, template="feature_unlearning", seed=3)
    circumstances = path.with_name("own.run.json")
    done = CliRunner().invoke(main, ["compare", str(path), str(circumstances)])
    assert done.exit_code == 0, done.output
    assert done.output.count("beside unlearn_") == 1
    done = CliRunner().invoke(main, ["compare", str(circumstances)])
    assert done.exit_code == 1
    assert "give the NAME.json that a run left" in done.output


def test_a_run_ends_with_the_figures_that_matter():
    record = read_record(HERE.results / "unlearn_thick.json")
    lines = headline.lines(record)
    assert len(lines) < 15
    assert any("prevalence_after" in line and " % (" in line for line in lines)
    assert any("fid_floor" in line for line in lines)
    assert str(give_verdict(record["metrics"])) in lines[-2]
    assert "metrics are in the record" in lines[-1]
    assert not any("kid" in line or "smoke" in line for line in lines)


def test_a_smoke_run_and_too_few_samples_are_marked():
    record = read_record(HERE.results / "unlearn_thick.json")
    metrics = {k: v for k, v in record["metrics"].items() if not k.startswith("fid")}
    record |= {"metrics": metrics, "parameters": {"preset": "smoke"}}
    lines = headline.lines(record)
    assert any("too few samples for FID" in line for line in lines)
    assert any("measure nothing" in line for line in lines)


@pytest.mark.parametrize("name", ["tame_1", "probes_thick", "speed", "tame_points"])
def test_every_kind_of_run_has_a_handful_of_figures(name):
    lines = headline.lines(read_record(HERE.results / f"{name}.json"))
    assert 2 <= len(lines) <= 12
