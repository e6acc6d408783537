"""A target distribution: the shares that attributes shall have among samples."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from forgetting.errors import DataError, ParameterError, quoted

MAX_ATTRIBUTES = 2

SUM_ERROR = 1e-5
"""By how much the sum of shares may differ from one: shares are float32."""


@dataclass(frozen=True)
class Target:
    """Shares that the combinations of attributes shall have among samples.

    Attributes
    ----------
    attributes : tuple of str
        Names, one or two.
    shares : torch.Tensor
        (2^k,), of the combinations in the order of `combinations`; they add up to one.

    Raises
    ------
    ParameterError
        There are not one or two different attributes, the number of shares is wrong, one is not
        between 0 and 1, or they do not add up to one.
    """

    attributes: tuple[str, ...]
    shares: torch.Tensor

    def __post_init__(self) -> None:
        names = () if isinstance(self.attributes, str) else self.attributes
        if not len(set(names)) == len(names) in range(1, MAX_ATTRIBUTES + 1):
            raise ParameterError(
                f"target: {quoted(self.attributes)} must be a tuple of one or two different "
                "attributes."
            )
        shares = torch.as_tensor(self.shares).detach().cpu().clone()  # the caller's may change
        n = 2 ** len(self.attributes)
        are_shares = shares.shape == (n,) and bool(((shares >= 0) & (shares <= 1)).all())
        if not are_shares or abs(float(shares.sum()) - 1) > SUM_ERROR:
            raise ParameterError(
                f"target: the shares of {', '.join(self.combinations)} must be {n} numbers from 0 "
                f"to 1 that add up to one, not {shares.tolist()}."
            )
        object.__setattr__(self, "shares", shares)

    @classmethod
    def parse(cls, text: str | Mapping[str, float], available: Sequence[str]) -> "Target":
        """Read a target such as "Male: 0.5" or "Male&Smiling: 0.2, Male&~Smiling: 0.3".

        Combinations that are not named get equal parts of what is left of one.

        Parameters
        ----------
        text : str or mapping
            Shares from 0 to 1 by combination; `~` before an attribute means its absence.
        available : sequence of str
            Attributes that the classifier has.

        Raises
        ------
        ParameterError
            A share is no number from 0 to 1, the shares exceed one, an attribute is unknown,
            there are more than two, or a combination has other attributes or comes twice.
        """
        if isinstance(text, Mapping):
            text = ", ".join(f"{name}: {share}" for name, share in text.items())
        attributes: tuple[str, ...] = ()
        shares: dict[tuple[bool, ...], float] = {}
        for part in text.split(","):
            names, cell, share = _parse_part(part, available)
            attributes = attributes or names
            if names != attributes or len(set(names)) < len(names) or len(names) > MAX_ATTRIBUTES:
                raise ParameterError(
                    f"target: {part.strip()!r} must be of one or two different attributes, the "
                    "same and in the same order in every part."
                )
            if cell in shares:
                raise ParameterError(f"target: {part.split(':')[0].strip()!r} is given twice.")
            shares[cell] = share
        cells = list(itertools.product((True, False), repeat=len(attributes)))
        rest = 1 - sum(shares.values())
        n_open = len(cells) - len(shares)
        if rest < -SUM_ERROR or (not n_open and rest > SUM_ERROR):
            raise ParameterError(
                f"target: the shares add up to {1 - rest:g}, where they must add up to one."
            )
        open_share = max(rest, 0.0) / max(n_open, 1)
        return cls(attributes, torch.tensor([shares.get(cell, open_share) for cell in cells]))

    @property
    def combinations(self) -> list[str]:
        """Names of the combinations, from all attributes present to none."""
        cells = itertools.product(("", "~"), repeat=len(self.attributes))
        pairs = (zip(cell, self.attributes, strict=True) for cell in cells)
        return ["&".join(sign + name for sign, name in pair) for pair in pairs]

    def cells(self, has_feature: torch.Tensor) -> torch.Tensor:
        """Return the number (N,) of each image's combination, given which attributes it has.

        Parameters
        ----------
        has_feature : torch.Tensor
            Bool (N, k), in the order of `attributes`.

        Raises
        ------
        DataError
            It is not, or there is no image.
        """
        if has_feature.dtype != torch.bool or has_feature.shape[1:] != (len(self.attributes),):
            raise DataError(
                f"Which image has {', '.join(self.attributes)}: give booleans (N, "
                f"{len(self.attributes)}), not {has_feature.dtype} {tuple(has_feature.shape)}."
            )
        if not len(has_feature):
            raise DataError("Shares of combinations need at least one image: there is none.")
        weights = 2 ** torch.arange(has_feature.shape[1] - 1, -1, -1)
        return ((~has_feature).long().cpu() * weights).sum(1)

    def measure(self, has_feature: torch.Tensor) -> torch.Tensor:
        """Return the shares (2^k,) of the combinations among images.

        Parameters
        ----------
        has_feature : torch.Tensor
            Bool (N, k), in the order of `attributes`.
        """
        counts = torch.bincount(self.cells(has_feature), minlength=len(self.shares))
        return counts / len(has_feature)


def _parse_part(
    part: str, available: Sequence[str]
) -> tuple[tuple[str, ...], tuple[bool, ...], float]:
    """Return the attributes of "A&~B: 0.2", which of them are present, and the share."""
    left, separator, right = part.partition(":")
    literals = [literal.strip() for literal in left.split("&")]
    try:
        share = float(right)
    except ValueError:
        share = -1.0
    if not separator or not 0 <= share <= 1:
        raise ParameterError(
            f"target: {part.strip()!r} is not of the form ATTRIBUTE: SHARE with a share "
            "from 0 to 1."
        )
    names = tuple(literal.removeprefix("~").strip() for literal in literals)
    for name in names:
        if name not in available:
            raise ParameterError(
                f"target: {name!r} is no attribute of the classifier. It has: "
                f"{', '.join(available)}."
            )
    return names, tuple(not literal.startswith("~") for literal in literals), share
