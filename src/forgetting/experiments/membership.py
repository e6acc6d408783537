"""Membership inference on flows before and after taming, and on one that never saw the person."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.experiments.person_splits import PersonSplits
from forgetting.foundation.progress import tracked
from forgetting.metrics.likelihood import LikelihoodReference, cached_bits_per_dim
from forgetting.metrics.membership import Membership

FLOWS = {"before": "original", "after": "tamed", "retrained": "retrained"}
"""Roles of the flows, by their names in records."""

MEMBERS = {
    "forget": "the forgotten photographs",
    "reference": "others of the person",
    "random": "photographs to retain",
}
"""Sets of images that the base has learned, in words."""

OTHERS = "others"
"""The set of images that no flow has seen."""

N_OTHERS = 500
"""Images of that set, at most."""


def membership_sets(
    person: PersonSplits, forget: torch.Tensor, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return the sets of images, float (N, 3, H, W), whose membership is inferred.

    The others are held-out people of the data set that the person is from, so that what tells them
    apart is not the data set. Where a flow draws the person, they are further samples.

    Parameters
    ----------
    forget : Tensor
        (N, 3, H, W), the forgotten images.
    generator : torch.Generator
        Of the draw of others.
    """
    sets = {"forget": forget} | {name: person.sets[name] for name in MEMBERS if name != "forget"}
    if "lfw" not in person.unseen:
        return sets | {OTHERS: person.sets["held_out"]}
    unseen = person.unseen["lfw"]
    chosen = torch.randperm(len(unseen), generator=generator)[:N_OTHERS]
    return sets | {OTHERS: unseen[chosen].float() / 255}


@dataclass(frozen=True)
class FlowLikelihoods:
    """The bits/dim of every set under one flow, and of ordinary images.

    Attributes
    ----------
    sets : dict[str, Tensor]
        (N,) by the name of the set.
    reference : LikelihoodReference
        Mean and deviation over ordinary images.
    """

    sets: dict[str, torch.Tensor]
    reference: LikelihoodReference

    @classmethod
    def of(
        cls,
        flow: nn.Module,
        sets: Mapping[str, torch.Tensor],
        ordinary: torch.Tensor,
        *,
        draws: int,
        seed: int,
    ) -> "FlowLikelihoods":
        """Compute them.

        Parameters
        ----------
        ordinary : Tensor
            (N, 3, H, W), images of the likelihood reference.
        draws : int
            Of dequantisation noise.
        seed : int
            Of the noise.
        """

        def bits(images: torch.Tensor) -> torch.Tensor:
            return cached_bits_per_dim(flow, images, draws, seed)

        reference = LikelihoodReference.of(bits(ordinary))
        named = tracked(sets.items(), "sets")
        return cls({name: bits(images) for name, images in named}, reference)


def membership_metrics(flows: Mapping[str, FlowLikelihoods]) -> dict[str, float]:
    """Return how well three attackers tell each set from the others, with intervals.

    Two attackers have one flow. The first takes likely images for members, the second those whose
    likelihood is unusual, far from the mean of ordinary images on either side. The third has the
    base and the tamed flow, and takes images that became less likely (Chen et al., CCS 2021,
    attack models that unlearn in this way).

    Parameters
    ----------
    flows : Mapping[str, FlowLikelihoods]
        By the names in `FLOWS`, `before` and `after` among them.

    Returns
    -------
    membership_likely_SET_FLOW, membership_unusual_SET_FLOW, membership_change_SET : AUC
    caught_likely_SET_FLOW, caught_unusual_SET_FLOW, caught_change_SET : see `Membership`
    """
    metrics: dict[str, float] = {}
    before, after = flows["before"].sets, flows["after"].sets
    for name in MEMBERS:
        for key, flow in flows.items():
            members, others = flow.sets[name], flow.sets[OTHERS]
            likely = Membership.of(-members, -others)
            away = [(bpd - flow.reference.mean).abs() for bpd in (members, others)]
            metrics |= likely.metrics(f"likely_{name}_{key}")
            metrics |= Membership.of(*away).metrics(f"unusual_{name}_{key}")
        change = Membership.of(after[name] - before[name], after[OTHERS] - before[OTHERS])
        metrics |= change.metrics(f"change_{name}")
    return metrics
