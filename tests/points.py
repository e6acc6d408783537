"""Flows on points: points to forget and to retain, settings that suit, and a small flow."""

import torch
from torch import nn

from forgetting.methods.taming import TamingConfig

CONFIG = TamingConfig(lr=0.02, delta=2, distance_scale=2, max_steps=400, retain_batch_size=64)


def sets(flow, n_forget=3):
    """Return the points nearest to one centre, to forget, and the others, to retain."""
    points = flow.sample(600, 1)
    near = (points - flow.centres[0].detach()).norm(dim=1).argsort()
    return points[near[:n_forget]], points[near[n_forget:]]


POINTS = torch.randn(130, 2, generator=torch.Generator().manual_seed(0))


class Gaussian(nn.Module):
    """A flow on points."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((2,), 0.1))

    def log_prob(self, points):
        exponents = (points * torch.exp(-self.scale)) ** 2 / 2
        return -exponents.sum(1) - self.scale.sum()
