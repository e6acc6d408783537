"""A model of one's own from the command line: made by a function in a file, saved in a folder."""

import json
import re
from pathlib import Path

import pytest
import torch
from bars import BendingBars, width
from click.testing import CliRunner
from explained import unexplained
from torch import nn

import forgetting as fg
from forgetting.book import execution
from forgetting.book.records import read_record
from forgetting.cli import main, own_notebooks
from forgetting.errors import ModelError, ParameterError, WeightsError
from forgetting.experiments import own_code
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.own_code import call_function, load_audit_scores, load_scores
from forgetting.experiments.own_parameters import OwnUnlearningParameters
from forgetting.zoo.saved import state_digest

MINE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})  # a notebook has another path

from bars import BendingBars, width
import forgetting as fg

def make_generator():
    return BendingBars()

def make_classifier():
    return fg.as_classifier(
        BendingBars(), ("wide",), logits=lambda module, images: 4 * width(images)[:, None] - 40
    )

def steer():
    return make_classifier()["wide"]

def wrapped():
    return fg.as_classifier(BendingBars(), ("wide",))  # it does not return logits

def nothing():
    return None

def fail():
    raise RuntimeError("no weights")
"""


QUICK = ["n_collected=1000", "n_with_feature=60", "lr=0.05", "steps=40", "rounds=2"]


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def forget(mine, *options):
    places = [f"{mine}:make_generator", "--classifier", f"{mine}:make_classifier"]
    return CliRunner().invoke(main, ["unlearn", *places, *options])


def test_a_command_leaves_weights_a_record_a_card_and_a_picture(mine, tmp_path):
    pairs = [part for pair in QUICK for part in ("-p", pair)]
    output = ["--feature", "wide", "--samples", "400", "--output", str(tmp_path / "narrow")]
    done = forget(mine, *pairs, *output)
    assert done.exit_code == 0, done.output
    assert "wide in BendingBars" in done.output
    record = json.loads((tmp_path / "narrow" / "record.json").read_text())
    assert record["parameters"]["lr"] == 0.05
    assert record["metrics"]["prevalence_after"] < record["metrics"]["prevalence_before"]
    fg.restore(tmp_path / "narrow", into=BendingBars())
    names = {path.name for path in (tmp_path / "narrow").iterdir()}
    assert {"unlearning.ipynb", "unlearning.json", "weights.safetensors"} <= names
    run = read_record(tmp_path / "narrow" / "unlearning.json")
    assert run["parameters"]["model"].endswith("mine.py:make_generator")
    assert run["metrics"]["prevalence_after"] == record["metrics"]["prevalence_after"]
    assert run["weights"]["mine.py:make_generator"] == state_digest(BendingBars())
    assert "mine.py:make_classifier" in run["weights"]
    assert unexplained(run["metrics"]) == []
    again = forget(mine, *output)
    assert again.exit_code == 1
    assert "holds a model already" in again.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--feature", "wite"], "Did you mean wide?"),
        (["--feature", "wide", "-p", "step=3"], "Did you mean steps?"),
        (["--feature", "wide", "-p", "seed=3"], "-p seed is no setting of the method"),
        (["--feature", "wide", "--method", "moon"], "method = 'moon' is not allowed"),
        (["--feature", "wide", "--grader", "faces-classifier-c"], "The zoo has no"),
        (["--feature", "wide", "--samples", "20"], "n = 20: give a whole number of at least 200"),
        (["--feature", "wide", "--share", "2"], "share = 2.0: give a number between 0 and 1"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_starts_no_notebook(
    mine, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.setattr(execution, "execute", None)
    done = forget(mine, *options, "--output", str(tmp_path / "new"))
    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_wrong_setting_is_answered_before_the_model_is_made(mine, tmp_path):
    place = [f"{mine}:fail", "--feature", "wide", "--output", str(tmp_path / "new")]
    done = CliRunner().invoke(main, ["unlearn", *place, "-p", "step=3"])
    assert "Did you mean steps?" in done.output
    folders = ["--forget", str(tmp_path), "--retain", str(tmp_path)]
    place = [f"{mine}:fail", *folders, "--output", str(tmp_path / "new")]
    done = CliRunner().invoke(main, ["tame", *place, "-p", "max_step=3"])
    assert "Did you mean max_steps?" in done.output


def test_without_the_books_packages_no_notebook_is_left(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(own_notebooks, "find_spec", lambda name: None)
    pairs = [part for pair in QUICK for part in ("-p", pair)]
    options = ["--feature", "wide", "--samples", "400", "--output", str(tmp_path / "narrow")]
    done = forget(mine, *pairs, *options)
    assert done.exit_code == 0, done.output
    assert "wide in BendingBars" in done.output
    names = {path.name for path in (tmp_path / "narrow").iterdir()}
    assert names == {"README.md", "record.json", "samples.png", "weights.safetensors"}


def test_what_steers_cannot_grade(mine):
    place = f"{mine}:make_classifier"
    with pytest.raises(ParameterError, match="steers, and so cannot grade"):
        load_scores(BendingBars(), "wide", place, [place])


def test_digits_and_faces_have_classifiers_of_their_own(monkeypatch):
    monkeypatch.setattr(own_code, "has_face_api", lambda: False)
    generator = fg.load("digits-vae")
    steering, (grader,) = load_scores(generator, "7", None, [])
    assert steering.attribute == grader.attribute == "7"
    faces = fg.load("faces-vae")
    steering, (grader,) = load_scores(faces, "Smiling", None, [])
    assert steering.threshold == 0
    assert grader.threshold != 0  # the zoo has a balanced threshold of classifier B
    assert grader.is_default  # so that a share may come in its place


@pytest.mark.parametrize(("size", "fitted"), [(32, 32), (40, 32), (64, 64), (128, 64)])
def test_faces_are_graded_from_outside_where_the_networks_are_at_hand(monkeypatch, size, fitted):
    class Faces(nn.Module):
        latent_dim = 4

        def forward(self, z):
            return z.sigmoid().mean(1)[:, None, None, None].expand(-1, 3, size, size)

    sizes = []
    mine = fg.as_classifier(nn.Flatten(), ("Smiling", "Bangs"))
    monkeypatch.setattr(own_code, "has_face_api", lambda: True)
    monkeypatch.setattr(
        own_code, "load_outside_classifier", lambda size: sizes.append(size) or mine
    )
    _, graders = load_scores(Faces(), "Smiling", None, [])
    assert [grader.classifier is mine for grader in graders] == [False, True]
    assert (graders[1].threshold != 0) == (size == fitted)  # others have no balanced threshold
    assert sizes == [fitted]
    _, graders = load_scores(Faces(), "Young", None, [])
    assert len(graders) == 1  # the networks do not grade it


@pytest.mark.parametrize(
    ("graders", "grades"), [(["b", "face-api"], "b"), (["b"], "b"), ([], None)]
)
def test_one_of_several_graders_grades_an_audit(monkeypatch, graders, grades):
    monkeypatch.setattr(own_code, "load_scores", lambda *given: ("a", graders))
    assert load_audit_scores(BendingBars(), "wide", None, None) == ("a", grades)


@pytest.mark.parametrize(
    ("place", "error", "sentence"),
    [
        ("mine.py", ParameterError, "not of the form FILE.py:FUNCTION"),
        ("gone.py:make", ParameterError, r"There is no file gone\.py"),
        ("{mine}:make_generato", ParameterError, r"Did you mean make_generator\?"),
        ("{mine}:nothing", ModelError, r"returns a NoneType, not a module"),
        ("{mine}:fail", ModelError, r"fails \(RuntimeError: no weights\)"),
    ],
)
def test_a_file_that_gives_no_model_is_one_sentence(mine, place, error, sentence):
    with pytest.raises(error, match=sentence):
        call_function(place.format(mine=mine))


def test_a_file_with_a_wrong_line_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("def make(:\n")
    with pytest.raises(ModelError, match=r"mine\.py:make fails \(SyntaxError"):
        call_function(f"{tmp_path / 'mine.py'}:make")


@pytest.fixture(scope="module")
def trained():
    images = BendingBars()(torch.randn(2000, 6, generator=torch.Generator().manual_seed(0)))
    images, is_wide = images.detach(), width(images) > 10
    return fg.train_classifier(images[is_wide][:200], images[~is_wide], name="loop", steps=40)


@pytest.fixture
def pair(trained, tmp_path):
    trained.save(tmp_path / "loop")
    return trained


def test_a_folder_of_a_pair_steers_and_grades(pair, mine, tmp_path):
    folder = str(tmp_path / "loop")
    steering, (grading,) = load_scores(BendingBars(), "loop", folder, [])
    for score, role in ((steering, "steering"), (grading, "grader")):
        assert state_digest(score.classifier) == state_digest(getattr(pair, role).classifier)
        assert score.title == f"loop/{role}"
    _, (grading,) = load_scores(BendingBars(), "loop", folder, [folder])
    assert grading.title == "loop/grader"
    with pytest.raises(ParameterError, match=r"--feature loop: .*make_classifier cannot tell it"):
        load_scores(BendingBars(), "loop", folder, [f"{mine}:make_classifier"])
    with pytest.raises(WeightsError, match="holds no pair of classifiers"):
        load_scores(BendingBars(), "loop", str(tmp_path), [])


def test_a_command_names_the_pair_and_its_hashes(pair, mine, tmp_path, monkeypatch):
    monkeypatch.setattr(own_notebooks, "find_spec", lambda name: None)
    options = ["--feature", "loop", "--classifier", f"{tmp_path / 'loop'}/", "--samples", "400"]
    options += ["--output", str(tmp_path / "new"), *(part for q in QUICK for part in ("-p", q))]
    done = CliRunner().invoke(main, ["unlearn", f"{mine}:make_generator", *options])
    assert done.exit_code == 0, done.output
    assert "loop in BendingBars" in done.output
    assert re.search(r"\n +loop/grader +what steers", done.output)
    record = json.loads((tmp_path / "new" / "record.json").read_text())
    assert record["feature"] == "loop"
    saved = json.loads((tmp_path / "loop" / "record.json").read_text())["networks"]
    assert record["parameters"]["classifiers"] == [
        {
            "part": part,
            "classifier": f"loop/{role}",
            "attribute": "loop",
            "sha256": saved[role]["state_sha256"],
        }
        for part, role in (("what steers", "steering"), ("what grades", "grader"))
    ]
    card = (tmp_path / "new" / "README.md").read_text()
    assert "BendingBars without loop" in card
    assert saved["grader"]["state_sha256"] in card


def test_a_run_notes_both_classifiers_of_a_pair(pair, tmp_path):
    run = Experiment("unlearning_own", Parameters(device="cpu"))
    load_scores(BendingBars(), "loop", str(tmp_path / "loop"), [], run)
    assert run.weights == {
        f"loop/{role}": state_digest(getattr(pair, role).classifier)
        for role in ("steering", "grader")
    }


def test_a_function_may_return_a_score(mine):
    steering, graders = load_scores(BendingBars(), "wide", f"{mine}:steer", [])
    assert (str(steering), steering.title, graders) == ("wide", "mine.py:steer", [])
    with pytest.raises(ParameterError, match=r"mine\.py:steer cannot tell it\. Did you mean wide"):
        load_scores(BendingBars(), "wite", f"{mine}:steer", [])
    with pytest.raises(ModelError, match=r"returns a NoneType, not a classifier: return what"):
        load_scores(BendingBars(), "wide", f"{mine}:nothing", [])
    with pytest.raises(ModelError, match=r"make_generator is BendingBars, which is no classifier"):
        load_scores(BendingBars(), "wide", f"{mine}:make_generator", [])


def test_scores_are_tried_before_a_notebook_starts(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "execute", None)
    options = ["--feature", "wide", "--classifier", f"{mine}:wrapped"]
    options += ["--output", str(tmp_path / "new")]
    done = CliRunner().invoke(main, ["unlearn", f"{mine}:make_generator", *options])
    assert done.exit_code == 1
    assert "The score fails on images of shape" in done.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("feature", "lacking", "option"),
    [
        ("loop", "digits-classifier-a and digits-classifier-b", "--classifier"),
        ("thick", "digits-classifier-b", "--grader"),
    ],
)
def test_a_feature_that_no_classifier_tells_is_answered_with_what_to_do(feature, lacking, option):
    with pytest.raises(ParameterError) as refusal:
        load_scores(fg.load("digits-vae"), feature, None, [])
    sentence = str(refusal.value)
    assert sentence.startswith(f"--feature {feature}: {lacking} cannot tell it.")
    assert "steered and graded here: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in sentence
    assert f"give {option} a classifier that can" in sentence
    assert "fg.train_classifier makes a pair of two folders" in sentence
    assert "left_slant" not in sentence


def test_a_setting_that_is_a_parameter_of_its_own_is_not_given_twice():
    own = {"feature": "7", "model": "digits-vae", "classifier": "", "graders": "", "folder": ""}
    own |= {"method": "moon2024", "share": 0, "steps": 9, "rounds": 1, "n_collected": 400}
    given = OwnUnlearningParameters(**own, n_samples=300, settings="lr=0.01,batch_size=8")
    assert given.all_settings() == {"steps": 9, "lr": "0.01", "batch_size": "8"}
    twice = given.model_copy(update={"settings": "steps=3"})
    with pytest.raises(ParameterError, match="steps is a parameter of its own"):
        twice.all_settings()


def test_a_report_names_the_graders_of_the_command_line():
    steering, (grader,) = load_scores(fg.load("digits-vae"), "7", None, [])
    options = {"method": "moon2024", "n": 800, "steps": 2, "batch_size": 8}
    result = fg.unlearn(fg.load("digits-vae"), steering, grader, **options)
    assert result.parameters["graders"] == ["digits-classifier-b"]
    assert re.search(r"\n +digits-classifier-b +what steers", result.report())
    assert str(result.verdict).split(": ")[1].startswith("digits-classifier-b ")


def test_two_files_each_import_the_module_beside_them(tmp_path):
    for name in ("before", "after"):
        (tmp_path / name / "parts").mkdir(parents=True)
        (tmp_path / name / "parts" / "net.py").write_text(
            "from bars import Bars\ndef make():\n    return Bars()\n"
        )
        (tmp_path / name / "mine.py").write_text(
            "from parts.net import make\ndef place():\n    model = make()\n"
            "    model.place = make.__code__.co_filename\n    return model\n"
        )
    for name in ("before", "after", "before"):
        model = call_function(f"{tmp_path / name / 'mine.py'}:place")
        assert model.place == str(tmp_path / name / "parts" / "net.py")
