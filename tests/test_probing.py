"""Probes on several models find what was planted, under the names that records have."""

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from bars import Bars
from small_tasks import MEASURED, WIDE, Halved, bars_task, width
from torch import nn

from forgetting.errors import DataWarning, ParameterError
from forgetting.experiments import attacks, probing
from forgetting.experiments.grading import grade_samples
from forgetting.experiments.unlearning import recorded
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.inversion import Inversion, inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

BUDGET = attacks.AttackBudget(steps=60, restarts=2)
SMALL = attacks.AttackBudget(steps=5, restarts=1)


def task_with(**changes):
    task = bars_task()
    return dataclasses.replace(task, evaluator=dataclasses.replace(task.evaluator, **changes))


MODELS = {"original": Bars(), "unlearned": Halved(-3.0)}


def test_an_attack_finds_the_feature_where_it_is_and_not_where_it_is_gone():
    task = bars_task()
    outcomes = attacks.attack_latents(task, MODELS, 12, BUDGET, seed=7)
    assert list(outcomes) == ["original", "unlearned"]
    assert outcomes["original"].prevalence.share == 1
    assert outcomes["unlearned"].prevalence.share == 0
    for name, model in MODELS.items():
        latents = latent_attack(model, task.evaluator.score, 12, steps=60, restarts=2, seed=7)
        with torch.no_grad():
            images = model(latents)
        assert torch.allclose(outcomes[name].images, images, atol=1e-5)
        assert outcomes[name].value == pytest.approx(float(width(images).mean()), abs=1e-4)
    assert outcomes["original"].value > WIDE > outcomes["unlearned"].value


def test_an_attack_on_a_feature_that_is_only_measured_is_refused_in_one_sentence():
    with pytest.raises(ParameterError, match="'narrow' is measured, and an attack"):
        attacks.attack_latents(task_with(feature="narrow"), MODELS, 12, SMALL, seed=7)


def test_a_blank_image_does_not_count_in_the_mean_value():
    def value(images):
        widths = width(images)
        widths[0] = float("nan")
        return widths

    found = attacks.attack_latents(
        task_with(graders=(replace(MEASURED, value=value),)), MODELS, 12, BUDGET, 7
    )["original"]
    assert found.value == pytest.approx(float(width(found.images[1:]).mean()), abs=1e-4)
    assert found.prevalence.share == pytest.approx(11 / 12)


def test_a_sure_image_has_the_feature_and_a_sure_class():
    def sure(images):
        return torch.arange(len(images)) < 3

    outcomes = attacks.attack_latents(task_with(sure=sure), MODELS, 12, BUDGET, seed=7)
    assert outcomes["original"].sure.share == pytest.approx(3 / 12)
    assert outcomes["unlearned"].sure.share == 0
    metrics = recorded(outcomes)
    ends = ("", "_low", "_high")
    keys = ("attack_{}", "attack_sure_{}", "attack_5_{}", "attack_15_{}", "attack_60_{}")
    names = {
        key.format(name) + end for key in keys for name in ("before", "after") for end in ends
    }
    assert set(metrics) == names | {"attack_value_before", "attack_value_after"}
    assert metrics["attack_sure_before"] == pytest.approx(0.25)
    assert metrics["attack_value_before"] == outcomes["original"].value


def test_without_classes_nothing_is_sure():
    outcome = attacks.attack_latents(bars_task(), MODELS, 4, BUDGET, seed=7)["original"]
    assert outcome.sure is None
    assert not any("sure" in name for name in outcome.metrics("before"))
    assert outcome.ladder[60] == outcome.prevalence


def targets(task, n=4):
    return task.own[task.evaluator.has_feature(task.own)][:n]


def test_an_inversion_takes_four_times_the_steps_and_sees_what_is_gone():
    task = bars_task()
    wide = targets(task)
    budget = attacks.AttackBudget(steps=15, restarts=2)
    outcomes = attacks.invert_images(task, MODELS, wide, budget, seed=9)
    for name, model in MODELS.items():
        alone = inversion_attack(
            model, wide, task.classifier_features, steps=60, restarts=2, seed=9
        )
        assert torch.equal(outcomes[name].inversion.latents, alone.latents)
        assert outcomes[name].error == pytest.approx(float(alone.errors.mean()))
    assert outcomes["original"].prevalence.share > 0.5
    assert outcomes["unlearned"].prevalence.share == 0
    assert outcomes["original"].error < outcomes["unlearned"].error / 2
    metrics = recorded(outcomes)
    assert metrics["inverted_before"] == outcomes["original"].prevalence.share
    assert metrics["inversion_error_after"] == outcomes["unlearned"].error
    assert len(metrics) == 8


def test_without_a_target_nothing_is_inverted():
    task = bars_task()
    assert attacks.invert_images(task, MODELS, task.own[:0], SMALL, seed=9) == {}


class Hidden(nn.Module):
    """Bars whose width stops just below the feature, at a weight that a few images raise."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.bars = Bars().requires_grad_(False)
        self.most = nn.Parameter(torch.tensor([0.85]))

    def forward(self, latents):
        below = self.most - latents[:, :1]
        first = self.most - nn.functional.softplus(below, beta=20)  # a smooth minimum
        return self.bars(torch.cat([first, latents[:, 1:]], 1))


def test_relearning_counts_fresh_samples_after_every_number_of_steps():
    task = bars_task()
    models = {"original": Bars(), "unlearned": Hidden()}
    wide = targets(task)
    inverted = attacks.invert_images(task, models, wide, SMALL, seed=9)
    fresh = torch.randn(200, 6, generator=torch.Generator().manual_seed(2))
    curves = probing.relearn_feature(
        task,
        {"unlearned": models["unlearned"], "retrained": Halved(0.0)},
        wide,
        inverted,
        fresh,
        error=0.0,
        n_images=4,
        steps=(0, 3, 120),
    )
    assert list(curves) == ["unlearned"]  # the original is not tuned, the retrained not inverted
    shares = curves["unlearned"].prevalence
    assert list(shares) == [0, 3, 120]
    assert shares[0].n == 200
    nearest = inverted["unlearned"].inversion.errors.argsort()[:4]
    starts = inverted["unlearned"].inversion.latents[nearest]

    def count(model):
        with torch.no_grad():
            return float((width(model(fresh)) > WIDE).double().mean())

    expected = relearn(models["unlearned"], wide[nearest], starts, (0, 3, 120), count)
    assert {steps: share.share for steps, share in shares.items()} == pytest.approx(expected)
    assert shares[120].share > shares[0].share
    metrics = recorded(curves)
    assert len(metrics) == 10
    errors = inverted["unlearned"].inversion.errors[nearest]
    assert metrics["relearning_error_after_4"] == pytest.approx(float(errors.mean()))
    assert metrics["relearned_after_4_120"] == shares[120].share
    assert metrics["relearned_after_4_0_low"] == shares[0].low


def inversion_of(errors):
    latents = torch.zeros(len(errors), 6)
    latents[:, 0] = torch.arange(len(errors))
    found = Inversion(latents, torch.zeros(len(errors), 1, 32, 32), torch.tensor(errors))
    return attacks.InversionOutcome(found, Prevalence(0, 0, 1, len(errors)))


def test_models_relearn_from_images_at_which_their_errors_agree(monkeypatch):
    inverted = {"original": inversion_of([0.1, 0.2, 0.3, 0.4, 0.5])}
    inverted["retrained"] = inversion_of([0.4, 0.3, 0.5, 0.7, 0.6])
    error = probing.common_error(list(inverted.values()))
    assert error == pytest.approx(0.4)
    seen = []

    def spy(model, images, latents, *_, **__):
        seen.append((images[:, 0, 0, 0].tolist(), latents[:, 0].tolist()))
        return {0: Prevalence(0, 0, 1, 9)}

    monkeypatch.setattr(probing, "relearn", spy)
    images = torch.arange(5.0)[:, None, None, None].expand(-1, 1, 32, 32)
    models = {"original": Bars(), "retrained": Bars()}
    curves = probing.relearn_feature(
        bars_task(),
        models,
        images,
        inverted,
        torch.randn(9, 6),
        error=error,
        n_images=3,
        steps=(0,),
    )
    assert [sorted(used) for used, _ in seen] == [[2, 3, 4], [0, 1, 2]]
    assert all(used == starts for used, starts in seen)  # each image with its own latent
    assert [curve.error for curve in curves.values()] == [pytest.approx(0.4)] * 2
    assert math.isnan(probing.common_error([]))


def test_fewer_images_to_relearn_than_a_record_names_are_noted():
    task = bars_task()
    inverted = attacks.invert_images(task, {"unlearned": Hidden()}, task.own[:3], SMALL, seed=9)
    with pytest.warns(DataWarning, match="64 images to relearn are wanted and 3 are there"):
        probing.relearn_feature(
            task,
            {"unlearned": Hidden()},
            task.own[:3],
            inverted,
            torch.randn(20, 6),
            error=0.1,
            n_images=64,
            steps=(0,),
        )


def test_relearning_tunes_only_the_part_that_makes_the_image():
    class WithDecoder(Hidden):
        def __init__(self):
            super().__init__()
            self.decoder = nn.Linear(1, 1)  # hardly any part in the image: nothing is relearned

        def forward(self, latents):
            images = super().forward(latents)
            return images + 1e-4 * self.decoder(latents[:, :1])[:, :, None, None]

    task, model = bars_task(), WithDecoder()
    wide = targets(task)
    inverted = attacks.invert_images(task, {"unlearned": model}, wide, SMALL, seed=9)
    fresh = torch.randn(200, 6, generator=torch.Generator().manual_seed(2))
    curves = probing.relearn_feature(
        task, {"unlearned": model}, wide, inverted, fresh, error=0.1, n_images=4, steps=(0, 120)
    )
    shares = curves["unlearned"].prevalence
    assert shares[120].share == shares[0].share


class Convolved(nn.Module):
    """Bars after a convolution whose input shows the width, or a number of no bar."""

    latent_dim = 6

    def __init__(self, visible):
        super().__init__()
        self.bars, self.visible = Bars(), visible
        self.last = nn.Conv2d(1, 1, 1)

    def forward(self, latents):
        shown = self.bars(latents) if self.visible else latents[:, 5:, None, None]
        return self.last(shown).sigmoid()


def test_a_linear_probe_reads_the_last_layer_of_every_model():
    task = bars_task()
    fresh = torch.randn(300, 6, generator=torch.Generator().manual_seed(2))
    original = grade_samples(task.evaluator, {"original": Bars()}, fresh)["original"]
    models = {"original": Convolved(True), "unlearned": Convolved(False)}
    gains = probing.probe_last_layers(task, models, fresh, original)
    for name, model in models.items():
        alone = linear_probe(model, model.last, fresh, original.has_feature)
        assert gains[name].auc == alone
    assert gains["unlearned"].auc < -0.4 < gains["original"].auc
    assert recorded(gains) == {
        "probe_before": gains["original"].auc,
        "probe_after": gains["unlearned"].auc,
    }


@pytest.mark.parametrize(("n", "probes"), [(9, 0), (10, 1)])
@pytest.mark.parametrize("invert", [False, True])
def test_a_linear_probe_needs_ten_samples_of_either_kind(n, probes, invert):
    task = bars_task()
    fresh = torch.randn(60, 6, generator=torch.Generator().manual_seed(2))
    original = grade_samples(task.evaluator, {"original": Bars()}, fresh)["original"]
    has_feature = (torch.arange(60) < n) != invert
    original = dataclasses.replace(original, has_feature=has_feature)
    gains = probing.probe_last_layers(task, {"original": Convolved(True)}, fresh, original)
    assert len(gains) == probes
