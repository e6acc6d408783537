"""Files, and what reads them: the common form of all readers that are tried."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Reader:
    """Files, and what reads them.

    Attributes
    ----------
    files : list of Path
        Of which one is damaged.
    read : callable
        Takes the damaged file, and reads it where a caller would.
    seal : callable
        Makes the others fit to a damaged file, as one does who damages it on purpose.
    """

    files: list[Path]
    read: Any
    seal: Any = None

    def __post_init__(self):
        self.contents = {path: path.read_bytes() for path in self.files}
