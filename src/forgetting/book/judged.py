"""Files in `results` that are judged from the records, by rules written in `book`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forgetting.book.checkout import HERE, Checkout
from forgetting.errors import ForgettingError
from forgetting.foundation.files import write_text

Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class JudgedFile:
    """A file of entries that follow from rules and the present records.

    Attributes
    ----------
    name : str
        The rules are in `book/NAME.yaml`, the entries in `results/NAME.json`.
    judge : callable
        Returns the entries of a checkout. It raises a ForgettingError where a rule is malformed,
        or where a record or a metric is missing.
    """

    name: str
    judge: Callable[[Checkout], Entries]

    def write(self, checkout: Checkout = HERE) -> Entries:
        """Write the file anew, and return its entries.

        Raises
        ------
        ForgettingError
            As `judge` raises it.
        """
        entries = self.judge(checkout)
        write_text(checkout.results / f"{self.name}.json", _text(entries))
        return entries

    def check(self, checkout: Checkout = HERE) -> list[str]:
        """Return what does not agree; nothing in a checkout without rules and entries."""
        path = checkout.results / f"{self.name}.json"
        if not (checkout.root / "book" / f"{self.name}.yaml").is_file():
            note = (
                f"{path.name} follows from no rules: restore book/{self.name}.yaml, or delete it"
            )
            return [note] if path.is_file() else []
        try:
            text = _text(self.judge(checkout))
            is_current = path.is_file() and path.read_bytes() == text.encode()
        except ForgettingError as error:
            return [f"book/{self.name}.yaml: {error}"]
        note = f"{path.name} is not that of the records: `forgetting claims`"
        return [] if is_current else [note]


def _text(entries: Entries) -> str:
    return json.dumps(entries, indent=1) + "\n"
