"""A task is unlearned by the method that its parameters name, and rounds end by its graders."""

import math
from dataclasses import replace

import pytest
import torch
from bars import BendingBars, width
from small_tasks import WIDE, Halved, bars_task, grader_of_width

from forgetting.errors import ParameterError, validated
from forgetting.experiments import unlearning_methods
from forgetting.experiments.context import Experiment
from forgetting.experiments.looking import N_FIRST
from forgetting.experiments.unlearning_methods import TaskLook, UnlearningParameters
from forgetting.methods.direction import LabelledLatents, find_direction
from forgetting.methods.results import UntilGoneResult

GIVEN = {
    "feature": "wide",
    "model": "bars",
    "method": "until_gone",
    "manual_labels": "",
    "form": "raw",
    "projection_threshold": "midpoint",
    "n_collected": 1000,
    "n_samples": 1000,
    "rounds": 1,
    "steps": 60,
}


def parameters(**given):
    return validated(UnlearningParameters, GIVEN | given)


def latents(n=1000, seed=3):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "given", [{"alpha": 2.0}, {"lr": 0.002}, {"form": "unit"}, {"manual_labels": "mine.csv"}]
)
def test_a_parameter_of_the_single_pass_is_refused_by_rounds(given):
    (name,) = given
    with pytest.raises(ParameterError, match=rf"^{name} = .* belongs to method = 'moon2024'"):
        parameters(**given)
    assert getattr(parameters(method="moon2024", **given), name) == given[name]


def test_a_look_tells_short_of_gone_from_there_and_from_past():
    task = bars_task(n=2000, retrained=Halved(0.5))
    look = TaskLook(task, latents())
    assert look(task.original).state == "short"
    there = look(Halved(0.5))
    assert there.state == "there"
    assert there.figures["prevalence"] == there.figures["floor"]
    assert there.figures["auc"] == pytest.approx(0.5)
    assert math.isfinite(there.figures["fid"])
    assert look(Halved(-1.0)).state == "past"


def test_a_feature_that_is_plainly_there_is_found_in_the_first_samples():
    task = bars_task(n=2000, retrained=Halved(0.5))
    look, model = TaskLook(task, latents(2000)), Halved(9.0)
    seen = []
    model.register_forward_hook(lambda _, given, images: seen.append(len(images)))
    assert look(model).state == "short"
    assert sum(seen) == N_FIRST
    assert look(Halved(0.5)).state == "there"


def test_without_anything_to_compare_with_a_model_is_short_of_gone():
    task = bars_task(graders=(grader_of_width("", shift=30.0),))  # finds it everywhere
    assert TaskLook(task, latents(300))(task.original).state == "short"


def test_the_parameters_choose_the_method_and_the_record_says_what_it_took():
    task = replace(bars_task(n=2000), original=BendingBars())
    run = Experiment("some", parameters())
    z = latents()
    wide = width(task.original(z)) > WIDE
    direction = find_direction(LabelledLatents(z[wide], z[~wide]))
    rounds = unlearning_methods.unlearn(run, task, direction, parameters(), None)
    assert isinstance(rounds, UntilGoneResult)
    metrics = unlearning_methods.tuning_metrics(rounds, parameters())
    assert metrics == {"rounds": 1, "lr": rounds.lr, "steps": 60, "unsolved": rounds.unsolved}
    one = parameters(method="moon2024", lr=0.05)
    single = unlearning_methods.unlearn(run, task, direction, one, None)
    assert not isinstance(single, UntilGoneResult)
    assert unlearning_methods.tuning_metrics(single, one) == {"rounds": 1, "lr": 0.05, "steps": 60}


def test_a_feature_of_degree_has_the_threshold_of_the_top_tenth():
    task = bars_task(n=2000, label_threshold=None)
    own = task.classifier_a_logits(task.own)
    assert float((own > task.score_threshold()).float().mean()) == pytest.approx(0.1, abs=1e-3)
    assert bars_task().score_threshold() == 0.0
