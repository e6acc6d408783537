"""What tuned flows draw: attributes among their samples, FID, and held-out likelihoods."""

from collections.abc import Callable, Mapping, Sequence

import torch

from forgetting.border.inference import logits
from forgetting.experiments.context import Experiment
from forgetting.experiments.samples import compare_samples
from forgetting.methods.target_distribution import Target
from forgetting.metrics.likelihood import compare
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow
from forgetting.zoo import references

Detector = Callable[[torch.Tensor], torch.Tensor]
"""Returns of images (N, C, H, W) which show an attribute, bool (N,), or several, bool (N, k)."""

N_DRAWS = 3
"""Draws of latents, for the spread of FID between them."""

BEST_TEMPERATURE = 0.9
"""Near it the FID of the faces Glow is lowest."""


def temperatures(temperature: float) -> dict[str, float]:
    """Return the temperatures at which samples are compared, by the end of their metrics' names.

    Returns
    -------
    {"": temperature, "_t9": 0.9}
    """
    return {"": temperature, "_t9": BEST_TEMPERATURE}


def attribute_detector(
    classifier: Classifier, attributes: str | Sequence[str], threshold: float = 0.0
) -> Detector:
    """Return a function that tells which images show an attribute, or each of several.

    Parameters
    ----------
    attributes : str | Sequence[str]
        One name, for answers (N,), or k names, for answers (N, k).
    threshold : float
        The logit above which an attribute counts; 0 is a probability of one half.
    """
    names = classifier.attributes
    if isinstance(attributes, str):
        columns: int | list[int] = names.index(attributes)
    else:
        columns = [names.index(name) for name in attributes]
    return lambda images: logits(classifier, images)[:, columns] > threshold


def strict_threshold(experiment: Experiment, attribute: str, size: int) -> float:
    """Return classifier B's logit that one real face in 200 without the attribute exceeds.

    Parameters
    ----------
    size : int
        Of the faces, in pixels: 32 or 64.
    """
    thresholds = experiment.record(references.FACES)["thresholds"]["faces-classifier-b"]
    return float(thresholds[str(size)][attribute])


def compare_face_samples(
    experiment: Experiment,
    base: Glow,
    tuned: Mapping[str, Glow],
    n: int,
    temperature: float,
    classifier: Classifier,
    *,
    kinds: Detector,
    has_feature: Detector | None = None,
) -> dict[str, float]:
    """Compare samples of tuned flows with the base's at two temperatures, on the same latents.

    Parameters
    ----------
    tuned : Mapping[str, Glow]
        Flows by name, of which one is "after".
    n : int
        Samples of each of three draws.
    temperature : float
        The first of the temperatures; the second is 0.9.
    classifier : Classifier
        Classifier A, which gives the features of FID.
    kinds : Detector
        The kind of each image, (N,), for the mixture (`compare_samples`).
    has_feature : Detector or None
        Counts what shows the feature, bool (N,); None: nothing is counted.

    Returns
    -------
    fid_floor and what `compare_samples` returns: `fid_*` and, where `has_feature` counts,
        `prevalence_strict_*`, with the end `_t9` at 0.9. Of a flow named X other than "after"
        only `*_X` is there
    """
    size = base.image_shape[-1]
    reference = experiment.statistics(f"{size}.all", references.FACES)
    floors = experiment.record(references.FACES)
    metrics = {"fid_floor": references.floor(floors, f"{size}.all", n)}
    for end, value in temperatures(temperature).items():
        for name, flow in tuned.items():
            figures = compare_samples(
                base,
                flow,
                n,
                value,
                seeds=[experiment.seed(f"draw {draw}") for draw in range(N_DRAWS)],
                reference=reference,
                feature_classifier=classifier,
                kinds=kinds,
                has_feature=has_feature,
                name="prevalence_strict",
                end=end,
            )
            if name != "after":
                figures = {
                    key.replace("_after", f"_{name}"): value
                    for key, value in figures.items()
                    if "_after" in key
                }
            metrics |= figures
    return metrics


def held_out_shift(
    experiment: Experiment, base: Glow, tamed: Glow, unseen: torch.Tensor
) -> dict[str, float]:
    """Return how far unseen faces moved, in standard deviations of the base.

    Parameters
    ----------
    unseen : Tensor
        (N, C, H, W), faces that neither the flow nor taming has seen.

    Returns
    -------
    shift_random_sigma with `_low` and `_high`: above 0 they are less likely than before
    """
    moved = compare(
        base, tamed, {"held_out": unseen}, unseen, draws=1, seed=experiment.seed("noise")
    ).shift("held_out")
    ends = ("", "_low", "_high")
    return {f"shift_random_sigma{end}": value for end, value in zip(ends, moved, strict=True)}


def count_shares(
    target: Target, shown: Mapping[tuple[str, str], torch.Tensor]
) -> dict[str, float]:
    """Count the combinations of a target's attributes among samples.

    Parameters
    ----------
    shown : Mapping[tuple[str, str], Tensor]
        The number of each sample's combination, (N,), by classifier ("a" or "b") and time
        ("before" or "after").

    Returns
    -------
    target_I, share_CLASSIFIER_WHEN_I : of combination I; shares have `_low` and `_high`
    farthest : the largest distance of a share from its target, by classifier A after taming
    """
    metrics, distances = {}, []
    for i, share in enumerate(target.shares.tolist()):
        metrics[f"target_{i}"] = share
        for (classifier, when), combination in shown.items():
            name = f"share_{classifier}_{when}_{i}"
            metrics |= Prevalence.of(combination == i).metrics(name)
        distances.append(abs(metrics[f"share_a_after_{i}"] - share))
    return metrics | {"farthest": max(distances)}
