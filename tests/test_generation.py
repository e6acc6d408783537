"""What taming does to generation: samples by temperature, neighbourhoods, norms and layers."""

import copy
import math

import pytest
import torch
from torch import nn

from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.generation import (
    LAYERS,
    kid_features,
    kid_floor,
    latent_norms,
    layer_changes,
    radius_key,
    rank_correlation,
    samples_by_temperature,
    shift_by_similarity,
    similarity_around,
    temperature_key,
    typical_norms,
)
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, kid
from forgetting.metrics.likelihood import Comparison, LikelihoodReference


class Scaled(nn.Module):
    """A flow whose latents are its images (3, 2, 2), divided by a factor."""

    n_bits, latent_dim = 8, 12

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def encode(self, images):
        return images.flatten(1) / self.factor

    def forward(self, latents):
        return (self.factor * latents).reshape(-1, 3, 2, 2)

    def sample(self, n, temperature, generator):
        share = torch.rand(n, 3, 2, 2, generator=generator)
        return (255 * (self.factor * temperature * share)).round() / 255


class Pixels(nn.Module):
    """An embedding and a classifier whose features are the pixels; an embedding has length 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return nn.functional.normalize(images.flatten(1) * self.weight, dim=1)

    def features(self, images):
        return images.flatten(1) * self.weight


class Centred(Scaled):
    """The same around grey, so that images of likely latents lie in [0, 1]."""

    def encode(self, images):
        return super().encode(10 * (images - 0.5))

    def forward(self, latents):
        return 0.5 + super().forward(latents) / 10


class Differences(Pixels):
    """An embedding by the differences from grey."""

    def forward(self, images):
        return super().forward(images - 0.5)


def person(showable=True):
    generator = torch.Generator().manual_seed(5)
    retain = torch.rand(130, 3, 2, 2, generator=generator)
    others = torch.randint(0, 256, (125, 3, 2, 2), generator=generator).byte()
    unseen = {"all": others}
    return PersonSplits("somebody", showable, retain[:2], retain[2:], {}, retain[:4], unseen)


def experiment():
    return Experiment("test", Parameters(device="cpu"))


def test_samples_are_measured_for_each_flow_at_each_temperature():
    flows = {"before": Scaled(1.0), "after": Scaled(0.5)}
    generator = torch.Generator().manual_seed(0)
    reference = Statistics.of(torch.rand(80, 12, generator=generator))
    others = torch.rand(80, 12, generator=generator)
    metrics = samples_by_temperature(
        flows,
        (0.5, 1.0),
        60,
        seeds=[3, 4],
        reference=reference,
        others=others,
        classifier=Pixels(),
        is_near=lambda images: images[:, 0, 0, 0] > 0.4,
    )
    for name, flow in flows.items():
        for temperature, key in ((0.5, "t5"), (1.0, "t10")):
            draws = [
                flow.sample(60, temperature, torch.Generator().manual_seed(seed)).detach()
                for seed in (3, 4)
            ]
            fids = torch.tensor([fid(images.flatten(1), reference) for images in draws])
            kids = torch.tensor([kid(images.flatten(1), others) for images in draws])
            near = float((torch.cat(draws)[:, 0, 0, 0] > 0.4).float().mean())
            end = f"{name}_{key}"
            assert metrics[f"fid_{end}"] == pytest.approx(float(fids.mean()), rel=1e-4)
            assert metrics[f"fid_{end}_std"] == pytest.approx(float(fids.std()), rel=1e-3)
            assert metrics[f"kid_{end}"] == pytest.approx(float(kids.mean()), rel=1e-3, abs=1e-6)
            assert metrics[f"near_{end}"] == pytest.approx(near)
            assert metrics[f"near_{end}_low"] <= near <= metrics[f"near_{end}_high"]
        fids = [metrics[f"fid_{name}_{key}"] for key in ("t5", "t10")]
        assert metrics[f"fid_best_{name}"] == min(fids)
    assert metrics["near_after_t10"] < metrics["near_before_t10"]


def test_keys_of_temperatures_and_radii_are_in_tenths():
    assert [temperature_key(value) for value in (0.5, 0.7, 1.0)] == ["t5", "t7", "t10"]
    assert [radius_key(value) for value in (0.0, 0.6, 1.0)] == ["r0", "r6", "r10"]
    for key in (temperature_key, radius_key):  # two of them do not take one name
        assert len({key(value / 20) for value in range(20)}) == 20


def test_kid_is_taken_to_held_out_faces_or_to_further_samples_of_the_base():
    run, base = experiment(), Scaled(0.5)
    generator = torch.Generator().manual_seed(run.seed("KID"))
    samples = base.sample(60, 1.0, generator).detach()
    latent = kid_features(run, person(showable=True), base, Pixels(), 60)
    assert torch.allclose(latent, samples.flatten(1).round(decimals=6), atol=1e-6)
    real = person(showable=False)
    order = torch.randperm(125, generator=run.generator("KID"))[:60]
    expected = real.others[order].float().flatten(1) / 255
    assert torch.equal(kid_features(run, real, base, Pixels(), 60), expected)


def test_the_floor_of_kid_is_that_of_images_to_retain():
    run, somebody = experiment(), person()
    others = torch.rand(55, 12, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(128, generator=run.generator("floor of KID"))[:55]
    expected = kid(somebody.retain[order].flatten(1), others)
    assert kid_floor(run, somebody, others, Pixels(), 55) == pytest.approx(expected)


def test_at_its_own_latent_an_image_is_itself_and_a_reversed_flow_decodes_the_opposite():
    images = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    flows = {"before": Centred(), "after": Centred(-1.0)}
    generator = torch.Generator().manual_seed(1)
    latents = flows["before"].encode(images).detach()
    metrics = similarity_around(flows, latents, images, Differences(), (0.0, 0.6), 5, generator)
    assert metrics["similarity_before_r0"] == pytest.approx(1, abs=1e-6)
    assert metrics["similarity_after_r0"] == pytest.approx(-1, abs=1e-6)
    directions = torch.randn(5, 12, generator=torch.Generator().manual_seed(1))
    own = nn.functional.normalize(latents, dim=1)
    points = 0.8 * latents[:, None] + 0.7 * 0.6 * directions
    cosines = (nn.functional.normalize(points, dim=2) * own[:, None]).sum(2)
    assert metrics["similarity_before_r6"] == pytest.approx(float(cosines.mean()), abs=1e-6)
    assert set(metrics) == {f"similarity_{name}_{key}" for name in flows for key in ("r0", "r6")}


def test_a_flow_with_smaller_steps_has_its_latents_further_out():
    images = torch.ones(2, 3, 2, 2)
    images[1] = 0.5
    norms = latent_norms({"before": Scaled(), "after": Scaled(0.5)}, images)
    mean = (math.sqrt(12) + math.sqrt(3)) / 2
    assert norms == {
        "latent_norm_before": pytest.approx(mean),
        "latent_norm_after": pytest.approx(2 * mean),
    }


def test_norms_of_latents_in_the_plane_follow_rayleigh():
    low, high = typical_norms(2)
    assert low == pytest.approx(math.sqrt(-2 * math.log(0.99)))
    assert high == pytest.approx(math.sqrt(-2 * math.log(0.01)))


def test_each_image_has_its_similarity_to_the_candidates_and_its_shift():
    candidates = torch.zeros(2, 3, 2, 2)
    candidates[0, 0, 0, 0] = candidates[1, 0, 0, 1] = 1.0
    somebody = PersonSplits("", True, candidates, candidates, {}, candidates, candidates.byte())
    sets = {"reference": candidates[:1], "neutral": candidates.flip(3, 2)}
    before = {"reference": torch.tensor([2.0]), "neutral": torch.tensor([2.0, 2.0])}
    after = {"reference": torch.tensor([3.0]), "neutral": torch.tensor([2.0, 1.0])}
    rulers = LikelihoodReference(2.0, 0.5), LikelihoodReference(9.0, 7.0)
    points = shift_by_similarity(Comparison(before, after, *rulers), sets, somebody, Pixels())
    assert list(points) == ["reference", "neutral"]
    assert points["reference"][0].tolist() == pytest.approx([0.5])
    assert points["neutral"][0].tolist() == pytest.approx([0.0, 0.0])
    assert points["reference"][1].tolist() == pytest.approx([2.0])
    assert points["neutral"][1].tolist() == pytest.approx([0.0, -2.0])


def test_ranks_are_correlated_over_all_sets_together():
    """Within either set the shift grows with similarity; over both it falls."""
    points = {
        "near": (torch.tensor([0.8, 0.9]), torch.tensor([-2.0, -1.0])),
        "far": (torch.tensor([0.1, 0.2]), torch.tensor([1.0, 2.0])),
    }
    assert rank_correlation({"near": points["near"]}) == pytest.approx(1)
    assert rank_correlation(points) == pytest.approx(-0.6)


def test_the_layer_that_changed_is_found_at_its_step(glow):
    tamed = copy.deepcopy(glow)
    step = tamed.blocks[1].steps[0]  # the third of four steps
    with torch.no_grad():
        for parameter in step.mixing.parameters():
            parameter.mul_(1.5)
        for parameter in step.coupling.network[2].parameters():
            parameter.mul_(0.75)
        for parameter in tamed.blocks[0].steps[1].coupling.network[4].parameters():
            parameter.mul_(2)
    changes = layer_changes(glow, tamed)
    assert tuple(changes) == LAYERS
    assert changes["mixing"] == pytest.approx([0, 0, 0.5, 0])
    assert changes["first convolution"] == [0, 0, 0, 0]
    assert changes["second"] == pytest.approx([0, 0, 0.25, 0])
    assert changes["last"] == pytest.approx([0, 1, 0, 0])
