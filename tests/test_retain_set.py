"""What taming retains, and how few images give the tamed flow's likelihood reference."""

import copy
import math

import pytest
import torch
from points import CONFIG, sets
from torch import nn

from forgetting.border.contracts import mean_bits_per_dim
from forgetting.methods.retain_set import RetainSet
from forgetting.methods.taming import TamingConfig, tame
from forgetting.zoo import store as zoo


def test_no_more_images_are_retained_than_configured(flow):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain, CONFIG.model_copy(update={"n_retain": 100}))
    assert len(retained.images) == len(retained.base_bpd) == 100


@pytest.mark.parametrize("n", [4, 5, 300])
def test_no_step_tunes_on_the_images_that_give_mu_and_sigma(flow, n):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain[:n], CONFIG)
    tuned, few = retained.images.tensor_split([retained.n_tuned])
    assert len(few) == min(CONFIG.n_statistics, n // 2)
    assert len(tuned) + len(few) == n
    batch, noise, base = retained.batch(torch.arange(retained.n_tuned))
    assert torch.equal(batch, tuned)
    assert len(noise) == len(base) == len(tuned)


def test_the_likelihood_reference_of_a_few_images_agrees_with_that_of_all(flow):
    """Also for a flow that finds everything less likely and spreads bits/dim twice as far."""
    _, retain = sets(flow)
    tamed = copy.deepcopy(flow)
    with torch.no_grad():
        tamed.centres.mul_(2.5)
    few = RetainSet(flow, retain, CONFIG).likelihood_reference(tamed)
    bpd, before = mean_bits_per_dim(tamed, retain), mean_bits_per_dim(flow, retain)
    assert abs(bpd.mean() - before.mean()) > before.std()
    assert bpd.std() > 1.5 * before.std()
    assert few.mu == pytest.approx(float(bpd.mean()), abs=0.25 * float(bpd.std()))
    assert few.sigma == pytest.approx(float(bpd.std()), rel=0.25)


def test_one_very_unlikely_image_does_not_move_the_likelihood_reference(flow):
    _, retain = sets(flow)
    retained = RetainSet(flow, retain, CONFIG)
    lost, sigma = retained.images[retained.n_tuned], float(retained.base_bpd.std())

    class Tamed(nn.Module):
        """Finds every image 5 sigma less likely, and one of them hundreds of sigma."""

        def __init__(self, outlier):
            super().__init__()
            self.flow, self.outlier = flow, outlier

        def log_prob(self, x):
            odd = (x == lost).all(1).float()
            nats = (5 + self.outlier * odd) * sigma * x.shape[1] * math.log(2)
            return self.flow.log_prob(x) - nats

    all_moved, one_far = (
        retained.likelihood_reference(Tamed(outlier)) for outlier in (0.0, 300.0)
    )
    assert all_moved.shift == pytest.approx(5, rel=1e-3)
    assert all_moved.sigma == pytest.approx(sigma, rel=1e-3)
    assert one_far.shift == pytest.approx(5, rel=1e-3)
    assert one_far.sigma == pytest.approx(sigma, rel=1e-3)


def test_on_the_flow_of_faces_64_images_give_what_1024_would():
    """Also after the first steps of tuning, which move the likelihood of every image."""
    flow = zoo.load("faces-glow")
    images = flow.sample(2048 + 4, 1.0, torch.Generator().manual_seed(0))
    config = TamingConfig(max_steps=4, lr=2.5e-4, stop_within=0.0, precision="bfloat16")
    tamed = tame(flow, images[:4], images[4:], config).model
    few = RetainSet(flow, images[4:], config).likelihood_reference(tamed)
    many = mean_bits_per_dim(tamed, images[4:1028], 1)
    sigma, mu = float(many.std()), float(many.mean())
    moved = mu - float(mean_bits_per_dim(flow, images[4:1028], 1).mean())
    assert abs(moved) > 0.1 * sigma  # something moved
    assert few.mu == pytest.approx(mu, abs=0.05 * sigma)
    assert few.sigma == pytest.approx(sigma, rel=0.1)
    assert few.shift * sigma == pytest.approx(moved, abs=0.03 * sigma)
