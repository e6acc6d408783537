"""What all tests share. Nothing needs data, a network or an environment variable."""

import math

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from bars import Bars, Eyes, width
from bench_methods import mine  # noqa: F401
from data_sets import celeba, folder, full  # noqa: F401
from elsewhere import second_device
from torch import nn

import forgetting as fg
from forgetting.foundation.memory import keep_memory
from forgetting.methods.direction import collect_latents
from forgetting.models.glow import Glow, GlowConfig

matplotlib.use("Agg")
keep_memory()


def pytest_collection_modifyitems(items):
    """Put the templates' executions first, half of them for each worker of two.

    A worker that has nothing left takes tests from the end of another's queue, which are short.
    """
    long = [
        item
        for item in items
        if getattr(item, "originalname", "") == "test_runs_at_smoke_and_again_alike"
    ]
    short = [item for item in items if item not in long]
    middle = (len(items) - len(long)) // 2
    items[:] = long[::2] + short[:middle] + long[1::2] + short[middle:]


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch, tmp_path):
    """Hide the user's folders and cache, so that a test finds what a fresh machine has."""
    for variable in ("FORGETTING_DATA", "FORGETTING_ZOO"):
        monkeypatch.delenv(variable, raising=False)
    for module in (
        "data.sources",
        "data.images",
        "foundation.cache",
        "zoo.release",
        "zoo.face_api",
    ):
        monkeypatch.setattr(f"forgetting.{module}.CACHE", tmp_path / "cache")


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """Close what a test drew: pyplot keeps open figures, and warns of the twenty-first."""
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """Return the folder of the rendered book: it takes a minute, so tests share it."""
    from forgetting.book.render import render

    return render(tmp_path_factory.mktemp("book")).parent


@pytest.fixture(params=["additive", "affine"])
def glow(request):
    """Return a small Glow with random, not zero, couplings, as if it had been trained a little."""
    config = GlowConfig(
        channels=3, image_size=8, n_steps=2, n_blocks=2, width=8, coupling=request.param
    )
    model = Glow(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    model.initialise(torch.rand(32, 3, 8, 8, generator=generator))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


class Mixture(nn.Module):
    """A flow-like density on points: a mixture of Gaussians with free weights and centres."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.centres = nn.Parameter(torch.randn(24, 2, generator=generator))
        self.logits = nn.Parameter(torch.zeros(24))

    def log_prob(self, x):
        distance = ((x[:, None] - self.centres) ** 2).sum(2)
        log_p = -distance / (2 * 0.3**2) - math.log(2 * math.pi * 0.3**2)
        return torch.logsumexp(log_p + torch.log_softmax(self.logits, 0), 1)

    def sample(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        weights = torch.softmax(self.logits.detach(), 0)
        index = torch.multinomial(weights, n, replacement=True, generator=generator)
        return self.centres.detach()[index] + 0.3 * torch.randn(n, 2, generator=generator)


@pytest.fixture
def flow():
    """Return a flow on points, and nothing of this project."""
    return Mixture()


@pytest.fixture(scope="session")
def bars():
    return Bars()


@pytest.fixture(scope="session")
def labelled(bars):
    return collect_latents(bars, width, 5000, seed=0)


@pytest.fixture(scope="session")
def eyes():
    """Return what steers on bars."""
    return fg.as_classifier(
        Eyes(4.0),
        ("wide", "right"),
        logits=lambda module, images: module.logits(images),
        features=lambda module, images: images[:, 0, 0, ::4],
    )


@pytest.fixture(scope="session")
def grader():
    """Return what grades on bars, which has errors of its own."""
    return fg.as_classifier(
        Eyes(2.0, 0.5), ("wide",), logits=lambda m, images: m.logits(images)[:, :1]
    )


@pytest.fixture
def elsewhere():
    """Return a second device, which computes on the CPU and is as narrow as devices come."""
    with second_device() as device:
        yield device
