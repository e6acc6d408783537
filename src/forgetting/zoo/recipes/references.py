"""Measure statistics of real images, for machines that do not have them."""

import torch

from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.inference import features, logits
from forgetting.data.digits import load_digits
from forgetting.data.faces import Faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError
from forgetting.metrics.calibration import threshold_at
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES, Measurement
from forgetting.zoo.references import DIGITS, FACE_FEATURES, FACE_SIZES, FACES, LIKELIHOODS, N_FEW

FALSE_POSITIVES = 0.005
"""Share of real negatives that classifier B calls positive at its thresholds."""

RECALL = 0.9
"""Share of real positives that classifier A finds at the thresholds by which LFW is sorted."""

SOURCES = ("celeba", "lfw")

N_FLOOR = 5000
"""Training faces in the large set whose FID is the floor of many, at most."""

N_TRAIN = 10_000
"""Faces of each split whose likelihood is kept, at most."""

DRAWS = 1
"""Draws of dequantisation noise for each likelihood."""


def make_digits_reference() -> None:
    """Measure the 10,000 MNIST test digits and save `digits-reference`.

    The entry holds mean and covariance of classifier A's features, for all digits and for those
    without each feature, and the thresholds of the features among real digits.

    Raises
    ------
    DataError
        The full MNIST set is not at hand.
    """
    digits = load_digits("held_out", "mnist")
    measured = measure(digits.images)
    morphology = Morphology.of(measured)
    digit_features = features(_classifier("digits-classifier-a"), digits.floats())
    subsets = {"all": torch.ones(len(digits), dtype=torch.bool)}
    for feature in morphology.attributes:
        subsets[f"without_{feature}"] = ~morphology.has_feature(measured, feature)
    tensors, counts = {}, {}
    for name, mask in subsets.items():
        statistics = Statistics.of(digit_features[mask])
        tensors[f"{name}.mean"] = torch.from_numpy(statistics.mean)
        tensors[f"{name}.covariance"] = torch.from_numpy(statistics.covariance)
        counts[name] = statistics.n
    entry = {
        "kind": "statistics",
        "counts": counts,
        "thresholds": {"thick": morphology.thick, "left_slant": morphology.left_slant},
        "classifier": {"digits-classifier-a": store.record("digits-classifier-a")["sha256"]},
    }
    store.save(DIGITS, tensors, entry, DIGITS_CARD)


def make_faces_reference() -> None:
    """Measure the held-out faces of CelebA and LFW and save `faces-reference`.

    The entry holds, at 32 and at 64 px:

    - classifier B's thresholds at a false-positive rate of 0.5 % among CelebA's held-out faces;
    - classifier A's thresholds, at which it finds 90 % of CelebA's positives. LFW, which has no
      labels, is sorted by them;
    - mean and covariance of classifier A's features, for all held-out faces and for those without
      an attribute;
    - the FID of many and of few training faces to each of these;
    - the share of CelebA's held-out faces that show each attribute, by their labels.

    Raises
    ------
    DataError
        CelebA or LFW is not at hand, or too few of its faces show an attribute.
    """
    classifier_a, classifier_b = map(_classifier, ("faces-classifier-a", "faces-classifier-b"))
    tensors: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    floors: dict[str, float] = {}
    floors_of_few: dict[str, float] = {}
    shares: dict[str, float] = {}
    thresholds: dict[str, dict[str, dict[str, float]]] = {
        "faces-classifier-a": {},
        "faces-classifier-b": {},
    }
    for size in FACE_SIZES:
        celeba, lfw = (load_faces(source, "held_out", size) for source in SOURCES)
        _check_counts(celeba)
        by_a, by_b = logits(classifier_a, celeba.images), logits(classifier_b, celeba.images)
        thresholds_a, thresholds_b = {}, {}
        for column, attribute in enumerate(celeba.attributes):
            has_feature = celeba.label(attribute)
            shares[attribute] = float(has_feature.float().mean())
            thresholds_a[attribute] = float(by_a[has_feature, column].quantile(1 - RECALL))
            thresholds_b[attribute] = threshold_at(by_b[:, column], has_feature, FALSE_POSITIVES)
        thresholds["faces-classifier-a"][str(size)] = thresholds_a
        thresholds["faces-classifier-b"][str(size)] = thresholds_b
        held_out, masks = _features_and_masks(classifier_a, celeba, lfw, thresholds_a)
        celeba_train, lfw_train = (load_faces(source, "train", size) for source in SOURCES)
        train, train_masks = _features_and_masks(
            classifier_a, celeba_train, lfw_train, thresholds_a
        )
        for name, mask in masks.items():
            statistics, subset = Statistics.of(held_out[mask]), f"{size}.{name}"
            tensors[f"{subset}.mean"] = torch.from_numpy(statistics.mean).float()
            tensors[f"{subset}.covariance"] = torch.from_numpy(statistics.covariance).float()
            counts[subset] = int(masks[name].sum())
            index = torch.nonzero(train_masks[name]).flatten()
            order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
            shuffled = train[index[order]]
            floors[subset] = fid(shuffled[:N_FLOOR], statistics)
            few = [fid(part, statistics) for part in shuffled[: 3 * N_FEW].split(N_FEW)]
            floors_of_few[subset] = sum(few) / len(few)
            counts[f"{subset}.floor"] = min(N_FLOOR, len(index))
    entry = {
        "kind": "statistics",
        "counts": counts,
        "floors": floors,
        "floors_of_few": floors_of_few,
        "shares": shares,
        "thresholds": thresholds,
        "classifier": {name: store.record(name)["sha256"] for name in thresholds},
    }
    store.save(FACES, tensors, entry, FACES_CARD)


def _classifier(name: str) -> Classifier:
    """Return a classifier of the zoo."""
    model = store.load(name)
    assert isinstance(model, Classifier)
    return model


def _check_counts(celeba: Faces) -> None:
    """Raise DataError where an attribute has too few faces with or without it."""
    for attribute in celeba.attributes:
        n_positive = int(celeba.label(attribute).sum())
        if not 2 <= n_positive <= len(celeba) - 2:
            raise DataError(
                f"{n_positive} of {len(celeba)} held-out faces of CelebA show {attribute}: too "
                "few with or without it for a threshold. Use more of CelebA."
            )


def _features_and_masks(
    classifier: Classifier, celeba: Faces, lfw: Faces, thresholds: dict[str, float]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return classifier A's features of all faces, and which faces lack each attribute."""
    face_features = features(classifier, torch.cat([celeba.images, lfw.images]))
    lfw_logits = logits(classifier, lfw.images)
    masks = {"all": torch.ones(len(face_features), dtype=torch.bool)}
    for attribute in FACE_FEATURES:
        column = celeba.attributes.index(attribute)
        lfw_has_feature = lfw_logits[:, column] >= thresholds[attribute]
        masks[f"without_{attribute}"] = ~torch.cat([celeba.label(attribute), lfw_has_feature])
    return face_features, masks


def make_faces_likelihoods() -> None:
    """Measure the bits/dim of real faces under `faces-glow` and save `faces-likelihoods`.

    The faces are of CelebA and LFW, held-out ones and training ones, at most 10,000 of each, each
    under one draw of dequantisation noise. Quantiles are read against them where the faces
    themselves are not at hand.

    Raises
    ------
    DataError
        CelebA or LFW is not at hand.
    """
    glow = store.load("faces-glow")
    assert isinstance(glow, Glow)
    tensors = {}
    for split in ("held_out", "train"):
        images = torch.cat([load_faces(source, split, 32).images for source in SOURCES])
        index = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        images = images[index[:N_TRAIN]].float() / 255
        tensors[split] = mean_bits_per_dim(glow, images, DRAWS)
    entry = {
        "kind": "likelihoods",
        "draws": DRAWS,
        "mean": {split: float(bpd.mean()) for split, bpd in tensors.items()},
        "std": {split: float(bpd.std()) for split, bpd in tensors.items()},
        "flow": {"faces-glow": store.record("faces-glow")["sha256"]},
    }
    store.save(LIKELIHOODS, tensors, entry, LIKELIHOODS_CARD)


DIGITS_CARD = """# digits-reference

Means and covariances of classifier A's features on the 10,000 MNIST test digits, which no model
of the zoo has seen: of all digits, of those that are not thick, and of those that do not lean
left. A machine without MNIST can measure a Frechet distance to real digits with them.

- **Kind**: statistics, not a model; `forgetting.zoo.references.load_statistics` reads them.
- **Again**: `forgetting train digits-reference --again`, with the full MNIST set.
- **Licence**: see the notice in `zoo/README.md`.
"""

FACES_CARD = """# faces-reference

Statistics of faces of CelebA and LFW, of people whom no model of the zoo has seen, at 32 and at
64 px. A machine without these data sets can measure with them. The entry holds:

- means and covariances of classifier A's features, of all faces and of those without an attribute;
- the FID of training faces to them;
- classifier B's thresholds at a false-positive rate of 0.5 %;
- classifier A's thresholds, by which LFW was sorted;
- the share of CelebA's faces that show each attribute.

No image can be made of it.

- **Kind**: statistics, not a model; `forgetting.zoo.references.load_statistics` reads them.
- **Again**: `forgetting train faces-reference --again`, with CelebA and LFW.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""

LIKELIHOODS_CARD = """# faces-likelihoods

The bits/dim of real faces under `faces-glow`: of people whom the flow has never seen ("held_out")
and of 10,000 faces that it was trained on ("train"). Each value is under one draw of
dequantisation noise, and their order is random. A machine without the data reads quantiles
against them.

- **Kind**: likelihoods, not a model.
- **Again**: `forgetting train faces-likelihoods --again`, with CelebA and LFW.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""

RECIPES.register(DIGITS)(Measurement(make_digits_reference, needs=("digits-classifier-a",)))
RECIPES.register(FACES)(
    Measurement(make_faces_reference, needs=("faces-classifier-a", "faces-classifier-b"))
)
RECIPES.register(LIKELIHOODS)(Measurement(make_faces_likelihoods, needs=("faces-glow",)))
