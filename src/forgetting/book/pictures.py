"""The pictures of the chapters: what models of the zoo make, as rows of images and as sprites.

They show output of models and nothing else, so that they may be published. `forgetting pictures`
makes them anew; pages only show the files.

A *strip* is a row of samples for each model, from the same latents. A *sprite* has a row for each
sample and a column for each place along a direction, and is what a reader plays with.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.points_pictures import write_points
from forgetting.book.theme import LIGHT, use_theme
from forgetting.border.inference import generate
from forgetting.data.digit_features import FEATURES
from forgetting.foundation.files import replacing, write_text
from forgetting.foundation.progress import tracked
from forgetting.methods.direction import Direction, collect_latents, find_direction
from forgetting.methods.latent_filter import LatentFilter
from forgetting.zoo import store

N_COLLECTED = 5000
"""Samples that are labelled for a direction."""

N_DRAWN = 3000
"""Samples among which those are looked for that are shown."""

OF_DEGREE = 0.9, 0.97
"""Of a feature of degree, samples up to the first quantile lack it; those shown with it are beyond
the second."""

PLACES = torch.linspace(-3.0, 3.0, 13)
"""Projections on a direction, from little of the feature to much of it."""

EDITED = "original, edited latents"

CARD = 12.0, 6.3
"""Size of the card in hundreds of pixels."""

SHOWN_ON_CARD = {
    "faces of a GAN": "smiles-with-original.webp",
    "after it unlearned smiles": "smiles-with-unlearned.webp",
}
"""Strips on the card, by what stands above them."""


@dataclass(frozen=True)
class Subject:
    """A generator, the feature that it unlearned, and what else is shown beside it.

    Attributes
    ----------
    base, unlearned : str
        Names of the zoo.
    retrained : str
        Of the model that never saw the feature, or empty.
    classifier, attribute : str
        A classifier of the zoo, and the feature's name in it: how much of it an image has.
    threshold : float or None
        The score above which they have it; None of a feature of degree in `FEATURES`, which a
        tenth has and whose measured values stand below the images.
    scale : int
        Pixels of the picture for each of an image.
    first : int
        Which sample a reader sees first, from 0.
    """

    base: str
    unlearned: str
    retrained: str
    classifier: str
    attribute: str
    threshold: float | None
    scale: int
    first: int


SUBJECTS: Mapping[str, Subject] = {
    "smiles": Subject(
        base="faces-gan",
        unlearned="faces-gan-without-smiling",
        retrained="",
        classifier="faces-classifier-a",
        attribute="Smiling",
        threshold=0.0,
        scale=2,
        first=3,
    ),
    "thick": Subject(
        base="digits-vae",
        unlearned="digits-vae-without-thick",
        retrained="digits-vae-no-thick",
        classifier="digits-classifier-a",
        attribute="thick",
        threshold=None,
        scale=3,
        first=5,
    ),
}
"""What is shown, by name."""


def write_pictures(checkout: Checkout = HERE) -> list[Path]:
    """Make the pictures of all subjects, and those of the flow on points.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    WeightsError
        A model is missing.
    """
    paths = []
    for name in tracked(list(SUBJECTS), "pictures"):
        paths += _write_subject(name, SUBJECTS[name], checkout.pictures)
    paths += write_points(checkout.pictures)
    return [*paths, _write_card(checkout.pictures)]


def _write_card(folder: Path) -> Path:
    """Write the picture by which other sites show a link to the book, from two strips."""
    path = folder / "card.png"
    with mpl.rc_context():
        use_theme(LIGHT)
        figure = plt.figure(figsize=CARD, dpi=100, facecolor="white", layout="none")
        figure.text(0.06, 0.86, "The Forgetting Book", fontsize=44, weight="bold", va="center")
        figure.text(0.06, 0.75, "Can an image generator forget?", fontsize=26, va="center")
        for row, (label, name) in enumerate(SHOWN_ON_CARD.items()):
            strip = np.asarray(Image.open(folder / name).convert("RGB"))
            height = 0.88 * CARD[0] / CARD[1] * strip.shape[0] / strip.shape[1]
            bottom = 0.62 - (row + 1) * height - row * 0.07
            axis = figure.add_axes((0.06, bottom, 0.88, height))
            axis.imshow(strip)
            axis.set_axis_off()
            figure.text(0.06, bottom + height, label, fontsize=18, va="bottom")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", facecolor="white")
        plt.close(figure)
    return path


def _write_subject(name: str, subject: Subject, folder: Path) -> list[Path]:
    """Write the strips and sprites of one subject, and what is in them."""
    original = store.load(subject.base)
    score = store.load(subject.classifier)[subject.attribute]
    models: dict[str, Any] = {"original": original}
    labelled = collect_latents(original, score, N_COLLECTED, threshold=subject.threshold, seed=1)
    direction = find_direction(labelled)
    models[EDITED] = LatentFilter(original, direction)
    models["unlearned"] = store.load(subject.unlearned)
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(N_DRAWN, original.latent_dim, generator=generator)
    with torch.no_grad():
        scores = score(generate(original, latents))
    least = most = subject.threshold
    if least is None:
        least, most = scores.quantile(torch.tensor(OF_DEGREE)).tolist()
    chosen = {
        "with": latents[torch.nonzero(scores > most).flatten()[:8]],
        "without": latents[torch.nonzero(scores <= least).flatten()[:8]],
    }
    measure = FEATURES[subject.attribute].measure if subject.threshold is None else None
    paths: list[Path] = []
    index: dict[str, list[dict[str, Any]]] = {}
    for which, block in chosen.items():
        shown = dict(models)
        if subject.retrained:
            shown["never saw it"] = store.load(subject.retrained)
        for label, model in shown.items():
            path, images = folder / f"{name}-{which}-{_slug(label)}.webp", generate(model, block)
            _write(path, images, len(block), subject.scale)
            values = [round(float(value), 1) for value in measure(images)] if measure else []
            index.setdefault(which, []).append(
                {"label": label, "file": path.name, "values": values}
            )
            paths.append(path)
    anchors = torch.cat([chosen["with"][:4], chosen["without"][:4]])
    walks = _walks(anchors, direction)
    for label, model in models.items():
        path = folder / f"{name}-play-{_slug(label)}.webp"
        _write(path, generate(model, walks), len(PLACES), subject.scale)
        index.setdefault("play", []).append({"label": label, "file": path.name})
        paths.append(path)
    size = generate(original, anchors[:1]).shape[-1] * subject.scale
    told = {
        "size": size,
        "samples": len(anchors),
        "places": [round(float(place), 2) for place in PLACES],
        "first": subject.first,
        "threshold": round(float(direction.projection_threshold), 2),
        "rows": index,
    }
    path = folder / f"{name}.json"
    write_text(path, json.dumps(told, indent=1) + "\n")
    return [*paths, path]


def _walks(anchors: torch.Tensor, direction: Direction) -> torch.Tensor:
    """Return latents (A x P, D): each anchor moved along a direction to every place."""
    unit = direction.vector / direction.vector.norm()
    moved = anchors - (anchors @ unit)[:, None] * unit
    return (moved[:, None, :] + PLACES[:, None] * unit).flatten(0, 1)


def _slug(label: str) -> str:
    return label.replace(",", "").replace(" ", "-")


def _write(path: Path, images: torch.Tensor, columns: int, scale: int) -> None:
    """Write images (N, C, H, W), row after row, as one picture."""
    n, c, h, w = images.shape
    tiles = images.reshape(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2)
    sheet = (255 * tiles.reshape(n // columns * h, columns * w, c)).round().byte().numpy()
    sheet = 255 - np.repeat(sheet, 3, axis=2) if c == 1 else sheet
    picture = Image.fromarray(sheet).resize(
        (columns * w * scale, n // columns * h * scale), Image.Resampling.LANCZOS
    )
    with replacing(path) as temporary:
        picture.save(temporary, "WEBP", quality=85, method=6)
