"""Anyone's generator unlearns a feature, and a report says whether it did."""

import copy
import json
import re
from dataclasses import replace

import pytest
import torch
from bars import QUICK, Bars, BendingBars, Eyes, width
from PIL import Image
from torch import nn

import forgetting as fg
from forgetting.errors import DataError, ForgettingError, ParameterError, WeightsError
from forgetting.experiments.looking import N_FIRST
from forgetting.experiments.own_feature import OwnFeature
from forgetting.experiments.own_report import measure
from forgetting.foundation.files import ROOT
from forgetting.methods.direction import Direction
from forgetting.metrics.verdict import decide
from forgetting.zoo.saved import state_digest


@pytest.fixture(scope="module")
def result(eyes, grader):
    return fg.unlearn(BendingBars(), eyes["wide"], grader["wide"], **QUICK)


def test_the_report_says_in_one_word_whether_the_feature_is_gone(result):
    text = str(result)
    assert text.startswith("wide in BendingBars\n\nGone")
    assert "Not independently graded" not in text
    assert result.metrics["prevalence_before"] > 0.15
    assert result.metrics["prevalence_after"] < 0.02
    assert result.metrics["still_shown_after"] < 0.1
    for name in ("before", "after", "filter", "floor"):
        low, share, high = (
            result.metrics[f"prevalence_{name}{end}"] for end in ("_low", "", "_high")
        )
        assert low <= share <= high
        assert f"{share:.1%}" in text


@pytest.mark.parametrize("method", ["moon2024", "until_gone"])
def test_the_last_grade_is_on_latents_that_no_step_and_no_look_has_seen(monkeypatch, method):
    seen = set()

    class Noting(BendingBars):
        def forward(self, z):
            seen.update(tuple(latent[:3].tolist()) for latent in z)
            return super().forward(z)

    def fresh(self, generator, random):
        before = set(seen)
        other = on_fresh_latents(self, generator, random)
        assert before.isdisjoint(tuple(latent[:3].tolist()) for latent in other.latents)
        return other

    on_fresh_latents = OwnFeature.on_fresh_latents
    monkeypatch.setattr(OwnFeature, "on_fresh_latents", fresh)
    options = {"n_collected": 1000, "rounds": 1, "lr": 0.05} if method == "until_gone" else {}
    fg.unlearn(Noting(), lambda x: width(x) - 10, method=method, n=300, steps=8, **options)


@pytest.mark.parametrize("method", ["moon2024", "until_gone"])
def test_weights_that_are_frozen_in_the_generator_stay_frozen(method):
    generator = Bars()
    generator.bend.requires_grad_(False)
    options = {"n_collected": 1000, "rounds": 2} if method == "until_gone" else {}
    settings = {"n": 300, "steps": 8, "lr": 0.05} | options
    tuned = fg.unlearn(generator, lambda x: width(x) - 10, method=method, **settings).model
    assert torch.equal(tuned.bend, generator.bend)
    assert not torch.equal(tuned.gain, generator.gain)


def test_a_round_that_is_too_short_is_said_to_be_short(eyes, grader):
    short = fg.unlearn(
        BendingBars(), eyes["wide"], grader["wide"], **QUICK | {"steps": 1, "rounds": 1}
    )
    assert short.verdict.word in ("unchanged", "rarer")
    assert not str(short).startswith("wide in BendingBars\n\nGone")


def test_every_grader_has_a_column_and_its_threshold_is_recorded(eyes, grader):
    graders = [grader["wide"].at(0.1 * i) for i in range(4)]
    result = fg.unlearn(BendingBars(), eyes["wide"], graders, **QUICK | {"steps": 1, "rounds": 1})
    assert result.parameters["thresholds"] == [0.0, *(0.1 * i for i in range(4))]
    head = next(line for line in str(result).splitlines() if line.endswith("FID"))
    assert re.split(" {2,}", head.strip()) == [
        "grader",
        "grader 2",
        "grader 3",
        "grader 4",
        "what steers",
        "FID",
    ]


def test_a_report_of_two_graders_fits_a_terminal(eyes, grader):
    graders = [grader["wide"], grader["wide"].at(0.1)]
    result = fg.unlearn(BendingBars(), eyes["wide"], graders, **QUICK | {"steps": 1, "rounds": 1})
    assert max(map(len, str(result).splitlines())) <= 80


def test_without_a_grader_the_verdict_says_that_nothing_independent_graded(eyes):
    short = QUICK | {"steps": 1, "rounds": 1}
    result = fg.unlearn(BendingBars(), eyes["wide"], grader=None, **short)
    assert "Not independently graded." in " ".join(str(result).split())


def test_fid_is_taken_on_the_features_of_whichever_classifier_has_them(result):
    """The grader of this module has none; what steers has."""
    assert result.metrics["fid_after"] >= 0
    assert "Without FID" not in str(result)


def test_without_features_the_verdict_says_nothing_of_damage():
    def score(images):
        return 4 * (width(images) - 10)

    result = fg.unlearn(BendingBars(), score, **QUICK | {"steps": 1, "rounds": 1})
    assert "fid_after" not in result.metrics
    assert "Without FID nothing is said of damage." in str(result)
    assert "no classifier describes these images by features" in str(result)


def test_a_report_says_how_many_samples_give_a_fid(eyes, grader):
    few = QUICK | {"n": 200, "steps": 1, "rounds": 1}
    steering = fg.as_classifier(
        Eyes(4.0),
        ("wide", "right"),
        logits=lambda module, images: module.logits(images),
        features=lambda module, images: images[:, 0, :2].flatten(1),
    )
    result = fg.unlearn(BendingBars(), steering["wide"], grader["wide"], **few)
    text = " ".join(str(result).split())  # without line breaks
    said = re.search(
        r"There is no FID: 64 features need 256 samples without the feature, and (\d+) of n = 200 "
        r"lack it\. fg\.unlearn\(\.\.\., n=(\d+)\), or --samples \d+, would give one\.",
        text,
    )
    lack, enough = map(int, said.groups())
    assert lack < 200 < 256 * 200 / lack < enough < 600
    result = fg.unlearn(BendingBars(), steering["wide"], grader["wide"], **few | {"n": enough})
    assert result.metrics["fid_after"] >= 0
    assert "no FID" not in str(result)


def test_a_report_tells_what_gone_needs(result):
    (evidence,) = result.verdict.evidence
    limit = evidence.reference + 0.01
    assert f"Gone needs an upper limit of at most {limit:.1%} by grader" in str(result)


def test_a_record_and_a_card_have_the_classifiers_hashes(result, eyes, grader, tmp_path):
    result.save(tmp_path / "narrow")
    record = json.loads((tmp_path / "narrow" / "record.json").read_text())
    expected = [
        {
            "part": part,
            "classifier": "AdaptedClassifier(Eyes)",
            "attribute": "wide",
            "sha256": state_digest(classifier),
        }
        for part, classifier in (("what steers", eyes), ("what grades", grader))
    ]
    assert record["parameters"]["classifiers"] == expected
    card = (tmp_path / "narrow" / "README.md").read_text()
    for row in expected:
        assert f"- {row['part']}: AdaptedClassifier(Eyes), wide, sha256 of its state" in card
        assert row["sha256"] in card


def test_a_feature_of_degree_is_in_the_given_share_of_the_samples():
    result = fg.unlearn(BendingBars(), width, share=0.2, **QUICK | {"steps": 1, "rounds": 1})
    assert result.metrics["prevalence_before"] == pytest.approx(0.2, abs=0.06)


def test_the_single_pass_of_the_paper_is_a_method_too(eyes, grader):
    result = fg.unlearn(
        BendingBars(), eyes["wide"], grader["wide"], method="moon2024", n=400, steps=20, lr=0.05
    )
    assert result.metrics["rounds"] == 1
    assert result.parameters["method"] == "moon2024"
    assert result.metrics["prevalence_after"] < result.metrics["prevalence_before"]


def test_the_tuned_copy_is_graded_on_latents_that_no_look_has_seen(eyes):
    random = torch.Generator().manual_seed(0)
    looked = OwnFeature(BendingBars(), eyes["wide"], (), n=300, share=None, random=random)
    fresh = looked.on_fresh_latents(BendingBars(), random)
    assert not torch.equal(looked.latents, fresh.latents)
    assert fresh.steering == looked.steering
    assert torch.equal(fresh.before.scores[0], eyes["wide"](BendingBars()(fresh.latents)).detach())


def test_a_look_ends_early_where_the_feature_is_plainly_there(eyes):
    random = torch.Generator().manual_seed(0)
    n = 2 * N_FIRST
    looked = OwnFeature(BendingBars(), eyes["wide"], (), n=n, share=None, random=random)
    graded = []
    looked.grade = lambda model, latents: graded.append(latents) or looked.before
    assert looked.look(BendingBars()).state == "short"
    assert [len(latents) for latents in graded] == [N_FIRST]


def test_other_attributes_that_changed_are_named(eyes):
    class Moved(BendingBars):
        def forward(self, z):
            return super().forward(torch.cat([z[:, :1], z[:, 1:2] + 5, z[:, 2:]], 1))

    random = torch.Generator().manual_seed(0)
    feature = OwnFeature(BendingBars(), eyes["wide"], (), n=300, share=None, random=random)
    changed = measure(feature, BendingBars(), Moved(), Direction(torch.eye(6)[0], 1.0)).changed
    assert set(changed) == {"right"}
    assert changed["right"][1] > changed["right"][0] + 0.2


def test_too_few_samples_that_surely_lack_the_feature_are_refused(eyes):
    everywhere = eyes["wide"].at(-1e9)
    with pytest.raises(DataError, match="0 surely lack the feature by what steers"):
        fg.unlearn(BendingBars(), everywhere, **QUICK)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metod": "moon2024"}, r"no setting 'metod'"),
        ({"roundz": 2}, r"no setting 'roundz'\. Did you mean rounds\?"),
        ({"method": "moon2025"}, r"Did you mean moon2024\?"),
        ({"threshold": 2.0}, r"threshold belongs to the feature"),
        ({"share": 1.5}, r"share = 1\.5: give a number between 0 and 1"),
        ({"n": 20}, r"n = 20: give a whole number of at least 200"),
        ({"steps": 0}, r"steps = 0: input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_sampled(eyes, options, sentence):
    class Untouched(BendingBars):
        def forward(self, z):
            raise AssertionError("the generator was called")

    with pytest.raises(ParameterError, match=sentence):
        fg.unlearn(Untouched(), eyes["wide"], **options)


def test_an_unknown_attribute_is_refused_with_the_most_similar_one(eyes):
    with pytest.raises(ParameterError, match=r"attribute = 'wite' .* Did you mean wide\?"):
        eyes["wite"]
    with pytest.raises(ParameterError, match=r"Did you mean wide\?"):
        eyes.logit(torch.zeros(1, 1, 32, 32), "wite")


def test_a_saved_result_is_restored_into_a_module_of_the_same_class(result, tmp_path):
    result.save(tmp_path / "narrow")
    names = {"README.md", "record.json", "samples.png", "weights.safetensors"}
    assert {path.name for path in (tmp_path / "narrow").iterdir()} == names
    restored = fg.restore(tmp_path / "narrow", into=BendingBars())
    assert state_digest(restored) == state_digest(result.model)
    assert state_digest(restored) != state_digest(BendingBars())
    record = json.loads((tmp_path / "narrow" / "record.json").read_text())
    assert record["verdict"] == "gone"
    assert record["parameters"]["base_sha256"] == state_digest(BendingBars())
    assert record["metrics"]["prevalence_after"] == result.metrics["prevalence_after"]
    assert Image.open(tmp_path / "narrow" / "samples.png").size == (12 * 64, 2 * 64)
    assert str(result.verdict) in (tmp_path / "narrow" / "README.md").read_text()
    with pytest.raises(ForgettingError, match="holds a model already"):
        result.save(tmp_path / "narrow")


def test_a_feature_that_became_more_frequent_is_not_told_to_go_on(result):
    (evidence,) = result.verdict.evidence
    worse = replace(evidence, original=evidence.model, model=evidence.original)
    measured = replace(result.measured, verdict=decide([worse], None, None))
    text = str(replace(result, measured=measured))
    assert "More than before by" in " ".join(text.split())
    assert "To go on" not in text


def test_a_copy_that_was_changed_since_it_was_measured_is_not_saved(result, tmp_path):
    changed = replace(result, model=copy.deepcopy(result.model))
    with torch.no_grad():
        changed.model.widths.mul_(1.1)
    with pytest.raises(ForgettingError, match="has changed since it was measured"):
        changed.save(tmp_path / "narrow")
    assert not (tmp_path / "narrow").exists()


def test_an_audit_is_not_saved_beside_another_model(result, tmp_path):
    def wide(images):
        return 4 * (width(images) - 10)

    result.save(tmp_path / "narrow")
    quick = {"n": 300, "n_attacked": 8, "steps": 2}
    other = fg.audit(BendingBars(), BendingBars(), wide, **quick)
    with pytest.raises(ForgettingError, match="holds another model than this"):
        other.save(tmp_path / "narrow")
    fg.audit(BendingBars(), result.model, wide, **quick).save(tmp_path / "narrow")


def test_the_weights_of_an_adapted_module_are_restored_into_the_module_itself(tmp_path):
    generator = fg.as_generator(BendingBars(), 6)
    result = fg.unlearn(generator, width, share=0.2, **QUICK | {"steps": 1, "rounds": 1})
    result.save(tmp_path / "narrow")
    mine = fg.restore(tmp_path / "narrow", into=BendingBars())
    assert torch.equal(mine.widths, result.model.module.widths)


def test_the_printed_script_runs(tmp_path, monkeypatch, capsys):
    script = (ROOT / "book" / "_static" / "own_model.py").read_text(encoding="utf-8")
    quick = "n=200, n_collected=2000, n_with_feature=40, rounds=1, steps=5, lr=0.001)"
    assert script.count("n=2000)") == 1
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(script.replace("n=2000)", quick), names)
    assert "7 in AdaptedGenerator(Decoder)" in capsys.readouterr().out
    assert state_digest(names["mine"]) == state_digest(names["result"].model)


def test_a_folder_without_a_model_a_changed_file_and_another_module_are_refused(result, tmp_path):
    with pytest.raises(WeightsError, match="holds no saved model"):
        fg.restore(tmp_path, into=BendingBars())
    result.save(tmp_path / "narrow")
    with pytest.raises(WeightsError, match=r"does not fit: the file lacks bias"):
        fg.restore(tmp_path / "narrow", into=nn.Linear(2, 2))
    whole = BendingBars()
    whole.widths = nn.Parameter(torch.zeros(13, dtype=torch.int64), requires_grad=False)
    with pytest.raises(WeightsError, match=r"widths is torch.float32 .* torch.int64"):
        fg.restore(tmp_path / "narrow", into=whole)
    wider = BendingBars()
    wider.widths = nn.Parameter(torch.zeros(14))
    with pytest.raises(WeightsError, match=r"widths is \(13,\) in the file and \(14,\)"):
        fg.restore(tmp_path / "narrow", into=wider)
    weights = tmp_path / "narrow" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="its sha256 differs"):
        fg.restore(tmp_path / "narrow", into=BendingBars())


class OfAClass(BendingBars):
    """Draws a class for each image, of which one has wide bars."""

    def forward(self, z):
        is_wide = torch.randint(5, (len(z), 1)) == 0
        return super().forward(torch.where(is_wide, z + 2, z - 1))


def test_where_a_class_is_drawn_nothing_changes_that_unlearning_did_not_change(eyes, grader):
    result = fg.unlearn(
        OfAClass(), eyes["wide"], grader["wide"], method="moon2024", n=400, steps=1, lr=1e-9
    )
    assert result.metrics["still_shown_after"] == 1
    assert result.metrics["l1_absent"] == pytest.approx(0, abs=1e-6)
