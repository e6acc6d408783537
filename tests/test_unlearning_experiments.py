"""What the unlearning templates share gives the planted answers, under the record's names."""

import pytest
import torch
from bars import Bars
from small_tasks import WIDE, Halved, bars_task, grader_of_width, wide_evaluator, width
from torch import nn

from forgetting.errors import DataError
from forgetting.experiments import grading, unlearning
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    absent_fid_metrics,
    fid_metrics,
    fid_metrics_by_b,
    fidelity_metrics,
)
from forgetting.methods.direction import Direction, collect_latents, find_direction
from forgetting.metrics.calibration import Auc
from forgetting.metrics.fidelity import fid, kid, precision_recall
from forgetting.metrics.prevalence import Prevalence


def experiment(seed=3):
    return Experiment("some", Parameters(seed=seed))


def fresh(n=500):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(11))


def test_records_name_the_original_before_and_the_unlearned_model_after():
    names = ("original", "unlearned", "filter", "tamed as far", "whole-image")
    keys = ["before", "after", "filter", "tamed_as_far", "whole_image"]
    assert [grading.record_key(name) for name in names] == keys


def test_labels_come_from_the_stream_for_collecting_and_the_label_threshold():
    run, task = experiment(), bars_task()
    labelled = unlearning.collect_task_latents(run, task, 300)
    again = collect_latents(
        Bars(), task.evaluator.score, 300, threshold=0.0, seed=run.seed("collect")
    )
    assert torch.equal(labelled.positive, again.positive)
    assert torch.equal(labelled.negative, again.negative)
    with torch.no_grad():
        assert (width(Bars()(labelled.positive)) > WIDE).all()
        assert (width(Bars()(labelled.negative)) <= WIDE).all()


def test_a_feature_without_a_threshold_of_its_own_is_the_top_tenth():
    labelled = unlearning.collect_task_latents(experiment(), bars_task(label_threshold=None), 300)
    assert (len(labelled.positive), len(labelled.negative)) == (30, 270)


def test_too_few_samples_for_a_direction_are_refused():
    with pytest.raises(DataError, match="show the feature"):
        unlearning.collect_task_latents(experiment(), bars_task(label_threshold=9.0), 300)


def test_a_walk_reaches_every_place_and_leaves_the_rest_as_it_was():
    class Latents(nn.Module):
        latent_dim = 6

        def __init__(self):
            super().__init__()
            self.one = nn.Parameter(torch.ones(()))

        def forward(self, latents):
            return self.one * latents[:, None, None, :]

    direction = Direction(torch.tensor([3.0, 4.0, 0.0, 0.0, 0.0, 0.0]), 0.7)
    anchors, places = fresh(3), torch.tensor([-2.0, 0.0, 1.5, 2.0])
    walks = unlearning.walk_along(Latents(), direction, anchors, places)
    assert walks.shape == (3, 4, 1, 1, 6)
    moved = walks[:, :, 0, 0]
    for anchor, walk in zip(anchors, moved, strict=True):
        assert torch.allclose(direction.project(walk), places, atol=1e-5)
        across = torch.tensor([4.0, -3.0, 0.0, 0.0, 0.0, 0.0])
        assert torch.allclose(walk @ across, (anchor @ across).expand(4), atol=1e-5)
        assert torch.allclose(walk[:, 2:], anchor[2:].expand(4, 4), atol=1e-6)


def test_an_unlearned_model_stands_between_the_original_the_filter_and_the_retrained():
    task, other, last = bars_task(), Halved(0.0), Halved(1.0)
    direction = Direction(torch.eye(6)[0], 0.5)
    models = unlearning.compared_models(task, direction, other)
    assert list(models) == ["original", "unlearned", "filter"]
    assert models["original"] is task.original
    assert models["unlearned"] is other
    z = fresh(50)
    erased = torch.cat([z[:, :1].clamp(max=0.5), z[:, 1:]], 1)
    with torch.no_grad():
        assert torch.allclose(models["filter"](z), task.original(erased), atol=1e-6)
    models = unlearning.compared_models(bars_task(retrained=last), direction, other)
    assert list(models) == ["original", "unlearned", "filter", "retrained"]
    assert models["retrained"] is last


def test_all_models_are_graded_on_the_same_latents():
    evaluator, z = wide_evaluator(), fresh()
    graded = grading.grade_samples(evaluator, {"original": Bars(), "tame": Halved(0.0)}, z)
    with torch.no_grad():
        images = {"original": Bars()(z), "tame": Halved(0.0)(z)}
    assert list(graded) == ["original", "tame"]
    for name, samples in graded.items():
        widths = width(images[name])
        assert torch.allclose(samples.images, images[name], atol=1e-6)
        assert torch.allclose(samples.values, widths, atol=1e-5)
        assert torch.equal(samples.has_feature, samples.values > WIDE)
        assert torch.equal(samples.lacks_feature, samples.values <= WIDE)
        assert samples.prevalence.share == float((samples.values > WIDE).double().mean())
        assert samples.ungraded == 0


def test_samples_without_a_finite_value_are_ungraded():
    values = torch.tensor([1.0, float("nan"), float("-inf"), 11.0])
    mask = values > WIDE
    samples = grading.GradedSamples(
        torch.zeros(4, 1, 2, 2), {"": values}, mask, ~mask, Prevalence.of(mask)
    )
    assert samples.ungraded == 0.5


MODELS = {"original": Bars(), "unlearned": Halved(-9.0), "filter": Halved(0.0)}
TWO = (grader_of_width(""), grader_of_width("outside", shift=-0.5))


def graded_by_two(**more):
    evaluator = wide_evaluator(graders=TWO, labeller=grader_of_width("a", shift=0.5))
    graded = grading.grade_samples(evaluator, MODELS | more, fresh(2000))
    return evaluator, graded, grading.grading_metrics(evaluator, graded)


def test_every_grader_counts_at_its_own_threshold():
    _, graded, metrics = graded_by_two()
    widths = width(graded["original"].images)
    for name, limit in (("", 0), ("_outside", 0.5), ("_a", -0.5), ("_strict", 1.5)):
        share = Prevalence.of(widths > WIDE + limit)
        assert 0.02 < share.share < 0.9
        assert metrics[f"prevalence{name}_before"] == share.share
        assert metrics[f"prevalence{name}_before_low"] == share.low
    assert metrics["prevalence_after"] == 0


def test_a_floor_is_counted_where_all_other_graders_are_sure():
    _, graded, metrics = graded_by_two()
    widths = width(graded["original"].images)
    sure = widths < WIDE - 2.5  # classifier A, whose logits are higher, decides
    assert metrics["prevalence_floor"] == float((widths[sure] > WIDE).float().mean()) == 0
    evaluator = wide_evaluator(graders=(grader_of_width(""),))
    graded = grading.grade_samples(evaluator, MODELS, fresh())
    assert "prevalence_floor" not in grading.grading_metrics(evaluator, graded)


def test_what_had_the_feature_may_still_show_it():
    _, graded, metrics = graded_by_two()
    had = width(graded["original"].images) > WIDE
    has = width(graded["filter"].images) > WIDE
    assert metrics["still_shown_filter"] == float(has[had].double().mean())
    assert metrics["still_shown_after"] == 0
    assert "still_shown_before" not in metrics


def test_scores_are_compared_with_the_retrained_model_or_with_samples_that_lack_the_feature():
    _, graded, metrics = graded_by_two()
    widths = width(graded["original"].images)
    lacking = widths[widths < WIDE - 2.5]
    both = torch.cat([width(graded["filter"].images), lacking])
    expected = Auc.of(both, torch.arange(len(both)) < len(widths))
    assert metrics["auc_filter"] == pytest.approx(expected.value)
    _, _, metrics = graded_by_two(retrained=Halved(-9.0))
    assert metrics["auc_after"] == pytest.approx(0.5)
    assert "auc_retrained" not in metrics


def test_a_verdict_is_read_from_a_record():
    _, _, metrics = graded_by_two(retrained=Halved(-9.0))
    metrics |= {"fid_after": 1.0, "fid_floor": 1.0}
    verdict = grading.give_verdict(metrics)
    assert verdict.word == "gone"
    assert [each.grader for each in verdict.evidence] == ["classifier B", "face-api"]
    assert not any(each.is_measured for each in verdict.evidence)
    distances = {"fid_outside_after": 3.0, "fid_outside_floor": 1.0}
    assert grading.give_verdict(metrics | distances).is_damaged
    one = {name: value for name, value in metrics.items() if "_outside" not in name}
    (evidence,) = grading.give_verdict(one).evidence
    assert evidence.grader == "classifier B"
    measured = {name: value for name, value in one.items() if "_strict" not in name}
    (evidence,) = grading.give_verdict(measured).evidence
    assert evidence.grader == "measured"
    assert evidence.is_measured


def test_few_samples_that_lack_the_feature_give_no_floor_and_no_verdict(monkeypatch):
    _, _, metrics = graded_by_two()
    assert "prevalence_floor" in metrics
    monkeypatch.setattr(grading, "MIN_LACKING", 1900)
    _, _, metrics = graded_by_two()
    assert not any(name.endswith("_floor") or name.startswith("auc") for name in metrics)
    assert grading.give_verdict(metrics) is None


def test_a_grader_that_is_missing_is_named_with_how_to_get_it():
    (line,) = grading.describe_graders(bars_task()).splitlines()
    assert line == "measured: wide begins at 10.000 (pixels)"
    task = bars_task(graders=(grader_of_width(""),), labeller=grader_of_width("a"))
    assert grading.describe_graders(task).endswith("fetches it with npm.")


def test_without_a_reference_there_is_no_verdict():
    evaluator = wide_evaluator()
    graded = grading.grade_samples(evaluator, MODELS, fresh())
    metrics = grading.grading_metrics(evaluator, graded)
    assert grading.give_verdict(metrics) is None


def samples_with(count, n=100):
    mask = torch.arange(n) < count
    return grading.GradedSamples(
        torch.zeros(n, 1, 2, 2), {"": mask.float()}, mask, ~mask, Prevalence.of(mask)
    )


def test_the_gap_is_one_for_the_original_and_zero_for_the_retrained_model():
    graded = {
        name: samples_with(count)
        for name, count in (("original", 50), ("unlearned", 20), ("some", 5), ("retrained", 10))
    }
    gaps = unlearning.gaps_to_retrained(graded)
    assert gaps == pytest.approx(
        {"original": 1, "unlearned": 0.25, "some": -0.125, "retrained": 0}
    )


def test_without_a_gap_nothing_remains_of_it():
    assert unlearning.gaps_to_retrained({"original": samples_with(50)}) == {}
    alike = {"original": samples_with(50), "retrained": samples_with(50)}
    assert unlearning.gaps_to_retrained(alike) == {}


def test_a_retrained_model_with_more_of_the_feature_leaves_no_gap():
    graded = {"original": samples_with(100, 1000), "unlearned": samples_with(50, 1000)}
    less, more = ({"retrained": samples_with(count, 1000)} for count in (10, 300))
    assert unlearning.gaps_to_retrained(graded | less)["original"] == 1
    assert unlearning.gaps_to_retrained(graded | more) == {}


def test_fidelity_is_measured_against_the_original_s_own_samples_without_the_feature():
    task = bars_task()
    reference = FidelityReference.of(task)
    half = len(task.lacking) // 2
    features = task.classifier_a.features
    with torch.no_grad():
        target, other = features(task.lacking[:half]), features(task.lacking[half : 2 * half])
    assert reference.n == half
    assert torch.allclose(reference.target, target)
    assert torch.allclose(reference.other, other)
    graded = grading.grade_samples(
        task.evaluator, {"original": Bars(), "unlearned": Halved(0.0)}, fresh()
    )
    metrics = fidelity_metrics(reference, task.real, graded)
    with torch.no_grad():
        before = features(graded["original"].images[:half])
        after = features(graded["unlearned"].images[:half])
    assert metrics["n_fid"] == half
    assert metrics["fid_floor"] == pytest.approx(fid(other, target))
    assert metrics["fid_before"] == pytest.approx(fid(before, target))
    assert metrics["fid_after"] == pytest.approx(fid(after, target))
    assert metrics["kid_floor"] == pytest.approx(kid(other, target))
    assert metrics["kid_after"] == pytest.approx(kid(after, target))
    assert metrics["fid_real_own"] == pytest.approx(fid(target, task.real))
    assert metrics["fid_real_before"] == pytest.approx(fid(before, task.real))
    for key, sampled in (("floor", other), ("before", before)):
        both = metrics[f"precision_{key}"], metrics[f"recall_{key}"]
        assert both == pytest.approx(precision_recall(sampled, target))
    assert "fid_real_floor" not in metrics
    assert metrics["fid_after"] < metrics["fid_before"]
    alone = fid_metrics(reference, graded)
    assert set(alone) == {"fid_before", "fid_after", "fid_floor", "n_fid"}
    assert alone == {name: metrics[name] for name in alone}


def test_a_share_that_is_left_does_not_count_in_the_fid_of_samples_without_it():
    task = bars_task()
    reference = FidelityReference.of(task)
    graded = grading.grade_samples(task.evaluator, {"original": Bars()}, fresh())
    metrics = absent_fid_metrics(reference, graded)
    n = int(metrics["n_fid_absent"])
    assert n == min(reference.n, int(graded["original"].lacks_feature.sum()))
    assert metrics["fid_absent_before"] < 0.5 * fid_metrics(reference, graded)["fid_before"]


def test_fid_by_classifier_b_has_its_own_features_and_floor():
    task = bars_task()  # classifier B's width counts twice, so that its distances differ
    graded = grading.grade_samples(task.evaluator, {"original": Bars()}, fresh())
    metrics = fid_metrics_by_b(task, graded)
    half = len(task.lacking) // 2
    with torch.no_grad():
        described = task.classifier_b.features(task.lacking[: 2 * half]).split(half)
        before = task.classifier_b.features(graded["original"].images[:half])
    assert metrics == pytest.approx(
        {"fid_b_floor": fid(*described), "fid_b_before": fid(before, described[0])}
    )
    by_a = fid_metrics(FidelityReference.of(task), graded)
    assert metrics["fid_b_before"] > 1.5 * by_a["fid_before"]


class Shifted(Bars):
    """Bars with a bright first column: the attribute `left` of every sample."""

    def forward(self, latents):
        images = super().forward(latents)
        return torch.cat([torch.ones_like(images[..., :1]), images[..., 1:]], 3)


def test_changes_are_counted_between_the_original_and_each_other_model():
    evaluator = wide_evaluator()
    models = {"original": Bars(), "gradient ascent": Bars(), "shifted": Shifted()}
    models["retrained"] = Shifted()
    graded = grading.grade_samples(evaluator, models, fresh())
    metrics = unlearning.locality_metrics(evaluator, graded)
    entries = ("flipped_present", "l1_present", "l1_absent", "share_change")
    assert set(metrics) == {
        f"{entry}_{key}" for entry in entries for key in ("gradient_ascent", "shifted")
    }
    assert all(metrics[f"{entry}_gradient_ascent"] == 0 for entry in entries)
    assert metrics["flipped_present_shifted"] == pytest.approx(0.5)  # one of two attributes
    assert metrics["share_change_shifted"] == pytest.approx(1)
    one = unlearning.locality_metrics(evaluator, graded, ("l1_absent",), without=("original",))
    assert set(one) == {f"l1_absent_{key}" for key in ("gradient_ascent", "shifted", "retrained")}
    assert one["l1_absent_shifted"] == pytest.approx(1 / 32, rel=0.05)


def test_classifier_a_s_logits_are_those_of_the_task_s_feature():
    task = bars_task()
    found = task.classifier_a_logits(task.own)
    assert found.shape == (600,)
    assert torch.allclose(found, width(task.own) - WIDE, atol=1e-4)
    assert not found.requires_grad


def test_a_direction_found_from_a_task_points_along_the_feature():
    labelled = unlearning.collect_task_latents(experiment(), bars_task(), 2000)
    vector = find_direction(labelled).vector
    assert float(vector[0] / vector.norm()) > 0.95
