"""What a method that unlearns a feature is given: a generator, and where the feature lies."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.copies import frozen_copy, tunable_copy
from forgetting.border.options import check_callable, check_kind
from forgetting.errors import DataError, DataWarning
from forgetting.methods.direction import Direction
from forgetting.methods.results import Callback

Score = Callable[[torch.Tensor], torch.Tensor]
"""Images (B, C, H, W) to the logits (B,) of a feature, differentiably."""

Trainable = Callable[[nn.Module], nn.Module]
"""Picks the part of a generator that is tuned, such as the decoder of a VAE."""


FARTHEST = 4.0
"""Largest projection threshold, up or down: beyond lie 3 of 100,000 latents."""


def all_weights(model: nn.Module) -> nn.Module:
    """Return the model itself: every weight is tuned."""
    return model


@dataclass(frozen=True)
class UnlearningProblem:
    """A feature to unlearn, and the generator that shall unlearn it.

    A `DataWarning` says where the direction is so long that latents are erased to where none lie.

    Attributes
    ----------
    generator : nn.Module
        Has `latent_dim` and `forward(z: (B, latent_dim)) -> images` (B, C, H, W) in [0, 1].
        Methods copy it and do not change it.
    direction : Direction
        Where the feature lies in the generator's latent space.
    trainable : callable
        Returns, of a copy of the generator, the part that is tuned.
    callback : callable, optional
        Called at every step with the step's figures and the tuned copy.
    start : nn.Module, optional
        A tuned copy with which tuning goes on; without it tuning starts at the generator.

    Raises
    ------
    DataError
        The direction and the generator's latents differ in dimension, or the direction selects
        hardly any latent, or nearly all.
    """

    generator: nn.Module
    direction: Direction
    trainable: Trainable = all_weights
    callback: Callback | None = None
    start: nn.Module | None = None

    def __post_init__(self) -> None:
        check_kind(Direction, "what `find_direction` returns", direction=self.direction)
        check_kind(Callable, "a function", trainable=self.trainable)
        check_callable(callback=self.callback)
        if self.direction.vector.shape != (self.latent_dim,):
            raise DataError(
                f"The direction has {len(self.direction.vector)} dimensions, the generator's "
                f"latents {self.latent_dim}: find the direction with this generator."
            )
        t = self.direction.projection_threshold
        if abs(t) > FARTHEST:
            what = "hardly any latent" if t > 0 else "nearly every latent"
            raise DataError(
                f"The projection threshold is {t:g}, and projections of latents are standard "
                f"normal, so that the direction selects {what}: give one between -{FARTHEST:g} "
                f"and {FARTHEST:g}, as `find_direction` does."
            )
        length = float(self.direction.vector.norm())
        if t + 1 - length < -FARTHEST:
            warnings.warn(
                f"The direction has the length {length:.3g}, so that a latent with a projection "
                f"of {t + 1:.2g} is erased to one of {t + 1 - length:.2g}, where hardly any lies: "
                "divide it by its length, as form='unit' does.",
                DataWarning,
                stacklevel=4,
            )

    @property
    def latent_dim(self) -> int:
        """Number of dimensions of the generator's latents."""
        return check_latent_dim(self.generator)

    def frozen_copy(self) -> nn.Module:
        """Return a copy of the generator in evaluation mode whose weights take no gradient."""
        return frozen_copy(self.generator)

    def tunable_copy(self) -> nn.Module:
        """Return a copy in evaluation mode of which the weights to tune take gradients.

        Those that are frozen in the generator stay frozen. In `start`, a result, all are.
        """
        duplicate: nn.Module = tunable_copy(self.generator, self.trainable)
        if self.start is not None:
            with torch.no_grad():
                pairs = zip(duplicate.parameters(), self.start.parameters(), strict=True)
                for weight, tuned in pairs:
                    weight.copy_(tuned)
        return duplicate
