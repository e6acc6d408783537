"""Taming normalizing flows (Malnick, Avidan and Fried, WACV 2024).

A copy of a flow is tuned until images lie delta standard deviations less likely than those to
retain, while the likelihoods of those keep their distribution.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import bits_per_dim, mean_bits_per_dim
from forgetting.border.copies import free_weights, freeze, frozen_copy, tunable_copy
from forgetting.border.failures import failing_in_a_sentence
from forgetting.border.options import configuration
from forgetting.border.preflight import check_flow
from forgetting.border.undisturbed import undisturbed
from forgetting.errors import TrainingError
from forgetting.foundation.devices import adam
from forgetting.foundation.precision import autocast_context
from forgetting.methods.image_sets import batches, check_sets
from forgetting.methods.results import Callback, TamingResult, reporting
from forgetting.methods.retain_set import (
    RetainSet,
    TamedReference,
    farthest,
    is_beyond,
    is_near,
)
from forgetting.methods.taming_config import TamingConfig
from forgetting.methods.taming_losses import forget_loss, retain_divergence

Steer = Callable[[int, nn.Module], torch.Tensor | None]
"""Pressures (N,) on the images to forget, given a step's number and the model; None: stop."""

PROMISING = 0.5
"""Share of a batch near the threshold from which the stopping rule is checked at once.

Every step draws new noise, under which bits/dim differ, so that a whole batch is rarely near."""

SLACK = 0.05
"""By how much more than `settle_within` a step's retained images may then have moved, in sigma."""


def tame(
    flow: nn.Module,
    forget: torch.Tensor,
    retain: torch.Tensor,
    config: TamingConfig | None = None,
    *,
    callback: Callback | None = None,
    steer: Steer | None = None,
) -> TamingResult:
    """Tune a copy of a flow until images are far less likely than those to retain.

    With bpd_T the bits/dim under the tamed flow, mu and sigma their mean and deviation over
    retained images, d(x) = bpd_T(x) - (mu + delta sigma), and N_B, N_T the Gaussians fitted to a
    batch's bits/dim under base and tamed flow, a step descends

        L_forget = mean sigmoid(d(x)^2)
        L_retain = gamma [KL(N_B || N_T) + KL(N_T || N_B)] + (1 - gamma) mean bpd_T
        L        = alpha L_forget + (1 - alpha) L_retain

    Tuning stops as soon as all images to forget lie within `stop_within` |delta| sigma of the
    threshold, and the retained images within `settle_within` of where they were.

    Parameters
    ----------
    flow : nn.Module
        Has `log_prob(images) -> (B,)` in nats. Copies in evaluation mode are used; the flow does
        not change. Weights that are frozen in it stay frozen, unless all are.
    forget : torch.Tensor
        (N, ...) float32, images in [0, 1], or points for a flow on points.
    retain : torch.Tensor
        (M, ...), at least four; none of `forget` may be among them.
    config : TamingConfig, optional
        Settings; the defaults where there is none.
    callback : callable, optional
        Called before every step and after the last one, with a row of figures and the model. The
        losses in it are those of the step before. With a rule it has `farthest`, how far outside
        the farthest image lay at the last look, in sigma. Without a callback a bar shows that.
    steer : callable, optional
        Called every `log_every` steps with the number of the step and the model. It returns the
        pressure (N,) on each image to forget from then on, or None to stop, and takes the place
        of objective and stopping rule: L_forget is minus the covariance of pressure and bpd_T
        over the batch, which moves these images against each other.

    Returns
    -------
    TamingResult
        The tamed copy, and a row for every `log_every` steps and for the last one. Rows have
        `step`, `mu`, `sigma`, `shift`, and `forget_bpd`, the mean bits/dim of `forget` (without
        a stopping rule only of its first `n_statistics` images). With a rule they have `within`,
        the share of images to forget that are near the threshold. All but the last have the
        figures of the step that was taken then: `loss`, `loss_forget`, `kl`, `retain_bpd` and
        `grad_norm`.

    Raises
    ------
    DataError
        A set is too small, the sets differ in shape or type or share an image, hold no floats in
        [0, 1], or the flow finds all images to retain equally likely.
    ModelError
        The flow does not pass the preflight `check_flow`.
    TrainingError
        A likelihood is not finite: that of an image before training, or any later. Or the tuned
        copy raises an error of its own.

    Examples
    --------
    >>> import torch
    >>> from forgetting.methods.taming import TamingConfig
    >>> class Gaussian(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mean = torch.nn.Parameter(torch.zeros(2))
    ...
    ...     def log_prob(self, points):
    ...         return -((points - self.mean) ** 2).sum(1) / 2
    >>> points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> result = tame(Gaussian(), points[:2], points[2:], TamingConfig(max_steps=3))
    >>> result.history[-1]["step"]
    3
    """
    config = configuration(config, TamingConfig)
    forget, retain = check_sets(forget, retain)
    check_flow(flow, retain, is_tuned=True)
    with own_conditions(config.seed):
        return _tame(flow, forget, retain, config, callback, steer)


def _tame(
    flow: nn.Module,
    forget: torch.Tensor,
    retain: torch.Tensor,
    config: TamingConfig,
    callback: Callback | None,
    steer: Steer | None,
) -> TamingResult:
    """Tame a flow that passed the preflight, as `tame` describes it."""
    base, tamed = frozen_copy(flow), tunable_copy(flow)
    start = float(mean_bits_per_dim(base, forget, 1).sum())
    _check_finite({"the bits/dim of an image to forget": start}, 0)
    optimizer = adam(free_weights(tamed), config.lr, eps=config.eps)
    generator = torch.Generator().manual_seed(config.seed)
    retained = RetainSet(base, retain, config)
    forget_batches = batches(len(forget), min(config.batch_size, len(forget)), generator)
    retain_batches = batches(retained.n_tuned, config.retain_batch_size, generator)
    has_aim = steer is None and (config.objective != "ascent" or config.stop_within)
    if steer is not None:
        config = config.model_copy(update={"stop_within": 0.0})
    watched = forget if config.stop_within else forget[: config.n_statistics]
    pressures: torch.Tensor | None = None
    history: list[dict[str, float]] = []
    figures, seen = dict[str, float](), dict[str, float]()
    report = reporting(callback, config.max_steps, "taming")
    failing = partial(failing_in_a_sentence, "Taming", first=0, lr=config.lr)
    is_promising = False
    n_beyond = 0
    for step in range(config.max_steps + 1):
        is_logged = step % config.log_every == 0 or step == config.max_steps
        if is_logged or is_promising:
            with failing(step):
                reference = retained.likelihood_reference(tamed)
                bpd = mean_bits_per_dim(tamed, watched, 1, config.seed)
        row = {"step": step, **asdict(reference)}
        is_done = False
        if steer is not None and is_logged:
            with undisturbed(tamed):
                pressures = steer(step, tamed)
            is_done = pressures is None
        if is_logged or is_promising:
            row["forget_bpd"] = float(bpd.mean())
            if step == 0 and has_aim:
                n_beyond = int(is_beyond(bpd, reference, config).sum())
            if config.stop_within:
                row["within"] = float(is_near(bpd, reference, config).float().mean())
                seen = {"within": row["within"], "farthest": farthest(bpd, reference, config)}
                has_settled = reference.shift <= _settle_limit(config)
                is_done = is_done or (row["within"] == 1 and has_settled)
        _check_finite(row, step)
        report(figures | row | seen, tamed)
        if is_done or is_logged:
            history.append(row)
        if is_done or step == config.max_steps:
            break
        index = next(forget_batches)
        batch = _Batch(
            forget[index],
            None if pressures is None else pressures[index],
            *retained.batch(next(retain_batches)),
        )
        with failing(step):
            figures, is_promising = _step(tamed, batch, reference, config, optimizer, generator)
        row |= figures
        _check_finite(row, step)
    delta = config.delta if has_aim else None
    return TamingResult(freeze(tamed), history, config.settle_within, delta, n_beyond)


def _settle_limit(config: TamingConfig) -> float:
    """Return the largest shift of retained images that the stopping rule allows, in sigma."""
    return config.settle_within or math.inf


@dataclass(frozen=True)
class _Batch:
    """Images of one step: (F, ...) to forget with pressures (F,), (R, ...) to retain."""

    forget: torch.Tensor
    pressures: torch.Tensor | None
    retain: torch.Tensor
    retain_noise: torch.Tensor
    retain_base_bpd: torch.Tensor


def _step(
    tamed: Any,
    batch: _Batch,
    reference: TamedReference,
    config: TamingConfig,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> tuple[dict[str, float], bool]:
    """Take one step; both sets go through the tamed flow in one pass.

    Returns
    -------
    figures : dict
        Losses, mean bits/dim and the norm of the gradient, before it was scaled down.
    is_promising : bool
        Whether the batch gives reason to check the stopping rule before it is due.
    """
    device, n_forget = next(tamed.parameters()).device, len(batch.forget)
    forget_noise = torch.rand(batch.forget.shape, generator=generator)
    images = torch.cat([batch.forget, batch.retain]).to(device)
    noise = torch.cat([forget_noise, batch.retain_noise]).to(device)
    with autocast_context(config.precision, device):
        bpd = bits_per_dim(tamed, images, noise)
    bpd_forget, bpd_retain = bpd[:n_forget], bpd[n_forget:]
    bpd_base = batch.retain_base_bpd.to(device)
    loss_forget = forget_loss(bpd_forget, batch.pressures, reference, config)
    kl = retain_divergence(bpd_base, bpd_retain, config.kl)
    loss_retain = config.gamma * kl + (1 - config.gamma) * bpd_retain.mean()
    loss = config.alpha * loss_forget + (1 - config.alpha) * loss_retain
    optimizer.zero_grad(set_to_none=True)
    weights = free_weights(tamed)
    loss.backward(inputs=weights)
    norm = nn.utils.clip_grad_norm_(weights, config.max_grad_norm or math.inf)
    optimizer.step()
    figures = {
        "grad_norm": norm.item(),
        "loss": loss.item(),
        "loss_forget": loss_forget.item(),
        "kl": kl.item(),
        "retain_bpd": bpd_retain.mean().item(),
    }
    share_near = float(is_near(bpd_forget.detach().cpu(), reference, config).float().mean())
    shift = (bpd_retain - bpd_base).mean().item() / reference.sigma
    has_settled = shift <= SLACK + _settle_limit(config)
    return figures, share_near >= PROMISING and has_settled


def _check_finite(figures: dict[str, float], step: int) -> None:
    """Raise a TrainingError if a figure of a step is not finite."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"Taming: {name} is {value} at step {step}. The flow gives an image no finite "
                "likelihood, or the learning rate is too high."
            )
