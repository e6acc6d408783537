"""A task on bars, with answers that can be worked out: the first latent is the feature."""

import numpy as np
import torch
from bars import Bars
from torch import nn

from forgetting.border.inference import features
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.graders import Grader
from forgetting.metrics.feature_statistics import Statistics
from forgetting.zoo.training import train

WIDE = 10.0
"""The width, in pixels, from which a bar is wide."""


def width(images):
    return images[:, 0, 0].sum(1)


class Describer(nn.Module):
    """A classifier whose first feature is the width, times a scale, and the second the place."""

    attributes = ("red", "wide")

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def features(self, images):
        bar = images[:, 0, 0]
        place = (bar * torch.linspace(-1, 1, bar.shape[1])).sum(1) / bar.sum(1)
        return torch.stack([self.scale * bar.sum(1), 10 * place], 1)

    def logits(self, images):
        return torch.stack([torch.zeros(len(images)), width(images) - WIDE], 1)


class Halved(nn.Module):
    """Bars as if the first latent never exceeded a value: the feature is gone beyond it."""

    latent_dim = Bars.latent_dim

    def __init__(self, most):
        super().__init__()
        self.bars, self.most = Bars(), most

    def forward(self, latents):
        first = latents[:, :1].clamp(max=self.most)
        return self.bars(torch.cat([first, latents[:, 1:]], 1))


MEASURED = Grader("", "measured", width, WIDE, "pixels")


def grader_of_width(name, shift=0.0):
    """Return a classifier-like grader: its logit is the width over `WIDE`, moved by a shift."""
    return Grader(
        name,
        name or "classifier B",
        lambda images: width(images) - WIDE + shift,
        0.0,
        "logit",
        strict_threshold=1.5,
        surely_absent=-2.0,
    )


def wide_evaluator(label_threshold=0.0, graders=(MEASURED,), labeller=None):
    return FeatureEvaluator(
        "wide",
        lambda images: width(images) - WIDE,
        label_threshold,
        graders,
        labeller,
        lambda images: torch.stack([images[:, 0, 0, 16] > 2, images[:, 0, 0, 0] > 0.5], 1),
        ("never", "left"),
        lambda images: features(Describer(), images),
    )


def bars_task(n=600, retrained=None, **options):
    original, evaluator = Bars(), wide_evaluator(**options)
    latents = torch.randn(n, 6, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        own = original(latents)
    lacking = own[evaluator.lacks_feature(own)]
    real = Statistics(np.array([8.0, 0.0]), np.eye(2), 1000)
    classifiers = Describer(), Describer(2.0)
    return FeatureTask(original, *classifiers, evaluator, None, own, lacking, real, retrained)


def train_alone(student, images, config, checkpoint=None):
    """Return a learner's model and its history after a training with one thread."""
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    history = train(student, images, torch.zeros(len(images)), config, checkpoint=checkpoint)
    return student.model, history
