"""Feature unlearning for pre-trained GANs and VAEs (Moon, Cho and Kim, AAAI 2024)."""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import nn

from forgetting.errors import DataError
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import (
    Batch,
    FinetuneConfig,
    Losses,
    Objective,
    finetune,
    l1_distance,
)
from forgetting.methods.problem import Trainable, UnlearningProblem, all_weights
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import Callback, UnlearningResult

SSIM_KERNEL = 5
"""Side of the window of MS-SSIM, in pixels; the usual 11 px do not fit images of 28 px."""

SSIM_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM (Wang et al., 2003), from the finest on."""


class UnlearningConfig(FinetuneConfig):
    """Settings of feature unlearning: those of the shared loop and factors of the losses.

    The factors have no unit. The paper has alpha, whose value it does not publish, before both
    parts of unlearning, L1 and MS-SSIM, and none before any other term.
    """

    alpha: float = Field(1.0, ge=0, description="factor of L1 and MS-SSIM; the study's choice")
    perceptual: float = Field(1.0, ge=0, description="factor of 1 - MS-SSIM; 1 as in the paper")
    pixels: float = Field(1.0, ge=0, description="factor of the L1 in unlearning; 1 as published")
    reconstruction: float = Field(
        1.0, ge=0, description="factor of reconstruction; 1 as published"
    )

    @model_validator(mode="after")
    def _unlearns_something(self) -> Self:
        """Refuse factors with which the copy stays what the original is."""
        if not self.alpha * (self.perceptual + self.pixels):
            raise ValueError(
                f"alpha = {self.alpha:g}, perceptual = {self.perceptual:g} and pixels = "
                f"{self.pixels:g} unlearn nothing: give alpha and one of the others above 0"
            )
        return self


@unlearning_method(
    "feature unlearning", UnlearningConfig, source="Moon, Cho and Kim, AAAI 2024 (2303.05699)"
)
def feature_unlearning(problem: UnlearningProblem, config: UnlearningConfig) -> UnlearningResult:
    """Give latents with the feature the image of the latent from which the feature is erased.

    With f the original, g the tuned copy, sim(z) = 1 for a latent that the direction selects and
    0 for any other, and z' the erased latent, the loss is the mean over latents of

        alpha sim (|g(z) - f(z')|_1 + 1 - MS-SSIM(g(z), f(z'))) + (1 - sim) |g(z) - f(z)|_1

    The L1 is a sum over pixels; the paper leaves open whether it is a sum or a mean.
    """

    return finetune(problem, imitation(config), config)


def imitation(config: UnlearningConfig) -> Objective:
    """Return the objective of a copy that makes of latents the original's images of targets.

    With z' the targets, the losses are those of `feature_unlearning`; a latent that is not
    selected is its own target.
    """

    def objective(batch: Batch) -> Losses:
        target = batch.original(batch.targets)
        distances = l1_distance(batch.images, target)
        dissimilarities = distances.new_zeros(1)
        if config.alpha * config.perceptual:  # a fifth of a step's time
            dissimilarities = 1 - ms_ssim(batch.images[batch.selected], target[batch.selected])
        n = len(distances)
        return {
            "unlearn": config.alpha * config.pixels * (batch.selected * distances).mean(),
            "percep": config.alpha * config.perceptual * dissimilarities.sum() / n,
            "recon": config.reconstruction * (~batch.selected * distances).mean(),
        }

    return objective


def unlearn_feature(
    generator: nn.Module,
    direction: Direction,
    config: UnlearningConfig | None = None,
    *,
    trainable: Trainable = all_weights,
    callback: Callback | None = None,
) -> UnlearningResult:
    """Tune a copy of a generator so that it no longer makes a feature.

    This is the method `feature_unlearning`, whose docstring has the loss, without the score
    argument that it does not need.

    Parameters
    ----------
    generator : nn.Module
        Decodes latents (B, latent_dim) to images (B, C, H, W) in [0, 1].
    direction : Direction
        The feature's, as `find_direction` returns it.
    config : UnlearningConfig, optional
        Settings of the method.
    trainable : callable
        From a copy of the generator to the part that is tuned; all of it by default.
    callback : callable, optional
        Receives each step's row and the tuned copy.

    Returns
    -------
    UnlearningResult
        The tuned copy; the rows of the history have `loss_unlearn`, `loss_percep` and
        `loss_recon`.

    Raises
    ------
    DataError
        The direction and the generator's latents differ in dimension, or images have a side of
        5 px or less.
    TrainingError
        The loss is not finite.

    Examples
    --------
    >>> import forgetting as fg
    >>> from forgetting.methods.feature_unlearning import UnlearningConfig
    >>> generator = fg.load("digits-vae")
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> direction = fg.find_direction(fg.collect_latents(generator, ink, 500))
    >>> result = fg.unlearn_feature(generator, direction, UnlearningConfig(steps=3))
    >>> result.history[-1]["step"]
    3
    >>> result.model is generator
    False
    """
    return feature_unlearning(
        generator, direction, None, config, trainable=trainable, callback=callback
    )


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the multi-scale structural similarity of image pairs (Wang et al., 2003).

    The window is uniform and 5 px wide. Of the five usual scales as many are used as fit: three
    at 28 and 32 px, four at 64 px, five at 128 px. They keep their usual weights, which then sum
    to less than one.

    Parameters
    ----------
    a, b : torch.Tensor
        Images (B, C, H, W) in [0, 1].

    Returns
    -------
    torch.Tensor
        (B,), 1 where the images of a pair are equal.

    Raises
    ------
    DataError
        The images are too small for one scale.
    """
    if not len(a):
        return a.new_zeros(0)
    side = min(a.shape[-2:])
    n_scales = sum(side // max(1, scale**2) > SSIM_KERNEL for scale in range(len(SSIM_BETAS)))
    if not n_scales:
        raise DataError(f"MS-SSIM needs images of over {SSIM_KERNEL} px, not {side} px ones.")
    from torchmetrics.functional.image import (  # takes seconds
        multiscale_structural_similarity_index_measure,
    )

    similarities: torch.Tensor = multiscale_structural_similarity_index_measure(
        a,
        b,
        gaussian_kernel=False,
        kernel_size=SSIM_KERNEL,
        betas=SSIM_BETAS[:n_scales],
        data_range=1.0,
        reduction="none",
    )
    return similarities
