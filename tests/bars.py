"""A small generator whose feature can be measured: the width of a bar."""

import torch
from torch import nn


class Bars(nn.Module):
    """Draws a vertical bar: z_0 widens it and z_1 moves it."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.bend = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        place = torch.linspace(-1, 1, 32, device=z.device)
        beyond = torch.relu(z[:, 0] - 0.5)
        width = 0.25 + 0.08 * (self.gain[0] * z[:, 0] + self.bend * beyond)
        bar = torch.sigmoid((width[:, None] - (place - 0.1 * self.gain[1] * z[:, 1:2]).abs()) * 30)
        return bar[:, None, None, :].expand(-1, 1, 32, 32)


class BendingBars(nn.Module):
    """Draws a vertical bar, whose width is a free piecewise linear function of z_0.

    It has enough weights to give wide bars the distribution of narrow ones.
    """

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.knots = nn.Parameter(torch.linspace(-3, 3, 13), requires_grad=False)
        self.widths = nn.Parameter(0.25 + 0.08 * torch.linspace(-3, 3, 13))

    def forward(self, z):
        hats = torch.relu(1 - 2 * (z[:, :1].clamp(-3, 3) - self.knots).abs())
        place = torch.linspace(-1, 1, 32, device=z.device)
        halves = (hats * self.widths).sum(1, keepdim=True)
        bar = torch.sigmoid((halves - (place - 0.1 * z[:, 1:2]).abs()) * 30)
        return bar[:, None, None, :].expand(-1, 1, 32, 32)


def width(images):
    """Return the widths (B,) of the bars of images (B, 1, 32, 32), in pixels."""
    return images[:, 0, 0].sum(1)


class Eyes(nn.Module):
    """A classifier of bars: whether one is wide, and whether it lies to the right.

    One that squints has errors of its own: it takes narrow bars for wider or narrower by where
    they lie.
    """

    def __init__(self, sharpness, squint=0.0):
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness))
        self.squint = squint

    def logits(self, images):
        right = images[:, 0, 0, 16:].sum(1) - images[:, 0, 0, :16].sum(1)
        seen = width(images) + self.squint * torch.relu(9 - width(images)) * torch.tanh(right)
        return torch.stack([self.sharpness * (seen - 10), right], 1)


QUICK = {"n": 1000, "n_collected": 1000, "n_with_feature": 60, "lr": 0.05, "steps": 60}
"""Settings with which a generator of bars unlearns within seconds."""
