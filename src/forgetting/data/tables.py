"""The one reader of text tables: a file name and its values in each line.

A byte-order mark is passed over, and says whether a text is in UTF-8, UTF-16 or UTF-32; a text
without one is in UTF-8.
"""

import codecs
from collections.abc import Collection
from pathlib import Path

from forgetting.errors import DataError
from forgetting.foundation.files import read_bytes

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Line = tuple[int, list[str]]
"""The number of a line, counted from 1, and its fields."""


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a table that are not empty, with their fields between white space.

    Raises
    ------
    DataError
        The file is missing, unreadable or not a text.
    """
    try:
        content = read_bytes(path)
        encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
        text = content.decode(encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "it is not a text") from error
    if "\0" in text:
        raise _unreadable(path, "it is not a text in UTF-8, or in UTF-16 with a byte-order mark")
    return [(n, fields) for n, line in enumerate(text.split("\n"), 1) if (fields := line.split())]


def read_table(
    path: Path, lines: list[Line], n_values: int, allowed: Collection[str] | None, expected: str
) -> dict[str, list[str]]:
    """Return the values of each file name in a table.

    Parameters
    ----------
    path : Path
        The file, for errors.
    lines : list of (int, list of str)
        What `read_lines` returns, without headings.
    n_values : int
        Values after each name.
    allowed : collection of str or None
        The values that are allowed; None stands for numbers of decimal digits.
    expected : str
        What a line holds, for errors.

    Raises
    ------
    DataError
        A line has another number of values or a value that is not allowed, or a name occurs twice.
    """
    table: dict[str, list[str]] = {}
    places: dict[str, int] = {}
    for number, (name, *values) in lines:
        if len(values) != n_values:
            raise DataError(
                f"{path}, line {number}: expected {expected}, found {len(values)} values. Copy "
                "the official file again."
            )
        for value in values:
            if not (value.isdecimal() if allowed is None else value in allowed):
                raise DataError(
                    f"{path}, line {number}: expected {expected}, found {value!r}. Copy the "
                    "official file again."
                )
        if name in table:
            raise DataError(
                f"{path} lists {name} twice, in lines {places[name]} and {number}. Remove the "
                "wrong line, or copy the official file again."
            )
        table[name], places[name] = values, number
    return table


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} cannot be read ({reason}). Copy it from the official data set to this folder."
    )
