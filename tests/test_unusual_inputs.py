"""Models, scores and sets that nobody thought of lead to a sentence, not to a number."""

import math

import pytest
import torch
from bars import Bars, width
from planted import Binned
from torch import nn

import forgetting as fg
from forgetting.border.inference import classes, features, logits
from forgetting.border.preflight import check_flow
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.methods.direction import LabelledLatents
from forgetting.methods.taming_config import TamingConfig, TargetConfig
from forgetting.methods.target import Target
from forgetting.methods.target_distribution import meet_target
from forgetting.metrics.likelihood import LikelihoodReference, compare, mean_bits_per_dim
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.probes.search import search_latents

POINTS = torch.randn(130, 2, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


# models and scores


class Gaussian(nn.Module):
    """A flow on points."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((2,), 0.1))

    def log_prob(self, points):
        exponents = (points * torch.exp(-self.scale)) ** 2 / 2
        return -exponents.sum(1) - self.scale.sum()


class SummedOverAll(Gaussian):
    """A flow that sums its constant Jacobian over the batch, too."""

    def log_prob(self, points):
        return super().log_prob(points) - self.scale.sum().expand(len(points)).sum()


class Sorted(Gaussian):
    """A flow whose answers are in the order of their size."""

    def log_prob(self, points):
        return super().log_prob(points).sort().values


class DimmedBySize(Bars):
    """A generator whose images depend on how many there are."""

    def forward(self, z):
        return super().forward(z) * min(1, 0.3 + len(z) / 500)


def test_an_answer_does_not_depend_on_the_size_of_the_batch_or_its_order():
    ascending = POINTS[POINTS.norm(dim=1).argsort(descending=True)]
    for flow in (SummedOverAll(), Sorted()):
        with pytest.raises(ModelError, match="another answer in a larger batch"):
            mean_bits_per_dim(flow, ascending)
    with pytest.raises(ModelError, match="another answer in a larger batch"):
        fg.prevalence(DimmedBySize(), width, threshold=5, n=20)
    for score in (
        lambda images: width(images) * len(images),
        lambda images: width(images) / len(images),
    ):
        with pytest.raises(ModelError, match="on their number"):
            fg.collect_latents(Bars(), score, 200)


@pytest.mark.parametrize("n_bits", [256, 17, -1, 5.5, True, torch.ones(20)])
def test_bits_are_not_levels(n_bits):
    flow = Binned()
    flow.n_bits = n_bits
    for given in (flow, fg.as_flow(Binned())):
        getattr(given, "module", given).n_bits = n_bits
        with pytest.raises(ModelError, match=r"(?s)n_bits = .*, a whole number up to 16"):
            check_flow(given, IMAGES)


class Classifier(nn.Module):
    """A classifier whose answers are pixels."""

    def logits(self, images):
        return images.flatten(1)

    features = classes = forward = logits


@pytest.mark.parametrize("read", [features, logits, classes])
def test_no_classifier_describes_images_of_another_range(read):
    for images in (255 * IMAGES, 2 * IMAGES - 1, IMAGES - 0.5):
        with pytest.raises(DataError, match=r"give images in \[0, 1\]"):
            read(Classifier(), images)
    for images in ((255 * IMAGES).to(torch.uint8), IMAGES, IMAGES[:0], IMAGES * math.nan):
        assert len(read(Classifier(), images)) == len(images)


# sets of images and latents


def test_means_that_differ_by_rounding_alone_have_no_direction():
    latents = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    rounded = latents.flip(0) * (1 + torch.finfo().eps)
    for form in ("raw", "unit"):
        with pytest.raises(DataError, match="equal but for rounding"):
            fg.find_direction(LabelledLatents(latents, rounded), form=form)
    fg.find_direction(LabelledLatents(latents + 0.001, latents.flip(0)))


def test_a_deviation_of_rounding_measures_nothing():
    values = torch.full((100,), 3.0)
    values[::2] += 5e-7
    assert values.std() > 0
    with pytest.raises(DataError, match="give different images"):
        LikelihoodReference.of(values)
    retain = torch.cat([POINTS[:1].repeat(50, 1), POINTS[1:2]])
    with pytest.raises(DataError, match="2 of the images to retain equally likely"):
        fg.tame(Gaussian(), POINTS[2:3], retain, TamingConfig(n_statistics=2, max_steps=1))


class Bounded(Gaussian):
    """A flow without density outside a square."""

    def log_prob(self, points):
        return torch.where((points.abs() < 1).all(1), super().log_prob(points), -math.inf)


def test_a_set_with_an_impossible_image_has_no_shift():
    inside = (POINTS.abs() < 1).all(1)
    given = {"a": torch.cat([POINTS[inside][:3], POINTS[~inside][:3]]), "b": POINTS[inside][:3]}
    compared = compare(Bounded(), Bounded(), given, POINTS[inside][:30])
    assert compared.shift("b")[0] == 0
    with pytest.raises(DataError, match="6 of 12 bits/dim of the images a are not finite"):
        compared.shift("a")


# targets

HALVES = Target(("A",), torch.tensor([0.8, 0.2]))
CELLS = (POINTS[:, 0] > 0).long()


@pytest.mark.parametrize("attributes", [("A", "A"), (), ("A", "B", "C")])
def test_a_target_is_of_one_or_two_different_attributes(attributes):
    shares = torch.full((2 ** len(attributes),), 1 / 2 ** len(attributes))
    with pytest.raises(ParameterError, match="one or two different attributes"):
        Target(attributes, shares)


def test_a_double_absence_is_no_absence():
    with pytest.raises(ParameterError, match="is no attribute"):
        Target.parse("~~A: 0.3", ["A"])


@pytest.mark.parametrize(
    "has_feature",
    [
        torch.tensor([[1], [0]]),
        torch.tensor([[1.0], [0.0]]),
        torch.ones(3, 2).bool(),
        torch.ones(3).bool(),
        torch.ones(0, 1).bool(),
    ],
)
def test_combinations_are_numbered_from_booleans_of_the_targets_attributes(has_feature):
    for read in (HALVES.cells, HALVES.measure):
        with pytest.raises(DataError, match=r"give booleans \(N, 1\)|at least one image"):
            read(has_feature)


def met(points, cells):
    config = TargetConfig(max_steps=2, n_statistics=4)
    return meet_target(
        Gaussian(), points, cells, HALVES, lambda model, _: torch.tensor([0.5, 0.5]), config
    )


def test_numbers_of_combinations_are_whole_in_any_format():
    expected = met(POINTS, CELLS).history
    for kind in (torch.uint8, torch.int32, torch.float32, torch.bool):
        assert met(POINTS, CELLS.to(kind)).history == expected
    with pytest.raises(DataError, match="cells must be 130 numbers"):
        met(POINTS, CELLS * 0.5)


def test_an_image_that_comes_twice_shows_one_combination():
    twice = torch.cat([POINTS, POINTS[:5]])
    assert met(twice, torch.cat([CELLS, CELLS[:5]])).history == met(POINTS, CELLS).history
    with pytest.raises(DataError, match="comes twice, with two combinations"):
        met(twice, torch.cat([CELLS, 1 - CELLS[:5]]))


# probes


class Layers(nn.Module):
    """A generator with a layer that may work in place."""

    latent_dim = 6

    def __init__(self, inplace=False):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(6, 40), nn.Linear(40, 64)
        self.middle = nn.ReLU(inplace)

    def forward(self, z):
        return torch.sigmoid(self.last(self.middle(self.first(z)))).view(-1, 1, 8, 8)


LATENTS = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))


def probe(labels, latents=LATENTS, *, inplace=False):
    model = Layers(inplace)
    return linear_probe(model, model.middle, latents, labels)


def test_a_linear_probe_reads_what_a_layer_gets_and_not_what_it_makes_of_it():
    labels = LATENTS[:, 0] * LATENTS[:, 1] > 0
    assert probe(labels, inplace=True) == probe(labels)


@pytest.mark.parametrize(
    "labels",
    [
        (LATENTS[:, 0] * LATENTS[:, 1]).relu(),
        torch.arange(200) % 10,
        (LATENTS[:, :2] > 0),
        (LATENTS[:, :1] > 0),
    ],
)
def test_labels_of_a_linear_probe_are_booleans_of_the_latents(labels):
    with pytest.raises(DataError, match=r"other values than 0 and 1|one label for each latent"):
        probe(labels)


def test_a_linear_probe_is_not_tested_on_what_it_was_fitted_to():
    latents = LATENTS[:40].repeat(5, 1)
    with pytest.raises(DataError, match="Of 200 latents 40 differ"):
        probe(latents[:, 0] > 0, latents)


def test_features_of_any_shape_have_the_same_weight_in_an_inversion():
    targets = Layers()(LATENTS[:4]).detach()

    def found(read):
        return inversion_attack(Layers(), targets, read, steps=9, restarts=1, weight=5).latents

    def pooled(images):
        return nn.functional.avg_pool2d(images, 2)

    expected = found(lambda images: pooled(images).flatten(1))
    for shaped in (pooled, lambda images: pooled(images).flatten(1)[:, :, None]):
        torch.testing.assert_close(found(shaped), expected)


def test_a_search_has_a_loss_and_a_criterion_for_each_latent():
    def sums(images, _):
        return -images.sum((1, 2, 3))

    for wrong in (
        lambda images, part: sums(images, part).mean(),
        lambda images, part: sums(images, part)[:, None],
        lambda images, part: sums(images, part)[:, None] + sums(images, part),
    ):
        for pair in ((wrong, sums), (sums, wrong)):
            with pytest.raises(ModelError, match="one for each image"):
                search_latents(Layers(), 3, *pair, steps=1, restarts=1, lr=0.1, seed=0)


@pytest.mark.parametrize("shape", [(5, 1, 6), (5, 1), (5, 3), (4, 6)])
def test_each_image_to_relearn_has_a_latent_of_the_generators(shape):
    with pytest.raises(DataError, match="give one latent of 6 values for each image"):
        relearn(Layers(), torch.rand(5, 1, 8, 8), torch.randn(shape), [0], width)
