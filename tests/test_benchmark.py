"""The benchmarks are fair: both sides do the work that is said, and it is counted right."""

import dataclasses
import importlib.util
import json

import pytest
import torch

from forgetting.foundation.files import ROOT
from forgetting.models.glow import Glow, GlowConfig
from forgetting.zoo.recipes import RECIPES, learners


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench, taming, paper_size = load("glow"), load("taming"), load("paper_size")

CONFIG = GlowConfig(channels=3, image_size=16, n_steps=2, n_blocks=2, width=128)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_both_glows_do_the_same_work():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours, theirs = Glow(CONFIG), bench.normflows_glow(CONFIG)
    ours.initialise(images)
    steps = [bench.training_step(flow, images, "float32") for flow in (ours, theirs)]
    steps[1]()  # normflows sets its actnorms in the first pass
    first, second = (bench.operations(step) for step in steps)
    assert first == pytest.approx(second, rel=0.05)
    couplings = [
        sum(p.numel() for p in flow.parameters() if p.ndim == 4) for flow in (ours, theirs)
    ]
    assert couplings[0] == pytest.approx(couplings[1], rel=0.1)


def test_operations_of_a_convolution_are_counted_exactly():
    step, counted = bench.convolutions("float32", 2)
    forward = 2 * (2 * 16 * 16) * 256 * 256 * 9
    assert counted == 3 * 3 * forward  # three layers; a backward pass is two forward ones
    step()


def test_the_public_loop_asks_as_often_as_the_public_code(flow):
    asked = []
    log_prob = type(flow).log_prob

    class Counting(type(flow)):
        def log_prob(self, x):
            asked.append((len(x), torch.is_grad_enabled()))
            return log_prob(self, x)

    flow.__class__ = Counting
    points = flow.sample(60, 0)
    assert taming.public_loop(flow, points[:12], points[12:], 2) == 2
    one_step = [(12, False), (8, True), (12, False), (8, False), (8, True)]
    assert asked == [(48, False), *one_step, *one_step]


def test_a_step_without_values_is_counted_as_one_with_values():
    recipe = dataclasses.replace(RECIPES["faces-glow-128"], config=CONFIG)
    plain = learners.averaged_glow(recipe)
    kept, recomputed = (paper_size.count(each, 4) for each in (plain, recipe.learner(recipe)))
    assert kept["operations"] == bench.operations(
        lambda: paper_size.loss_of_a_batch(plain, plain.model, 4).backward()
    )
    assert 1.2 < recomputed["operations"] / kept["operations"] < 4 / 3
    storages = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = paper_size.loss_of_a_batch(plain, plain.model, 4)
    assert kept["activations"] == pytest.approx(sum(storages.values()), rel=0.05)
    assert recomputed["activations"] < kept["activations"] / 3
    gradients = sum(p.nbytes for p in plain.model.model.parameters())
    assert gradients < recomputed["peak"] < kept["peak"] < kept["activations"] + 2 * gradients
    loss.backward()


def test_the_counts_in_the_book_are_of_the_recipe_as_it_is():
    recorded, recipe = json.loads(paper_size.OUTPUT.read_text()), RECIPES["faces-glow-128"]
    assert recorded["config"] == recipe.config.model_dump(mode="json")
    assert recorded["batch_size"] == recipe.training.batch_size
    assert recorded["steps"] == recipe.training.steps
