"""What taming does to a flow's samples: distance to real images and share of a class, same z."""

from collections.abc import Sequence

import torch

from forgetting.evaluation.fidelity import Statistics, fid
from forgetting.evaluation.presence import Presence
from forgetting.evaluation.sampling import classes, features
from forgetting.models.glow import Glow
from forgetting.models.judge import Judge


def compare_samples(
    base: Glow,
    tamed: Glow,
    n: int,
    temperature: float,
    *,
    seeds: Sequence[int],
    reference: Statistics,
    feature_judge: Judge,
    class_judge: Judge,
    digit: int,
) -> dict[str, float]:
    """Sample two flows from the same latents, once for each seed.

    Returns
    -------
    fid_before, fid_after, fid_change : means over the seeds, each with its `_std` (a change that
        is smaller than its spread between draws is no change)
    class_share_before, class_share_after : share of all samples that `class_judge` takes for
        `digit`, each with `_low` and `_high`
    """
    fids: dict[str, list[float]] = {"before": [], "after": []}
    shown: dict[str, list[torch.Tensor]] = {"before": [], "after": []}
    for seed in seeds:
        for name, flow in (("before", base), ("after", tamed)):
            images = flow.sample(n, temperature, torch.Generator().manual_seed(seed)).cpu()
            fids[name].append(fid(features(feature_judge, images), reference))
            shown[name].append(classes(class_judge, images).argmax(1) == digit)
    values = {name: torch.tensor(found, dtype=torch.float64) for name, found in fids.items()}
    values["change"] = values["after"] - values["before"]
    metrics = {}
    for name, found in values.items():
        metrics |= {f"fid_{name}": float(found.mean()), f"fid_{name}_std": float(found.std())}
    for name, masks in shown.items():
        metrics |= Presence.of(torch.cat(masks)).metrics(f"class_share_{name}")
    return metrics
