"""A batch in equal shares, on one device or on several: each share draws for itself.

A training is determined by its seed and its number of shares. How many processes compute them
changes no more than the order of a sum. Lightning Fabric starts a process for each device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from forgetting.errors import ParameterError, TrainingError
from forgetting.foundation.devices import choose_device
from forgetting.foundation.environment import variables

if TYPE_CHECKING:
    from lightning_fabric import Fabric

QUIET = {"TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}
"""The environment of all processes but the first, which alone shows progress and warns."""

Batch = tuple[torch.Tensor, torch.Tensor, torch.Generator]
"""Images, labels, and the generator from which the loss draws."""


@dataclass(frozen=True)
class Group:
    """The processes that train one model, as one of them sees them.

    Attributes
    ----------
    fabric : Fabric, optional
        What connects them; without it there is one process.
    """

    fabric: "Fabric | None" = None

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.fabric.world_size if self.fabric else 1

    @property
    def rank(self) -> int:
        """Number of this process, from 0; the first writes files."""
        return self.fabric.global_rank if self.fabric else 0

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of one type by their sums over all processes."""
        if self.fabric is None:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self.fabric.all_reduce(flat, reduce_op="sum")
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def totals(self, values: dict[str, float]) -> dict[str, float]:
        """Return the sums of values over all processes."""
        if self.fabric is None:
            return values
        numbers = list(values.values())
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.fabric.device)
        self.add_up([sums])
        return dict(zip(values, sums.tolist(), strict=True))

    def own_shares(self, batch: Batch, n_shares: int) -> Iterator[Batch]:
        """Yield the shares of a batch that this process computes.

        A batch of one share is yielded as it is. Of several each has a generator of its own, and
        sets torch's global one for what draws on the device, such as dropout; both are seeded
        from the batch's generator, which moves on by as much in every process.
        """
        images, labels, generator = batch
        if n_shares == 1:
            yield batch
            return
        seeds = torch.randint(2**62, (n_shares, 2), generator=generator).tolist()
        shares = list(zip(images.chunk(n_shares), labels.chunk(n_shares), seeds, strict=True))
        for some, theirs, (seed, of_dropout) in shares[self.rank :: self.size]:
            torch.manual_seed(of_dropout)
            yield some, theirs, torch.Generator().manual_seed(seed)


ALONE = Group()
"""One process."""


def check_shares(n_shares: int, n_images: int, model: nn.Module, name: str) -> None:
    """Check that a model learns from a batch in shares.

    Parameters
    ----------
    n_shares, n_images : int
        Shares of a batch, and images in it.
    model : Module
        What is trained.
    name : str
        Of the training, for errors.

    Raises
    ------
    TrainingError
        The shares are not equal, or the model has statistics of a batch, which would be those of
        a share.
    """
    if n_images % n_shares:
        raise TrainingError(
            f"{name}: a batch of {n_images} images does not fall into {n_shares} equal shares, "
            f"one for each device. Choose a number of devices that divides {n_images}."
        )
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if n_shares > 1 and norms:
        raise TrainingError(
            f"{name} has batch normalisation, whose statistics are of a whole batch: train it in "
            "one share, on one device."
        )


def check_devices(device: str, n: int) -> torch.device:
    """Return the first of several devices of one kind.

    Parameters
    ----------
    device : str
        As `choose_device` takes it.
    n : int
        How many there shall be; on `cpu` as many processes.

    Raises
    ------
    ParameterError
        There are not as many, or a process of its own is not possible on each.
    """
    place = choose_device(device)
    if n > 1 and (place.type not in ("cpu", "cuda") or place.index is not None):
        raise ParameterError(
            f"devices = {n} on device = {device!r}: give cuda, of which the first {n} are taken, "
            "or cpu."
        )
    if place.type == "cuda" and n > torch.cuda.device_count():
        raise ParameterError(
            f"devices = {n}, but there are {torch.cuda.device_count()} GPUs here: give as many."
        )
    return place


def start(place: torch.device, n: int) -> tuple[Group, torch.device]:
    """Start the other processes, which run the command of this one; return this one's part.

    Parameters
    ----------
    place : device
        The first device, as `check_devices` returns it.
    n : int
        Number of devices, one process each.

    Raises
    ------
    ParameterError
        Lightning Fabric is not installed.
    """
    if n == 1:
        return ALONE, place
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError as error:
        raise ParameterError(
            f"devices = {n} takes lightning-fabric, and {error.name} is not installed: run "
            "`pip install 'forgetting[devices]'`."
        ) from error
    fabric = Fabric(accelerator=place.type, devices=n, strategy="ddp")
    with variables(QUIET):
        fabric.launch()
    return Group(fabric), fabric.device
