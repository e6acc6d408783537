"""Planted classifiers, flows and generators, checkouts with one template, and git."""

import subprocess

import torch
from bars import Bars
from torch import nn

from forgetting.book.checkout import Checkout
from forgetting.data.faces import CELEBA_ATTRIBUTES


class AttributeClassifier(nn.Module):
    """A classifier of CelebA's attributes with one weight; a subclass says what it answers."""

    attributes = CELEBA_ATTRIBUTES

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))


def checkout_of(folder, name, text):
    """Return a checkout in a new folder, with one template and no notebook of it."""
    checkout = Checkout(folder)
    checkout.templates.mkdir(parents=True)
    (checkout.templates / f"{name}.py").write_text(text, encoding="utf-8")
    return checkout


def git(folder, *arguments):
    """Return what a command of git in a folder prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Binned(nn.Module):
    """A flow with bins of its own, whose noise is not the second argument of `log_prob`."""

    n_bits = 5

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(64))

    def log_prob(self, images, context=None, *, noise=None):
        assert context is None
        if isinstance(noise, torch.Generator):
            noise = torch.rand(images.shape, generator=noise)
        values = images if noise is None else images + noise / 32
        return -((values.flatten(1) - self.mean) ** 2).sum(1)


class Noisy(Bars):
    """A generator with noise of its own."""

    def forward(self, z):
        return (super().forward(z) + 0.01 * torch.randn(len(z), 1, 32, 32)).clamp(0, 1)
