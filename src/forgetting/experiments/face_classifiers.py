"""How far the two classifiers of faces, and the embedding, can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from forgetting.border.inference import embeddings, generate, logits
from forgetting.data.faces import Faces, load_faces
from forgetting.experiments.attribute_samples import strict_threshold
from forgetting.experiments.context import Experiment
from forgetting.metrics.calibration import Auc, calibration_error
from forgetting.metrics.identity import N_STRANGERS, pairs, verification
from forgetting.models.classifier import Classifier
from forgetting.models.embedding import Embedding
from forgetting.zoo import references

Classifiers = Mapping[str, Classifier]
"""The classifiers by name, "a" and "b"."""

NOISE_SIZE, BLUR, CONTRAST = 64, 9, 6
"""Side of noise images in pixels, side of the window that blurs them, and the factor after it."""

TEMPERATURE = 0.7
"""Of the Glow's samples."""


@dataclass(frozen=True)
class HeldOutScores:
    """What the classifiers find in held-out faces.

    Attributes
    ----------
    faces : dict[int, Faces]
        By size in pixels.
    logits : dict[tuple[str, int], Tensor]
        (N, A) by classifier and size.
    """

    faces: dict[int, Faces]
    logits: dict[tuple[str, int], torch.Tensor]


def score_held_out(classifiers: Classifiers) -> HeldOutScores:
    """Return the logits of CelebA's held-out faces at both sizes.

    Raises
    ------
    DataError
        CelebA is not at hand.
    """
    faces = {size: load_faces("celeba", "held_out", size) for size in references.FACE_SIZES}
    scores = {
        (name, size): logits(classifier, some.images)
        for size, some in faces.items()
        for name, classifier in classifiers.items()
    }
    return HeldOutScores(faces, scores)


def measure_aucs(
    classifiers: Classifiers, scores: HeldOutScores
) -> tuple[dict[tuple[str, int, str], Auc], list[str]]:
    """Return the AUC of every attribute, and the attributes that cannot have one.

    Returns
    -------
    aucs : by classifier, size and attribute
    left_out : attributes that fewer than two faces show, or fewer than two lack
    """
    aucs: dict[tuple[str, int, str], Auc] = {}
    left_out: list[str] = []
    for (name, size), found in scores.logits.items():
        labels = scores.faces[size].labels
        for column, attribute in enumerate(classifiers[name].attributes):
            if not 1 < labels[:, column].sum() < len(labels) - 1:
                left_out.append(attribute)
                continue
            aucs[name, size, attribute] = Auc.of(found[:, column], labels[:, column])
    return aucs, sorted(set(left_out))


def measure_accuracy(
    experiment: Experiment, classifiers: Classifiers, scores: HeldOutScores
) -> dict[tuple[str, int, str], dict[str, float]]:
    """Return accuracy and calibration by classifier, size and attribute of the study.

    Returns
    -------
    A row has `accuracy` at a probability of one half and `calibration_error`. `frequent` is the
    accuracy of always giving the more frequent answer. Classifier B also has `recall`, the share
    of faces with the attribute above its strict threshold.
    """
    rows = {}
    for (name, size), found in scores.logits.items():
        for attribute in references.FACE_FEATURES:
            score = found[:, classifiers[name].attributes.index(attribute)]
            shown = scores.faces[size].label(attribute)
            row = {
                "frequent": max(float(shown.float().mean()), float((~shown).float().mean())),
                "accuracy": float(((score > 0) == shown).float().mean()),
                "calibration_error": calibration_error(score, shown),
            }
            if name == "b":
                above = score > strict_threshold(experiment, attribute, size)
                row["recall"] = float(above[shown].float().mean())
            rows[name, size, attribute] = row
    return rows


def draw_unlabelled(experiment: Experiment, n: int) -> dict[str, torch.Tensor]:
    """Return n images of each kind that no classifier was trained on, (n, 3, H, W) in [0, 1].

    Returns
    -------
    Uniform noise, the same noise blurred, and samples of the VAE and the Glow of faces.
    """
    shape = (n, 3, NOISE_SIZE, NOISE_SIZE)
    noise = torch.rand(shape, generator=experiment.generator("noise"))
    blurred = F.avg_pool2d(noise, BLUR, 1, BLUR // 2)
    blurred = (0.5 + (blurred - 0.5) * CONTRAST).clamp(0, 1)
    vae, glow = experiment.load("faces-vae"), experiment.load("faces-glow")
    return {
        "uniform noise": noise,
        "blurred noise": blurred,
        "VAE samples": generate(vae, experiment.latents("vae", n, vae.latent_dim)),
        "Glow samples": glow.sample(n, TEMPERATURE, experiment.generator("glow")).cpu(),
    }


def measure_agreement(
    experiment: Experiment, classifiers: Classifiers, images: Mapping[str, torch.Tensor]
) -> dict[tuple[str, str], dict[str, float]]:
    """Return what both classifiers find in images without labels, by kind and attribute.

    Returns
    -------
    A row has `share_a` at a probability of one half and `share_b` at the strict threshold. Of
    samples it also has `agreement`, the share of images on which both answer the same at one
    half, and `correlation`, of their logits.
    """
    rows = {}
    for kind, batch in images.items():
        found = {name: logits(classifier, batch) for name, classifier in classifiers.items()}
        for attribute in references.FACE_FEATURES:
            a, b = (found[name][:, classifiers[name].attributes.index(attribute)] for name in "ab")
            strict = b > strict_threshold(experiment, attribute, batch.shape[-1])
            row = {
                "share_a": float((a > 0).float().mean()),
                "share_b": float(strict.float().mean()),
            }
            if kind.endswith("samples"):
                row["agreement"] = float(((a > 0) == (b > 0)).float().mean())
                row["correlation"] = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
            rows[kind, attribute] = row
    return rows


@dataclass(frozen=True)
class Verification:
    """Whether an embedding tells one person from two.

    Attributes
    ----------
    similarity, same : Tensor, (P,)
        Of pairs, and whether each is of one person.
    auc : Auc
        Of the similarity.
    threshold : float
        The similarity that one pair of strangers in 100 exceeds.
    recall : float
        The share of pairs of one person above it.
    """

    similarity: torch.Tensor
    same: torch.Tensor
    auc: Auc
    threshold: float
    recall: float


def measure_verification(embedding: Embedding) -> dict[int, Verification]:
    """Return how well an embedding recognises held-out people of LFW, by size in pixels.

    Raises
    ------
    DataError
        LFW is not at hand.
    """
    rows = {}
    for size in references.FACE_SIZES:
        faces = load_faces("lfw", "held_out", size)
        found = embeddings(embedding, faces.images)
        similarity, same = pairs(found, faces.people, N_STRANGERS)
        rows[size] = Verification(similarity, same, *verification(similarity, same))
    return rows


def flat_metrics(
    rows: Mapping[tuple[object, ...], Mapping[str, float]], names: tuple[str, ...]
) -> dict[str, float]:
    """Return the figures of rows as `NAME_KEY`, the parts of a row's key joined by underscores.

    Parameters
    ----------
    names : tuple[str, ...]
        Of the figures that are recorded, where a row has them.
    """
    metrics: dict[str, float] = {}
    for key, row in rows.items():
        end = "_".join(str(part) for part in key).replace(" ", "_").lower()
        metrics |= {f"{name}_{end}": row[name] for name in names if name in row}
    return metrics
