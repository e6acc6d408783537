"""Models, scores and sets that nobody thought of lead to a sentence, not to a number."""

import pytest
import torch
from bars import Bars, width
from planted import Binned
from torch import nn

import forgetting as fg
from forgetting.border.preflight import check_flow
from forgetting.errors import ModelError
from forgetting.metrics.likelihood import mean_bits_per_dim

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
