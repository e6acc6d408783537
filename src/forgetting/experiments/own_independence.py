"""Whether what grades anyone's generator is another network than what steers, of one feature."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from torch import nn

from forgetting.border.copies import storage
from forgetting.border.feature_score import FeatureScore, Score
from forgetting.errors import ParameterError
from forgetting.zoo.same_module import bytes_of


def check_independent(steering: Score, graders: Sequence[Score]) -> None:
    """Raise an error if a grader is of what steers or of another feature, before any is called.

    Parameters
    ----------
    steering : callable
        What steers.
    graders : sequence of callable
        What grades; of functions nothing can be told yet.

    Raises
    ------
    ParameterError
        A grader is an attribute of a network that has weights of what steers. Or it is another
        attribute than that of the first classifier that is given, which its own tells, too.
    """
    named = [score for score in (steering, *graders) if isinstance(score, FeatureScore)]
    for grader in named[1:]:
        if named[0] is steering and _share_weights(steering.classifier, grader.classifier):
            raise ParameterError(
                f"The classifier of {grader.attribute!r}, which grades, has weights of that of "
                f"{steering.attribute!r}, which steers: what steers cannot grade. Give another "
                "classifier."
            )
        _check_attribute(named[0].attribute, grader)


def _check_attribute(attribute: str, grader: FeatureScore) -> None:
    """Raise an error if a grader grades another attribute than its classifier could.

    Parameters
    ----------
    attribute : str
        What shall be graded; classifiers may differ in capital letters.
    grader : FeatureScore
        A classifier that tells no such attribute may call it something else.

    Raises
    ------
    ParameterError
        Its classifier tells the attribute, and another one was picked.
    """
    same = [name for name in grader.classifier.attributes if name.lower() == attribute.lower()]
    if same and grader.attribute not in same:
        raise ParameterError(
            f"{grader.attribute!r} would grade {attribute!r}, which the same classifier tells: "
            f"give classifier[{same[0]!r}]."
        )


def _share_weights(first: Any, second: Any) -> bool:
    """Return whether two classifiers are one, or have a weight of the same values."""
    if not isinstance(first, nn.Module) or not isinstance(second, nn.Module):
        return first is second
    return not _marks(first).isdisjoint(_marks(second))


def _marks(model: nn.Module) -> set[int | bytes]:
    """Return where the weights of a model lie, and the hashes of those whose values differ."""
    weights = [weight for weight in model.parameters() if weight.numel()]
    places = {storage(weight) for weight in weights} - {0}
    learned = [weight for weight in weights if weight.min() < weight.max()]
    return places | {sha256(bytes_of(weight)).digest() for weight in learned}
