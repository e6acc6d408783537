"""What taming retains: images under fixed noise, and the tamed flow's likelihood reference."""

from dataclasses import dataclass
from typing import Any

import torch

from forgetting.border.contracts import Flow, bits_per_dim_with_noise
from forgetting.errors import DataError
from forgetting.foundation.cache import cached
from forgetting.methods.taming_config import FlowFinetuneConfig, TamingConfig

FAR = 3.0
"""Factor beyond which a reference image is an outlier.

The change of an outlier's bits/dim lies far from the median change: farther than FAR times the
base's standard deviation, and farther than FAR times the distance of the ninth of ten images. A
single image that became very unlikely would otherwise carry mu and sigma off, and with them the
threshold, to where the loss has no gradient.
"""


@dataclass(frozen=True)
class TamedReference:
    """Likelihood reference of the tamed flow: mean and deviation over the retained images.

    Attributes
    ----------
    mu : float
        Mean bits/dim.
    sigma : float
        Standard deviation of bits/dim.
    shift : float
        How far the mean moved from the base's, in the base's standard deviations.
    """

    mu: float
    sigma: float
    shift: float


def is_near(bpd: torch.Tensor, reference: TamedReference, config: TamingConfig) -> torch.Tensor:
    """Return bool (N,): which bits/dim the stopping rule counts as near the threshold."""
    distance = (bpd - reference.mu) / reference.sigma - config.delta
    return distance.abs() <= config.stop_within * abs(config.delta)


def is_beyond(bpd: torch.Tensor, reference: TamedReference, config: TamingConfig) -> torch.Tensor:
    """Return bool (N,): which bits/dim lie past the threshold, and not near it."""
    place = (bpd - reference.mu) / reference.sigma
    past = place > config.delta if config.delta > 0 else place < config.delta
    return past & ~is_near(bpd, reference, config)


def farthest(bpd: torch.Tensor, reference: TamedReference, config: TamingConfig) -> float:
    """Return how far outside the rule the farthest of bits/dim (N,) lies, in sigma; 0: none."""
    distance = (bpd - reference.mu) / reference.sigma - config.delta
    return max(0.0, float(distance.abs().max()) - config.stop_within * abs(config.delta))


class RetainSet:
    """Images to retain, each under one noise, and their bits/dim under the base.

    The base's bits/dim are computed once; the user's cache keeps them under the hash of its
    weights, the images and the noise.

    The last `n_statistics` images are the reference images. No step tunes on them: images that
    are tuned on settle sooner than others. The tamed flow's mu and sigma follow from how their
    bits/dim changed: that change is known far better than the mean of so few.

    Attributes
    ----------
    images, noise : torch.Tensor
        (N, ...); noise is uniform in [0, 1).
    base_bpd : torch.Tensor
        (N,), bits/dim under the base.
    n_tuned : int
        Number of images, from the first on, that steps may tune on.
    """

    def __init__(self, base: Any, images: torch.Tensor, config: FlowFinetuneConfig) -> None:
        """Draw `config.n_retain` of the images and their noise, and compute the base's bits/dim.

        Parameters
        ----------
        base : nn.Module
            The flow before taming.
        images : torch.Tensor
            (M, ...), all images to retain.
        config : FlowFinetuneConfig
            Has `n_retain`, `n_statistics` and `seed`.

        Raises
        ------
        DataError
            The base finds all images, or all reference images, equally likely.
        """
        generator = torch.Generator().manual_seed(config.seed)
        self.images = images[torch.randperm(len(images), generator=generator)[: config.n_retain]]
        self.noise = torch.rand(self.images.shape, generator=generator)
        inputs = (self.images, self.noise)
        self.base_bpd = cached(
            [base], inputs, "bits/dim", lambda: bits_per_dim_with_noise(base, *inputs)
        )
        self.n_tuned = len(self.images) - min(config.n_statistics, len(self.images) // 2)
        few = self.base_bpd[self.n_tuned :]
        for which, bpd in (("all", self.base_bpd), (f"{len(few)} of the", few)):
            if torch.allclose(bpd, bpd[:1]):
                raise DataError(
                    f"The flow finds {which} images to retain equally likely, so that there is "
                    "no deviation to measure in: give images that differ."
                )

    def batch(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return images, noise and base bits/dim at indices (B,) below `n_tuned`."""
        return self.images[index], self.noise[index], self.base_bpd[index]

    def likelihood_reference(self, tamed: Flow) -> TamedReference:
        """Return the likelihood reference of the tamed flow over all images of the set.

        It is estimated from the reference images, less outliers (see `FAR`): mu is the base's
        mean over all images plus the mean change, and sigma is the base's deviation over all
        images times the ratio of the deviations after and before.
        """
        few = slice(self.n_tuned, None)
        now = bits_per_dim_with_noise(tamed, self.images[few], self.noise[few])
        before = self.base_bpd[few]
        change = now - before
        distance = (change - change.median()).abs()
        is_far = distance > FAR * torch.maximum(self.base_bpd.std(), distance.quantile(0.9))
        in_use = ~(is_far & distance.isfinite())  # one that is not finite must reach the caller
        now, before = now[in_use], before[in_use]
        mean_change = float((now - before).mean())
        base_sigma = self.base_bpd.std()
        return TamedReference(
            mu=float(self.base_bpd.mean()) + mean_change,
            sigma=float(base_sigma * now.std() / before.std()),
            shift=mean_change / float(base_sigma),
        )
