"""The attack in balls: it stays in them, follows the score, and differs from what is printed."""

import dataclasses
import math

import pytest
import torch
from bars import Bars, width
from small_tasks import Halved, bars_task

from forgetting.errors import DataError, ModelError, ParameterError, TrainingError
from forgetting.experiments import balls
from forgetting.experiments.unlearning import recorded
from forgetting.methods.direction import Direction
from forgetting.methods.latent_filter import LatentFilter
from forgetting.probes.ball_attack import ball_attack

Z = torch.randn(20, 6, generator=torch.Generator().manual_seed(3))
ALONG = Direction(torch.eye(6)[0], 0.0)
BUDGET = balls.BallBudget(radius=1.6, steps=8, restarts=1)


def widths(model, latents):
    with torch.no_grad():
        return width(model(latents))


@pytest.mark.parametrize("restarts", [1, 3])
def test_attacked_latents_stay_in_their_balls_and_score_higher(restarts):
    attacked = ball_attack(Bars(), width, Z, 0.5, restarts=restarts)
    assert (attacked - Z).abs().max() <= 0.5 + 1e-6
    assert (widths(Bars(), attacked) > widths(Bars(), Z)).all()


def test_of_a_score_that_only_rises_the_attack_reaches_the_surface():
    attacked = ball_attack(Bars(), width, Z, 0.5)
    assert torch.allclose(attacked[:, 0], Z[:, 0] + 0.5)  # z_0 widens the bar


def test_a_larger_ball_holds_what_a_smaller_one_does():
    small, large = (widths(Bars(), ball_attack(Bars(), width, Z, r)) for r in (0.2, 0.8))
    assert (large >= small).all()


def test_a_restart_can_only_help():
    def uneven(images):  # two hills, of which the centre may lie below the lower one
        return torch.cos(3 * width(images))

    few, many = (ball_attack(Bars(), uneven, Z, 1.5, restarts=n) for n in (1, 4))
    few, many = (torch.cos(3 * widths(Bars(), latents)) for latents in (few, many))
    assert (many >= few - 1e-6).all()
    assert (many > few + 1e-3).any()


def test_the_printed_form_goes_away_from_the_feature_and_forgets_the_centre():
    attacked = ball_attack(Bars(), width, Z, 0.5, form="printed")
    assert attacked.abs().max() <= 0.5 + 1e-6  # around 0, not around z
    at_the_origin = ball_attack(Bars(), width, torch.zeros(4, 6), 0.5, form="printed")
    assert torch.equal(at_the_origin[:, 0], torch.full((4,), -0.5))


def test_the_same_seed_gives_the_same_latents_and_another_seed_others():
    one, same, other = (ball_attack(Bars(), width, Z, 1.0, restarts=2, seed=s) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"radius": 0.0}, ParameterError, "radius = 0.0"),
        ({"radius": math.inf}, ParameterError, "radius = inf"),
        ({"steps": 0}, ParameterError, "steps = 0"),
        ({"restarts": 1.5}, ParameterError, "restarts = 1.5"),
        ({"form": "literal"}, ParameterError, "form = 'literal'"),
        ({"seed": -1}, ParameterError, "seed = -1"),
        ({"latents": Z[:, :4]}, DataError, r"give a tensor \(N, 6\)"),
        ({"latents": Z.tolist()}, DataError, "The latents are list"),
        ({"latents": Z[:0]}, DataError, "give a tensor"),
        ({"latents": Z[0]}, DataError, r"give a tensor \(N, 6\)"),
        ({"latents": torch.full((2, 6), math.nan)}, DataError, "all finite"),
        ({"score": lambda x: width(x).mean()}, ModelError, "score"),
        ({"score": lambda x: width(x).detach()}, ModelError, "gradient"),
    ],
)
def test_what_the_attack_cannot_use_is_refused(changes, error, words):
    given = {"score": width, "latents": Z, "radius": 0.5} | changes
    with pytest.raises(error, match=words):
        ball_attack(Bars(), **given)


def test_a_search_that_leaves_the_finite_numbers_is_an_error():
    def breaks(images):  # beyond what the given latents reach
        return width(images) - (14 - width(images)).sqrt()

    with pytest.raises(TrainingError, match="leaves the finite numbers"):
        ball_attack(Bars(), breaks, torch.zeros(4, 6), 8.0)


def attacked_models(task):
    models = {"original": Bars(), "unlearned": Halved(-3.0), "filter": LatentFilter(Bars(), ALONG)}
    models["retrained"] = Halved(-3.0)
    return balls.with_filter_around(models, ALONG, Z)


def test_a_filter_resists_through_its_edit_and_not_around_it():
    task = bars_task()
    outcomes = balls.attack_in_balls(task, attacked_models(task), BUDGET, seed=0)
    largest = {name: outcome.prevalence[1.6].share for name, outcome in outcomes.items()}
    assert list(outcomes) == ["original", "unlearned", "filter", "retrained", balls.AROUND]
    assert largest["filter"] == largest["unlearned"] == 0
    assert 0 < largest["filter around"] <= largest["original"]


def test_the_attack_counts_what_the_grader_sees_in_every_ball():
    task = bars_task()
    outcome = balls.attack_in_balls(task, {"original": (Bars(), Z)}, BUDGET, seed=0)["original"]
    assert list(outcome.prevalence) == [0, 0.2, 0.4, 0.8, 1.6]
    shares = [prevalence.share for prevalence in outcome.prevalence.values()]
    assert shares == sorted(shares)
    assert shares[0] == float(task.evaluator.has_feature(Bars()(Z)).float().mean())
    reached = ball_attack(Bars(), task.evaluator.score, Z, 1.6, steps=8)
    assert torch.allclose(outcome.images, Bars()(reached), atol=1e-5)


def test_of_digits_an_image_counts_whose_class_is_sure():
    task = bars_task()
    unsure = dataclasses.replace(task.evaluator, sure=lambda images: torch.zeros(len(images)) > 0)
    task = dataclasses.replace(task, evaluator=unsure)
    outcome = balls.attack_in_balls(task, {"original": (Bars(), Z)}, BUDGET, seed=0)["original"]
    assert {prevalence.share for prevalence in outcome.prevalence.values()} == {0}


def test_a_record_names_the_radius_in_hundredths_and_what_lies_beyond_the_retrained_model():
    task = bars_task()
    outcomes = balls.attack_in_balls(task, attacked_models(task), BUDGET, seed=0)
    metrics = recorded(outcomes) | balls.ball_excess(outcomes)
    assert metrics["ball_160_before"] == outcomes["original"].prevalence[1.6].share
    assert metrics["ball_excess_160_before"] == pytest.approx(
        metrics["ball_160_before"] - metrics["ball_160_retrained"]
    )
    assert {"ball_0_after_low", "ball_20_filter_around", "ball_excess_40_filter"} <= set(metrics)
    assert "ball_excess_160_retrained" not in metrics
    without = {name: outcome for name, outcome in outcomes.items() if name != "retrained"}
    assert balls.ball_excess(without) == {}


def test_a_feature_that_is_only_measured_is_refused():
    task = bars_task()
    measured = dataclasses.replace(task.evaluator, feature="narrow")
    task = dataclasses.replace(task, evaluator=measured)
    with pytest.raises(ParameterError, match="'narrow' is measured"):
        balls.attack_in_balls(task, {"original": (Bars(), Z)}, BUDGET, seed=0)
