"""Two classifiers of one feature, in a folder of their owner: weights, record and card.

One steers and the other grades. The folder is written as that of a tuned model is; `fg.load` loads
it.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.feature_score import FeatureScore
from forgetting.errors import DataError, ForgettingError, ParameterError, WeightsError
from forgetting.foundation.json_files import read_object
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo.room import room_for
from forgetting.zoo.saved import RECORD, WEIGHTS, restore, save_model, state_digest

KIND = "classifier-pair"
"""What the record of a pair says it is."""

DISTINCT = 0.95
"""AUC below which a classifier is said to tell the feature poorly."""

ROLES = {"steering": "steers", "grader": "grades"}
"""The networks of a pair, and what each does."""


@dataclass(frozen=True, repr=False)
class TrainedPair:
    """Two classifiers of different architecture: one steers, the other grades.

    Attributes
    ----------
    steering, grader : FeatureScore
        The feature by either classifier.
    steering_auc, grader_auc : Auc
        On held-out images.
    digests : dict of str to str
        The sha256 of the state of each network, by its role, when the pair was made.

    Raises
    ------
    ParameterError
        The scores are of two features.
    """

    steering: FeatureScore
    grader: FeatureScore
    steering_auc: Auc
    grader_auc: Auc
    digests: dict[str, str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.steering.attribute != self.grader.attribute:
            raise ParameterError(
                f"A pair is of one feature: {self.steering.attribute!r} steers, and "
                f"{self.grader.attribute!r} would grade."
            )
        object.__setattr__(self, "digests", self._present_digests())

    def _present_digests(self) -> dict[str, str]:
        """Return the sha256 of the present state of each network, by its role."""
        networks: dict[str, Any] = {role: getattr(self, role).classifier for role in ROLES}
        return {role: state_digest(network) for role, network in networks.items()}

    @property
    def name(self) -> str:
        """What the feature is called."""
        return self.steering.attribute

    def __repr__(self) -> str:
        aucs = f"AUC {self.steering_auc.value:.3f} and {self.grader_auc.value:.3f}"
        return f"TrainedPair({self.name!r}, {aucs})"

    def __str__(self) -> str:
        lines = []
        for role, verb in ROLES.items():
            auc: Auc = getattr(self, f"{role}_auc")
            line = f"{verb}: AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
            poor = " on held-out images, which is poor: give more images, or clearer ones."
            lines.append(line + (poor if auc.low < DISTINCT else " on held-out images"))
        return "\n".join(lines)

    def save(self, folder: Path | str) -> None:
        """Write weights, record and card to a folder; `fg.load` loads them.

        Parameters
        ----------
        folder : Path or str
            It must not hold a model.

        Raises
        ------
        ForgettingError
            The folder holds a model, or cannot be written to, or a network was changed since the
            pair was made.
        """
        if self._present_digests() != self.digests:
            raise ForgettingError(
                "A network of the pair has changed since its AUC was measured, so that the record "
                "would be of another: train on with a `copy.deepcopy` of it."
            )
        networks, entries = nn.ModuleDict(), {}
        for role in ROLES:
            score: FeatureScore = getattr(self, role)
            classifier: Any = score.classifier
            networks[role] = classifier
            entries[role] = {
                "attribute": score.attribute,
                "threshold": float(score.threshold),
                "auc": asdict(getattr(self, f"{role}_auc")),
                "state_sha256": self.digests[role],
                "config": classifier.config.model_dump(mode="json"),
            }
        config = entries["steering"]["config"]
        record = {
            "kind": KIND,
            "name": self.name,
            "size": config["image_size"],
            "channels": config["channels"],
            "report": str(self),
            "networks": entries,
        }
        kinds = (f"{ROLES[role]}: {entries[role]['config']['architecture']}" for role in ROLES)
        card = (
            f"# Two classifiers of {self.name!r}\n\n"
            f"Images of {config['image_size']} px, {config['channels']} channels; "
            f"{', '.join(kinds)}.\n\n```\n{self}\n```\n\n"
            "`fg.load(FOLDER)` loads the pair, and `forgetting unlearn --classifier FOLDER` takes "
            "it.\n"
        )
        save_model(folder, networks, record, card)


def holds_pair(folder: Path | str) -> bool:
    """Return whether a folder holds a pair of classifiers, as its record says."""
    try:
        return read_object(Path(folder) / RECORD).get("kind") == KIND
    except (TypeError, ValueError):
        return False


def load_pair(folder: Path | str) -> TrainedPair:
    """Return the pair of classifiers that a folder holds, after a check of its hash.

    Parameters
    ----------
    folder : Path or str
        What `TrainedPair.save` wrote.

    Raises
    ------
    WeightsError
        The folder holds no such pair, or its files are damaged or do not belong together.
    """
    folder = Path(folder)
    if not holds_pair(folder):
        raise WeightsError(
            f"{folder} holds no pair of classifiers: name a folder that `save` of what "
            "fg.train_classifier returns wrote."
        )
    record, weights = read_object(folder / RECORD), folder / WEIGHTS
    if not weights.is_file():
        raise WeightsError(f"{folder} holds no {WEIGHTS}: save the pair anew.")
    try:
        entries = record["networks"]
        configs = {role: ClassifierConfig(**entries[role]["config"]) for role in ROLES}
        aucs = [Auc(**entries[role]["auc"]) for role in ROLES]
        with own_conditions(), room_for(weights.stat().st_size):
            classifiers = {role: Classifier(config) for role, config in configs.items()}
        steering, grader = (
            FeatureScore(
                classifier,
                entries[role].get("attribute", record["name"]),
                float(entries[role].get("threshold", 0.0)),
                title=f"{folder.resolve().name}/{role}",
            )
            for role, classifier in classifiers.items()
        )
    except (KeyError, TypeError, ValueError, DataError, ParameterError) as error:
        reason = str(error).split("\n")[0]
        raise WeightsError(
            f"{folder / RECORD} cannot be read ({reason}): save the pair anew."
        ) from error
    restore(folder, into=nn.ModuleDict(classifiers)).requires_grad_(False)
    return TrainedPair(steering, grader, *aucs)
