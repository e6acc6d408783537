"""How near models stay to the original's own samples that lack the feature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from forgetting.border.inference import classes, features
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import GradedSamples, record_key
from forgetting.metrics import METRICS
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import (
    MIN_SAMPLES,
    carries_fid,
    carries_inception,
    fid,
    inception_score,
)
from forgetting.zoo.graders import SETS, load_outside_statistics


@dataclass(frozen=True)
class FidelityReference:
    """The original's own samples that lack the feature, in two halves, as features.

    The first half is the target of distances. The distance between the halves is the floor.

    Attributes
    ----------
    features : callable
        A classifier's, images (N, C, H, W) -> (N, F).
    target, other : Tensor
        The two halves' features, (n, F) each.
    classes : callable or None
        Classifier B's class probabilities, images (N, C, H, W) -> (N, K), where it has classes.
    """

    features: Callable[[torch.Tensor], torch.Tensor]
    target: torch.Tensor
    other: torch.Tensor
    classes: Callable[[torch.Tensor], torch.Tensor] | None = None

    @classmethod
    def of(cls, task: FeatureTask) -> "FidelityReference":
        """Take classifier A's features of a task's samples that lack the feature."""
        half = len(task.lacking) // 2
        features = task.evaluator.features
        halves = features(task.lacking[:half]), features(task.lacking[half : 2 * half])
        has_classes = getattr(task.classifier_b, "n_classes", 0) > 0
        return cls(features, *halves, partial(classes, task.classifier_b) if has_classes else None)

    @property
    def n(self) -> int:
        """The number of samples in each half, and in every set that is compared with them."""
        return len(self.target)

    @property
    def is_enough(self) -> bool:
        """Whether there are enough samples for every distance."""
        return self.n >= MIN_SAMPLES and carries_fid(*self.target.shape)

    @property
    def floor(self) -> float:
        """The FID of the second half to the first."""
        return fid(self.other, self.target)

    def fid(self, images: torch.Tensor) -> float:
        """Return the FID of the first `n` of images (N, C, H, W) to the first half."""
        return fid(self.features(images[: self.n]), self.target)


def fid_metrics(
    reference: FidelityReference, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return `fid_KEY` of every model's samples, with `fid_floor` and `n_fid`.

    Of too few samples only `n_fid` is returned.
    """
    if not reference.is_enough:
        return {"n_fid": reference.n}
    distances = {
        f"fid_{record_key(name)}": reference.fid(samples.images)
        for name, samples in graded.items()
    }
    return distances | {"fid_floor": reference.floor, "n_fid": reference.n}


def absent_fid_metrics(
    reference: FidelityReference, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return `fid_absent_KEY`: as `fid_metrics`, of the samples alone that lack the feature.

    The share of the feature that is left counts as a distance in `fid_metrics`, and not here. All
    sets are as large as the smallest.

    Returns
    -------
    fid_absent_KEY, fid_absent_floor, n_fid_absent : of too few samples, only the last
    """
    lacking = {name: samples.images[samples.lacks_feature] for name, samples in graded.items()}
    n = min(reference.n, *map(len, lacking.values()))
    if n < MIN_SAMPLES or not carries_fid(n, reference.target.shape[1]):
        return {"n_fid_absent": n}
    equal = FidelityReference(reference.features, reference.target[:n], reference.other[:n])
    distances = {
        f"fid_absent_{record_key(name)}": equal.fid(images) for name, images in lacking.items()
    }
    return distances | {"fid_absent_floor": equal.floor, "n_fid_absent": n}


def fid_metrics_by_b(task: FeatureTask, graded: Mapping[str, GradedSamples]) -> dict[str, float]:
    """Return `fid_b_KEY` of every model's samples on classifier B's features, and its floor.

    No method has seen classifier B. The halves are those of `FidelityReference.of`. Nothing is
    returned of too few samples.
    """
    half = len(task.lacking) // 2
    target, other = features(task.classifier_b, task.lacking[: 2 * half]).split(half)
    if not carries_fid(*target.shape):
        return {}
    metrics = {"fid_b_floor": fid(target, other)}
    for name, samples in graded.items():
        sampled = features(task.classifier_b, samples.images[:half])
        metrics[f"fid_b_{record_key(name)}"] = fid(sampled, target)
    return metrics


def fidelity_metrics(
    reference: FidelityReference, real: Statistics | None, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return every metric of `METRICS` of every model's samples, with its floor.

    Parameters
    ----------
    real : Statistics or None
        Statistics of held-out real images without the feature, where there are some.

    Returns
    -------
    fid_KEY, kid_KEY, precision_KEY, recall_KEY : and whatever else is registered, to the
        original's samples without the feature; KEY `floor` is the other half of these samples
    fid_real_KEY : FID to the real images; `fid_real_own` is that of the first half
    inception_KEY : with its interval, where classifier B has classes
    n_fid : samples in every set; of too few, the only metric
    """
    metrics = {"n_fid": float(reference.n)}
    if not reference.is_enough:
        return metrics
    sets = {
        record_key(name): reference.features(samples.images[: reference.n])
        for name, samples in graded.items()
    }
    if real is not None:
        metrics["fid_real_own"] = fid(reference.target, real)
    for key, sampled in ({"floor": reference.other} | sets).items():
        for metric in METRICS.values():
            numbers = metric(sampled, reference.target)
            metrics |= {f"{name}_{key}": number for name, number in numbers.items()}
        if key != "floor" and real is not None:
            metrics[f"fid_real_{key}"] = fid(sampled, real)
    for name, samples in graded.items():
        found = None if reference.classes is None else reference.classes(samples.images)
        if found is not None and carries_inception(*found.shape):
            score, low, high = inception_score(found)
            key = f"inception_{record_key(name)}"
            metrics |= {key: score, f"{key}_low": low, f"{key}_high": high}
    return metrics


def outside_fid_metrics(
    task: FeatureTask, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return FID on features from outside the study, which tell CelebA less from LFW.

    The halves are those of `FidelityReference.of`.

    Returns
    -------
    fid_outside_KEY, fid_outside_floor : to the original's samples that lack the feature
    fid_outside_SET_KEY : to held-out real faces without the feature, of `celeba`, of `lfw` and of
        `both`; KEY `floor` is that of the half of the original's samples. Nothing where the
        outside classifier is not at hand, or of too few samples
    """
    if task.outside is None:
        return {}
    half, size = len(task.lacking) // 2, task.own.shape[-1]
    target, other = task.outside.features(task.lacking)[: 2 * half].split(half)
    if not carries_fid(*target.shape):
        return {}
    sets = {
        record_key(name): task.outside.features(samples.images)[:half]
        for name, samples in graded.items()
    }
    metrics: dict[str, float] = {}
    for key, sampled in ({"floor": other} | sets).items():
        metrics[f"fid_outside_{key}"] = fid(sampled, target)
        for source in SETS:
            real = load_outside_statistics(source, f"without_{task.evaluator.feature}", size)
            metrics[f"fid_outside_{source}_{key}"] = fid(sampled, real)
    return metrics
