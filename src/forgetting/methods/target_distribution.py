"""Taming a flow until its samples show attributes in a given distribution.

The paper promises images "according to a given target distribution". Its code exchanges the two
sets and takes a fixed number of steps. Here the loop is closed: measurements of fresh samples set
how far each kind of image is moved, until the target is met or all steps are taken.
"""

import itertools
from collections.abc import Callable

import torch
from torch import nn

from forgetting.border.checks import check_images
from forgetting.border.options import configuration
from forgetting.errors import DataError, quoted
from forgetting.methods.image_sets import digests, distinct
from forgetting.methods.results import Callback, TamingResult
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import FlowFinetuneConfig, TamingConfig, TargetConfig
from forgetting.methods.target import Target

Measurement = Callable[[nn.Module, int], torch.Tensor]
"""Shares (n_cells,) among fresh samples of a model; another number draws other samples."""


MEASURED_SUM = 1e-3
"""By how much the sum of measured shares may differ from one."""


class _Controller:
    """Sets the pressure on the images of each combination from measured shares (PI control).

    After the k-th measurement, with e(k) the shares less their targets and tau the tolerance,
    the pressure is gain (e(k) + memory sum_j clip(e(j), -2 tau, 2 tau)), j = 1 ... k.

    Attributes
    ----------
    shares : dict
        Measured shares (n_cells,) by step.
    is_met : bool
        Whether the last measurement meets the target.
    """

    def __init__(
        self, target: Target, measure: Measurement, cells: torch.Tensor, config: TargetConfig
    ) -> None:
        """Prepare the control of images whose combinations have the numbers `cells`, (N,)."""
        self.shares: dict[int, torch.Tensor] = {}
        self.is_met = False
        self._target, self._measure, self._cells, self._config = target, measure, cells, config
        self._numbers = itertools.count()
        self._sum = torch.zeros(len(target.shares))

    def __call__(self, step: int, model: nn.Module) -> torch.Tensor | None:
        """Return the pressure (N,) on each image, or None if the target is met."""
        config, limit = self._config, 2 * self._config.tolerance
        error = self._shares(model) - self._target.shares
        if float(error.abs().max()) <= limit:  # perhaps by chance: further measurements decide
            further = [self._shares(model) for _ in range(config.confirm)]
            error = torch.stack(further).mean(0) - self._target.shares
            self.is_met = float(error.abs().max()) <= config.tolerance
        self.shares[step] = error + self._target.shares
        if self.is_met:
            return None
        self._sum = self._sum + error.clamp(-limit, limit)
        return config.gain * (error + config.memory * self._sum)[self._cells]

    def _shares(self, model: nn.Module) -> torch.Tensor:
        """Return the shares (n_cells,) of the next measurement."""
        shares = self._measure(model, next(self._numbers))
        wanted = self._target.shares.shape
        if not isinstance(shares, torch.Tensor) or shares.shape != wanted:
            raise DataError(
                f"`measure` returns {quoted(shares)}: it must return the shares of "
                f"{', '.join(self._target.combinations)}, a tensor of {wanted[0]} numbers."
            )
        if not abs(float(shares.sum()) - 1) <= MEASURED_SUM or not (shares >= 0).all():
            raise DataError(
                f"`measure` returns the shares {shares.tolist()}: they must lie in [0, 1] and add "
                "up to one, as those of `Target.measure` do."
            )
        return shares.cpu()


def meet_target(
    flow: nn.Module,
    images: torch.Tensor,
    cells: torch.Tensor,
    target: Target,
    measure: Measurement,
    config: TargetConfig | None = None,
    *,
    callback: Callback | None = None,
) -> TamingResult:
    """Tune a copy of a flow until fresh samples show attributes in given shares.

    Half of the images of each combination are moved, the others retained. Every `log_every` steps
    fresh samples are measured. A combination whose share lies above its target is pressed to be
    less likely, one below to be more, in proportion to the distance and, a little, to the sum of
    earlier distances. An early distance, which is large, counts in that sum as no more than twice
    the tolerance: the sum would else carry the shares past their targets. Only differences of
    pressure count: a share says how likely some images are beside others.

    Parameters
    ----------
    flow : nn.Module
        As `tame` takes it.
    images : torch.Tensor
        (N, ...), real ones or the flow's own samples.
    cells : torch.Tensor
        (N,), the number of each image's combination, as `Target.cells` returns it.
    target : Target
        Shares that fresh samples shall have.
    measure : callable
        Returns the shares (n_cells,) among fresh samples of a model, given the number of the
        measurement, from 0: another number draws other samples.
    config : TargetConfig, optional
        Settings; the defaults where there is none.
    callback : callable, optional
        As `tame` takes it.

    Returns
    -------
    TamingResult
        The tuned copy and its history. Rows have `share_0`, `share_1` ... where shares were
        measured; the last one has `met`, 1 or 0.

    Raises
    ------
    DataError
        `cells` does not number the images' combinations, an image that comes twice has two, a
        combination with a share has fewer than two images, or all images show the same
        combination. Or `measure` returns no shares of the combinations.
    TrainingError
        A likelihood is not finite.
    """
    config = configuration(config, TargetConfig)
    images = check_images(images, "The images")
    n_cells = len(target.shares)
    are_numbers = (cells >= 0) & (cells < n_cells) & (cells == cells.long())
    if cells.dtype == torch.bool or cells.shape != (len(images),) or not are_numbers.all():
        raise DataError(
            f"cells must be {len(images)} numbers from 0 to {n_cells - 1}, one for each image: "
            f"which of {', '.join(target.combinations)} it shows, as `Target.cells` returns them."
        )
    cells = cells.long().cpu()
    indices = distinct(images)  # an image that is given twice might end in both halves
    shown = zip(digests(images), cells.tolist(), strict=True)
    if len(set(shown)) > len(indices):
        raise DataError(
            "An image comes twice, with two combinations in `cells`: take out the wrong one."
        )
    images, cells = images[indices], cells[indices]
    moved, retained = _halves(cells, target, config.seed)
    controller = _Controller(target, measure, cells[moved], config)
    shared = {name: getattr(config, name) for name in FlowFinetuneConfig.model_fields}
    tamed = tame(
        flow,
        images[moved],
        images[retained],
        TamingConfig(**shared),
        callback=callback,
        steer=controller,
    )
    history = []
    for row in tamed.history:
        shares = controller.shares.get(int(row["step"]), ())
        history.append(row | {f"share_{i}": float(share) for i, share in enumerate(shares)})
    history[-1]["met"] = float(controller.is_met)
    return TamingResult(tamed.model, history)


def _halves(cells: torch.Tensor, target: Target, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of two halves of each combination's images, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    moved, retained = [], []
    for cell, name in enumerate(target.combinations):
        members = torch.nonzero(cells == cell).flatten()
        if target.shares[cell] > 0 and len(members) < 2:
            raise DataError(
                f"{len(members)} of the {len(cells)} images show {name}, which shall "
                f"have a share of {float(target.shares[cell]):.0%}: give images that show it."
            )
        members = members[torch.randperm(len(members), generator=generator)]
        moved.append(members[::2])
        retained.append(members[1::2])
    if sum(len(half) > 0 for half in moved) < 2:
        raise DataError(
            f"All {len(cells)} images show the same of {', '.join(target.combinations)}: "
            "combinations are moved against each other, so give images of another, too."
        )
    return torch.cat(moved), torch.cat(retained)
