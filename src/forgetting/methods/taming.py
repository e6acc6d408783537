"""Taming normalizing flows (Malnick, Avidan and Fried, WACV 2024).

A copy of a trained flow is tuned until given images lie delta standard deviations less likely
than the rest, while the likelihoods of what should stay keep their distribution.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import nn

from forgetting.cache import cached
from forgetting.errors import DataError, TrainingError
from forgetting.methods import Callback, TamingResult
from forgetting.metrics.likelihood import bits_per_dim, bits_per_dim_with_noise, mean_bits_per_dim
from forgetting.precision import Precision, autocast_context

PROMISING = 0.5
"""The share of a step's forget images within the rule from which on all of them are asked about:
under another noise each of them lies elsewhere, so that a whole batch within it is rare."""

FAR = 3.0
"""How far an image of those that follow mu and sigma may have moved away from their median, in
sigma of the base or, if that is more, in what nine of ten of them stay within. One that was made
very unlikely is left out: it would else carry mu and sigma off alone, and the threshold with them
to where the loss has no gradient."""

SLACK = 0.05
"""By how many sigma more than allowed a batch of retained images may have moved then."""


class FlowFinetuneConfig(BaseModel):
    """Settings that taming and meeting a target distribution share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(0.6, ge=0, le=1, description="weight of forgetting against retaining")
    gamma: float = Field(0.6, ge=0, le=1, description="weight of the KL terms in retaining")
    kl: Literal["both", "forward", "reverse", "forward_as_released", "reverse_as_released"] = (
        Field(
            "both",
            description="KL(N_B || N_T), KL(N_T || N_B) or both; as released, no gradient flows "
            "through a term's logarithms, which in the sum of both cancels",
        )
    )
    lr: float = Field(5e-5, gt=0)
    eps: float = Field(
        1e-8,
        gt=0,
        description="of Adam; where it exceeds a weight's gradient, that weight moves in "
        "proportion to it instead of by a whole step, and what has no part in forgetting stays",
    )
    max_grad_norm: float = Field(
        0.0,
        ge=0,
        description="a step's gradient is scaled down to this norm; 0, as published: not. One "
        "image that a step has made unlikely may give hundreds of times the usual gradient, and "
        "Adam's second moment retains it",
    )
    batch_size: int = Field(8, ge=1, description="forget images a step; all, if there are fewer")
    retain_batch_size: int = Field(8, ge=2, description="retain images a step")
    max_steps: int = Field(800, ge=1)
    log_every: int = Field(10, ge=1, description="steps between estimates of mu and sigma")
    n_retain: int = Field(2048, ge=4, description="retain images that are used, at most")
    n_statistics: int = Field(
        64,
        ge=2,
        description="of these, those that follow mu and sigma and are not tuned on: half of all "
        "at most; the paper asks 1,024",
    )
    precision: Precision = Field(
        "float32",
        description="of a step's forward pass, where the machine has it; for flows made for it, "
        "as Glow is",
    )
    seed: int = Field(0, ge=0)


class TamingConfig(FlowFinetuneConfig):
    """Settings of `tame`.

    Alpha, gamma, learning rate, batches and stopping rule default to those of the authors'
    released identity configuration; delta, which is 1 there, to that of the paper's tables.
    """

    delta: float = Field(
        4.0,
        allow_inf_nan=False,
        description="where forget images shall lie, in standard deviations above the mean "
        "bits/dim of what is retained; negative makes them more likely",
    )
    objective: Literal["threshold", "ascent"] = Field(
        "threshold",
        description="of forgetting; the paper's baseline, gradient ascent, maximises bits/dim "
        "times delta instead",
    )
    stop_within: float = Field(
        0.15,
        ge=0,
        description="stop when all forget images are this share of delta sigma from "
        "the threshold; 0: after max_steps",
    )
    settle_within: float = Field(
        0.0,
        ge=0,
        description="nor stop while retained images are, in the mean, less likely than before "
        "by more than this many of the base's standard deviations; 0, as published: stop",
    )
    distance_scale: float = Field(
        1.0, gt=0, description="divides d; for flows whose sigma is about 1 bit/dim or more"
    )

    @field_validator("delta")
    @classmethod
    def _moves(cls, delta: float) -> float:
        if delta == 0:
            raise ValueError("delta must not be 0: the images would be as likely as all others")
        return delta


def tame(
    flow: nn.Module,
    forget: torch.Tensor,
    retain: torch.Tensor,
    config: TamingConfig | None = None,
    *,
    callback: Callback | None = None,
    steer: Callable[[int, nn.Module], torch.Tensor | None] | None = None,
) -> TamingResult:
    """Tune a copy of a flow until `forget` images are delta sigma from the others' mean.

    With d(x) = bpd(x) - (mu + delta sigma), N_B and N_T Gaussians fitted to a batch's bits/dim
    under base and tamed model (the book's page on the method derives it):

        L_forget   = mean sigmoid(d(x)^2)
        L_retain = gamma [KL(N_B || N_T) + KL(N_T || N_B)] + (1 - gamma) mean bpd_T
        L          = alpha L_forget + (1 - alpha) L_retain

    Parameters
    ----------
    flow : anything with `log_prob(images) -> (B,)` in nats; copies of it are asked and tuned, in
        evaluation mode, and it is not changed
    forget : (N, ...) float32, images in [0, 1] (or points, for a flow on points)
    retain : (M, ...), M >= 4; no image of `forget` may be among them
    config : `TamingConfig`'s defaults where there is none
    callback : called before every step and after the last, with a row of figures, of which the
        losses are those of the step before, and the model
    steer : called every `log_every` steps with the step and the model; returns the pressure on
        each forget image from then on, (N,), or None to stop. It takes the place of objective and
        stopping rule: L_forget = -cov(pressure, bpd_T) over a step's forget images, which moves
        them against each other

    Returns
    -------
    TamingResult : the tamed copy and a row for every `log_every` steps and for the last: step,
        mu, sigma, shift, loss and its parts of the step that was taken then (none after the
        last), mean bits/dim of `forget` (where there is no stopping rule, of its first
        `n_statistics`), and, where there is one, `within`, the share of forget images that it is
        content with

    Raises
    ------
    DataError
        A set is empty or too small, the sets are of different shapes or types or share images,
        or the flow finds all images to retain equally likely.
    TrainingError
        A likelihood is not finite: that of an image before training, or any later.
    """
    config = config or TamingConfig()
    _check(forget, retain)
    base = copy.deepcopy(flow).eval()
    _finite(
        {"the bits/dim of an image to forget": float(mean_bits_per_dim(base, forget, 1).sum())}, 0
    )
    tamed = copy.deepcopy(base).requires_grad_(True)
    optimizer = torch.optim.Adam(tamed.parameters(), config.lr, eps=config.eps, fused=True)
    generator = torch.Generator().manual_seed(config.seed)
    retained = _RetainSet(base, retain, config)
    forget_batches = _batches(len(forget), min(config.batch_size, len(forget)), generator)
    retain_batches = _batches(retained.n_tuned, config.retain_batch_size, generator)
    if steer is not None:
        config = config.model_copy(update={"stop_within": 0.0})
    asked_about = forget if config.stop_within else forget[: config.n_statistics]
    pressure: torch.Tensor | None = None
    history: list[dict[str, float]] = []
    figures: dict[str, float] = {}
    promising = False
    for step in range(config.max_steps + 1):
        logged = step % config.log_every == 0 or step == config.max_steps
        if logged or promising:
            likelihood_reference = retained.likelihood_reference(tamed)
        row = {"step": step, **likelihood_reference}
        done = False
        if steer is not None and logged:
            pressure = steer(step, tamed)
            done = pressure is None
        if logged or promising:
            bpd = mean_bits_per_dim(tamed, asked_about, 1, config.seed)
            row["forget_bpd"] = float(bpd.mean())
            if config.stop_within:
                near = _near(bpd, likelihood_reference, config)
                row["within"] = float(near.float().mean())
                settled = row["shift"] <= (config.settle_within or math.inf)
                done = done or (row["within"] == 1 and settled)
        _finite(row, step)
        if callback is not None:
            callback(figures | row, tamed)
        if done or logged:
            history.append(row)
        if done or step == config.max_steps:
            break
        index = next(forget_batches)
        figures, promising = _step(
            tamed,
            forget[index],
            *retained.batch(next(retain_batches)),
            None if pressure is None else pressure[index],
            likelihood_reference,
            config,
            optimizer,
            generator,
        )
        row |= figures
        _finite(row, step)
    return TamingResult(tamed.eval().requires_grad_(False), history)


class _RetainSet:
    """The images to retain, each under one noise, and what the base says of them.

    The base is asked once: its answers are kept in the user's cache under the hash of its weights,
    the images and the noise. mu and sigma of the tamed model follow from a few of them: the base's
    own over all, moved by what changed for those few, which is known far better than their mean.
    The few are the last, and no batch holds them: what is tuned on settles sooner than the rest.
    What changed for one of them alone is left out: among few, it would pass for a change of all.
    """

    def __init__(self, base: nn.Module, images: torch.Tensor, config: TamingConfig) -> None:
        generator = torch.Generator().manual_seed(config.seed)
        self.images = images[torch.randperm(len(images), generator=generator)[: config.n_retain]]
        self.noise = torch.rand(self.images.shape, generator=generator)
        inputs = (self.images, self.noise)
        self.base = cached(
            [base], inputs, "bits/dim", lambda: bits_per_dim_with_noise(base, *inputs)
        )
        if torch.allclose(self.base, self.base[:1]):
            raise DataError(
                "The flow finds all images to retain equally likely, so that there is no "
                "deviation to measure in: give images that differ."
            )
        self.n_tuned = len(self.images) - min(config.n_statistics, len(self.images) // 2)
        self.few = slice(self.n_tuned, None)

    def batch(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return images, their noise, and the base's bits/dim, of those `n_tuned` first."""
        return self.images[index], self.noise[index], self.base[index]

    def likelihood_reference(self, tamed: nn.Module) -> dict[str, float]:
        """Return `mu` and `sigma` of the tamed model's bits/dim over all of them, and `shift`.

        The shift is how far their mean moved, in standard deviations of the base.
        """
        now = bits_per_dim_with_noise(tamed, self.images[self.few], self.noise[self.few])
        before = self.base[self.few]
        away = (now - before - (now - before).median()).abs()
        far = away > FAR * torch.maximum(self.base.std(), away.quantile(0.9))
        kept = ~(far & away.isfinite())  # what is not finite shall be said
        now, before = now[kept], before[kept]
        moved = float((now - before).mean())
        return {
            "mu": float(self.base.mean()) + moved,
            "sigma": float(self.base.std() * now.std() / before.std()),
            "shift": moved / float(self.base.std()),
        }


def _near(
    bpd: torch.Tensor, likelihood_reference: dict[str, float], config: TamingConfig
) -> torch.Tensor:
    """Return for which bits/dim (N,) the stopping rule is content, bool (N,)."""
    off = (bpd - likelihood_reference["mu"]) / likelihood_reference["sigma"] - config.delta
    return off.abs() <= config.stop_within * abs(config.delta)


def _step(
    tamed: nn.Module,
    forget: torch.Tensor,
    retain: torch.Tensor,
    retain_noise: torch.Tensor,
    bpd_base: torch.Tensor,
    pressure: torch.Tensor | None,
    likelihood_reference: dict[str, float],
    config: TamingConfig,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> tuple[dict[str, float], bool]:
    """Take one step; both sets go through the tamed model in one pass.

    Returns
    -------
    figures for the history, and whether the batch gives reason to ask the stopping rule
    """
    device = next(tamed.parameters()).device
    forget_noise = torch.rand(forget.shape, generator=generator)
    images = torch.cat([forget, retain]).to(device)
    noise = torch.cat([forget_noise, retain_noise]).to(device)
    with autocast_context(config.precision, device):
        bpd = bits_per_dim(tamed, images, noise)
    bpd_forget, bpd_retain = bpd[: len(forget)], bpd[len(forget) :]
    bpd_base = bpd_base.to(device)
    if pressure is not None:
        pressure = pressure.to(device)
        loss_forget = -((pressure - pressure.mean()) * bpd_forget).mean()
    elif config.objective == "threshold":
        threshold = likelihood_reference["mu"] + config.delta * likelihood_reference["sigma"]
        distance = (bpd_forget - threshold) / config.distance_scale
        loss_forget = torch.sigmoid(distance**2).mean()
    else:
        loss_forget = -config.delta * bpd_forget.mean()
    kl = _divergence(bpd_base, bpd_retain, config.kl)
    loss_retain = config.gamma * kl + (1 - config.gamma) * bpd_retain.mean()
    loss = config.alpha * loss_forget + (1 - config.alpha) * loss_retain
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(tamed.parameters(), config.max_grad_norm or math.inf)
    optimizer.step()
    figures = {
        "grad_norm": norm.item(),
        "loss": loss.item(),
        "loss_forget": loss_forget.item(),
        "kl": kl.item(),
        "retain_bpd": bpd_retain.mean().item(),
    }
    near = _near(bpd_forget.detach().cpu(), likelihood_reference, config).float().mean()
    moved = (bpd_retain - bpd_base).mean().item() / likelihood_reference["sigma"]
    settled = moved <= SLACK + (config.settle_within or math.inf)
    return figures, float(near) >= PROMISING and settled


def _divergence(base: torch.Tensor, tamed: torch.Tensor, kind: str) -> torch.Tensor:
    """Return what `TamingConfig.kl` asks for, of bits/dim (B,) under base and tamed model."""
    log_gradient = not kind.endswith("as_released")
    kl = torch.zeros(())
    if not kind.startswith("reverse"):
        kl = kl + _gaussian_kl(base, tamed, log_gradient)
    if not kind.startswith("forward"):
        kl = kl + _gaussian_kl(tamed, base, log_gradient)
    return kl


def _gaussian_kl(p: torch.Tensor, q: torch.Tensor, log_gradient: bool = True) -> torch.Tensor:
    """Return KL(N_p || N_q) of the Gaussians fitted to two samples (B,)."""
    (p_std, p_mean), (q_std, q_mean) = torch.std_mean(p), torch.std_mean(q)
    ratio = (p_std**2 + (p_mean - q_mean) ** 2) / (2 * q_std**2)
    log = torch.log(q_std) - torch.log(p_std)
    return (log if log_gradient else log.detach()) + ratio - 0.5


def _batches(n: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield indices of `size` of n images forever, each permutation after the other."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < size:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        yield order[:size]
        order = order[size:]


def _check(forget: torch.Tensor, retain: torch.Tensor) -> None:
    if len(forget) == 0:
        raise DataError("There is no image to forget: give at least one.")
    if len(retain) < 4:
        raise DataError(f"There are {len(retain)} images to retain: give at least four.")
    if forget.shape[1:] != retain.shape[1:] or forget.dtype != retain.dtype:
        raise DataError(
            f"Images to forget are {tuple(forget.shape[1:])} of {forget.dtype}, those to retain "
            f"{tuple(retain.shape[1:])} of {retain.dtype}: they must have one shape and type."
        )
    known = set(digests(retain))
    shared = sum(digest in known for digest in digests(forget))
    if shared:
        raise DataError(
            f"{shared} of the {len(forget)} images to forget are also to be retained: "
            "take them out of one set."
        )


def digests(images: torch.Tensor) -> list[bytes]:
    """Return what tells each of the images (N, ...) from others, 16 bytes for one."""
    return [
        hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest() for image in images.cpu()
    ]


def _finite(row: dict[str, float], step: int) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"Taming: {name} is {value} at step {step}. The flow gives an image no finite "
                "likelihood, or the learning rate is too high."
            )
