"""How good a base model is before it forgets: its distance from real images, and its memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.inference import features
from forgetting.data.morphology import Morphology, measure
from forgetting.experiments.base_task import BaseTask
from forgetting.foundation.cache import cached
from forgetting.metrics import METRICS
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, nearest
from forgetting.zoo import references

N_LIKELIHOOD = {"digits": 1000, "faces": 2000}
"""The most held-out images whose bits/dim are taken."""

N_NEAREST = 500
"""Samples, and held-out images, for which the nearest training image is looked up."""

FLOOR_STREAMS = {"digits": "floor", "faces": "training"}
"""Random streams that choose the training images of the floors."""


@dataclass(frozen=True)
class BaseFeatures:
    """Classifier A's features of samples and of real images.

    Attributes
    ----------
    samples : Tensor
        (n, F).
    train : Tensor
        (N, F), of all training images.
    floor : Tensor
        (n, F), of as many training images as there are samples.
    held_out : Tensor
        (m, F).
    """

    samples: torch.Tensor
    train: torch.Tensor
    floor: torch.Tensor
    held_out: torch.Tensor


@dataclass(frozen=True)
class NearestImages:
    """How far samples and held-out images are from the nearest training image.

    Attributes
    ----------
    samples, held_out : Tensor
        Distances in classifier A's features, (n,).
    index : Tensor
        Of the training image that is nearest to each sample, (n,).
    """

    samples: torch.Tensor
    held_out: torch.Tensor
    index: torch.Tensor


def measure_fidelity(
    task: BaseTask, samples: torch.Tensor
) -> tuple[dict[str, float], BaseFeatures | None]:
    """Measure the distance of samples from real images beside that of training images.

    Parameters
    ----------
    samples : Tensor
        (n, C, H, W) in [0, 1].

    Returns
    -------
    metrics : fid, fid_floor and n_samples; where real images are at hand also kid, precision,
        recall and whatever else `METRICS` has, each with its `_floor`. FID is that to the
        reference in the zoo: of a model that was trained without a feature, to real images that
        lack it
    features : None without real images
    """
    real, entry = task.real, task.experiment.record(_reference(task))
    n = len(samples) if real is None else min(len(samples), len(real.train))
    own = features(task.classifier_a, samples[:n])
    subset = _subset(task, entry)
    statistics = task.experiment.statistics(subset, _reference(task))
    metrics: dict[str, float] = {"fid": fid(own, statistics), "n_samples": n}
    if task.family == "faces":
        metrics["fid_floor"] = entry["floors"][subset]
    if real is None:
        return metrics, None
    learned = cached(
        [task.classifier_a],
        [real.train],
        "features",
        lambda: features(task.classifier_a, real.train),
    )
    generator = task.experiment.generator(FLOOR_STREAMS[task.family])
    index = torch.randperm(len(real.train), generator=generator)[:n]
    unseen = features(task.classifier_a, real.held_out[: len(samples)])
    found = BaseFeatures(own, learned, learned[index], unseen)
    if task.family == "digits":
        metrics["fid_floor"] = _digits_floor(task, real.train[index], found.floor, statistics)
    for end, images in (("", found.samples), ("_floor", found.floor)):
        for kind, metric in METRICS.items():
            if kind != "fid":  # which is taken to the reference
                numbers = metric(images, unseen)
                metrics |= {f"{name}{end}": number for name, number in numbers.items()}
    return metrics, found


def _reference(task: BaseTask) -> str:
    """Return the name of the reference in the zoo that a task's FID is taken to."""
    return references.DIGITS if task.family == "digits" else references.FACES


def _subset(task: BaseTask, entry: Mapping[str, Any]) -> str:
    """Return the subset of the reference: all images, or those without the missing feature."""
    missing = task.entry["training"]["without"]
    if task.family == "digits":
        return f"without_{missing}" if missing else "all"
    subset = f"{task.size}.without_{missing}"  # a missing person leaves no gap in the reference
    return subset if subset in entry["floors"] else f"{task.size}.all"


def _digits_floor(
    task: BaseTask, images: torch.Tensor, own: torch.Tensor, statistics: Statistics
) -> float:
    """Return the FID of training digits, of those without the feature that the model lacks."""
    missing = task.entry["training"]["without"]
    if missing:
        ruler = Morphology(**task.experiment.record(references.DIGITS)["thresholds"])
        own = own[~ruler.has_feature(measure(images.float() / 255), missing)]
    return fid(own, statistics)


def measure_likelihood(task: BaseTask, n: int, draws: int) -> dict[str, float]:
    """Return a flow's bits/dim on held-out images; nothing for other models.

    Parameters
    ----------
    n : int
        Images, at most.
    draws : int
        Of dequantisation noise for each image.

    Returns
    -------
    bits_per_dim and bits_per_dim_std, in bits a dimension. Without real images, the mean that
        was measured when the faces Glow was trained
    """
    if not task.is_flow:
        return {}
    if task.real is None:
        if task.name != "faces-glow":
            return {}
        kept = task.experiment.record(references.LIKELIHOODS)
        return {"bits_per_dim": kept["mean"]["held_out"]}
    some = task.real.held_out[: min(n, N_LIKELIHOOD[task.family])]
    images = task.real.floats(some, task.size)
    bpd = mean_bits_per_dim(task.model, images, draws, task.experiment.seed("noise"))
    return {"bits_per_dim": float(bpd.mean()), "bits_per_dim_std": float(bpd.std())}


def measure_memory(found: BaseFeatures) -> tuple[dict[str, float], NearestImages]:
    """Compare how far samples and held-out images are from the nearest training image.

    Returns
    -------
    metrics : nearest_ratio, the ratio of the medians; far below 1 the model copies
    distances : of the first 500 of both
    """
    own, index = nearest(found.samples[:N_NEAREST], found.train)
    usual, _ = nearest(found.held_out[:N_NEAREST], found.train)
    metrics = {"nearest_ratio": float(own.median() / usual.median())}
    return metrics, NearestImages(own, usual, index)
