"""What taming a class of digits does to a flow's samples."""

from collections.abc import Mapping

import torch
from torch import nn

from forgetting.experiments.context import Experiment
from forgetting.experiments.digit_splits import DigitSplits, class_filter
from forgetting.experiments.samples import compare_samples
from forgetting.inference import features
from forgetting.metrics.fidelity import fid
from forgetting.models.glow import Glow

N_DRAWS = 3


def compare_digit_samples(
    experiment: Experiment,
    splits: DigitSplits,
    base: Glow,
    tamed: Glow,
    n: int,
    temperatures: Mapping[str, float],
    classifier_a: nn.Module,
    classifier_b: nn.Module,
) -> dict[str, float]:
    """Compare samples of two flows from the same latents: FID, and how many show the class.

    FID is taken to the real held-out digits of all classes, on classifier A's features.

    Parameters
    ----------
    experiment : its streams "draw 0" to "draw 2" give the latents, and "floor" the real digits
        of the floor
    base, tamed : the flow before and after taming
    n : samples of each draw; at most as many as there are training digits
    temperatures : of the samples, by the suffix of their metrics
    classifier_a, classifier_b : one gives the features, the other counts samples of the class

    Returns
    -------
    fid_floor, the FID of n training digits, and the metrics of `compare_samples` with
    class_share_before and class_share_after, all with the suffix of their temperature.
    """
    real = experiment.statistics()
    n = min(n, len(splits.train))
    order = torch.randperm(len(splits.train), generator=experiment.generator("floor"))
    floor = splits.train.where(order[:n]).floats()
    metrics = {"fid_floor": fid(features(classifier_a, floor), real)}
    for end, temperature in temperatures.items():
        metrics |= compare_samples(
            base,
            tamed,
            n,
            temperature,
            seeds=[experiment.seed(f"draw {draw}") for draw in range(N_DRAWS)],
            reference=real,
            feature_classifier=classifier_a,
            has_feature=class_filter(classifier_b, splits.digit),
            name="class_share",
            end=end,
        )
    return metrics
