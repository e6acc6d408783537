"""What taming does to a flow's samples: distance to real images, and what they show, same z."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from forgetting.evaluation.answers import answered
from forgetting.evaluation.fidelity import Statistics, fid
from forgetting.evaluation.presence import Presence
from forgetting.evaluation.sampling import features
from forgetting.models.glow import Glow


def compare_samples(
    base: Glow,
    tamed: Glow,
    n: int,
    temperature: float,
    *,
    seeds: Sequence[int],
    reference: Statistics,
    feature_judge: nn.Module,
    shown: Callable[[torch.Tensor], torch.Tensor] | None = None,
    name: str = "",
    end: str = "",
) -> dict[str, float]:
    """Sample two flows from the same latents, once for each seed.

    Parameters
    ----------
    shown : says of images (N, C, H, W) which show what is to be counted, bool (N,); None: nothing
    name : of what is counted
    end : of every metric's name, before `_std`, `_low` and `_high`

    Returns
    -------
    fid_before, fid_after, fid_change : means over the seeds, each with its `_std` (a change that
        is smaller than its spread between draws is no change)
    NAME_before, NAME_after : share of all samples that show it, each with `_low` and `_high`
    """
    fids: dict[str, list[float]] = {"before": [], "after": []}
    counted: dict[str, list[torch.Tensor]] = {"before": [], "after": []}
    for seed in seeds:
        drawn = {
            "before": known_samples(base, n, temperature, seed),
            "after": tamed.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu(),
        }
        for when, images in drawn.items():
            if when == "before":  # asked again by every run on this base
                seen = answered(
                    [feature_judge],
                    [images],
                    "features",
                    lambda images=images: features(feature_judge, images),
                )
            else:
                seen = features(feature_judge, images)
            fids[when].append(fid(seen, reference))
            if shown is not None:
                counted[when].append(shown(images))
    values = {when: torch.tensor(found, dtype=torch.float64) for when, found in fids.items()}
    values["change"] = values["after"] - values["before"]
    metrics = {}
    for when, found in values.items():
        metrics[f"fid_{when}{end}"] = float(found.mean())
        metrics[f"fid_{when}{end}_std"] = float(found.std())
    for when, masks in counted.items() if shown is not None else ():
        metrics |= Presence.of(torch.cat(masks)).metrics(f"{name}_{when}{end}")
    return metrics


def known_samples(flow: Glow, n: int, temperature: float, seed: int) -> torch.Tensor:
    """Return `flow.sample(...)`, (n, C, H, W), from the user's cache where it was drawn before."""
    top = 2**flow.n_bits - 1

    def draw() -> torch.Tensor:
        images = flow.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu()
        return (images * top).round().byte()  # a sample is quantised: nothing is lost

    asked = torch.tensor([n, temperature, seed], dtype=torch.float64)
    return answered([flow], [asked], "samples", draw).float() / top
