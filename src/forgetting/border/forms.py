"""Forms in which images are given by mistake: as negatives, or with red and blue exchanged."""

import math
import warnings
from collections.abc import Iterable
from typing import Any, TypeGuard

import torch

from forgetting.border.conditions import own_conditions
from forgetting.border.copies import name_of
from forgetting.border.feature_score import FeatureScore, log_odds
from forgetting.errors import DataWarning

ORDER, NEGATIVE = "with red and blue exchanged", "as negatives"
"""The forms, as a sentence names them."""

N_COMPARED = 64
"""Images of a generator that are compared with their other forms."""

MIN_ATTRIBUTES = 10
"""Attributes of a classifier below which it may be as sure of images in another form."""

SURER, DEVIATIONS = 1.05, 4.0
"""How much surer a classifier is in another form than by chance: as a factor of the mean log-odds,
and in standard deviations of that mean.

Of samples of seven generators of the zoo, and of photographs, no classifier of the zoo was surer
in another form; of faces in another form both are surer in the right one by 13 to 30 %.
"""


def other_forms(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return images (B, C, H, W) in [0, 1] in every other form that they can have."""
    forms = {NEGATIVE: 1 - images}
    if images.shape[1] == 3:
        forms[ORDER] = images.flip(1)
    return forms


def tells_forms(score: Any) -> TypeGuard[FeatureScore]:
    """Return whether a score is of a classifier of so many attributes that it tells forms."""
    return isinstance(score, FeatureScore) and len(score.classifier.attributes) >= MIN_ATTRIBUTES


def warn_of_forms(score: FeatureScore, batches: Iterable[torch.Tensor], name: str) -> None:
    """Warn if a classifier is surer of the attributes of images in another form.

    Parameters
    ----------
    score : FeatureScore
        Of which `tells_forms`.
    batches : iterable of Tensor, (B, C, H, W)
        The images, in [0, 1].
    name : str
        Whose images they are.
    """
    given: list[torch.Tensor] = []
    gains: dict[str, list[torch.Tensor]] = {}
    for images in batches:
        given.append(_sureness(score, images))
        for form, others in other_forms(images).items():
            gains.setdefault(form, []).append(_sureness(score, others) - given[-1])
    least = (SURER - 1) * torch.cat(given).mean()
    for form, parts in gains.items():
        gain = torch.cat(parts)
        if gain.mean() > max(least, DEVIATIONS * gain.std() / math.sqrt(len(gain))):
            warnings.warn(
                f"{name_of(score.classifier)} is surer of {len(gain)} images of {name} {form}: "
                "are they in the form of the images that it learned from?",
                DataWarning,
                stacklevel=4,
            )


def _sureness(score: FeatureScore, images: torch.Tensor) -> torch.Tensor:
    """Return the mean size of the log-odds of all attributes of each image, (B,)."""
    with own_conditions(gradients=False):
        return log_odds(score.classifier, images).abs().mean(1)
