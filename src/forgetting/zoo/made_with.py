"""What was measured with a model of the zoo, and whether it is still of that model."""

from collections.abc import Callable
from typing import Any

from forgetting.errors import WeightsError

MADE_WITH = ("classifier", "flow")
"""Where a record holds the sha256 of the models that its tensors were measured with, by name."""


def check_made_with(
    name: str, entry: dict[str, Any], record: Callable[[str], dict[str, Any]]
) -> None:
    """Raise an error if an entry was measured with other weights than the zoo now has.

    Of a model that is not on this machine nothing is said.

    Parameters
    ----------
    name : str
        Of the entry.
    entry : dict
        Its record.
    record : callable
        Returns the record of an entry.

    Raises
    ------
    WeightsError
        A model was trained anew since, or another folder hides it.
    """
    for key in MADE_WITH:
        made_with = entry.get(key)
        for other, digest in made_with.items() if isinstance(made_with, dict) else ():
            try:
                present = record(other)["sha256"]
            except WeightsError:
                continue
            if present != digest:
                raise WeightsError(
                    f"{name} was measured with {other} of sha256 {str(digest)[:12]}..., and the "
                    f"zoo has another {other}, of {present[:12]}...: measure it anew with "
                    f"`forgetting train {name} --again`, or bring that {other} back."
                )
