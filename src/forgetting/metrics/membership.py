"""Membership inference: how well a score tells images that were learned from all others."""

from dataclasses import dataclass

import torch

from forgetting.border.scores import tensor_of
from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc, threshold_at
from forgetting.metrics.feature_statistics import warn_of_shared
from forgetting.metrics.prevalence import Prevalence

FALSE_ALARMS = 0.01
"""The share of other images that an attacker accepts to take for members."""

DISTINCT = 0.5
"""Share of different scores from which equal ones are of one image; fewer are equal by chance."""


@dataclass(frozen=True)
class Membership:
    """How well a score tells members from others.

    Attributes
    ----------
    auc : Auc
        Area under the ROC curve; 0.5 is chance.
    caught : Prevalence
        The share of members that score above all but `FALSE_ALARMS` of the others. Carlini et al.
        (S&P 2022) say why this counts: an attack that is right about a few is an attack.
    """

    auc: Auc
    caught: Prevalence

    @classmethod
    def of(cls, members: torch.Tensor, others: torch.Tensor) -> "Membership":
        """Compare the scores of members, (N,), with those of others, (M,).

        A `DataWarning` says where scores that differ from image to image are in both sets.

        Parameters
        ----------
        members, others : Tensor
            Higher where an image is more likely a member.

        Raises
        ------
        DataError
            There are no members, fewer than 100 others, or a score is not finite.
        """
        members = tensor_of(members, "Membership takes no members")
        others = tensor_of(others, "Membership takes no others")
        if not len(members) or FALSE_ALARMS * len(others) < 1:
            raise DataError(
                f"There are {len(members)} members and {len(others)} others: give at least one "
                f"member and {1 / FALSE_ALARMS:.0f} others."
            )
        scores = torch.cat([members, others]).cpu()
        if len(scores.unique()) >= DISTINCT * len(scores):
            warn_of_shared(members[:, None], others[:, None], "Membership")
        is_member = torch.arange(len(scores)) < len(members)
        threshold = threshold_at(scores, is_member, FALSE_ALARMS)
        return cls(Auc.of(scores, is_member), Prevalence.of(members > threshold))

    def metrics(self, name: str) -> dict[str, float]:
        """Return `membership_NAME` and `caught_NAME`, with their intervals."""
        return self.auc.metrics(f"membership_{name}") | self.caught.metrics(f"caught_{name}")
