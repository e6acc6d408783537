"""What a base model's samples show: classes and features of digits, attributes of faces."""

import torch

from forgetting.border.inference import classes, logits
from forgetting.data.morphology import Morphology, measure
from forgetting.experiments.base_task import BaseTask
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo import references

DIGIT_SIZE = 28
"""The side of a digit in pixels; a flow's samples have a margin around it."""

Shares = dict[str, dict[str, float]]
"""Shares of images that show a feature, by feature and by who counted which images."""


def measure_prevalence(task: BaseTask, samples: torch.Tensor) -> tuple[dict[str, float], Shares]:
    """Count the features that a base model's samples show.

    Parameters
    ----------
    samples : Tensor
        As `measure_fidelity` takes them.

    Returns
    -------
    metrics : of digits `prevalence_FEATURE` by measurement, `confidence` (classifier A's, mean)
        and `class_share_D` by classifier B; of faces `prevalence_a_FEATURE` and, at classifier
        B's strict threshold, `prevalence_strict_FEATURE`. Prevalences have `_low` and `_high`
    shares : of faces, beside the shares of CelebA's labels and of held-out faces; of digits empty
    """
    if task.family == "digits":
        return _of_digits(task, samples), {}
    return _of_faces(task, samples)


def _of_digits(task: BaseTask, samples: torch.Tensor) -> dict[str, float]:
    ruler = Morphology(**task.experiment.record(references.DIGITS)["thresholds"])
    margin = (samples.shape[-1] - DIGIT_SIZE) // 2
    middle = slice(margin, margin + DIGIT_SIZE)
    measured = measure(samples[:, :, middle, middle])
    metrics: dict[str, float] = {}
    for name in ruler.attributes:
        metrics |= Prevalence.of(ruler.has_feature(measured, name)).metrics(f"prevalence_{name}")
    metrics["confidence"] = float(classes(task.classifier_a, samples).max(1).values.mean())
    digit = classes(task.classifier_b, samples).argmax(1)
    return metrics | {f"class_share_{d}": float((digit == d).float().mean()) for d in range(10)}


def _of_faces(task: BaseTask, samples: torch.Tensor) -> tuple[dict[str, float], Shares]:
    entry = task.experiment.record(references.FACES)
    thresholds = entry["thresholds"]["faces-classifier-b"][str(task.size)]
    by_a, by_b = logits(task.classifier_a, samples), logits(task.classifier_b, samples)
    of_real = None
    if task.real is not None:
        of_real = logits(task.classifier_b, task.real.held_out[: len(samples)])
    metrics: dict[str, float] = {}
    shares: Shares = {}
    for name in references.FACE_FEATURES:
        column = task.classifier_b.attributes.index(name)
        a = Prevalence.of(by_a[:, column] > 0)
        b = Prevalence.of(by_b[:, column] > thresholds[name])
        metrics |= a.metrics(f"prevalence_a_{name.lower()}")
        metrics |= b.metrics(f"prevalence_strict_{name.lower()}")
        shares[name] = {
            "CelebA's labels": entry["shares"][name],
            "classifier A": a.share,
            "classifier B": b.share,
        }
        if of_real is not None:
            strict = of_real[:, column] > thresholds[name]
            shares[name]["classifier B of real faces"] = float(strict.float().mean())
    return metrics, shares
