"""Faces with and without attributes, for a flow to be tamed on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from forgetting.border.inference import logits
from forgetting.data.faces import load_faces
from forgetting.data.sources import choose_source
from forgetting.errors import check_option
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.samples import cached_samples
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow

SOURCES = ("auto", "celeba", "latent")
"""Where the images come from: CelebA, the flow itself, or CelebA where its data is at hand."""

N_UNSEEN = 1000
"""The most held-out faces of CelebA that are kept as `unseen`."""


class FaceFlowParameters(Parameters):
    """The parameters of every template that tunes a flow of faces on an attribute."""

    source: Literal["auto", "celeba", "latent"]
    model: str
    temperature: float = Field(gt=0, le=2)


@dataclass(frozen=True)
class AttributeImages:
    """Faces and which of them show the attributes of a question.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W), float32 in [0, 1].
    labels : Tensor
        Bool, (N, k), which image shows which attribute.
    unseen : Tensor
        (M, C, H, W), float32 in [0, 1], faces that neither the flow nor taming has seen.
    source : "celeba" (real faces with CelebA's labels) or "latent" (the flow's own faces,
        labelled by a classifier)
    """

    images: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    source: str

    @property
    def has_attribute(self) -> torch.Tensor:
        """Which images show the first attribute, bool (N,)."""
        return self.labels[:, 0]

    @property
    def showing(self) -> torch.Tensor:
        """The images that show the first attribute, (n, C, H, W)."""
        return self.images[self.has_attribute]

    @property
    def lacking(self) -> torch.Tensor:
        """The images that lack the first attribute, (n, C, H, W)."""
        return self.images[~self.has_attribute]


def load_attribute_images(
    experiment: Experiment,
    source: str,
    flow: Glow,
    classifier: Classifier,
    attributes: Sequence[str],
    *,
    n_drawn: tuple[int, int] = (3000, N_UNSEEN),
    streams: tuple[str, str] = ("drawn", "drawn"),
    unseen_without: bool = True,
) -> AttributeImages:
    """Return CelebA's labelled faces, or a flow's own faces that a classifier labels.

    CelebA's training faces come with its labels; the unseen faces are those of held-out people.
    A flow draws its faces at a temperature of 1, lest taming on them narrow it. The classifier
    labels them at a probability of one half.

    Parameters
    ----------
    experiment : Experiment
        Gives the random streams.
    source : str
        "celeba", "latent", or "auto", which is CelebA where its data is at hand.
    flow : Glow
        Decides the size of the images, and draws them where the source is "latent".
    classifier : Classifier
        Classifier A.
    attributes : Sequence[str]
        Names of k attributes, in the order of the labels' columns.
    n_drawn : tuple[int, int]
        Of a flow's own faces, how many are drawn as `images` and how many as `unseen`.
    streams : tuple[str, str]
        Random streams of the two draws. The same stream twice stands for one draw, of which the
        last part is unseen.
    unseen_without : bool
        Keep only those unseen faces that lack all attributes.

    Raises
    ------
    ParameterError
        The source is none of the three.
    DataError
        The source is "celeba" and its data is not at hand, `FORGETTING_DATA` is set and cannot be
        used, or CelebA has no such attribute.
    """
    source = check_option("source", source, SOURCES)
    source = choose_source(source, "celeba", ["celeba"], "latent")
    if source == "celeba":
        size = flow.image_shape[-1]
        train, held_out = (load_faces("celeba", part, size) for part in ("train", "held_out"))
        labels, others = (
            torch.stack([faces.label(name) for name in attributes], 1)
            for faces in (train, held_out)
        )
        kept = torch.nonzero(~others.any(1)).flatten() if unseen_without else None
        index = torch.arange(len(held_out)) if kept is None else kept
        unseen = held_out.where(index[:N_UNSEEN]).floats()
        return AttributeImages(train.floats(), labels, unseen, source)
    columns = [classifier.attributes.index(name) for name in attributes]
    draws = dict(zip(streams, n_drawn, strict=True))
    if len(draws) == 1:
        draws = {streams[0]: sum(n_drawn)}
    parts = [cached_samples(flow, n, 1.0, experiment.seed(name)) for name, n in draws.items()]
    shown = torch.cat([logits(classifier, part)[:, columns] > 0 for part in parts])
    images, n = torch.cat(parts), n_drawn[0]
    unseen = images[n:]
    if unseen_without:
        unseen = unseen[~shown[n:].any(1)]
    return AttributeImages(images[:n], shown[:n], unseen, source)
