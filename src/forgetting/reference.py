"""What a machine without the data needs to know of it: statistics of real images, in the zoo."""

import torch

from forgetting import zoo
from forgetting.data.digits import load_digits
from forgetting.data.faces import Faces, load_faces
from forgetting.data.morphology import Morphology, measure
from forgetting.evaluation import likelihood
from forgetting.evaluation.fidelity import Statistics, fid
from forgetting.evaluation.judging import threshold_at
from forgetting.evaluation.sampling import features, logits

DIGITS, FACES = "digits-reference", "faces-reference"
LIKELIHOODS = "faces-likelihoods"

FALSE_POSITIVES = 0.005
"""The share of real negatives that judge B may call positive, at its thresholds."""

RECALL = 0.9
"""The share of real positives that judge A finds at the thresholds by which LFW is sorted."""

FACE_SIZES = (32, 64)
FACE_FEATURES = ("Bangs", "Eyeglasses", "Smiling", "Wearing_Hat", "Male", "Blond_Hair")
"""The attributes without which the statistics of real faces are kept too."""

N_FLOOR = 5000
"""How many training faces the floor is measured with."""

N_TRAIN = 10_000
"""How many training faces have their likelihood kept: the paper's yardstick."""

DRAWS = 1
"""Of dequantisation noise, for each likelihood that is kept."""


def load_statistics(subset: str = "all", name: str = DIGITS) -> Statistics:
    """Return the statistics of real held-out images.

    Parameters
    ----------
    subset : "all" or "without_thick" of `digits-reference`; "64.all" or "64.without_Bangs", with
        the size in front, of `faces-reference`
    """
    tensors, entry = zoo.tensors(name), zoo.record(name)
    return Statistics(
        tensors[f"{subset}.mean"].double().numpy(),
        tensors[f"{subset}.covariance"].double().numpy(),
        entry["counts"][subset],
    )


def threshold_a(attribute: str, size: int) -> float:
    """Return the logit at which judge A finds nine of ten faces that show an attribute.

    Of people whom it has not seen: on its own training images the threshold would come out too
    high, for it is surer of those.
    """
    return zoo.record(FACES)["thresholds"]["faces-judge-a"][str(size)][attribute]


def make_digits_reference() -> None:
    """Measure the 10,000 MNIST test digits and save what was found as `digits-reference`.

    Mean and covariance of judge A's features, for all digits and for those without each feature,
    and the thresholds of the features among real digits.

    Raises
    ------
    DataError
        The full MNIST set is not here.
    """
    digits = load_digits("held_out", "mnist")
    measured = measure(digits.images)
    morphology = Morphology.of(measured)
    found = features(zoo.load("digits-judge-a"), digits.floats())
    subsets = {"all": torch.ones(len(digits), dtype=torch.bool)}
    for feature in morphology.attributes:
        subsets[f"without_{feature}"] = ~morphology.shown(measured, feature)
    tensors, counts = _statistics(found, subsets)
    entry = {
        "kind": "statistics",
        "counts": counts,
        "thresholds": {"thick": morphology.thick, "left_slant": morphology.left_slant},
        "judge": {"digits-judge-a": zoo.record("digits-judge-a")["sha256"]},
    }
    zoo.save(DIGITS, tensors, entry, _DIGITS_CARD)


def make_faces_reference() -> None:
    """Measure the held-out faces of CelebA and LFW and save what was found as `faces-reference`.

    At 32 and at 64 px: judge B's thresholds at a false-positive rate of 0.5 % among CelebA's
    held-out negatives; judge A's, at which it finds 90 % of CelebA's positives and by which LFW,
    which has no attributes, is sorted; mean and covariance of judge A's features, for all held-out
    faces and for those without an attribute; the FID of training faces to those.

    Raises
    ------
    DataError
        CelebA or LFW is not here.
    """
    judge_a = zoo.load("faces-judge-a")
    judge_b = zoo.load("faces-judge-b")
    tensors: dict[str, torch.Tensor] = {}
    counts, floors = {}, {}
    thresholds = {"faces-judge-a": {}, "faces-judge-b": {}}
    for size in FACE_SIZES:
        celeba, lfw = (load_faces(source, "held_out", size) for source in ("celeba", "lfw"))
        by_a, by_b = logits(judge_a, celeba.images), logits(judge_b, celeba.images)
        over_a, over_b = {}, {}
        for column, attribute in enumerate(celeba.attributes):
            shown = celeba.label(attribute)
            over_a[attribute] = float(by_a[shown, column].quantile(1 - RECALL))
            over_b[attribute] = threshold_at(by_b[:, column], shown, FALSE_POSITIVES)
        thresholds["faces-judge-a"][str(size)] = over_a
        thresholds["faces-judge-b"][str(size)] = over_b
        everything = torch.cat([celeba.images, lfw.images])
        subsets = {f"{size}.all": torch.ones(len(everything), dtype=torch.bool)}
        judged = logits(judge_a, lfw.images)
        for attribute in FACE_FEATURES:
            column = celeba.attributes.index(attribute)
            over = judged[:, column] >= over_a[attribute]
            subsets[f"{size}.without_{attribute}"] = ~torch.cat([celeba.label(attribute), over])
        found = features(judge_a, everything)
        more, numbers = _statistics(found, subsets)
        tensors |= {name: value.float() for name, value in more.items()}
        counts |= numbers
        floors[str(size)] = _floor(judge_a, size, found)
    entry = {
        "kind": "statistics",
        "counts": counts,
        "floors": floors,
        "n_floor": N_FLOOR,
        "thresholds": thresholds,
        "judge": {name: zoo.record(name)["sha256"] for name in thresholds},
    }
    zoo.save(FACES, tensors, entry, _FACES_CARD)


def make_faces_likelihoods() -> None:
    """Ask the faces Glow for the bits/dim of real faces and save them as `faces-likelihoods`.

    All held-out faces of CelebA and LFW, and 10,000 training faces, each under one
    draw of noise: what a quantile is read against where the faces themselves are not at hand.

    Raises
    ------
    DataError
        CelebA or LFW is not here.
    """
    glow = zoo.load("faces-glow")
    tensors = {}
    for split in ("held_out", "train"):
        images = torch.cat([load_faces(s, split, 32).images for s in ("celeba", "lfw")])
        index = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        images = images[index[:N_TRAIN]].float() / 255
        tensors[split] = likelihood.measure(glow, images, DRAWS)
    entry = {
        "kind": "likelihoods",
        "draws": DRAWS,
        "mean": {split: float(bpd.mean()) for split, bpd in tensors.items()},
        "std": {split: float(bpd.std()) for split, bpd in tensors.items()},
        "flow": {"faces-glow": zoo.record("faces-glow")["sha256"]},
    }
    zoo.save(LIKELIHOODS, tensors, entry, _LIKELIHOODS_CARD)


def _floor(judge: torch.nn.Module, size: int, held_out: torch.Tensor) -> float:
    """Return the FID of `N_FLOOR` training faces to the held-out ones."""
    sets: list[Faces] = [load_faces(source, "train", size) for source in ("celeba", "lfw")]
    images = torch.cat([faces.images for faces in sets])
    index = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:N_FLOOR]
    return fid(features(judge, images[index]), held_out)


def _statistics(
    found: torch.Tensor, subsets: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    tensors, counts = {}, {}
    for name, mask in subsets.items():
        statistics = Statistics.of(found[mask])
        tensors[f"{name}.mean"] = torch.from_numpy(statistics.mean)
        tensors[f"{name}.covariance"] = torch.from_numpy(statistics.covariance)
        counts[name] = statistics.n
    return tensors, counts


_DIGITS_CARD = """# digits-reference

Means and covariances of judge A's features on the 10,000 MNIST test digits, which no model of the
zoo has seen: all of them, those that are not thick, those that don't lean left. A Frechet
distance to real digits needs nothing else, so a machine without MNIST can measure it.

- **Kind**: statistics, not a model; `forgetting.reference.load_statistics` reads them.
- **Again**: `forgetting train digits-reference`, with the full MNIST set.
- **Licence**: see the notice in `zoo/README.md`.
"""

_FACES_CARD = """# faces-reference

What a machine without CelebA and LFW needs to know of them, from people whom no model of the zoo
has seen, at 32 and at 64 px: means and covariances of judge A's features (all faces, and those
without an attribute), the FID of training faces to them, judge B's thresholds at a false-positive
rate of 0.5 %, and the thresholds of judge A by which LFW was sorted. No image can be made of it.

- **Kind**: statistics, not a model; `forgetting.reference.load_statistics` reads them.
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
