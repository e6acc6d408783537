"""Feature unlearning for pre-trained GANs and VAEs (Moon, Cho and Kim, AAAI 2024).

A copy of the generator is tuned to make, of a latent beyond the direction's threshold, what the
original makes of that latent with the feature erased, and to leave every other latent as it was.
"""

from collections.abc import Callable

import torch
from pydantic import Field
from torch import nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from forgetting.errors import DataError
from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, FinetuneConfig, distance, finetune

SSIM_KERNEL = 5
SSIM_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales (Wang et al., 2003); as many of them are used as fit the image."""


class UnlearningConfig(FinetuneConfig):
    """Settings of `unlearn_feature`: those of tuning, and the losses' weights."""

    alpha: float = Field(1.0, ge=0, description="weight of unlearning against reconstruction")
    perceptual: float = Field(1.0, ge=0, description="weight of 1 - MS-SSIM in unlearning")
    pixels: float = Field(1.0, ge=0, description="weight of the L1 in unlearning")
    reconstruction: float = Field(1.0, ge=0, description="weight of reconstruction")


def unlearn_feature(
    generator: nn.Module,
    direction: Direction,
    config: UnlearningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> UnlearningResult:
    """Tune a copy g of a generator f so that it no longer makes a feature.

        L = alpha sim (|g(z) - f(z')|_1 + 1 - MS-SSIM(g(z), f(z'))) + (1 - sim) |g(z) - f(z)|_1

    The L1 is a sum over pixels and a mean over images (the paper doesn't say which).

    Parameters
    ----------
    generator, direction, trainable, callback : as `forgetting.methods.finetune.tune` takes them

    Raises
    ------
    DataError
        The direction and the generator have different dimensions, or images are of 5 px or less.
    TrainingError
        The loss is not finite.
    """
    config = config or UnlearningConfig()

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        target = batch.original(direction.erase(batch.latents))
        l1 = distance(batch.images, target)
        dissimilar = 1 - ms_ssim(batch.images[batch.selected], target[batch.selected])
        return {
            "unlearn": config.alpha * config.pixels * (batch.selected * l1).mean(),
            "percep": config.alpha * config.perceptual * dissimilar.sum() / len(l1),
            "recon": config.reconstruction * (~batch.selected * l1).mean(),
        }

    return finetune(
        generator, direction, objective, config, trainable=trainable, callback=callback
    )


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the multi-scale SSIM of images in [0, 1], (B, C, H, W), for each pair, (B,).

    A uniform 5 px window and as many of the five usual scales as fit: three at 28 and 32 px,
    four at 64, five at 128. Their weights stay as they are, and sum to less than 1.

    Raises
    ------
    DataError
        The images are too small for one scale.
    """
    if not len(a):
        return a.new_zeros(0)
    side = min(a.shape[-2:])
    fits = [side // max(1, scale**2) > SSIM_KERNEL for scale in range(len(SSIM_BETAS))]
    scales = sum(fits)
    if not scales:
        raise DataError(f"MS-SSIM needs images of over {SSIM_KERNEL} px, not {side} px ones.")
    return multiscale_structural_similarity_index_measure(
        a,
        b,
        gaussian_kernel=False,
        kernel_size=SSIM_KERNEL,
        betas=SSIM_BETAS[:scales],
        data_range=1.0,
        reduction="none",
    )
