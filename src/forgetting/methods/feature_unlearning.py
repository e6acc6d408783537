"""Feature unlearning for pre-trained GANs and VAEs (Moon, Cho and Kim, AAAI 2024).

Samples that show a feature and samples that don't give a direction in latent space. A copy of the
generator is tuned to make, of a latent beyond the threshold, what the original makes of that
latent with the feature erased, and to leave every other latent as it was.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from forgetting.errors import DataError, TrainingError
from forgetting.methods import Callback, Forgotten

MIN_POSITIVES = 10

SSIM_KERNEL = 5
SSIM_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales (Wang et al., 2003); as many of them are used as fit the image."""


@dataclass(frozen=True)
class Collection:
    """Latents of samples that show the feature, and of samples that don't.

    Attributes
    ----------
    positive, negative : (P, latent_dim), (N, latent_dim)
    """

    positive: torch.Tensor
    negative: torch.Tensor

    def agreement(self) -> float:
        """Return the cosine of the directions of two halves: 1 is a direction without noise."""
        first = self.positive[::2].mean(0) - self.negative[::2].mean(0)
        second = self.positive[1::2].mean(0) - self.negative[1::2].mean(0)
        return float(torch.cosine_similarity(first, second, dim=0))


@dataclass(frozen=True)
class Direction:
    """Where a feature lies in latent space.

    Attributes
    ----------
    vector : (latent_dim,), z_e
    threshold : t; a latent shows the feature where its projection reaches it
    """

    vector: torch.Tensor
    threshold: float

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        """Return proj(z) = <z, z_e> / |z_e|, (B,)."""
        return latents @ self.vector / self.vector.norm()

    def marks(self, latents: torch.Tensor) -> torch.Tensor:
        """Return sim(z): which latents reach the threshold, boolean (B,)."""
        return self.project(latents) >= self.threshold

    def erase(self, latents: torch.Tensor) -> torch.Tensor:
        """Return z' = z - (proj(z) - t) z_e where sim(z), z elsewhere, (B, latent_dim).

        With a unit vector z' lies on the threshold; with a longer one it overshoots it.
        """
        beyond = (self.project(latents) - self.threshold).clamp(min=0)
        return latents - beyond[:, None] * self.vector


class UnlearningConfig(BaseModel):
    """Settings of `unlearn_feature`. The paper's optimiser settings are not published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(300, ge=1)
    batch_size: int = Field(128, ge=1)
    lr: float = Field(1e-3, gt=0, description="at the first step; it falls to 0 at the last")
    alpha: float = Field(1.0, ge=0, description="weight of unlearning against reconstruction")
    log_every: int = Field(10, ge=1)
    seed: int = Field(0, ge=0)


@torch.no_grad()
def collect(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    share: float = 0.1,
    seed: int = 0,
    batch_size: int = 500,
) -> Collection:
    """Sample a generator and call the share with the highest scores positive.

    Parameters
    ----------
    generator : `latent_dim` and `forward(z) -> images`
    score : images (B, C, H, W) -> (B,), higher where the feature shows more
    n : samples; a direction in d dimensions wants some hundred times d of them
    share : of the samples that show the feature (the paper: a tenth)

    Raises
    ------
    DataError
        There would be too few positives to give a direction, or a score is not finite.
    """
    if n * share < MIN_POSITIVES:
        raise DataError(
            f"{n} samples at a share of {share:g} give {int(n * share)} positives, too few for a "
            f"direction: collect at least {math.ceil(MIN_POSITIVES / share)}."
        )
    device = next(generator.parameters()).device
    latents = torch.randn(n, generator.latent_dim, generator=torch.Generator().manual_seed(seed))
    scores = torch.cat([score(generator(z.to(device))).cpu() for z in latents.split(batch_size)])
    if not torch.isfinite(scores).all():
        raise DataError("The judge gives scores that are not finite for some of the samples.")
    positive = torch.zeros(n, dtype=torch.bool)
    positive[scores.topk(round(n * share)).indices] = True
    return Collection(latents[positive], latents[~positive])


def find_direction(
    collection: Collection,
    *,
    form: Literal["raw", "unit"] = "raw",
    threshold: Literal["midpoint", "prevalence"] = "midpoint",
) -> Direction:
    """Return z_e = mean(z | positive) - mean(z | negative) and its threshold.

    Parameters
    ----------
    form : "raw" keeps the length of the difference, as the paper writes it; "unit" normalises it
    threshold : "midpoint" of the two classes' mean projections; "prevalence" is the mean over
        all samples as collected, which lies near 0 and marks half of all latents
    """
    vector = collection.positive.mean(0) - collection.negative.mean(0)
    if form == "unit":
        vector = vector / vector.norm()
    direction = Direction(vector, 0.0)
    positive, negative = (
        direction.project(latents) for latents in (collection.positive, collection.negative)
    )
    if threshold == "midpoint":
        return Direction(vector, float(positive.mean() + negative.mean()) / 2)
    return Direction(vector, float(torch.cat([positive, negative]).mean()))


def unlearn_feature(
    generator: nn.Module,
    direction: Direction,
    config: UnlearningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> Forgotten:
    """Tune a copy g of a generator f so that it no longer makes a feature.

        L = alpha sim (|g(z) - f(z')|_1 + 1 - MS-SSIM(g(z), f(z'))) + (1 - sim) |g(z) - f(z)|_1

    The L1 is a sum over pixels and a mean over images (the paper doesn't say which).

    Parameters
    ----------
    generator : `latent_dim` and `forward(z: (B, latent_dim)) -> images` in [0, 1]; not changed
    direction : where the feature lies
    trainable : picks, of the copy, the part that is tuned (a VAE's decoder)
    callback : called at every step with a row of figures and the model

    Raises
    ------
    DataError
        The direction and the generator have different dimensions, or images are under 5 px.
    TrainingError
        The loss is not finite.
    """
    config = config or UnlearningConfig()
    if direction.vector.shape != (generator.latent_dim,):
        raise DataError(
            f"The direction has {len(direction.vector)} dimensions, the generator's latents "
            f"{generator.latent_dim}: find the direction with this generator."
        )
    original = copy.deepcopy(generator).requires_grad_(False).eval()
    model = copy.deepcopy(generator).requires_grad_(False).eval()
    tuned = trainable(model).requires_grad_(True)
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(tuned.parameters(), lr=config.lr, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=config.steps)
    random = torch.Generator().manual_seed(config.seed)
    history: list[dict[str, float]] = []
    for step in range(config.steps):
        latents = torch.randn(config.batch_size, generator.latent_dim, generator=random)
        marked = direction.marks(latents).to(device)
        with torch.no_grad():
            target = original(direction.erase(latents).to(device))
        image = model(latents.to(device))
        l1 = (image - target).abs().flatten(1).sum(1)
        percep = 1 - ms_ssim(image, target)
        loss_unlearn = (marked * l1).mean()
        loss_percep = (marked * percep).mean()
        loss_recon = (~marked * l1).mean()
        loss = config.alpha * (loss_unlearn + loss_percep) + loss_recon
        row = {
            "step": step + 1,
            "loss": loss.item(),
            "loss_unlearn": loss_unlearn.item(),
            "loss_percep": loss_percep.item(),
            "loss_recon": loss_recon.item(),
        }
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                f"Feature unlearning: the loss is {row['loss']} at step {step + 1}. Lower the "
                f"learning rate (now {config.lr:g})."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if callback is not None:
            callback(row, model)
        if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
            history.append(row)
    return Forgotten(model.requires_grad_(False), history)


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the multi-scale SSIM of images in [0, 1], (B, C, H, W), for each pair, (B,).

    A uniform 5 px window and as many of the five usual scales as fit: three at 28 and 32 px,
    four at 64, five at 128.

    Raises
    ------
    DataError
        The images are too small for one scale.
    """
    side = min(a.shape[-2:])
    fits = [side // max(1, scale**2) >= SSIM_KERNEL for scale in range(len(SSIM_BETAS))]
    scales = sum(fits)
    if not scales:
        raise DataError(f"MS-SSIM needs images of {SSIM_KERNEL} px or more, not {side} px ones.")
    return multiscale_structural_similarity_index_measure(
        a,
        b,
        gaussian_kernel=False,
        kernel_size=SSIM_KERNEL,
        betas=SSIM_BETAS[:scales],
        data_range=1.0,
        reduction="none",
    )
