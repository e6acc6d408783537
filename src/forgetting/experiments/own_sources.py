"""What scores features for a command: a classifier, one of its scores, or a pair."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from forgetting.border.copies import name_of
from forgetting.border.feature_score import FeatureScore, Score
from forgetting.errors import (
    LISTED,
    DataWarning,
    ModelError,
    ParameterError,
    did_you_mean,
    shortened,
)
from forgetting.zoo.classifier_pair import ROLES, TrainedPair
from forgetting.zoo.saved import state_digest

SOURCES = (nn.Module, FeatureScore, TrainedPair)
"""Of what class a source is; a module has `attributes` and is indexed by them."""


def features_of(source: Any, place: str) -> tuple[str, ...]:
    """Return the features that a source scores.

    Raises
    ------
    ModelError
        It is a module that scores none.
    """
    if isinstance(source, TrainedPair):
        return (source.name,)
    if isinstance(source, FeatureScore):
        return (source.attribute,)
    if not hasattr(source, "attributes") or not hasattr(source, "__getitem__"):
        raise ModelError(
            f"{place} is {name_of(source)}, which is no classifier: name one, such as what "
            'fg.as_classifier(module, ("a", "b")) makes.'
        )
    return tuple(source.attributes)


def networks_of(source: Any, name: str) -> dict[str, nn.Module]:
    """Return the modules of a source, by the names under which a record has them."""
    if isinstance(source, TrainedPair):
        networks = {f"{name}/{role}": getattr(source, role).classifier for role in ROLES}
    else:
        networks = {name: source.classifier if isinstance(source, FeatureScore) else source}
    return {key: value for key, value in networks.items() if isinstance(value, nn.Module)}


def score_of(source: Any, feature: str, role: str, place: str) -> FeatureScore:
    """Return the score of a feature by a source, which names where the source is from.

    Parameters
    ----------
    role : {"steering", "grader"}
        Which classifier of a pair is taken.
    """
    if isinstance(source, TrainedPair):
        score: FeatureScore = getattr(source, role)
    else:
        score = source if isinstance(source, FeatureScore) else source[feature]
    return score if score.title else replace(score, title=Path(place).name)


def check_feature(
    feature: str, steering: tuple[str, Any], grading: Sequence[tuple[str, Any]]
) -> None:
    """Raise an error unless a feature can be steered and graded.

    Parameters
    ----------
    steering : tuple of str and source
        Where the source is from, and the source.
    grading : sequence of tuple
        The same of every grader.

    Raises
    ------
    ParameterError
        A source does not score the feature; those that all of them score are named.
    """
    scored = {place: features_of(source, place) for place, source in (steering, *grading)}
    lacking = [place for place, features in scored.items() if feature not in features]
    if not lacking:
        return
    shared = [name for name in scored[steering[0]] if all(name in f for f in scored.values())]
    hint = did_you_mean(feature, shared)
    if hint.startswith("There are"):
        both = " and graded" * bool(grading)
        hint = f"What can be steered{both} here: {shortened(shared, LISTED) or 'nothing'}."
    option = "--grader" if steering[0] not in lacking else "--classifier"
    raise ParameterError(
        f"--feature {feature}: {' and '.join(lacking)} cannot tell it. {hint} For a feature of "
        f"your own, give {option} a classifier that can. fg.train_classifier makes a pair of two "
        "folders of images, with the feature and without; `save` it, and name its folder."
    )


def feature_name(*scores: Score) -> str:
    """Return what the feature of scores is called by the first that names it."""
    named = (score.attribute for score in scores if isinstance(score, FeatureScore))
    return next(named, "the feature")


def classifiers_used(steering: Score, graders: Sequence[Score]) -> list[dict[str, str]]:
    """Return what a record says of the scores that steered and graded.

    Parameters
    ----------
    steering : callable
        What steered, or what attacks followed.
    graders : sequence of callable
        What graded.

    Returns
    -------
    list of dict
        `part`, "what steers" or "what grades"; `classifier`, where it is from or its class; the
        `attribute` that scores; and, of a module, the `sha256` of its state.
    """
    rows = []
    for place, score in enumerate((steering, *graders)):
        part = "what grades" if place else "what steers"
        row = {"part": part, "classifier": getattr(score, "__name__", type(score).__name__)}
        if isinstance(score, FeatureScore):
            row["classifier"] = score.title or name_of(score.classifier)
            row["attribute"] = score.attribute
            if isinstance(score.classifier, nn.Module):
                row["sha256"] = state_digest(score.classifier)
        rows.append(row)
    return rows


def warn_of_changed(used: Sequence[dict[str, str]], now: Sequence[dict[str, str]]) -> None:
    """Warn if a classifier changed while it scored.

    Parameters
    ----------
    used, now : sequence of dict
        As `classifiers_used` returns them before and after.
    """
    changed = [row["part"] for row, other in zip(used, now, strict=True) if row != other]
    if changed:
        warnings.warn(
            f"{' and '.join(changed)} has other weights than when the run began, which the record "
            "names: the figures are of both. Give a `copy.deepcopy` of a classifier that changes.",
            DataWarning,
            stacklevel=3,
        )
