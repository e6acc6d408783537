"""The loop that feature unlearning and its baselines share: a copy of a generator is tuned.

A method gives the loop an objective and, if needed, a penalty on the weights or a combination of
gradients. Latents, optimizer, schedule and logging are the same for all methods.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import nn

from forgetting.border.conditions import MAX_SEED, own_conditions, seeded, stream_seed
from forgetting.border.copies import device_of, free_weights, freeze
from forgetting.border.failures import failing_in_a_sentence
from forgetting.errors import TrainingError
from forgetting.foundation.devices import adam
from forgetting.foundation.precision import Precision, autocast_context
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.results import UnlearningResult, reporting
from forgetting.methods.settings import Settings


class FinetuneConfig(Settings):
    """Settings of the shared loop. The papers publish none of them: the defaults are the study's.

    Steps and learning rate follow a pilot on a VAE of digits. The runs of the book take the same
    number of latents per step.
    """

    steps: int = Field(300, ge=1, description="steps of the optimizer; default: the pilot's")
    batch_size: int = Field(
        64, ge=1, description="latents per step; default: that of the book's runs"
    )
    lr: float = Field(
        1e-3,
        gt=0,
        description="learning rate of Adam at the first step; it falls to 0. Default: the pilot's",
    )
    precision: Precision = Field(
        "float32",
        description="number format of the generators' forward passes, where the device has it; "
        "losses and weights stay in float32; default: the exact one",
    )
    log_every: int = Field(
        10, ge=1, description="steps from one row of the history to the next; the study's choice"
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of all random draws, a whole number")


@dataclass(frozen=True)
class Drawn:
    """The latents of one step.

    Attributes
    ----------
    latents : torch.Tensor
        (B, latent_dim), on the CPU.
    selected : torch.Tensor
        Bool (B,): which of them shall change.
    targets : torch.Tensor
        (B, latent_dim): the original's images of these are what the copy shall make; those that
        shall not change are their own targets.
    """

    latents: torch.Tensor
    selected: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """What an objective sees of one step.

    Attributes
    ----------
    original : callable
        Decodes latents (B, latent_dim) to the original generator's images (B, C, H, W), without
        gradient.
    latents, targets : torch.Tensor
        (B, latent_dim), on the CPU, as `Drawn` has them.
    selected : torch.Tensor
        Bool (B,), on the images' device: the latents that shall change.
    images : torch.Tensor
        (B, C, H, W), the images that the tuned copy makes of the latents, with gradient.
    random : torch.Generator
        The loop's random stream, for an objective that draws.
    weights : list[torch.nn.Parameter]
        Those that are tuned, for an objective of its own losses' gradients.
    """

    original: Callable[[torch.Tensor], torch.Tensor]
    latents: torch.Tensor
    targets: torch.Tensor
    selected: torch.Tensor
    images: torch.Tensor
    random: torch.Generator
    weights: list[nn.Parameter]


Losses = dict[str, torch.Tensor]
"""Losses of one step by name, each a scalar."""

Gradients = tuple[torch.Tensor, ...]
"""A gradient: one tensor for each tuned parameter, in the order of the parameters."""

Draw = Callable[[torch.Generator], Drawn]
"""Draws the latents of a step from the loop's random stream."""

Objective = Callable[[Batch], Losses]
"""Losses of a batch; the loop minimises their sum."""

Penalty = Callable[[nn.Module], torch.Tensor]
"""Loss, a scalar, of the tuned part of the copy alone."""

GradientCombiner = Callable[[dict[str, Gradients]], Gradients]
"""Makes one gradient of the gradients of the losses, given by the losses' names."""


def finetune(
    problem: UnlearningProblem,
    objective: Objective,
    config: FinetuneConfig,
    *,
    penalty: Penalty | None = None,
    combine: GradientCombiner | None = None,
    draw: Draw | None = None,
) -> UnlearningResult:
    """Tune a copy of a generator with an objective.

    The copy starts at the original's weights, or at those of `problem.start`. Each of
    `config.steps` steps

    1. draws `config.batch_size` latents z ~ N(0, I) and selects those whose projection on the
       direction reaches the projection threshold, or takes what `draw` draws;
    2. decodes them with the copy, in `config.precision`, and computes the objective's losses and
       the penalty in float32;
    3. computes the gradient of the losses' sum or, with `combine`, the gradient that `combine`
       makes of the losses' gradients, with respect to the weights that `problem.trainable` picks;
    4. moves these weights by one step of Adam, whose learning rate falls linearly from
       `config.lr` at the first step to 0 after the last;
    5. calls `problem.callback`, and logs the step's figures if its number is a multiple of
       `config.log_every` or the last.

    The model stays in evaluation mode, so that no running statistic changes. What a generator
    draws itself in a step, such as a class, is equal in the original and the copy. All other draws
    come from one stream with the seed `config.seed`, first the step's latents and then what the
    objective draws.

    Parameters
    ----------
    problem : UnlearningProblem
        The generator, the direction, what is tuned, and the callback.
    objective : callable
        Returns the losses of a `Batch` by name.
    config : FinetuneConfig
        Settings of the loop.
    penalty : callable, optional
        Returns a loss of the tuned part; it counts among the losses as `penalty`.
    combine : callable, optional
        Returns the gradient of the step, given the gradients of the losses by name.
    draw : callable, optional
        Returns a step's latents, given the random stream.

    Returns
    -------
    UnlearningResult
        The tuned copy, and rows with `step` (from 1), `loss` (the sum of all losses) and
        `loss_NAME` for each of them, as they were before the step moved the weights.

    Raises
    ------
    TrainingError
        The loss is not finite, or a weight at the end. Or the tuned copy raises an error of its
        own.
    """
    with own_conditions(config.seed):
        return _finetune(problem, objective, config, penalty, combine, draw)


def _finetune(
    problem: UnlearningProblem,
    objective: Objective,
    config: FinetuneConfig,
    penalty: Penalty | None,
    combine: GradientCombiner | None,
    draw: Draw | None,
) -> UnlearningResult:
    """Tune a copy; the arguments are those of `finetune`."""
    original, model = problem.frozen_copy(), problem.tunable_copy()
    tuned = problem.trainable(model)
    parameters = free_weights(tuned)
    device = device_of(model)

    def decode(generator: nn.Module, latents: torch.Tensor) -> torch.Tensor:
        of_step = stream_seed(config.seed, f"step {step}")  # what is drawn is equal in both models
        with seeded(of_step), autocast_context(config.precision, device):
            images: torch.Tensor = generator(latents.to(device)).float()
        return images

    def draw_normal(random: torch.Generator) -> Drawn:
        latents = torch.randn(config.batch_size, problem.latent_dim, generator=random)
        direction = problem.direction
        return Drawn(latents, direction.selects(latents), direction.erase(latents))

    @torch.no_grad()
    def decode_original(latents: torch.Tensor) -> torch.Tensor:
        return decode(original, latents)

    optimizer = adam(parameters, config.lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=config.steps)
    random = torch.Generator().manual_seed(config.seed)
    history: list[dict[str, float]] = []
    report = reporting(problem.callback, config.steps, "tuning")
    step = 0
    for step in range(1, config.steps + 1):
        drawn = (draw or draw_normal)(random)
        with failing_in_a_sentence("Tuning", step, first=1, lr=config.lr):
            images = decode(model, drawn.latents)
        selected = drawn.selected.to(device)
        losses = objective(
            Batch(
                decode_original, drawn.latents, drawn.targets, selected, images, random, parameters
            )
        )
        if penalty is not None:
            losses["penalty"] = penalty(tuned)
        total = torch.stack(list(losses.values())).sum()
        row = {"step": step, "loss": total.item()}
        row |= {f"loss_{name}": loss.item() for name, loss in losses.items()}
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                f"The loss is {row['loss']} at step {step}. Lower the learning rate (now "
                f"{config.lr:g})."
            )
        optimizer.zero_grad(set_to_none=True)
        if combine is None:
            total.backward(inputs=parameters)
        else:
            _combine_gradients(losses, parameters, combine)
        optimizer.step()
        schedule.step()
        report(row, model)
        if step % config.log_every == 0 or step == config.steps:
            history.append(row)
    if not all(parameter.isfinite().all() for parameter in parameters):
        raise TrainingError(
            f"Weights are not finite after step {config.steps}, the last. Lower the learning rate "
            f"(now {config.lr:g})."
        )
    return UnlearningResult(freeze(model), history)


def _combine_gradients(
    losses: Losses, parameters: list[nn.Parameter], combine: GradientCombiner
) -> None:
    """Set the parameters' gradients to what a combiner makes of the losses' gradients."""
    gradients = {
        name: torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        for name, loss in losses.items()
    }
    for parameter, gradient in zip(parameters, combine(gradients), strict=True):
        parameter.grad = gradient


def l1_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the L1 distances (B,) of images (B, C, H, W), each a sum over pixels."""
    return (a - b).abs().flatten(1).sum(1)
