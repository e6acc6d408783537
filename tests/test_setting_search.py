"""A search over settings finds the planted best one; methods run as they would alone."""

import pytest
import torch
from bars import Bars
from small_tasks import WIDE, Halved, bars_task, width

from forgetting.border.inference import features
from forgetting.errors import ParameterError
from forgetting.experiments.compared_methods import compared_methods, untuned_models
from forgetting.experiments.sample_fidelity import FidelityReference
from forgetting.experiments.setting_search import (
    SettingScore,
    SettingScorer,
    SettingSearch,
    choose_setting,
    search_setting,
)
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.gradient_surgery import gradient_surgery
from forgetting.methods.selective_amnesia import AmnesiaConfig, selective_amnesia
from forgetting.methods.uno import UnoConfig, uno
from forgetting.methods.whole_image import unlearn_whole_image
from forgetting.metrics.fidelity import fid


def scores(*pairs):
    return [SettingScore(50.0, percent_a, distance) for percent_a, distance in pairs]


def test_of_the_settings_that_take_away_enough_the_nearest_is_chosen():
    assert choose_setting(scores((9, 1), (3, 8), (2, 5), (1, 7)), enough=3) == 2


def test_exactly_enough_is_enough():
    assert choose_setting(scores((3.0, 4), (2, 5)), enough=3.0) == 0


def test_where_none_takes_away_enough_the_one_that_takes_away_most_is_chosen():
    assert choose_setting(scores((9, 1), (5, 8), (7, 0)), enough=3) == 1


def test_of_equals_the_first_is_chosen():
    assert choose_setting(scores((1, 2), (2, 2)), enough=3) == 0
    assert choose_setting(scores((8, 2), (8, 1)), enough=3) == 0


def scorer(**options):
    task = bars_task(**options)
    latents = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    reference = FidelityReference.of(task)
    return SettingScorer.of(task, reference, latents), task, latents


def test_a_score_counts_by_the_evaluator_and_by_classifier_a():
    score, task, latents = scorer()
    score = SettingScorer(score.task, score.reference, latents, threshold=1.0)
    found = score(Bars())
    with torch.no_grad():
        images = Bars()(latents)
    wide, wider = width(images) > WIDE, width(images) > WIDE + 1
    assert found.percent == pytest.approx(100 * float(wide.double().mean()))
    assert found.percent_a == pytest.approx(100 * float(wider.double().mean()))
    assert 0 < found.percent_a < found.percent
    other = features(task.classifier_a, task.lacking[score.reference.n :][: score.reference.n])
    assert found.fid == pytest.approx(fid(features(task.classifier_a, images), other))


def test_classifier_a_counts_above_the_label_threshold_or_above_a_tenth():
    assert scorer()[0].threshold == 0
    score, task, _ = scorer(label_threshold=None)
    above = float((task.classifier_a_logits(task.own) > score.threshold).double().mean())
    assert above == pytest.approx(0.1, abs=0.002)


def test_a_search_multiplies_the_setting_and_keeps_the_best_model():
    tried = []

    def unlearn(config):
        tried.append(config.lr)
        return Halved(0.5 - 100 * config.lr)

    def score(model):
        return SettingScore(50.0, 10 + 10 * model.most, abs(model.most + 1))

    config = FinetuneConfig(lr=0.01, steps=7)
    search = search_setting(unlearn, config, "lr", score, tries=5, enough=9.0)
    assert tried == pytest.approx([0.01 / 9, 0.01 / 3, 0.01, 0.03, 0.09])
    assert search.values == tuple(tried)
    assert [x.percent_a for x in search.scores] == pytest.approx(
        [10 + 10 * (0.5 - 100 * lr) for lr in tried]
    )
    assert search.chosen == 2  # 0.01: the first that takes away enough, and the nearest to -1
    assert search.model.most == pytest.approx(-0.5)
    assert search_setting(unlearn, config, "lr", score, tries=2, enough=0).values == (
        pytest.approx((0.01 / 3, 0.01))
    )


def test_a_search_hands_its_method_every_other_setting_unchanged():
    configs = []

    def unlearn(config):
        configs.append(config)
        return Halved(0.0)

    config = AmnesiaConfig(lr=0.02, steps=9, elastic=2.0)
    search_setting(
        unlearn, config, "elastic", lambda model: SettingScore(1, 1, 1), tries=3, enough=1
    )
    assert [c.elastic for c in configs] == pytest.approx([2 / 3, 2, 6])
    assert {c.model_copy(update={"elastic": 2.0}) for c in configs} == {config}


@pytest.mark.parametrize(("knob", "value"), [("steps", 7), ("elastic", 0)])
def test_a_search_tries_different_values_that_are_allowed(knob, value):
    config = AmnesiaConfig().model_copy(update={knob: value})
    with pytest.raises(ParameterError, match=rf"{knob} = "):
        search_setting(lambda config: Bars(), config, knob, None, tries=2, enough=1)


def test_a_search_is_recorded_with_every_setting_and_the_chosen_one():
    search = SettingSearch(
        "lr", (0.1, 0.3), (SettingScore(40, 30, 2), SettingScore(20, 10, 5)), 1, Bars()
    )
    assert search.metrics("whole_image") == {
        "setting_whole_image": 0.3,
        "tried_prevalence_whole_image_1": 0.4,
        "tried_classifier_a_whole_image_1": 0.3,
        "tried_fid_whole_image_1": 2,
        "tried_prevalence_whole_image_2": 0.2,
        "tried_classifier_a_whole_image_2": 0.1,
        "tried_fid_whole_image_2": 5,
    }


DIRECTION = Direction(torch.eye(6)[0], 0.5)


def test_every_method_that_is_compared_tunes_as_it_would_alone():
    task = bars_task()
    shared = {"steps": 2, "batch_size": 16, "lr": 0.05, "seed": 4}
    methods = compared_methods(
        task, DIRECTION, FinetuneConfig(**shared), classifier_lr=0.002, elastic=3.0
    )
    gentle = FinetuneConfig(**shared | {"lr": 0.002})
    given = (task.original, DIRECTION)
    score = task.evaluator.score
    alone = {
        "feature unlearning": lambda: unlearn_feature(*given, UnlearningConfig(**shared)),
        "gradient ascent": lambda: gradient_ascent(*given, score, gentle),
        "gradient surgery": lambda: gradient_surgery(*given, score, gentle),
        "selective amnesia": lambda: selective_amnesia(
            *given, None, AmnesiaConfig(**shared, elastic=3.0)
        ),
        "uno": lambda: uno(*given, score, UnoConfig(**gentle.model_dump())),
        "whole image": lambda: unlearn_whole_image(*given, None, FinetuneConfig(**shared)),
    }
    assert [method.name for method in methods] == list(alone)
    knobs = [method.knob for method in methods]
    assert knobs == ["lr", "lr", "lr", "elastic", "lr", "lr"]
    for method in methods:
        rows = []
        tuned = method.unlearn(method.config, lambda row, model, rows=rows: rows.append(row))
        expected = alone[method.name]().model.state_dict()
        assert [row["step"] for row in rows] == [1, 2]
        for name, value in tuned.state_dict().items():
            assert torch.equal(value, expected[name]), method.name
        assert not torch.equal(tuned.gain, task.original.gain), method.name


def test_the_filter_and_the_retrained_model_have_nothing_to_set():
    assert list(untuned_models(bars_task(), DIRECTION)) == ["latent filter"]
    last = Halved(0.0)
    models = untuned_models(bars_task(retrained=last), DIRECTION)
    assert list(models) == ["latent filter", "retrained"]
    assert models["retrained"] is last
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(models["latent filter"](z), Bars()(DIRECTION.erase(z)))
