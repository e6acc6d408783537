"""The loop that feature unlearning and its baselines share: a copy of a generator is tuned.

Every step draws latents, marks those that show the feature, and asks an objective what the copy
shall do with either kind. What differs between methods is the objective alone.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from forgetting.errors import DataError, TrainingError
from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.precision import Precision, autocast_context


class FinetuneConfig(BaseModel):
    """Settings that all methods on generators share. The paper's are not published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(300, ge=1)
    batch_size: int = Field(128, ge=1)
    lr: float = Field(
        1e-3, gt=0, description="of Adam at the first step; it falls to 0 at the last"
    )
    precision: Precision = Field(
        "float32",
        description="of the generators' passes, where the machine has it; losses and weights stay "
        "in float32",
    )
    log_every: int = Field(10, ge=1)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class Batch:
    """What an objective sees of one step.

    Attributes
    ----------
    original : latents (B, latent_dim) to what the generator made of them, without gradient
    latents : (B, latent_dim)
    selected : bool (B,), which latents show the feature, by the direction
    images : (B, C, H, W), what the copy makes of the latents, with gradient
    random : for an objective that draws
    """

    original: Callable[[torch.Tensor], torch.Tensor]
    latents: torch.Tensor
    selected: torch.Tensor
    images: torch.Tensor
    random: torch.Generator


Objective = Callable[[Batch], dict[str, torch.Tensor]]
"""Named losses of a batch, scalars; their sum is minimised."""

GradientCombiner = Callable[[dict[str, tuple[torch.Tensor, ...]]], tuple[torch.Tensor, ...]]
"""Makes one gradient of the losses' gradients, each a tensor for every tuned parameter."""


def finetune(
    generator: nn.Module,
    direction: Direction,
    objective: Objective,
    config: FinetuneConfig,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
    penalty: Callable[[nn.Module], torch.Tensor] | None = None,
    combine: GradientCombiner | None = None,
) -> UnlearningResult:
    """Tune a copy of a generator by an objective.

    Parameters
    ----------
    generator : `latent_dim` and `forward(z: (B, latent_dim)) -> images` in [0, 1]; not changed
    direction : where the feature lies
    trainable : picks, of the copy, the part that is tuned (a VAE's decoder)
    callback : called at every step with a row of figures and the model
    penalty : of the tuned part, added to the losses as `penalty`
    combine : combines the losses' gradients where a sum is not wanted

    Raises
    ------
    DataError
        The direction and the generator have different dimensions.
    TrainingError
        The loss is not finite.
    """
    if direction.vector.shape != (generator.latent_dim,):
        raise DataError(
            f"The direction has {len(direction.vector)} dimensions, the generator's latents "
            f"{generator.latent_dim}: find the direction with this generator."
        )
    original = copy.deepcopy(generator).requires_grad_(False).eval()
    model = copy.deepcopy(generator).requires_grad_(False).eval()
    tuned = trainable(model).requires_grad_(True)
    parameters = list(tuned.parameters())
    device = parameters[0].device

    def drawn(one: nn.Module, latents: torch.Tensor) -> torch.Tensor:
        with autocast_context(config.precision, device):
            return one(latents.to(device)).float()

    before = torch.no_grad()(lambda latents: drawn(original, latents))
    optimizer = torch.optim.Adam(parameters, lr=config.lr, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=config.steps)
    random = torch.Generator().manual_seed(config.seed)
    history: list[dict[str, float]] = []
    for step in range(config.steps):
        latents = torch.randn(config.batch_size, generator.latent_dim, generator=random)
        selected = direction.selects(latents).to(device)
        losses = objective(Batch(before, latents, selected, drawn(model, latents), random))
        if penalty is not None:
            losses["penalty"] = penalty(tuned)
        loss = torch.stack(list(losses.values())).sum()
        row = {"step": step + 1, "loss": loss.item()}
        row |= {f"loss_{name}": value.item() for name, value in losses.items()}
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                f"The loss is {row['loss']} at step {step + 1}. Lower the learning rate (now "
                f"{config.lr:g})."
            )
        optimizer.zero_grad(set_to_none=True)
        if combine is None:
            loss.backward()
        else:
            gradients = {
                name: torch.autograd.grad(
                    value, parameters, retain_graph=True, materialize_grads=True
                )
                for name, value in losses.items()
            }
            for parameter, gradient in zip(parameters, combine(gradients), strict=True):
                parameter.grad = gradient
        optimizer.step()
        schedule.step()
        if callback is not None:
            callback(row, model)
        if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
            history.append(row)
    return UnlearningResult(model.requires_grad_(False), history)


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the L1 of images (B, C, H, W), (B,): a sum over pixels."""
    return (a - b).abs().flatten(1).sum(1)
