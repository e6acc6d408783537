"""What taming a class of digits does to a flow's samples."""

from collections.abc import Mapping

import torch

from forgetting.border.inference import features
from forgetting.errors import warn_if_fewer
from forgetting.experiments.context import Experiment
from forgetting.experiments.digit_splits import class_filter
from forgetting.experiments.digit_task import DigitTask
from forgetting.experiments.samples import compare_samples
from forgetting.metrics.fidelity import fid
from forgetting.models.glow import Glow

N_DRAWS = 3


def compare_digit_samples(
    experiment: Experiment,
    task: DigitTask,
    tamed: Glow,
    n: int,
    temperatures: Mapping[str, float],
) -> dict[str, float]:
    """Compare samples of two flows from the same latents: FID, and how many show the class.

    FID is taken to the real held-out digits of all classes, on classifier A's features.

    Parameters
    ----------
    experiment : Experiment
        Its streams "draw 0" to "draw 2" give the latents, and "floor" the real digits of the
        floor.
    task : DigitTask
        Has the flow before taming; classifier A gives the features, classifier B counts samples of
        the class.
    tamed : Glow
        The flow after taming.
    n : int
        Samples of each draw; with a warning as many as there are training digits, if these are
        fewer.
    temperatures : Mapping[str, float]
        Of the samples, by the suffix of their metrics.

    Returns
    -------
    fid_floor, the FID of n training digits, and the metrics of `compare_samples` with
    class_share_before and class_share_after, all with the suffix of their temperature.
    """
    real = experiment.statistics()
    warn_if_fewer(n, len(task.splits.train), "training digits and samples for FID")
    n = min(n, len(task.splits.train))
    order = torch.randperm(len(task.splits.train), generator=experiment.generator("floor"))
    floor = task.splits.train.where(order[:n]).floats()
    metrics = {"fid_floor": fid(features(task.classifier_a, floor), real)}
    for end, temperature in temperatures.items():
        metrics |= compare_samples(
            task.base,
            tamed,
            n,
            temperature,
            seeds=[experiment.seed(f"draw {draw}") for draw in range(N_DRAWS)],
            reference=real,
            feature_classifier=task.classifier_a,
            has_feature=class_filter(task.classifier_b, task.splits.digit),
            name="class_share",
            end=end,
        )
    return metrics
