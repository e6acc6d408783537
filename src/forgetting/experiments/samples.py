"""What taming does to a flow's samples: distance to real images, and what they show, same z."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from forgetting.cache import cached
from forgetting.errors import DataError
from forgetting.inference import features
from forgetting.metrics.fidelity import Statistics, fid
from forgetting.metrics.prevalence import Prevalence
from forgetting.models.glow import Glow


def compare_samples(
    base: Glow,
    tamed: Glow,
    n: int,
    temperature: float,
    *,
    seeds: Sequence[int],
    reference: Statistics,
    feature_classifier: nn.Module,
    kinds: Callable[[torch.Tensor], torch.Tensor] | None = None,
    has_feature: Callable[[torch.Tensor], torch.Tensor] | None = None,
    name: str = "",
    end: str = "",
) -> dict[str, float]:
    """Sample two flows from the same latents, once for each seed.

    Parameters
    ----------
    base, tamed : before and after
    n : samples for each seed
    temperature : the factor on the latents' spread
    seeds : of the latents; two at least, for the spread
    reference : of the real images that FID is taken to
    feature_classifier : classifier A
    kinds : says of images (N, C, H, W) which kind each is, int or bool (N,). FID grows where the
        mixture of kinds leaves that of the reference, which is no harm: with kinds, what the
        mixture alone explains is told too. None: it is not
    has_feature : says of images which show what is to be counted, bool (N,); None: nothing
    name : of what is counted
    end : of every metric's name, before `_std`, `_low` and `_high`

    Returns
    -------
    fid_before, fid_after, fid_change : means over the seeds, each with its `_std` (a change that
        is smaller than its spread between draws is no change)
    fid_mixed, fid_beyond : of the base's samples, weighed so that their kinds have the shares that
        they have among the tamed flow's, and by how much that flow's own FID lies above
    NAME_before, NAME_after : share of all samples that show it, each with `_low` and `_high`
    """
    fids: dict[str, list[float]] = {"before": [], "after": []}
    if kinds is not None:
        fids["mixed"] = []
    counted: dict[str, list[torch.Tensor]] = {"before": [], "after": []}
    for seed in seeds:
        before = cached_samples(base, n, temperature, seed)
        after = tamed.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu()
        of_before = cached(  # asked again by every run on this base
            [feature_classifier],
            [before],
            "features",
            lambda images=before: features(feature_classifier, images),
        )
        fids["before"].append(fid(of_before, reference))
        fids["after"].append(fid(features(feature_classifier, after), reference))
        if kinds is not None:
            weights = mixing_weights(kinds(before).long(), kinds(after).long())
            fids["mixed"].append(fid(Statistics.of(of_before, weights), reference))
        if has_feature is not None:
            counted["before"].append(has_feature(before))
            counted["after"].append(has_feature(after))
    values = {of: torch.tensor(found, dtype=torch.float64) for of, found in fids.items()}
    values["change"] = values["after"] - values["before"]
    if kinds is not None:
        values["beyond"] = values["after"] - values["mixed"]
    metrics = {}
    for of, found in values.items():
        metrics[f"fid_{of}{end}"] = float(found.mean())
        metrics[f"fid_{of}{end}_std"] = float(found.std())
    for when, masks in counted.items() if has_feature is not None else ():
        metrics |= Prevalence.of(torch.cat(masks)).metrics(f"{name}_{when}{end}")
    return metrics


def mixing_weights(kinds: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return weights, (N,) with mean one, by which some images are mixed as others are.

    Parameters
    ----------
    kinds : (N,), which kind each of the images to weigh is, from 0
    wanted : (M,), which kind each of those others is. A kind that none of the images to weigh is
        of is left out, and the rest keep their proportions

    Raises
    ------
    DataError
        Fewer than two of the images are of a kind that is wanted.
    """
    n = int(max(kinds.max(), wanted.max())) + 1
    have, want = (torch.bincount(of, minlength=n).double() / len(of) for of in (kinds, wanted))
    weights = (want / have)[kinds]
    if int((weights > 0).sum()) < 2:
        raise DataError(
            f"Of {len(kinds)} samples before, fewer than two are of a kind that there is after: "
            "they cannot be mixed alike. Take more samples."
        )
    return weights / weights.mean()


def cached_samples(flow: Glow, n: int, temperature: float, seed: int) -> torch.Tensor:
    """Return `flow.sample(...)`, (n, C, H, W), from the user's cache where it was drawn before."""
    top = 2**flow.n_bits - 1

    def draw() -> torch.Tensor:
        images = flow.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu()
        return (images * top).round().byte()  # a sample is quantised: nothing is lost

    asked = torch.tensor([n, temperature, seed], dtype=torch.float64)
    return cached([flow], [asked], "samples", draw).float() / top
