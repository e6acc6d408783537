"""Bad input by the thousand: what is drawn, how often, and what may become of it."""

import os
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from forgetting.errors import ForgettingError

CASES = int(os.environ.get("FORGETTING_FUZZ_CASES", "50"))
"""Cases of every entry point; the record of `benchmarks/fuzz.py` counts 1,000."""

COUNTS: dict[str, Counter[str]] = {}
"""By entry point: cases that work, that are refused in a sentence, and tracebacks."""

fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Unwritable:
    """What raises as soon as it is to be written."""

    def __repr__(self):
        raise ValueError("no text")


TEXTS = (
    *(
        "",
        " ",
        "-",
        "--help",
        ".",
        "..",
        "../",
        "../../../etc/passwd",
        "/",
        "~",
        "~nobody",
        "a" * 300,
    ),
    *(
        "two\nlines",
        "\r\n",
        "\u2028",
        "\0",
        "nul\0inside",
        "\ud800",
        "\udcff",
        "\u202eleft",
        "\x1b[31m",
    ),
    *(
        "$(reboot)",
        "; rm -rf x",
        "`id`",
        "a|b",
        "a&b",
        "*",
        "%s%n",
        "{0}",
        "{x!r}",
        "a=b",
        "=",
        ":",
    ),
    *(
        "x.py:f",
        ":f",
        "x.py:",
        "C:\\x",
        "\\\\x\\y",
        "NUL",
        "x" * 10_000,
        " " * 10_000,
        "\n" * 10_000,
    ),
    *(
        "!!python/object/apply:os.system [id]",
        "[" * 5000,
        "&a [*a]",
        "e\u0301",
        "١٢",
        "０",
        "½",
        "²",
    ),
    *(
        "NaN",
        "inf",
        "-1e999",
        "1e400",
        "9" * 400,
        "9" * 5000,
        "0x10",
        "1_000",
        "True",
        "null",
        "-0",
    ),
)

texts = st.sampled_from(TEXTS) | st.text(max_size=20)

wholes = st.sampled_from([-(10**400), -1, 0, 1, 2, 2**31, 2**62, 2**63, 2**64, 10**400, 10**5000])

numbers = st.one_of(
    wholes,
    st.booleans(),
    st.floats(),
    st.sampled_from([Fraction(1, 3), Fraction(10**5000), Decimal("nan"), Decimal("1e999"), 1j]),
    st.sampled_from(
        [np.float64("nan"), np.int64(3), np.bool_(True), np.array(2), np.array([1, 2])]
    ),
    st.sampled_from([torch.tensor(1.0), torch.tensor(True), torch.tensor(1j), torch.zeros(0)]),
)

values = st.one_of(
    numbers,
    texts,
    st.none(),
    st.binary(max_size=8),
    st.sampled_from([Unwritable(), object(), int, len, Path("\0"), Path("x" * 300), range(3)]),
)

odd = st.one_of(
    values,
    st.lists(values, max_size=3),
    st.dictionaries(texts, values, max_size=3),
    values.map(lambda value: (value,)),
    st.frozensets(st.integers(0, 3) | texts, max_size=2),
)
"""Anything that is given in the place of something else."""


def survives(entry, call):
    """Make a call of an entry point, which must work, or raise one error of one printable line."""
    counts = COUNTS.setdefault(entry, Counter())
    try:
        try:
            result = call()
        except ForgettingError as error:
            check_sentence(str(error))
            counts["refused"] += 1
            return None
    except BaseException:  # among them a refusal that is no sentence
        counts["tracebacks"] += 1
        raise
    counts["works"] += 1
    return result


def check_sentence(text):
    """Check that a text is one line of what can be printed, and no longer than a screen."""
    assert text.isprintable(), text
    assert 0 < len(text) <= 2000, text
