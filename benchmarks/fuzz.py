"""Give every entry point 1,000 cases of generated input, and count what becomes of them.

    python benchmarks/fuzz.py --help

The tests `tests/test_fuzz_KIND.py` make the cases. Each works, is refused in one sentence, or ends
in a traceback. The counts go to `results/fuzz.json` after every kind.
"""

import json
import os
import sys
from collections import Counter

os.environ["FORGETTING_FUZZ_CASES"] = "1000"  # which the tests read

import click
import pytest

from forgetting.foundation.files import ROOT, write_text

RECORD = ROOT / "results" / "fuzz.json"

TESTS = {
    path.stem.removeprefix("test_fuzz_"): path
    for path in sorted((ROOT / "tests").glob("test_fuzz_*.py"))
}
"""The tests by the kind of their entry points."""

ENDS = ("works", "refused", "tracebacks")


def counted(kind: str) -> dict[str, dict[str, int]]:
    """Run the tests of a kind in this process, and return their counts by entry point."""
    ended = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS[kind])])
    counts: dict[str, Counter[str]] = sys.modules["fuzzing"].COUNTS
    if ended and not sum(each["tracebacks"] for each in counts.values()):
        raise click.ClickException(f"The tests of {kind} failed, and counted no traceback.")
    entries = {entry: {end: counts[entry][end] for end in ENDS} for entry in sorted(counts)}
    counts.clear()
    return entries


def summary(counts: dict[str, dict[str, dict[str, int]]]) -> dict[str, int]:
    """Return entry points, cases, refusals and tracebacks, in all and by kind."""
    metrics: Counter[str] = Counter()
    for kind, entries in counts.items():
        for end in ("", f"_{kind}"):
            metrics[f"entry_points{end}"] += len(entries)
            metrics[f"cases{end}"] += sum(sum(each.values()) for each in entries.values())
            for name in ("refused", "tracebacks"):
                metrics[f"{name}{end}"] += sum(each[name] for each in entries.values())
    return dict(metrics)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("kinds", nargs=-1, type=click.Choice(list(TESTS)))
def main(kinds: tuple[str, ...]) -> None:
    """Count the cases of KINDS, or of all; the counts of other kinds are kept."""
    counts = json.loads(RECORD.read_text(encoding="utf-8"))["counts"] if RECORD.is_file() else {}
    for kind in kinds or TESTS:
        counts[kind] = counted(kind)
        content = {"name": "fuzz", "metrics": summary(counts), "counts": counts}
        write_text(RECORD, json.dumps(content, indent=1) + "\n")
    click.echo(f"{RECORD.name}: {summary(counts)}")


if __name__ == "__main__":
    main()
