"""What a machine without the data needs to know of it: statistics of real images, in the zoo."""

import torch
from torch import nn

from forgetting.data.digits import load_digits
from forgetting.data.faces import Faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import DataError
from forgetting.inference import features, logits
from forgetting.metrics import likelihood
from forgetting.metrics.calibration import threshold_at
from forgetting.metrics.fidelity import Statistics, fid
from forgetting.zoo import store as zoo

DIGITS, FACES = "digits-reference", "faces-reference"
LIKELIHOODS = "faces-likelihoods"

FALSE_POSITIVES = 0.005
"""The share of real negatives that classifier B may call positive, at its thresholds."""

RECALL = 0.9
"""The share of real positives that classifier A finds at the thresholds by which LFW is sorted."""

SOURCES = ("celeba", "lfw")
FACE_SIZES = (32, 64)
FACE_FEATURES = ("Bangs", "Eyeglasses", "Smiling", "Wearing_Hat", "Male", "Blond_Hair")
"""The attributes without which the statistics of real faces are kept too."""

TRUSTED = (
    *("5_o_Clock_Shadow", "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Chubby", "Double_Chin"),
    *("Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male"),
    *("Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Wearing_Hat", "Wearing_Lipstick"),
    "Wearing_Necktie",
)
"""The attributes that classifier B tells, of held-out faces, with an AUC over 0.9 at either size."""

N_FLOOR = 5000
"""How many training faces the floors are measured with, at most."""

N_FEW = 500
"""How many of them each of the three other floors is measured with, of which the mean is kept."""

N_TRAIN = 10_000
"""How many training faces have their likelihood kept: the paper's likelihood reference."""

DRAWS = 1
"""Of dequantisation noise, for each likelihood that is kept."""


def load_statistics(subset: str = "all", name: str = DIGITS) -> Statistics:
    """Return the statistics of real held-out images.

    Parameters
    ----------
    subset : "all" or "without_thick" of `digits-reference`; "64.all" or "64.without_Bangs", with
        the size in front, of `faces-reference`

    Raises
    ------
    DataError
        There are none of that subset.
    """
    tensors, entry = zoo.tensors(name), zoo.record(name)
    known = [key.removesuffix(".mean") for key in tensors if key.endswith(".mean")]
    if subset not in known:
        raise DataError(f"{name} has no statistics of {subset!r}; it has {', '.join(known)}.")
    return Statistics(
        tensors[f"{subset}.mean"].double().numpy(),
        tensors[f"{subset}.covariance"].double().numpy(),
        entry["counts"][subset],
    )


def threshold_a(attribute: str, size: int) -> float:
    """Return the logit at which classifier A finds nine of ten faces that show an attribute.

    Of people whom it has not seen: on its own training images the threshold would come out too
    high, for it is surer of those.
    """
    return zoo.record(FACES)["thresholds"]["faces-classifier-a"][str(size)][attribute]


def floor(entry: dict, subset: str, n: int) -> float:
    """Return the FID of n training faces to held-out ones, to read that of n samples beside.

    FID's bias falls as 1 / n (Chong and Forsyth, 2020), so that floors measured with two numbers
    of faces tell that of any other.

    Parameters
    ----------
    entry : the record of `faces-reference`
    subset : as `load_statistics` takes it
    """
    many, floors = entry["counts"][f"{subset}.floor"], entry["floors"]
    slope = (entry["floors_of_few"][subset] - floors[subset]) / (1 / N_FEW - 1 / many)
    return floors[subset] + slope * (1 / n - 1 / many)


def make_digits_reference() -> None:
    """Measure the 10,000 MNIST test digits and save what was found as `digits-reference`.

    Mean and covariance of classifier A's features, for all digits and for those without each feature,
    and the thresholds of the features among real digits.

    Raises
    ------
    DataError
        The full MNIST set is not here.
    """
    digits = load_digits("held_out", "mnist")
    measured = measure(digits.images)
    morphology = Morphology.of(measured)
    found = features(zoo.load("digits-classifier-a"), digits.floats())
    subsets = {"all": torch.ones(len(digits), dtype=torch.bool)}
    for feature in morphology.attributes:
        subsets[f"without_{feature}"] = ~morphology.has_feature(measured, feature)
    tensors, counts = {}, {}
    for name, mask in subsets.items():
        statistics = Statistics.of(found[mask])
        tensors[f"{name}.mean"] = torch.from_numpy(statistics.mean)
        tensors[f"{name}.covariance"] = torch.from_numpy(statistics.covariance)
        counts[name] = statistics.n
    entry = {
        "kind": "statistics",
        "counts": counts,
        "thresholds": {"thick": morphology.thick, "left_slant": morphology.left_slant},
        "classifier": {"digits-classifier-a": zoo.record("digits-classifier-a")["sha256"]},
    }
    zoo.save(DIGITS, tensors, entry, _DIGITS_CARD)


def make_faces_reference() -> None:
    """Measure the held-out faces of CelebA and LFW and save what was found as `faces-reference`.

    At 32 and at 64 px: classifier B's thresholds at a false-positive rate of 0.5 % among CelebA's
    held-out negatives; classifier A's, at which it finds 90 % of CelebA's positives and by which LFW,
    which has no attributes, is sorted; mean and covariance of classifier A's features, for all held-out
    faces and for those without an attribute; the FID of many and of few training faces to each of
    these.
    And the shares of the attributes among CelebA's held-out faces, by their labels.

    Raises
    ------
    DataError
        CelebA or LFW is not here, or too few of its faces show an attribute.
    """
    classifier_a, classifier_b = zoo.load("faces-classifier-a"), zoo.load("faces-classifier-b")
    tensors: dict[str, torch.Tensor] = {}
    counts, floors, floors_of_few, shares = {}, {}, {}, {}
    thresholds = {"faces-classifier-a": {}, "faces-classifier-b": {}}
    for size in FACE_SIZES:
        celeba, lfw = (load_faces(source, "held_out", size) for source in SOURCES)
        _check_shown(celeba)
        by_a, by_b = logits(classifier_a, celeba.images), logits(classifier_b, celeba.images)
        over_a, over_b = {}, {}
        for column, attribute in enumerate(celeba.attributes):
            has_feature = celeba.label(attribute)
            shares[attribute] = float(has_feature.float().mean())
            over_a[attribute] = float(by_a[has_feature, column].quantile(1 - RECALL))
            over_b[attribute] = threshold_at(by_b[:, column], has_feature, FALSE_POSITIVES)
        thresholds["faces-classifier-a"][str(size)] = over_a
        thresholds["faces-classifier-b"][str(size)] = over_b
        found, masks = _sorted_out(classifier_a, celeba, lfw, over_a)
        train = (load_faces(source, "train", size) for source in SOURCES)
        found_train, masks_train = _sorted_out(classifier_a, *train, over_a)
        for name, mask in masks.items():
            statistics, subset = Statistics.of(found[mask]), f"{size}.{name}"
            tensors[f"{subset}.mean"] = torch.from_numpy(statistics.mean).float()
            tensors[f"{subset}.covariance"] = torch.from_numpy(statistics.covariance).float()
            counts[subset] = statistics.n
            index = torch.nonzero(masks_train[name]).flatten()
            order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
            shuffled = found_train[index[order]]
            floors[subset] = fid(shuffled[:N_FLOOR], statistics)
            few = [fid(some, statistics) for some in shuffled[: 3 * N_FEW].split(N_FEW)]
            floors_of_few[subset] = sum(few) / len(few)
            counts[f"{subset}.floor"] = min(N_FLOOR, len(index))
    entry = {
        "kind": "statistics",
        "counts": counts,
        "floors": floors,
        "floors_of_few": floors_of_few,
        "shares": shares,
        "thresholds": thresholds,
        "classifier": {name: zoo.record(name)["sha256"] for name in thresholds},
    }
    zoo.save(FACES, tensors, entry, _FACES_CARD)


def _check_shown(celeba: Faces) -> None:
    for attribute in celeba.attributes:
        has_feature = int(celeba.label(attribute).sum())
        if not 2 <= has_feature <= len(celeba) - 2:
            raise DataError(
                f"{has_feature} of {len(celeba)} held-out faces of CelebA show {attribute}: too few "
                "with or without it for a threshold. Use more of CelebA."
            )


def _sorted_out(
    classifier: nn.Module, celeba: Faces, lfw: Faces, thresholds: dict[str, float]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return classifier A's features of all faces, and which of them lack each attribute."""
    found = features(classifier, torch.cat([celeba.images, lfw.images]))
    classified = logits(classifier, lfw.images)
    masks = {"all": torch.ones(len(found), dtype=torch.bool)}
    for attribute in FACE_FEATURES:
        over = classified[:, celeba.attributes.index(attribute)] >= thresholds[attribute]
        masks[f"without_{attribute}"] = ~torch.cat([celeba.label(attribute), over])
    return found, masks


def make_faces_likelihoods() -> None:
    """Ask the faces Glow for the bits/dim of real faces and save them as `faces-likelihoods`.

    Of held-out and of training faces of CelebA and LFW, 10,000 each at most, under one draw of
    noise: what a quantile is read against where the faces themselves are not at hand.

    Raises
    ------
    DataError
        CelebA or LFW is not here.
    """
    glow = zoo.load("faces-glow")
    tensors = {}
    for split in ("held_out", "train"):
        images = torch.cat([load_faces(s, split, 32).images for s in SOURCES])
        index = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        images = images[index[:N_TRAIN]].float() / 255
        tensors[split] = likelihood.mean_bits_per_dim(glow, images, DRAWS)
    entry = {
        "kind": "likelihoods",
        "draws": DRAWS,
        "mean": {split: float(bpd.mean()) for split, bpd in tensors.items()},
        "std": {split: float(bpd.std()) for split, bpd in tensors.items()},
        "flow": {"faces-glow": zoo.record("faces-glow")["sha256"]},
    }
    zoo.save(LIKELIHOODS, tensors, entry, _LIKELIHOODS_CARD)


_DIGITS_CARD = """# digits-reference

Means and covariances of classifier A's features on the 10,000 MNIST test digits, which no model of the
zoo has seen: all of them, those that are not thick, those that don't lean left. A Frechet
distance to real digits needs nothing else, so a machine without MNIST can measure it.

- **Kind**: statistics, not a model; `forgetting.zoo.references.load_statistics` reads them.
- **Again**: `forgetting train digits-reference`, with the full MNIST set.
- **Licence**: see the notice in `zoo/README.md`.
"""

_FACES_CARD = """# faces-reference

What a machine without CelebA and LFW needs to know of them, from people whom no model of the zoo
has seen, at 32 and at 64 px: means and covariances of classifier A's features (all faces, and those
without an attribute), the FID of training faces to them, classifier B's thresholds at a false-positive
rate of 0.5 %, the thresholds of classifier A by which LFW was sorted, and how frequent each attribute
is. No image can be made of it.

- **Kind**: statistics, not a model; `forgetting.zoo.references.load_statistics` reads them.
- **Again**: `forgetting train faces-reference`, with CelebA and LFW.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""

_LIKELIHOODS_CARD = """# faces-likelihoods

The bits/dim of real faces under `faces-glow`: of people whom it has never seen ("held_out") and
of 10,000 faces that it was trained on ("train"), each under one draw of dequantisation
noise, in an order that says nothing. A machine without the data reads quantiles against them.

- **Kind**: likelihoods, not a model.
- **Again**: `forgetting train faces-likelihoods`, with CelebA and LFW.
- **Licence**: **non-commercial research only**, as the data; see the notice in `zoo/README.md`.
"""
