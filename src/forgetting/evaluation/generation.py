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
    lacking: Statistics | None = None,
    shown: Callable[[torch.Tensor], torch.Tensor] | None = None,
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
    feature_judge : judge A
    lacking : of real images without what was made rare: of FID's change to all of them, some is
        that of the mixture, and here it is not
    shown : says of images (N, C, H, W) which show what is to be counted, bool (N,); None: nothing
    name : of what is counted
    end : of every metric's name, before `_std`, `_low` and `_high`

    Returns
    -------
    fid_before, fid_after, fid_change : means over the seeds, each with its `_std` (a change that
        is smaller than its spread between draws is no change)
    fid_lacking_before, ... : the same, to `lacking`
    NAME_before, NAME_after : share of all samples that show it, each with `_low` and `_high`
    """
    references = {"fid": reference} | ({"fid_lacking": lacking} if lacking else {})
    fids: dict[tuple[str, str], list[float]] = {
        (kind, when): [] for kind in references for when in ("before", "after")
    }
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
            for kind, real in references.items():
                fids[kind, when].append(fid(seen, real))
            if shown is not None:
                counted[when].append(shown(images))
    values = {of: torch.tensor(found, dtype=torch.float64) for of, found in fids.items()}
    for kind in references:
        values[kind, "change"] = values[kind, "after"] - values[kind, "before"]
    metrics = {}
    for (kind, when), found in values.items():
        metrics[f"{kind}_{when}{end}"] = float(found.mean())
        metrics[f"{kind}_{when}{end}_std"] = float(found.std())
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
