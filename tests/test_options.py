"""Options: counts, seeds and settings out of their range are refused in a sentence."""

import contextlib
import math
import warnings

import numpy as np
import pytest
import torch
from bars import Bars, width
from pydantic import ValidationError
from torch import nn

import forgetting as fg
from forgetting.errors import DataError, DataWarning, ModelError, ParameterError
from forgetting.methods.direction import Direction, LabelledLatents, collect_latents
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig, TargetConfig
from forgetting.metrics.likelihood import compare, mean_bits_per_dim
from forgetting.metrics.prevalence import prevalence
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

POINTS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SHORT = TamingConfig(max_steps=2, n_statistics=4, lr=0.01)
ALONG = Direction(torch.eye(6)[0], 0.5)


@pytest.mark.parametrize("seed", [10**23, -1, True, 1.5])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(bars, flow, seed):
    for call in (
        lambda: prevalence(bars, width, seed=seed),
        lambda: collect_latents(bars, width, 200, seed=seed),
        lambda: latent_attack(bars, width, 2, seed=seed),
        lambda: mean_bits_per_dim(flow, POINTS, 1, seed),
    ):
        with pytest.raises(ParameterError, match=r"seed = .*whole number from 0 to 2\*\*62"):
            call()
    for config in (TamingConfig, TargetConfig, UnlearningConfig):
        with pytest.raises(ValueError, match="seed"):
            config(seed=seed)


@pytest.mark.parametrize("n", [0, -3, True, 2.5])
def test_a_count_that_is_no_positive_whole_number_is_refused(bars, n):
    for call in (
        lambda: prevalence(bars, width, n=n),
        lambda: prevalence(bars, width, batch_size=n),
        lambda: collect_latents(bars, width, n),
        lambda: latent_attack(bars, width, n),
        lambda: latent_attack(bars, width, 2, restarts=n),
        lambda: inversion_attack(bars, IMAGES, lambda x: x.flatten(1), restarts=n),
    ):
        with pytest.raises(ParameterError, match=r"= .*: give a whole number of at least 1"):
            call()
    with pytest.raises(ValueError, match="steps"):
        UnlearningConfig(steps=n)


def test_a_configuration_of_another_method_is_refused(flow):
    for config in (UnlearningConfig(), {"delta": 2}, TargetConfig()):
        with pytest.raises(ParameterError, match=r"config is of class .*: give a TamingConfig"):
            tame(flow, POINTS[:2], POINTS[2:], config)


def test_a_direction_that_points_nowhere_is_refused(bars):
    for vector in (torch.zeros(6), torch.full((6,), torch.nan), torch.eye(6)):
        with pytest.raises(DataError, match="one vector of finite numbers that are not all 0"):
            Direction(vector, 0.0)
    with pytest.raises(ParameterError, match="projection_threshold = nan"):
        Direction(torch.ones(6), float("nan"))
    assert Direction([1.0, 2.0], 0).vector.dtype == torch.float32
    with pytest.raises(DataError, match="A direction of type str"):
        Direction("up", 0.0)
    exact = Direction(torch.ones(6, dtype=torch.float64), 0.0)
    unlearn_feature(bars, exact, UnlearningConfig(steps=1))


@pytest.mark.parametrize("change", [{"stop_within": 15}, {"eps": math.inf}, {"lr": math.inf}])
def test_a_setting_with_which_nothing_is_tamed_is_refused(change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        TamingConfig(**change)


def test_latents_are_labelled_once():
    latents = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    for negative in (latents[9:], torch.cat([latents[10:], latents[10:]])):
        with pytest.raises(DataError, match="differ: give each latent once"):
            LabelledLatents(latents[:10], negative)


def test_shares_and_thresholds_that_are_no_numbers_are_refused(bars):
    with pytest.raises(DataError, match="share between 0 and 1"):
        collect_latents(bars, width, 200, share=float("nan"))
    for call in (prevalence, lambda *args, **options: collect_latents(*args, 200, **options)):
        with pytest.raises(ParameterError, match="threshold = nan"):
            call(bars, width, threshold=float("nan"))


def test_images_of_another_shape_than_the_reference_are_refused_by_name(flow):
    with pytest.raises(DataError, match=r"The images faces are \(1, 4, 4\), .*reference \(2,\)"):
        compare(flow, flow, {"faces": IMAGES}, POINTS)


def test_likelihoods_that_are_no_numbers_are_refused_in_a_measure(flow):
    with pytest.raises(ModelError, match="gives 1 of 40 images a likelihood of nan"):
        compare(flow, flow, {}, torch.cat([POINTS[:39], torch.full((1, 2), torch.nan)]))


def test_probes_are_given_as_many_latents_as_images_and_labels(bars):
    z = torch.zeros(20, 6)
    with pytest.raises(DataError, match=r"1 images and latents \(20, 6\): give one latent of 6"):
        relearn(bars, torch.zeros(1, 1, 32, 32), z, [0], id)
    with pytest.raises(DataError, match=r"20 latents and labels \(19,\)"):
        linear_probe(bars, bars, z, torch.arange(19) < 9)


def test_a_layer_that_is_not_called_once_for_each_latent_is_refused(bars):
    class Twice(nn.Module):
        latent_dim = 6

        def __init__(self):
            super().__init__()
            self.bars, self.once, self.twice, self.never = bars, *(nn.Identity() for _ in range(3))

        def forward(self, z):
            return self.bars(self.twice(self.twice(self.once(z))))

    model, z = Twice(), torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    assert linear_probe(model, model.once, z, z[:, 0] > z[:, 0].median()) == 0
    for layer, n in ((model.twice, 40), (model.never, 0)):
        with pytest.raises(ModelError, match=f"gets {n} inputs for 20 latents"):
            linear_probe(model, layer, z, torch.arange(20) < 10)
    with pytest.raises(ModelError, match=r"The layer, Linear, is no module of Twice"):
        linear_probe(model, nn.Linear(1, 1), z, torch.arange(20) < 10)


@pytest.mark.parametrize(
    "options",
    [
        {"form": "Unit"},
        {"form": "normalised"},
        {"form": True},
        {"projection_threshold": "mid"},
        {"projection_threshold": 0.5},
    ],
)
def test_a_direction_has_a_form_and_a_threshold_of_those_that_there_are(options):
    random = torch.Generator().manual_seed(0)
    labelled = LabelledLatents(*torch.randn(2, 20, 6, generator=random))
    with pytest.raises(ParameterError, match="is not allowed"):
        fg.find_direction(labelled, **options)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, True, "10", torch.ones(5)])
def test_a_score_threshold_is_a_finite_number(threshold):
    with pytest.raises(ParameterError, match=r"threshold = .*: give a finite number"):
        fg.prevalence(Bars(), width, threshold=threshold, n=20)


@pytest.mark.parametrize("threshold", [9, np.float32(9), torch.tensor(9.0), np.int64(9)])
def test_a_score_threshold_may_be_a_number_of_any_library(threshold):
    share = fg.prevalence(Bars(), width, threshold=threshold, n=50).share
    assert share == fg.prevalence(Bars(), width, threshold=9.0, n=50).share


@pytest.mark.parametrize("lr", [0, -0.1, math.inf, math.nan, True, "0.1"])
def test_a_probe_has_a_finite_learning_rate(lr):
    bars, images = Bars(), torch.rand(2, 1, 32, 32)
    for call in (
        lambda: latent_attack(bars, width, 2, steps=1, lr=lr),
        lambda: inversion_attack(bars, images, lambda x: x.flatten(1), steps=1, lr=lr),
        lambda: relearn(bars, images, torch.randn(2, 6), [1], width, lr=lr),
    ):
        with pytest.raises(ParameterError, match=r"lr = .*: give a finite number above 0"):
            call()


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_features_have_a_finite_weight_in_an_inversion(weight):
    with pytest.raises(ParameterError, match=r"weight = .*: give a finite number"):
        inversion_attack(Bars(), torch.rand(2, 1, 32, 32), torch.flatten, weight=weight)


@pytest.mark.parametrize("factor", [1e-30, 1e30, 0, math.nan])
def test_a_direction_has_a_length(factor):
    with pytest.raises(DataError, match="one vector of finite numbers"):
        Direction(torch.ones(6) * factor, 0.5)


def test_a_projection_threshold_is_a_number():
    for threshold in (True, math.nan, math.inf):
        with pytest.raises(ParameterError, match="give a finite number"):
            Direction(torch.ones(6), threshold)
    assert Direction(torch.ones(6), torch.tensor(0.5)).projection_threshold == 0.5


def test_a_direction_does_not_change_with_the_tensor_that_it_was_made_of():
    vector, latents = torch.eye(6)[0].clone(), torch.randn(4, 6)
    direction = Direction(vector, 0.5)
    expected = direction.project(latents)
    vector.zero_()
    assert torch.equal(direction.project(latents), expected)


@pytest.mark.parametrize("share", ["0.1", True, None])
def test_a_share_that_is_no_number_is_refused(bars, share):
    with pytest.raises(ParameterError, match=r"share = .*: give a number"):
        collect_latents(bars, width, 200, share=share)


def test_labelled_latents_are_finite_floats_of_one_dimension():
    z = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    for wrong in (z.numpy(), z.long(), z[:, :, None], z / 0, z[0]):
        with pytest.raises(DataError, match="give a tensor of finite floats"):
            LabelledLatents(z[:20], wrong)
    with pytest.raises(DataError, match="Positive latents have 3 values, negative ones 4"):
        LabelledLatents(z[:20, :3], z[20:])
    direction = fg.find_direction(LabelledLatents(z[:20].double(), z[20:].half()))
    assert direction.vector.dtype == torch.float32


def test_few_labelled_latents_give_no_direction_and_those_of_another_prior_are_noted():
    z = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(DataError, match="9 positive and 31 negative latents are given"):
        fg.find_direction(LabelledLatents(z[:9], z[9:]))
    for other in (z / z.norm(dim=1, keepdim=True), 2 * torch.rand(40, 64) - 1, 9 * z):
        with pytest.warns(DataWarning, match="where it is 1 in N"):
            LabelledLatents(other[:20], other[20:])
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        LabelledLatents(z[:20], z[20:])


def test_images_that_were_divided_by_255_twice_are_refused():
    images = torch.rand(20, 1, 8, 8)
    for call in (fg.train_classifier, lambda *sets: fg.tame(nn.Flatten(), *sets)):
        with pytest.raises(DataError, match="divided by 255 twice"):
            call(images / 255, images)


@pytest.mark.parametrize("given", [lambda x: 255 * x, lambda x: 2 * x - 1])
def test_a_feature_is_not_scored_of_images_in_another_range(given):
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    smile = fg.as_classifier(layers, ("Smiling",))["Smiling"]
    images = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert smile(images).shape == (5,)
    with pytest.raises(DataError, match=r"give images in \[0, 1\]"):
        smile(given(images))


def wide(images):
    return 4 * (width(images) - 10)


def test_whole_numbers_of_numpy_are_whole_numbers(bars, tmp_path):
    seed, n = np.int64(3), np.int64(300)
    assert fg.prevalence(bars, wide, n=n, seed=seed) == fg.prevalence(bars, wide, n=300, seed=3)
    options = {"n": n, "steps": np.int64(1), "seed": seed}
    fg.unlearn(bars, wide, method="moon2024", **options).save(tmp_path / "model")
    fg.audit(bars, bars, wide, n_attacked=np.int64(4), **options).save(tmp_path / "audit")


@pytest.mark.parametrize("folder", [b"folder", None, np.zeros((60, 3, 8, 8), np.float32)])
def test_a_folder_that_is_no_path_is_refused(folder):
    with pytest.raises(DataError, match=r"The folder of images is \w+: give a path"):
        fg.load_images(folder)
    with pytest.raises(DataError, match=r"The folder of images is \w+: give a path"):
        fg.train_classifier(folder, torch.zeros(60, 3, 8, 8))


@pytest.mark.parametrize("given", [np.zeros((2, 1, 32, 32)), torch.zeros(2, 1, 8, 8).byte()])
def test_a_classifier_scores_floats_of_torch_alone(given):
    with pytest.raises(DataError, match="give a tensor of torch with floats"):
        fg.load("digits-classifier-a")["7"](given)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64, "meta"])
def test_the_defaults_of_a_program_change_neither_a_model_of_the_zoo_nor_a_measure(bars, kind):
    def outcome():
        state = fg.load("digits-vae").state_dict()
        direction = fg.find_direction(fg.collect_latents(bars, wide, n=300))
        return {"share": fg.prevalence(bars, wide, n=300), "vector": direction.vector, **state}

    expected = outcome()
    default = torch.get_default_dtype()
    with torch.device("meta") if kind == "meta" else contextlib.nullcontext():
        if kind != "meta":
            torch.set_default_dtype(kind)
        try:
            given = outcome()
        finally:
            torch.set_default_dtype(default)
    assert given["share"] == expected["share"]
    for name in expected.keys() - {"share"}:
        assert torch.equal(given[name], expected[name])
        assert given[name].dtype == expected[name].dtype
