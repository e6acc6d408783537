"""One resumable loop that trains every model of the study.

A training is determined by its seed: the order of the images, the noise and the initial weights.
It writes checkpoints as it goes. A training that is killed at any moment and started again ends
with the same weights, bit for bit, as an undisturbed one.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from forgetting.border.options import Configuration
from forgetting.errors import TrainingError
from forgetting.foundation.devices import is_complete, mend_layout
from forgetting.foundation.precision import Precision, autocast_context
from forgetting.foundation.progress import bar
from forgetting.zoo.checkpoint import Progress, read_checkpoint, write_checkpoint
from forgetting.zoo.code import code_digest, imported_digests
from forgetting.zoo.learner import Learner, Loss
from forgetting.zoo.shares import ALONE, Batch, Group, check_shares

CPU = torch.device("cpu")

HELD_OUT_AT_ONCE = 500 * 3 * 64 * 64
"""Values of held-out images up to which the loss of all is measured at once."""


class TrainingConfig(Configuration):
    """Settings of a training. The learning rate rises, stays, and falls to zero at the end."""

    steps: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    shares: int = Field(1, ge=1, description="equal parts of a batch, for several devices")
    lr: float = Field(1e-3, gt=0)
    slower: dict[str, float] = Field(
        {}, description="share of lr for each part that learns more slowly than the others"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="of Adam: decay of the mean gradient")
    beta2: float = Field(0.999, ge=0, lt=1, description="of Adam: decay of the mean square")
    warmup: int = Field(0, ge=0, description="steps in which lr rises from 0")
    decay: float = Field(0.5, ge=0, le=1, description="share of the steps in which lr falls to 0")
    weight_decay: float = Field(0.0, ge=0, description="decoupled, as in AdamW")
    precision: Precision = Field(
        "float32",
        description="of the forward pass, where the machine has it; weights and sums stay float32",
    )
    max_grad_norm: float | None = Field(None, gt=0)
    seed: int = Field(0, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(500, ge=1, description="steps; a multiple of log_every")

    def changed(self, **settings: Any) -> "TrainingConfig":
        """Return these settings with some of them changed."""
        return TrainingConfig(**self.model_dump() | settings)

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        left = (self.steps - step) / (self.steps * self.decay) if self.decay else 1.0
        return self.lr * min(rise, left, 1.0)


@dataclass
class _Part:
    """The parameters that one optimiser moves, and the loss that it minimises."""

    name: str
    parameters: list[nn.Parameter]
    loss: Loss
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, learner: Learner, config: TrainingConfig) -> "list[_Part]":
        """Return the parts of a learner, each with its optimiser."""
        parts = []
        for name, loss in learner.parts().items():
            part = learner.model.get_submodule(name)
            parameters = [p for p in part.parameters() if p.requires_grad]  # no average's
            optimizer = torch.optim.AdamW(
                parameters,
                lr=config.lr,
                betas=(config.beta1, config.beta2),
                weight_decay=config.weight_decay,
                fused=all(is_complete(parameter.device) for parameter in parameters),
            )
            parts.append(cls(name, parameters, loss, optimizer))
        return parts

    def step(
        self, model: nn.Module, batch: Batch, config: TrainingConfig, group: Group
    ) -> dict[str, float]:
        """Take one step; return the metrics, each with the part's name in front.

        Gradients and metrics are means over the shares of all processes.

        Raises
        ------
        FloatingPointError
            The loss or its gradient is not finite; nothing was changed.
        """
        model.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.optimizer.zero_grad(set_to_none=True)
        values: dict[str, float] = {}
        for images, labels, generator in group.own_shares(batch, config.shares):
            with autocast_context(config.precision, images.device):
                metrics = self.loss(model, images, labels, generator)
            (metrics["loss"] / config.shares).backward()
            for key, value in metrics.items():
                values[key] = values.get(key, 0.0) + value.item() / config.shares
        group.add_up([p.grad for p in self.parameters if p.grad is not None])
        values = group.totals(values)
        norm = nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm or math.inf)
        if not (math.isfinite(values["loss"]) and math.isfinite(norm)):
            raise FloatingPointError(f"the loss is {values['loss']} and its gradient {norm}")
        self.optimizer.step()
        return {f"{self.name}_{key}".lstrip("_"): value for key, value in values.items()}


def train(
    learner: Learner,
    images: torch.Tensor,
    labels: torch.Tensor,
    config: TrainingConfig,
    *,
    checkpoint: Path | None = None,
    held_out: tuple[torch.Tensor, torch.Tensor] | None = None,
    name: str = "training",
    device: torch.device = CPU,
    group: Group = ALONE,
) -> list[dict[str, float]]:
    """Train `learner.model` in place, on a device, to which it is moved.

    Parameters
    ----------
    learner : Learner
        The model and how it learns.
    images : Tensor, uint8, (N, C, H, W)
        Training images.
    labels : Tensor, (N, ...)
        Labels, as the loss takes them.
    config : TrainingConfig
        Settings of the training.
    checkpoint : Path, optional
        File to which checkpoints are written; where it exists, the training goes on from it.
    held_out : tuple of Tensor, optional
        Images and labels on which the loss is measured whenever a checkpoint is due.
    name : str
        Of the training, for the progress bar and errors.
    device : torch.device
        Where it is trained. Random numbers are the same on all, but for those of dropout, which
        are drawn on the device.
    group : Group
        The processes that train it, each of which calls this alike. The first writes checkpoints.

    Returns
    -------
    list of dict of str to float
        One row of mean metrics for every `log_every` steps.

    Raises
    ------
    TrainingError
        The loss is not finite, the checkpoint belongs to another training, the images are not
        uint8 with a label each, or a batch does not fall into shares.
    """
    for some, theirs in ((images, labels), *([held_out] if held_out else [])):
        if some.dtype != torch.uint8 or len(some) != len(theirs):
            raise TrainingError(
                f"{name}: {len(some)} images of {some.dtype} and {len(theirs)} labels. Give "
                "images of torch.uint8, from 0 to 255, and a label for each."
            )
    if config.steps < config.log_every:
        raise TrainingError(
            f"{config.steps} steps end before the first row of the history: make log_every = "
            f"{config.log_every} smaller."
        )
    if config.checkpoint_every % config.log_every:
        raise TrainingError(
            f"checkpoint_every = {config.checkpoint_every} is not a multiple of "
            f"log_every = {config.log_every}; make it one."
        )
    model = learner.model.to(device)
    check_shares(config.shares, min(config.batch_size, len(images)), model, name)
    mend_layout(model)
    parts = _Part.of(learner, config)
    identity = {
        "config": config.model_dump_json(exclude={"shares"} if config.shares == 1 else None),
        "data": _digest(images, labels),
        "held_out": _digest(*held_out) if held_out else "",
        "torch": torch.__version__,
        "device": device.type,
        "code": code_digest(learner),
        "imports": json.dumps(imported_digests(learner, __name__)),
    }
    generator = torch.Generator().manual_seed(config.seed)
    images, labels = images.to(device), labels.to(device)
    if held_out is not None:
        held_out = held_out[0].to(device), held_out[1].to(device)
    progress = Progress()
    if checkpoint is not None and checkpoint.is_file():
        progress = read_checkpoint(checkpoint, model, parts, generator, identity)
    elif learner.start is not None:
        first = _order(len(images), config, 0).to(device)
        learner.start(model, _batch(images, first), generator)
    model.train()
    sums: dict[str, float] = {}
    with bar(config.steps, name, unit="step", start=progress.step) as line:
        while progress.step < config.steps:
            step = progress.step
            index = _order(len(images), config, step).to(device)
            batch = _batch(images, index), labels[index], generator
            torch.manual_seed(config.seed * 1_000_003 + step)  # dropout
            for part in parts:
                for options in part.optimizer.param_groups:
                    options["lr"] = config.lr_at(step) * config.slower.get(part.name, 1.0)
                try:
                    metrics = part.step(model, batch, config, group)
                except FloatingPointError as error:
                    raise TrainingError(
                        f"{name}: {error} at step {step}. Lower the learning rate (now "
                        f"{config.lr}) or set max_grad_norm; the last checkpoint is unharmed."
                    ) from error
                for key, value in metrics.items():
                    sums[key] = sums.get(key, 0.0) + value
            if learner.after is not None:
                learner.after(model)
            progress.step = step + 1
            line.update()
            if progress.step % config.log_every == 0:
                row = {key: value / config.log_every for key, value in sums.items()}
                sums = {}
                losses = {k: f"{v:.4g}" for k, v in row.items() if k.endswith("loss")}
                line.set_postfix(losses, refresh=False)
                if held_out is not None and progress.step % config.checkpoint_every == 0:
                    row |= _validate(learner, held_out, config)
                progress.history.append({"step": progress.step, **row})
            is_due = progress.step % config.checkpoint_every == 0 and group.rank == 0
            if checkpoint is not None and is_due:
                write_checkpoint(checkpoint, model, parts, generator, identity, progress)
    for part in parts:
        for parameter in part.parameters:
            parameter.requires_grad_(True)
    model.eval()
    return progress.history


def _order(n: int, config: TrainingConfig, step: int) -> torch.Tensor:
    """Return the indices of a step's batch: a fresh permutation of the data every epoch."""
    size = min(config.batch_size, n)
    epoch, place = divmod(step, n // size)
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator)[place * size : (place + 1) * size]


def _digest(*tensors: torch.Tensor) -> str:
    """Return a hash of tensors, by which a checkpoint recognises its data."""
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(str((tensor.dtype, tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _batch(images: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return images as float32 in [0, 1]."""
    return images[index].float() / 255


@torch.no_grad()
def _validate(
    learner: Learner, held_out: tuple[torch.Tensor, torch.Tensor], config: TrainingConfig
) -> dict[str, float]:
    """Return the metrics of held-out images in evaluation mode, under the same draws each time.

    Where they are too large to go through a model at once, they do so in batches.
    """
    images, labels = held_out
    (loss,) = learner.parts().values()
    generator = torch.Generator().manual_seed(config.seed)
    at_once = len(images) if images.numel() <= HELD_OUT_AT_ONCE else config.batch_size
    means: dict[str, float] = {}
    learner.model.eval()
    for some, theirs in zip(images.split(at_once), labels.split(at_once), strict=True):
        metrics = loss(learner.model, some.float() / 255, theirs, generator)
        for key, value in metrics.items():
            name, share = f"held_out_{key}", len(some) / len(images)
            means[name] = means.get(name, 0.0) + share * value.item()
    learner.model.train()
    return means
