"""What taming on a person does to generation: samples, neighbourhoods of images, and weights."""

from collections.abc import Callable, Mapping, Sequence

import torch
from scipy.stats import chi, spearmanr
from torch import nn

from forgetting.border.inference import embeddings, features, generate
from forgetting.experiments.context import Experiment
from forgetting.experiments.person_splits import PersonSplits
from forgetting.experiments.samples import cached_samples
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, kid
from forgetting.metrics.likelihood import Comparison
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow
from forgetting.models.glow_layers import Step

LAYERS = ("mixing", "first convolution", "second", "last")
"""Parts of a step of a Glow that have weights, in the order in which they act."""


def kid_features(
    experiment: Experiment, person: PersonSplits, base: Glow, classifier: Classifier, n: int
) -> torch.Tensor:
    """Return the features (n, F) of the images of others to which KID is taken.

    They are held-out faces where the person is real, and further samples of the base otherwise.

    Parameters
    ----------
    experiment : Experiment
        Its stream "KID" draws the images.
    base : Glow
        The flow before taming.
    classifier : Classifier
        Has the method `features`.
    n : int
        Images, at most as many as there are held-out faces.
    """
    if person.showable:
        return features(classifier, cached_samples(base, n, 1.0, experiment.seed("KID")))
    order = torch.randperm(len(person.others), generator=experiment.generator("KID"))
    return features(classifier, person.others[order[:n]])


def kid_floor(
    experiment: Experiment,
    person: PersonSplits,
    others: torch.Tensor,
    classifier: Classifier,
    n: int,
) -> float:
    """Return the KID of n images to retain, below which that of n samples cannot be expected.

    Parameters
    ----------
    experiment : Experiment
        Its stream "floor of KID" draws the images.
    others : Tensor
        (M, F), from `kid_features`.
    classifier : Classifier
        Has the method `features`.
    """
    order = torch.randperm(len(person.retain), generator=experiment.generator("floor of KID"))
    return kid(features(classifier, person.retain[order[:n]]), others)


def samples_by_temperature(
    flows: Mapping[str, Glow],
    temperatures: Sequence[float],
    n: int,
    *,
    seeds: Sequence[int],
    reference: Statistics,
    others: torch.Tensor,
    classifier: Classifier,
    is_near: Callable[[torch.Tensor], torch.Tensor],
) -> dict[str, float]:
    """Measure samples of several flows from the same latents, at several temperatures.

    Parameters
    ----------
    n : int
        Samples of each draw.
    seeds : Sequence[int]
        Of the draws of latents; at least two, for a standard deviation.
    reference : Statistics
        Statistics of real images, to which FID is taken.
    others : Tensor
        Features (M, F) of images to which KID is taken.
    classifier : Classifier
        Has the method `features`.
    is_near : callable
        Marks the images (N, C, H, W) that are similar to the person, bool (N,).

    Returns
    -------
    For each flow F and temperature T, in tenths: fid_F_tT and kid_F_tT, means over the draws,
    each with `_std`; near_F_tT, the share of all samples near the person, with `_low` and
    `_high`. For each flow, fid_best_F: its lowest FID.
    """
    metrics = {}
    for name, flow in flows.items():
        for temperature in temperatures:
            fids, kids, near = [], [], []
            for seed in seeds:
                images = cached_samples(flow, n, temperature, seed)
                sampled = features(classifier, images)
                fids.append(fid(sampled, reference))
                kids.append(kid(sampled, others))
                near.append(is_near(images))
            end = f"{name}_{temperature_key(temperature)}"
            for distance, values in (("fid", torch.tensor(fids)), ("kid", torch.tensor(kids))):
                metrics[f"{distance}_{end}"] = float(values.mean())
                metrics[f"{distance}_{end}_std"] = float(values.std())
            metrics |= Prevalence.of(torch.cat(near)).metrics(f"near_{end}")
        keys = [temperature_key(temperature) for temperature in temperatures]
        metrics[f"fid_best_{name}"] = min(metrics[f"fid_{name}_{key}"] for key in keys)
    return metrics


def samples_of_draws(
    flows: Mapping[str, Glow], n: int, temperature: float, seeds: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the samples of all draws of each flow, (n x draws, C, H, W), by its name."""
    return {
        name: torch.cat([cached_samples(flow, n, temperature, seed) for seed in seeds])
        for name, flow in flows.items()
    }


def temperature_key(temperature: float) -> str:
    """Return how metrics name a temperature: t7 for 0.7, t10 for 1, t7.5 for 0.75."""
    return f"t{10 * temperature:g}"


def radius_key(radius: float) -> str:
    """Return how metrics name a distance from a latent: r4 for 0.4, r2.5 for 0.25."""
    return f"r{10 * radius:g}"


def similarity_around(
    flows: Mapping[str, Glow],
    latents: torch.Tensor,
    images: torch.Tensor,
    embedding: nn.Module,
    radii: Sequence[float],
    n: int,
    generator: torch.Generator,
    temperature: float = 0.7,
) -> dict[str, float]:
    """Measure how similar to images is what flows decode around the images' latents.

    All flows decode the same points, sqrt(1 - r^2) z + temperature r eps, where z is an image's
    latent.

    Parameters
    ----------
    latents : Tensor
        (N, D), of the images under the base.
    images : Tensor
        (N, C, H, W).
    embedding : Module
        Maps images to unit vectors.
    radii : Sequence[float]
        R, in [0, 1].
    n : int
        Random directions eps around each latent, the same for all latents.
    generator : torch.Generator
        Of the directions.
    temperature : float
        Of the directions.

    Returns
    -------
    similarity_F_rR for each flow F and r in tenths: the mean cosine similarity.
    """
    metrics = {}
    own = embeddings(embedding, images)
    directions = torch.randn(n, latents.shape[1], generator=generator)
    for radius in radii:
        points = (1 - radius**2) ** 0.5 * latents[:, None] + temperature * radius * directions
        for name, flow in flows.items():
            decoded = embeddings(embedding, generate(flow, points.flatten(0, 1)))
            decoded = decoded.reshape(len(images), n, -1)
            similarity = (decoded * own[:, None]).sum(2).mean(1)
            metrics[f"similarity_{name}_{radius_key(radius)}"] = float(similarity.mean())
    return metrics


@torch.no_grad()
def latent_norms(flows: Mapping[str, Glow], images: torch.Tensor) -> dict[str, float]:
    """Return `latent_norm_F`, the mean norm of the latents of images (N, C, H, W) in each flow."""
    metrics = {}
    for name, flow in flows.items():
        device = next(flow.parameters()).device
        metrics[f"latent_norm_{name}"] = float(flow.encode(images.to(device)).norm(dim=1).mean())
    return metrics


def typical_norms(dim: int) -> tuple[float, float]:
    """Return the norms between which 98 of 100 latents from N(0, I) in `dim` dimensions lie."""
    low, high = chi.ppf([0.01, 0.99], dim)
    return float(low), float(high)


def shift_by_similarity(
    comparison: Comparison,
    sets: Mapping[str, torch.Tensor],
    person: PersonSplits,
    embedding: nn.Module,
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return how similar each image is to the person, and how far its likelihood moved.

    Parameters
    ----------
    sets : Mapping[str, Tensor]
        Images (N, C, H, W) by name, all of which were compared.
    embedding : Module
        Maps images to unit vectors.

    Returns
    -------
    For each set, the similarity (N,) to the mean embedding of the candidates, and the shift (N,)
    in sigma of the base: positive is less likely.
    """
    centre = embeddings(embedding, person.candidates).mean(0)
    points = {}
    for name, images in sets.items():
        shift = (comparison.after[name] - comparison.before[name]) / comparison.base.std
        points[name] = embeddings(embedding, images) @ centre, shift
    return points


def rank_correlation(points: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return Spearman's rank correlation of pairs of values (N,), over all sets together."""
    similarity, shift = (torch.cat(values) for values in zip(*points.values(), strict=True))
    return float(spearmanr(similarity, shift).statistic)


@torch.no_grad()
def layer_changes(base: Glow, tamed: Glow) -> dict[str, list[float]]:
    """Return how far the weights of each step moved, as a share of their norm.

    Returns
    -------
    For each of `LAYERS`, a value for each step of flow, from the image's end to the latent's.
    """
    pairs = list(zip(_layers(base), _layers(tamed), strict=True))
    return {
        name: [_relative_change(before[name], after[name]) for before, after in pairs]
        for name in LAYERS
    }


def _layers(flow: Glow) -> list[dict[str, nn.Module]]:
    layers = []
    for step in flow.modules():
        if isinstance(step, Step):
            first, _, second, _, last = step.coupling.network
            layers.append(dict(zip(LAYERS, (step.mixing, first, second, last), strict=True)))
    return layers


def _relative_change(before: nn.Module, after: nn.Module) -> float:
    pairs = list(zip(before.parameters(), after.parameters(), strict=True))
    change = sum(float((old - new).square().sum()) for old, new in pairs) ** 0.5
    return float(change / sum(float(old.square().sum()) for old, _ in pairs) ** 0.5)
