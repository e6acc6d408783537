"""Samples of flows from the same latents: their distance to real images, and what they show."""

from collections.abc import Callable, Mapping, Sequence

import torch

from forgetting.border.inference import features
from forgetting.errors import DataError
from forgetting.foundation.cache import cached
from forgetting.foundation.progress import tracked
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, frechet_distance
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow


def compare_samples(
    base: Glow,
    tamed: Glow,
    n: int,
    temperature: float,
    *,
    seeds: Sequence[int],
    reference: Statistics,
    feature_classifier: Classifier,
    kinds: Callable[[torch.Tensor], torch.Tensor] | None = None,
    has_feature: Callable[[torch.Tensor], torch.Tensor] | None = None,
    name: str = "",
    end: str = "",
) -> dict[str, float]:
    """Compare the samples of two flows from the same latents, a draw of latents for each seed.

    Parameters
    ----------
    base, tamed : Glow
        The flow before and after taming.
    n : int
        Samples of each flow for each seed.
    temperature : float
        Factor on the standard deviation of the latents, above 0.
    seeds : Sequence[int]
        Of the latents; at least two, for a standard deviation over draws.
    reference : Statistics
        Statistics of the real images to which FID is taken.
    feature_classifier : Classifier
        Classifier A, whose features FID is taken on.
    kinds : callable
        Maps images (N, C, H, W) to the kind of each, int or bool (N,). A tamed flow's FID grows
        where its mixture of kinds leaves that of the reference, which is no harm; with `kinds`,
        the metrics tell how much of FID the mixture explains.
    has_feature : callable
        Maps images to whether each shows what is counted, bool (N,); None counts nothing.
    name : str
        Of what is counted.
    end : str
        Suffix of every metric's name, before `_std`, `_low` and `_high`.

    Returns
    -------
    fid_before, fid_after, fid_change : means over the seeds, each with its `_std`; a change below
        its standard deviation over draws is no change
    fid_mixed : with `kinds`, the FID of the base's samples, weighted so that their kinds have the
        shares of the tamed flow's
    n_mixed : with `kinds`, the effective number of the weighted samples, the least of all draws;
        FID of less than twice as many as it has features is too high
    fid_beyond : with `kinds`, how far the tamed flow's FID lies above `fid_mixed`
    NAME_before, NAME_after : with `has_feature`, the share of all samples that show it, each with
        `_low` and `_high`

    Raises
    ------
    DataError
        With `kinds`, the samples cannot be weighted (see `mixing_weights`).
    """
    fids: dict[str, list[float]] = {"before": [], "after": []}
    n_mixed = float(n)
    if kinds is not None:
        fids["mixed"] = []
    masks: dict[str, list[torch.Tensor]] = {"before": [], "after": []}
    for seed in tracked(seeds, "draws of samples"):
        before = cached_samples(base, n, temperature, seed)
        after = tamed.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu()
        features_before = _cached_features(feature_classifier, before)
        fids["before"].append(fid(features_before, reference))
        fids["after"].append(fid(features(feature_classifier, after), reference))
        if kinds is not None:
            weights = mixing_weights(kinds(before).long(), kinds(after).long())
            mixed = Statistics.of(features_before, weights)
            fids["mixed"].append(frechet_distance(mixed, reference))
            n_mixed = min(n_mixed, mixed.n)
        if has_feature is not None:
            masks["before"].append(has_feature(before))
            masks["after"].append(has_feature(after))
    distances = {when: torch.tensor(values, dtype=torch.float64) for when, values in fids.items()}
    distances["change"] = distances["after"] - distances["before"]
    metrics = {}
    if kinds is not None:
        distances["beyond"] = distances["after"] - distances["mixed"]
        metrics[f"n_mixed{end}"] = n_mixed
    for which, per_draw in distances.items():
        metrics[f"fid_{which}{end}"] = float(per_draw.mean())
        metrics[f"fid_{which}{end}_std"] = float(per_draw.std())
    if has_feature is not None:
        for when, per_seed in masks.items():
            metrics |= Prevalence.of(torch.cat(per_seed)).metrics(f"{name}_{when}{end}")
    return metrics


def fid_line(metrics: Mapping[str, float], temperature: float, end: str = "") -> str:
    """Return a line of text: FID before and after, and its change with the deviation over draws.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `compare_samples`.
    temperature, end : float
        As `compare_samples` took them.
    """
    before, after, change, deviation = (
        metrics[f"fid_{name}"]
        for name in (f"before{end}", f"after{end}", f"change{end}", f"change{end}_std")
    )
    return (
        f"FID at T = {temperature:g}: {before:.0f} -> {after:.0f}, "
        f"change {change:+.0f} ± {deviation:.0f}"
    )


def mixing_weights(kinds: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return weights under which images have the mixture of kinds of other images.

    A kind that only the other images have is left out; the rest keep their proportions.

    Parameters
    ----------
    kinds : Tensor
        Int (N,), the kind of each image to weight, from 0.
    wanted : Tensor
        Int (M,), the kind of each of the other images.

    Returns
    -------
    float64 (N,), with mean one.

    Raises
    ------
    DataError
        Fewer than two of the images are of a kind that the others have.
    """
    n_kinds = int(max(kinds.max(), wanted.max())) + 1
    present, target = (
        torch.bincount(values, minlength=n_kinds).double() / len(values)
        for values in (kinds, wanted)
    )
    weights = (target / present)[kinds]
    if int((weights > 0).sum()) < 2:
        raise DataError(
            f"Of {len(kinds)} samples before, fewer than two are of a kind that there is after: "
            "they cannot be mixed alike. Take more samples."
        )
    return weights / weights.mean()


def cached_samples(flow: Glow, n: int, temperature: float, seed: int) -> torch.Tensor:
    """Return a flow's samples (n, C, H, W), from the user's cache where they are kept.

    They are those of `flow.sample(n, temperature, generator)` with a generator of that seed.
    """
    highest: int = 2**flow.n_bits - 1

    def draw() -> torch.Tensor:
        images: torch.Tensor = flow.sample(
            n, temperature, torch.Generator().manual_seed(seed)
        ).cpu()
        return (images * highest).round().byte()  # a sample is quantised: nothing is lost

    settings = f"{n} samples at {float(temperature)!r} from {seed}"  # a float holds no large seed
    return cached([flow], [], settings, draw).float() / highest


def _cached_features(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return features (N, F) from the user's cache: all runs on one base take the same."""
    return cached([classifier], [images], "features", lambda: features(classifier, images))
