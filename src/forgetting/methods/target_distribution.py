"""Taming a flow until its samples show attributes in a given distribution.

The paper promises images "according to a given target distribution" and exchanges the two sets,
for a fixed number of steps, to come nearer to one. Here the loop is closed: what fresh samples
show sets how far each kind of image shall be moved, until the target is met or the steps are up.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import nn

from forgetting.errors import DataError, ParameterError
from forgetting.methods import Callback, TamingResult
from forgetting.methods.taming import FlowFinetuneConfig, TamingConfig, digests, tame

MAX_ATTRIBUTES = 2

SUM_ERROR = 1e-5
"""By how much the sum of shares may differ from one: float32 knows them no better."""


@dataclass(frozen=True)
class Target:
    """Shares that the samples' attributes shall have.

    Attributes
    ----------
    attributes : names, one or two
    shares : (2^k,), of the combinations in the order of `combinations`; they add up to one

    Raises
    ------
    ParameterError
        There are not as many shares, one is none, or they do not add up to one.
    """

    attributes: tuple[str, ...]
    shares: torch.Tensor

    def __post_init__(self) -> None:
        shares, n = self.shares, 2 ** len(self.attributes)
        fit = shares.shape == (n,) and bool(((shares >= 0) & (shares <= 1)).all())
        if not fit or abs(float(shares.sum()) - 1) > SUM_ERROR:
            raise ParameterError(
                f"target: the shares of {', '.join(self.combinations)} must be {n} numbers from 0 "
                f"to 1 that add up to one, not {shares.tolist()}."
            )

    @classmethod
    def parse(cls, wanted: str | Mapping[str, float], known: Sequence[str]) -> "Target":
        """Read {"Male": 0.5} or, jointly, {"Male&Smiling": 0.2, "Male&~Smiling": 0.3}.

        As a text, these are "Male: 0.5" and "Male&Smiling: 0.2, Male&~Smiling: 0.3". What is left
        of one goes, in equal parts, to the combinations that are not named.

        Raises
        ------
        ParameterError
            A share is no number from 0 to 1 or they exceed one, an attribute is unknown, there
            are more than two, or a combination is not of the same attributes or named twice.
        """
        if isinstance(wanted, Mapping):
            wanted = ", ".join(f"{name}: {share}" for name, share in wanted.items())
        named: dict[tuple[bool, ...], float] = {}
        attributes: tuple[str, ...] = ()
        for part in wanted.split(","):
            left, separator, right = part.partition(":")
            literals = [literal.strip() for literal in left.split("&")]
            names = tuple(literal.lstrip("~").strip() for literal in literals)
            attributes = attributes or names
            try:
                share = float(right)
            except ValueError:
                share = -1.0
            if not separator or not 0 <= share <= 1:
                raise ParameterError(
                    f"target: {part.strip()!r} is not of the form ATTRIBUTE: SHARE with a share "
                    "from 0 to 1."
                )
            for name in names:
                if name not in known:
                    raise ParameterError(
                        f"target: {name!r} is no attribute that the classifier knows. It knows: "
                        f"{', '.join(known)}."
                    )
            if names != attributes or len(set(names)) < len(names) or len(names) > MAX_ATTRIBUTES:
                raise ParameterError(
                    f"target: {part.strip()!r} must be of one or two different attributes, the "
                    "same and in the same order in every part."
                )
            cell = tuple(not literal.startswith("~") for literal in literals)
            if cell in named:
                raise ParameterError(f"target: {left.strip()!r} is given twice.")
            named[cell] = share
        cells = list(itertools.product((True, False), repeat=len(attributes)))
        rest = 1 - sum(named.values())
        open_cells = [cell for cell in cells if cell not in named]
        if rest < -SUM_ERROR or (not open_cells and rest > SUM_ERROR):
            raise ParameterError(
                f"target: the shares add up to {1 - rest:g}, where they must add up to one."
            )
        shares = [named.get(cell, max(rest, 0.0) / max(len(open_cells), 1)) for cell in cells]
        return cls(attributes, torch.tensor(shares))

    @property
    def combinations(self) -> list[str]:
        """The combinations by name: all shown first, none last."""
        cells = itertools.product(("", "~"), repeat=len(self.attributes))
        pairs = (zip(cell, self.attributes, strict=True) for cell in cells)
        return ["&".join(sign + name for sign, name in pair) for pair in pairs]

    def cells(self, has_feature: torch.Tensor) -> torch.Tensor:
        """Return the number of each image's combination, (N,), of a boolean tensor (N, k)."""
        weights = 2 ** torch.arange(has_feature.shape[1] - 1, -1, -1)
        return ((~has_feature).long() * weights).sum(1)

    def measure(self, has_feature: torch.Tensor) -> torch.Tensor:
        """Return the shares (2^k,) among images of which `has_feature`, bool (N, k), tells."""
        counts = torch.bincount(self.cells(has_feature), minlength=len(self.shares))
        return counts / len(has_feature)


class TargetConfig(FlowFinetuneConfig):
    """Settings of `meet_target`."""

    gain: float = Field(
        10.0, gt=0, description="pressure on a combination for each unit that its share lies off"
    )
    memory: float = Field(
        0.3,
        ge=0,
        description="part of the gain for the sum over all measurements, of which each counts "
        "twice the tolerance at most; it is to overcome the pull of what is retained",
    )
    tolerance: float = Field(
        0.0075, gt=0, lt=1, description="met where no share lies farther from its target"
    )
    confirm: int = Field(
        5,
        ge=1,
        description="how many other measurements of the same model are taken, and their mean "
        "asked, where one alone lies within twice the tolerance",
    )
    log_every: int = Field(20, ge=1, description="steps between measurements")
    max_steps: int = Field(600, ge=1)


def _first_of_each(images: torch.Tensor) -> torch.Tensor:
    """Return the indices of images that equal no earlier one: else one might end in both sets."""
    found: dict[bytes, int] = {}
    for i, digest in enumerate(digests(images)):
        found.setdefault(digest, i)
    return torch.tensor(list(found.values()), dtype=torch.long)


def meet_target(
    flow: nn.Module,
    images: torch.Tensor,
    cells: torch.Tensor,
    target: Target,
    measure: Callable[[nn.Module, int], torch.Tensor],
    config: TargetConfig | None = None,
    *,
    callback: Callback | None = None,
) -> TamingResult:
    """Tune a copy of a flow until fresh samples show combinations of attributes in given shares.

    Half of the images of each combination are moved, the others retained. Every `log_every`
    steps `measure` says what fresh samples show. A combination whose share lies above its target
    is pressed to be less likely, one below to be more, in proportion to how far off it is and, a
    little, to how far off it has been (a PI controller). What it has been off on the long way
    there counts but little: else that sum would carry the shares past their targets. Only
    differences of the pressure count: a share says how likely some images are *beside others*,
    and to make all of them less likely would change none.

    Parameters
    ----------
    flow : as `tame` takes it
    images : (N, ...), real ones or the flow's own
    cells : (N,), the number of each image's combination, as `Target.cells` counts them
    target : which shares fresh samples shall have
    measure : returns the shares (n_cells,) among fresh samples of a model, given the number of
        the measurement: other samples for another number
    config : `TargetConfig`'s defaults where there is none
    callback : as `tame` takes it

    Returns
    -------
    TamingResult : the model and its history; rows have `share_0`, `share_1` ... where measured, and
        the last has `met`, 1 or 0

    Raises
    ------
    DataError
        There are not as many cells as images, one is no combination of the target, a
        combination that is to have a share has no two images to learn from, or all images show
        the same one.
    TrainingError
        A likelihood is not finite.
    """
    config = config or TargetConfig()
    n_cells = len(target.shares)
    if cells.shape != (len(images),) or not ((cells >= 0) & (cells < n_cells)).all():
        raise DataError(
            f"cells must be {len(images)} numbers from 0 to {n_cells - 1}, one for each image: "
            f"which of {', '.join(target.combinations)} it shows."
        )
    first = _first_of_each(images)
    images, cells = images[first], cells[first]
    generator = torch.Generator().manual_seed(config.seed)
    moved, retained = [], []
    for number, name in enumerate(target.combinations):
        showing = torch.nonzero(cells == number).flatten()
        if target.shares[number] > 0 and len(showing) < 2:
            raise DataError(
                f"{len(showing)} of the {len(images)} images show {name}, which shall "
                f"have a share of {float(target.shares[number]):.0%}: give images that show it."
            )
        showing = showing[torch.randperm(len(showing), generator=generator)]
        moved.append(showing[::2])
        retained.append(showing[1::2])
    if sum(len(part) > 0 for part in moved) < 2:
        raise DataError(
            f"All {len(images)} images show the same of {', '.join(target.combinations)}: "
            "combinations are moved against each other, so give images of another, too."
        )
    moved, retained = torch.cat(moved), torch.cat(retained)
    shares: dict[int, torch.Tensor] = {}
    numbers, met, summed = itertools.count(), False, torch.zeros(len(target.shares))

    def steer(step: int, model: nn.Module) -> torch.Tensor | None:
        nonlocal met, summed
        off = measure(model, next(numbers)) - target.shares
        if float(off.abs().max()) <= 2 * config.tolerance:  # by chance? ask others
            others = [measure(model, next(numbers)) for _ in range(config.confirm)]
            off = torch.stack(others).mean(0) - target.shares
            met = float(off.abs().max()) <= config.tolerance
        shares[step] = off + target.shares
        if met:
            return None
        summed = summed + off.clamp(-2 * config.tolerance, 2 * config.tolerance)
        return config.gain * (off + config.memory * summed)[cells[moved]]

    shared = {name: getattr(config, name) for name in FlowFinetuneConfig.model_fields}
    sets = images[moved], images[retained]
    found = tame(flow, *sets, TamingConfig(**shared), callback=callback, steer=steer)
    history = [
        row | {f"share_{i}": float(share) for i, share in enumerate(shares.get(row["step"], ()))}
        for row in found.history
    ]
    history[-1]["met"] = float(met)
    return TamingResult(found.model, history)
