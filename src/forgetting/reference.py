"""What a machine without the data needs to know of it: statistics of real features, in the zoo."""

import torch

from forgetting import zoo
from forgetting.data.digits import load_digits
from forgetting.data.morphology import Morphology, measure
from forgetting.evaluation.fidelity import Statistics
from forgetting.evaluation.sampling import features

DIGITS = "digits-reference"
JUDGE = "digits-judge-a"


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
    found = features(zoo.load(JUDGE), digits.floats())
    subsets = {"all": torch.ones(len(digits), dtype=torch.bool)}
    for feature in morphology.attributes:
        subsets[f"without_{feature}"] = ~morphology.shown(measured, feature)
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
        "judge": {JUDGE: zoo.record(JUDGE)["sha256"]},
    }
    zoo.save(DIGITS, tensors, entry, _CARD)


def load_statistics(subset: str = "all") -> Statistics:
    """Return the statistics of real held-out digits: "all", "without_thick" ..."""
    tensors, entry = zoo.tensors(DIGITS), zoo.record(DIGITS)
    return Statistics(
        tensors[f"{subset}.mean"].numpy(),
        tensors[f"{subset}.covariance"].numpy(),
        entry["counts"][subset],
    )


_CARD = """# digits-reference

Means and covariances of judge A's features on the 10,000 MNIST test digits, which no model of the
zoo has seen: all of them, those that are not thick, those that don't lean left. A Frechet
distance to real digits needs nothing else, so a machine without MNIST can measure it.

- **Kind**: statistics, not a model; `forgetting.reference.load_statistics` reads them.
- **Again**: `forgetting train digits-reference`, with the full MNIST set.
- **Licence**: see the notice in `zoo/README.md`.
"""

MAKERS = {DIGITS: make_digits_reference}
"""The entries that hold statistics, and how each is made."""
