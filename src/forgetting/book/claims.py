"""Which claims hold up: each has a written rule, which makes its verdict from records.

`book/claims.yaml` lists the claims and their rules, `results/claims.json` holds the verdicts, and
the directive `claims` shows them. A new run can change a verdict.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.judged import JudgedFile
from forgetting.book.numerals import Results, in_figures
from forgetting.book.yaml_files import read_mappings
from forgetting.errors import ForgettingError, validated

Outcome = Literal["holds", "fails", "open"]
VerdictWord = Literal[
    "holds", "holds in part", "does not hold", "cannot be told", "not tested yet"
]

Relation = Literal["at most", "at least"]

Than = str | float
Comparison = tuple[str, Relation, Than]
"""A metric, the relation, and a number or another metric of the record."""

SHARES = (
    *("prevalence", "attack", "inverted", "relearned", "class_changed", "share", "gone", "met"),
    *("damaged", "within", "ball"),
)
"""What the names of metrics begin with that are shares, and are shown in percent."""

NO_SHARES = ("attack_value",)
"""What the names of metrics begin with that are no shares all the same."""


class Claim(BaseModel):
    """A claim: what is said, where, and the rule of its verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    paper: Literal["moon2024feature", "malnick2024taming", "ours"]
    place: str = ""
    page: str
    rule: str = ""
    factor: float = 1.0
    margin: float = 0.0
    tests: list[Annotated[dict[str, Comparison], Field(min_length=1, max_length=1)]] = []
    shown: list[tuple[str, str, str]] = []
    unit: str = ""
    untested: str = ""

    def judged(self, results: Results) -> dict[str, Any]:
        """Return the claim with its verdict, the figure beside it, and the records behind it.

        Raises
        ------
        ForgettingError
            A record or metric is missing, a share is compared with something else, or there are
            neither tests nor a reason.
        """
        entry: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("claim", "paper", "place", "page", "rule", "factor", "margin")
        }
        pairs = [pair for test in self.tests for pair in test.items()]
        if not pairs:
            if not self.untested:
                raise ForgettingError(f"The claim {self.claim!r} has no tests and no reason why.")
            return entry | {"verdict": "not tested yet", "reason": self.untested, "records": []}
        comparisons = [self._comparison(results, *pair) for pair in pairs]
        outcomes: list[Outcome] = [each["outcome"] for each in comparisons]
        first = pairs[0]
        figures = [
            _figure(results, *shown) for shown in self.shown or [("", first[0], first[1][0])]
        ]
        records = sorted({record for record, _ in pairs})
        judged = {"verdict": verdict(outcomes), "comparisons": comparisons, "records": records}
        return entry | {"unit": self.unit, "figures": figures} | judged

    def _comparison(self, results: Results, record: str, given: Comparison) -> dict[str, Any]:
        """Return a comparison with its outcome: is an interval where the claim puts it?"""
        metric, relation, than = given
        moved: tuple[float, ...] = ()
        if isinstance(than, float):
            moved, is_alike = (than,) * 3, True
        else:
            moved = tuple(self.factor * x + self.margin for x in results.value(record, than))
            is_alike = is_share(than) == is_share(metric)
        if not is_alike or (is_share(metric) and not -1 <= moved[0] <= 1):
            raise ForgettingError(
                f"The claim {self.claim!r} compares {metric} of {record} with {than}, of which "
                "one is a share from 0 to 1 and the other is not: give 0.05 for 5 %."
            )
        return {
            "figure": _figure(results, "", record, metric),
            "relation": relation,
            "than": than,
            "bound": list(_ends(moved)),
            "outcome": compared(results.value(record, metric), relation, moved),
        }


def is_share(metric: str) -> bool:
    """Return whether a metric is a share, by its name."""
    return metric.startswith(SHARES) and not metric.startswith(NO_SHARES)


def compared(value: tuple[float, ...], relation: Relation, bound: tuple[float, ...]) -> Outcome:
    """Return whether a whole interval is on the right side of another.

    Parameters
    ----------
    value : (centre, low, high)
        Without an interval the ends are NaN.
    relation : "at most" or "at least"
        What the value shall be.
    bound : (centre, low, high)
        What it is compared with.
    """
    (low, high), (least, most) = _ends(value), _ends(bound)
    if relation == "at least":
        low, high, least, most = -high, -low, -most, -least
    return "holds" if high <= least else "fails" if low > most else "open"


def _figure(results: Results, label: str, record: str, metric: str) -> dict[str, Any]:
    """Return a figure beside a verdict: its label, value, interval, record and metric."""
    value, low, high = results.value(record, metric)
    figure = {"label": label, "record": record, "metric": metric, "value": value}
    return figure | ({"interval": [low, high]} if math.isfinite(high - low) else {})


def _ends(value: tuple[float, ...]) -> tuple[float, float]:
    """Return the ends of an interval, or the value itself twice where it has none."""
    centre, low, high = value
    return (low, high) if math.isfinite(high - low) else (centre, centre)


def verdict(outcomes: list[Outcome]) -> VerdictWord:
    """Return the word for the outcomes of a claim's tests."""
    kinds = set(outcomes)
    if kinds == {"holds"}:
        return "holds"
    if "holds" in kinds:
        return "holds in part"
    return "does not hold" if "fails" in kinds else "cannot be told"


def read_claims(checkout: Checkout = HERE) -> list[Claim]:
    """Return the claims of book/claims.yaml.

    Raises
    ------
    ForgettingError
        A claim is malformed.
    """
    path = checkout.root / "book" / "claims.yaml"
    return [validated(Claim, values) for values in read_mappings(path)]


def judged_claims(checkout: Checkout = HERE) -> list[dict[str, Any]]:
    """Return every claim with its verdict, from the present records.

    Raises
    ------
    ForgettingError
        A claim is malformed, or a record or metric is missing.
    """
    results = Results(checkout.results)
    return [claim.judged(results) for claim in read_claims(checkout)]


CLAIMS = JudgedFile("claims", judged_claims)
"""Verdicts, as results/claims.json holds them."""


def figures_of(claim: dict[str, Any]) -> list[str]:
    """Return the figures beside a verdict as texts, each with its label."""
    texts = []
    for figure in claim.get("figures", ()):
        text = _in_figures(figure, claim["unit"])
        texts.append(f"{figure['label']}: {text}" if figure["label"] else text)
    return texts


def comparisons_of(claim: dict[str, Any]) -> list[str]:
    """Return the comparisons behind a verdict as texts, each with its outcome."""
    texts = []
    for each in claim.get("comparisons", ()):
        figure, than, (low, high) = each["figure"], each["than"], each["bound"]
        factor, unit = (100, " %") if is_share(figure["metric"]) else (1, claim["unit"])
        if isinstance(than, float):
            bound = f"{factor * than:g}{unit}"
        else:
            moved = {"metric": than, "value": (low + high) / 2, "interval": [low, high]}
            is_moved = (claim["factor"], claim["margin"]) != (1, 0)
            name = _in_words(than) + (" with the margin of the rule" if is_moved else "")
            bound = f"{name}: {_in_figures(moved, claim['unit'])}"
        texts.append(
            f"{_in_words(figure['metric'])}: {_in_figures(figure, claim['unit'])}, "
            f"{each['relation']} {bound}: {each['outcome']}"
        )
    return texts


def tally_of(claim: dict[str, Any]) -> str:
    """Return how many of a claim's comparisons hold; an empty text where it has none."""
    outcomes = [each["outcome"] for each in claim.get("comparisons", ())]
    n, noun = len(outcomes), "comparison holds" if len(outcomes) == 1 else "comparisons hold"
    return f"{outcomes.count('holds')} of {n} {noun}" if outcomes else ""


def _in_figures(figure: dict[str, Any], unit: str) -> str:
    """Return a figure with its interval and unit, shares in percent."""
    low, high = figure.get("interval", (math.nan, math.nan))
    factor, unit = (100, " %") if is_share(figure["metric"]) else (1, unit)
    value, low, high = (factor * x for x in (figure["value"], low, high))
    return in_figures(value, low, high, unit, math.isfinite(high - low) and high > low)


def _in_words(metric: str) -> str:
    """Return the name of a metric as words."""
    return metric.replace("_", " ")
