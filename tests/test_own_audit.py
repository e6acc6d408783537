"""The audit of a pair: a feature that is only hidden is told from one that never was."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bars import BendingBars, Eyes, width
from click.testing import CliRunner
from explained import unexplained

import forgetting as fg
from forgetting.book import execution
from forgetting.book.records import read_record
from forgetting.border.sampling import scored_samples
from forgetting.cli import main, own_notebooks
from forgetting.errors import DataError, DataWarning, ModelError, ParameterError
from forgetting.experiments import own_audit
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.own_audit_doubts import doubts, warn_of_ruined
from forgetting.experiments.own_code import load_model, load_tuned
from forgetting.experiments.own_samples import has_feature, images_with_feature
from forgetting.zoo.saved import save_model, state_digest

QUICK = {"n": 300, "n_attacked": 8, "steps": 5}


def wide(images):
    return 4 * (width(images) - 10)


def narrowed(most=0.27):
    """Return bars of which no one is wide, as if the feature were never there."""
    model = BendingBars()
    with torch.no_grad():
        model.widths.clamp_(max=most)
    return model.requires_grad_(False)


def test_every_probe_is_run_on_every_model_and_the_text_has_their_figures():
    report = fg.audit(BendingBars(), narrowed(), wide, retrained=narrowed(0.269), **QUICK)
    metrics = report.metrics
    for key in ("before", "after", "retrained"):
        for name in ("prevalence_{}", "attacked_{}", "relearned_{}_5", "relearned_{}_20"):
            name = name.format(key)
            assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    assert metrics["prevalence_before"] > 0.1
    assert metrics["prevalence_after"] == 0
    assert "relearned, 20 steps" in str(report)
    assert str(report).endswith("no faster than in a model that never had it.")


def test_what_comes_back_faster_than_in_a_retrained_model_is_hidden():
    report = fg.audit(BendingBars(), BendingBars(), wide, retrained=narrowed(), **QUICK)
    assert str(report).endswith("it is hidden.")


def test_without_a_retrained_model_nothing_is_said_to_be_gone_or_hidden():
    text = str(fg.audit(BendingBars(), narrowed(), wide, **QUICK))
    assert "only a model that never had the feature tells" in text


def test_a_feature_that_was_never_there_and_another_latent_are_refused():
    with pytest.raises(DataError, match="By what steers none of 300 samples"):
        fg.audit(narrowed(), narrowed(), wide, **QUICK)
    other = fg.as_generator(BendingBars(), 7, forward=lambda bars, z: bars(z[:, :6]))
    with pytest.raises(ModelError, match="The latents before have 6 values, those after 7"):
        fg.audit(BendingBars(), other, wide, **QUICK)


def test_what_scores_is_a_function():
    for scores in ({"feature": np.array([1, 2])}, {"feature": wide, "grader": np.array([1, 2])}):
        with pytest.raises(ParameterError, match="is of type ndarray: give a function"):
            fg.audit(BendingBars(), narrowed(), **{**scores, **QUICK})


def test_what_a_copy_relearns_from_is_not_among_what_is_counted(monkeypatch):
    counted, relearned = [], []

    def counting(model, score, latents):
        counted.extend(latents[:, 0].tolist())
        return has_feature(model, score, latents)

    def choosing(model, score, latents, n):
        relearned.extend(latents[:, 0].tolist())
        return images_with_feature(model, score, latents, n)

    monkeypatch.setattr(own_audit, "has_feature", counting)
    monkeypatch.setattr(own_audit, "images_with_feature", choosing)
    fg.audit(BendingBars(), narrowed(), wide, **QUICK)
    assert relearned
    assert set(counted).isdisjoint(relearned)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("method", ["moon2024", "until_gone"])
def test_no_seed_counts_latents_that_a_method_was_tuned_on(monkeypatch, method, seed):
    seen = set()

    class Noting(BendingBars):
        def forward(self, z):
            seen.update(tuple(latent[:3].tolist()) for latent in z)
            return super().forward(z)

    def unseen(model, score, latents):
        assert tuned_on.isdisjoint(tuple(latent[:3].tolist()) for latent in latents)
        return has_feature(model, score, latents)

    def unseen_samples(*given, **options):
        latents, scores = scored_samples(*given, **options)
        assert tuned_on.isdisjoint(tuple(latent[:3].tolist()) for latent in latents)
        return latents, scores

    options = {"n_collected": 1000, "rounds": 1, "lr": 0.05} if method == "until_gone" else {}
    settings = {"method": method, "n": 300, "steps": 8} | options
    tuned = fg.unlearn(Noting(), lambda x: width(x) - 10, seed=seed, **settings).model
    tuned_on = set(seen)
    monkeypatch.setattr(own_audit, "has_feature", unseen)
    monkeypatch.setattr("forgetting.metrics.prevalence.scored_samples", unseen_samples)
    for other in (0, 1, 2):
        fg.audit(BendingBars(), tuned, wide, seed=other, **QUICK | {"steps": 1})
        fg.prevalence(tuned, wide, n=300, seed=other)


def test_a_retrained_model_that_has_the_feature_is_no_measure():
    for key, model in (("before", BendingBars()), ("after", narrowed())):
        with pytest.raises(ParameterError, match=f"retrained is {key}"):
            fg.audit(BendingBars(), narrowed(), wide, retrained=model, **QUICK)
    other = BendingBars()
    with torch.no_grad():
        other.widths.mul_(1.01)
    text = str(fg.audit(BendingBars(), narrowed(), wide, retrained=other, **QUICK))
    assert "Retrained shows the feature about as often as before" in text


@pytest.fixture
def place(tmp_path):
    """Return a file with a pair and a classifier."""
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import forgetting as fg\nfrom bars import BendingBars\n"
        "from test_own_audit import narrowed, wide\n"
        "def eyes():\n"
        "    return fg.as_classifier(BendingBars(), ('wide',), "
        "logits=lambda module, images: wide(images)[:, None])\n"
    )
    return tmp_path / "mine.py"


def audit(place, after, *options):
    given = {"--feature": "wide", "--classifier": f"{place}:eyes", "--samples": "200"}
    usual = [text for name in given.keys() - set(options) for text in (name, given[name])]
    return CliRunner().invoke(main, ["audit", f"{place}:BendingBars", after, *usual, *options])


def test_a_command_audits_a_pair_of_functions(place, tmp_path):
    done = audit(place, f"{place}:narrowed")
    assert done.exit_code == 0, done.output
    assert "attacked latents" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py"}


def test_a_command_audits_a_folder_in_a_notebook_that_stands_beside_the_weights(place, tmp_path):
    folder = tmp_path / "narrow"
    save_model(folder, narrowed(), {"report": "Gone."}, "# Narrow\n")
    done = audit(place, str(folder), "--output", str(folder))
    assert done.exit_code == 0, done.output
    assert "attacked latents" in done.output
    names = {path.name for path in folder.iterdir()}
    assert {"audit.json", "auditing.ipynb", "auditing.json", "weights.safetensors"} <= names
    run = read_record(folder / "auditing.json")
    assert run["parameters"]["after"] == str(folder)
    assert run["weights"]["mine.py:BendingBars"] == state_digest(BendingBars())
    assert run["weights"]["narrow"] == state_digest(narrowed())
    record = json.loads((folder / "audit.json").read_text())
    assert record["metrics"] == run["metrics"]
    assert unexplained(run["metrics"]) == []
    assert record["parameters"]["after"]["sha256"] == state_digest(narrowed())
    assert record["parameters"]["feature"] == "wide"
    assert [row["classifier"] for row in record["parameters"]["classifiers"]] == ["mine.py:eyes"]
    again = audit(place, str(folder), "--output", str(folder))
    assert again.exit_code == 1
    assert "holds an audit already" in again.output


def test_without_the_books_packages_a_command_leaves_the_record_alone(
    place, tmp_path, monkeypatch
):
    monkeypatch.setattr(own_notebooks, "find_spec", lambda name: None)
    done = audit(place, f"{place}:narrowed", "--output", str(tmp_path / "audited"))
    assert done.exit_code == 0, done.output
    assert "attacked latents" in done.output
    assert [path.name for path in (tmp_path / "audited").iterdir()] == ["audit.json"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--feature", "wite"], "Did you mean wide?"),
        (["--samples", "0"], "n = 0: give a whole number of at least 1"),
        (["--seed", "-1"], "seed = -1"),
        (["--retrained", "{place}:eyes"], "AdaptedClassifier"),
        (["--grader", "faces-classifier-c"], "The zoo has no"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_starts_no_notebook(
    place, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.setattr(execution, "execute", None)
    given = [option.format(place=place) for option in options]
    done = audit(place, f"{place}:narrowed", *given, "--output", str(tmp_path / "audited"))
    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_two_files_of_one_name_are_noted_each(place):
    other = place.parent / "other" / "mine.py"
    other.parent.mkdir()
    other.write_text("from test_own_audit import narrowed as BendingBars\n")
    run = Experiment("auditing_own", Parameters(device="cpu"))
    for file in (place, place, other):
        load_model(f"{file}:BendingBars", run)
    assert run.weights == {
        "mine.py:BendingBars": state_digest(BendingBars()),
        f"{other}:BendingBars": state_digest(narrowed()),
    }


def test_a_tuned_model_is_audited_beside_the_one_that_it_was_made_of(place, tmp_path):
    parameters = {"base_sha256": state_digest(BendingBars())}
    save_model(tmp_path / "narrow", narrowed(), {"parameters": parameters}, "# Narrow\n")
    folder = str(tmp_path / "narrow")
    tuned = load_tuned(folder, f"{place}:BendingBars")
    assert state_digest(tuned) == state_digest(narrowed())
    with pytest.raises(ModelError, match="was tuned from other weights than"):
        load_tuned(folder, f"{place}:narrowed")


class OfAClass(BendingBars):
    """Draws a class for each image, of which one has wide bars."""

    def forward(self, z):
        is_wide = torch.randint(2, (len(z), 1)) > 0
        return super().forward(torch.where(is_wide, z + 3, z - 3))


def test_images_to_relearn_from_have_the_feature_also_where_a_class_is_drawn():
    latents = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    targets = images_with_feature(OfAClass(), wide, latents, 8)
    assert bool((wide(targets) > 0).all())
    assert torch.equal(targets, images_with_feature(OfAClass(), wide, latents, 8))


def test_a_pair_that_is_none_is_said_to_be_none():
    same = fg.audit(BendingBars(), BendingBars(), wide, **QUICK)
    assert "Before and after are the same model" in str(same)
    other = fg.as_generator(BendingBars(), 6, forward=lambda bars, z: bars(z * 0.7))
    bars = fg.as_generator(BendingBars(), 6)  # of equal weights
    report = fg.audit(bars, other, wide, retrained=narrowed(), **QUICK)
    assert report.parameters["before"] == report.parameters["after"]
    assert "the same model" not in str(report)
    rare = BendingBars()
    with torch.no_grad():
        rare.widths[8:].sub_(0.05)
    swapped = fg.audit(rare, BendingBars(), wide, **QUICK | {"n": 1000})
    assert "more frequent after than before: are the models swapped?" in str(swapped)
    figures = {"prevalence_before": 0.02, "prevalence_after": 0.03, "prevalence_after_low": 0.01}
    (doubt,) = doubts(
        figures | {"prevalence_before_high": 0.04, "prevalence_before_low": 0.01},
        {"is_one_model": False, "classifiers": [{"part": "what grades"}]},
    )
    assert "no rarer after than before" in doubt


@pytest.mark.parametrize(
    ("grader", "error", "sentence"),
    [
        (lambda images: -wide(images), DataError, "The grader does not see the feature"),
        (lambda images: 0 * wide(images) - 1, DataError, "By the grader none of 300 samples"),
        (lambda images: wide(images) + 1e3, DataError, "By the grader each of 300 samples"),
        (lambda images: 100 * torch.sigmoid(wide(images)), ModelError, "as percentages do"),
        (lambda images: torch.sigmoid(wide(images)), ModelError, "as probabilities do"),
        (lambda images: wide(images) / (wide(images) < 4), ModelError, "is not finite"),
    ],
)
def test_a_grader_that_does_not_see_what_is_attacked_is_refused(grader, error, sentence):
    with pytest.raises(error, match=sentence):
        fg.audit(BendingBars(), narrowed(), wide, grader, **QUICK)


def test_an_audit_that_only_what_is_attacked_grades_says_so():
    said = "this is not independently graded"
    other = lambda images: Eyes(3.0, 0.5).logits(images)[:, 0]  # noqa: E731
    assert said in str(fg.audit(BendingBars(), narrowed(), wide, **QUICK))
    assert said in str(fg.audit(BendingBars(), narrowed(), wide, wide, **QUICK))
    assert said not in str(fg.audit(BendingBars(), narrowed(), wide, other, **QUICK))


def test_what_is_attacked_cannot_grade_under_another_name():
    for disguised in (lambda images: wide(images), lambda images: 2 * wide(images) + 0.1):
        with pytest.raises(DataError, match="order by the grader that they have by what steers"):
            fg.audit(BendingBars(), narrowed(), wide, disguised, **QUICK)


def test_a_model_that_is_no_tuned_copy_is_told():
    elsewhere = fg.as_generator(BendingBars(), 6, forward=lambda bars, z: bars(z.roll(1, 1) + 2))
    with pytest.warns(DataWarning, match="no nearer to those before of the same latents"):
        fg.audit(BendingBars(), elsewhere, wide, **QUICK)


@pytest.mark.parametrize(
    "ruin", [lambda images: 0.01 * images, lambda images: torch.rand_like(images)]
)
def test_a_retrained_model_that_makes_no_images_is_told(ruin):
    model = fg.load("digits-vae")
    ruined = fg.as_generator(model, model.latent_dim, forward=lambda vae, z: ruin(vae(z)))
    with pytest.warns(DataWarning, match="makes no images of the same kind"):
        warn_of_ruined(model, ruined)


@pytest.mark.filterwarnings("error::forgetting.errors.DataWarning")
def test_a_tuned_copy_is_no_stranger_and_a_retrained_model_no_ruin():
    fg.audit(BendingBars(), narrowed(), wide, retrained=narrowed(0.269), **QUICK)
