"""Kill runs of every kind at random moments, start them again, and compare with undisturbed ones.

    python benchmarks/faults/kills.py --help

Every run is small (see `tiny.py`) and lives in a clone of this checkout. A kill is a SIGKILL of
all its processes, at a moment drawn evenly over the undisturbed run, or inside a write
(`sitecustomize.py`). After a kill no file may be half-written. The same command is then given
again. Nothing was lost if it succeeds, leaves what the undisturbed run left, to the last digit,
and did not repeat what was finished. The log goes to `results/faults.json` after every kill; a
further call goes on where an earlier one stopped.
"""

import contextlib
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import psutil
from contents import digest_of
from kinds import EVERY, KINDS, N_STEPS
from place import PATIENCE, Place, prepare
from release import served
from tqdm import tqdm

from forgetting.foundation.files import ROOT, write_text

LOG = ROOT / "results" / "faults.json"

WHENS = ("before", "after")

N_WRITES = 3
"""Writes of a run, from the first to the last, before and after each of which it is killed."""


def kill_all(pid: int) -> None:
    """Kill a process, and all that it has started, kernels of notebooks among them."""
    leader = psutil.Process(pid)
    for process in (leader, *leader.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def one_kill(place: Place, moment: float, fault: str) -> dict[str, Any] | None:
    """Kill a run once, and run it again; return what was seen.

    Parameters
    ----------
    moment : float
        Of the undisturbed run, from 0 to 1; without a meaning where there is a fault.
    fault : str
        Place inside a write, or empty.

    Returns
    -------
    dict or None
        None where the run had ended before.
    """
    place.reset()
    process = place.start(fault)
    started = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=PATIENCE if fault else moment * place.seconds)
    if process.returncode is None:
        kill_all(process.pid)
        process.communicate()
    elif process.returncode != -signal.SIGKILL:
        return None
    row: dict[str, Any] = {"moment": fault or round(moment, 4), "faults": []}
    row["seconds"] = round(time.monotonic() - started, 1)
    kept = {}
    for path in place.files():
        try:
            digest_of(path)
            kept[path] = path.stat().st_mtime_ns
        except Exception as error:  # whatever a reader raises, the file is half-written
            row["faults"].append(f"{path.name} is half-written: {error}")
    row["left"] = len(kept)
    code, printed = place.finish()
    content = place.content()
    was_complete = content == place.undisturbed  # a complete run is refused a second time
    if code and not was_complete:
        row["faults"].append(f"the second run ended with {code}: {printed[-500:]}")
    elif not was_complete:
        other = {
            k for k in content | place.undisturbed if content.get(k) != place.undisturbed.get(k)
        }
        row["faults"].append(f"other content: {', '.join(sorted(other))}")
    finished = [path for path in kept if path.with_suffix(".run.json") in kept]
    if again := [path.name for path in finished if path.stat().st_mtime_ns != kept[path]]:
        row["faults"].append(f"made again: {', '.join(sorted(again))}")
    steps = place.folder / "steps"
    if steps.exists() and (repeated := steps.stat().st_size - N_STEPS) > EVERY:
        row["faults"].append(f"{repeated} steps were taken twice")
    return row


def plan(n: int, kind: str, n_moves: int) -> list[tuple[float, str]]:
    """Return the kills of a kind of run: some inside a write, the others evenly over the run.

    Each of the others has a random moment in its own part of the run, the same at every call.

    Parameters
    ----------
    n_moves : int
        How many finished files the run moves to their places.
    """
    spread = [1 + round(i * (n_moves - 1) / (N_WRITES - 1)) for i in range(N_WRITES)]
    inside = [(1.0, f"{when}:{place}") for place in dict.fromkeys(spread) for when in WHENS]
    draw = random.Random(kind)
    parts = n - len(inside)
    return inside + [((place + draw.random()) / parts, "") for place in range(parts)]


def summary(rows: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Return the kills, those that lost something, and both by kind of run."""
    kills = {
        kind: sum("ended" not in row for row in some) for kind, some in rows.items()
    }  # some runs have ended before their kill
    lost = {kind: sum(bool(row["faults"]) for row in some) for kind, some in rows.items()}
    metrics = {"kills": sum(kills.values()), "lost": sum(lost.values())}
    return (
        metrics
        | {f"kills_{kind}": number for kind, number in kills.items()}
        | {f"lost_{kind}": number for kind, number in lost.items()}
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("kinds", nargs=-1, type=click.Choice(list(KINDS)))
@click.option(
    "--kills",
    default=29,
    show_default=True,
    help="Of every kind of run.",
)
@click.option("--again", is_flag=True, help="Forget what an earlier call has logged.")
def main(kinds: tuple[str, ...], kills: int, again: bool) -> None:
    """Kill runs of the given KINDS, or of all, and log what was lost."""
    log = {} if again or not LOG.is_file() else json.loads(LOG.read_text())["kills"]
    with served() as release, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for kind in kinds or KINDS:
            rows = log.setdefault(kind, [])
            if len(rows) >= kills:
                continue
            place = Place(Path(scratch) / kind, KINDS[kind], release)
            place.make()
            prepare(place)
            todo = plan(kills, kind, place.n_moves)[len(rows) :]
            for moment, fault in tqdm(todo, kind):
                row = one_kill(place, moment, fault)
                rows.append(row or {"moment": fault or moment, "faults": [], "ended": True})
                content = {"name": "faults", "metrics": summary(log), "kills": log}
                write_text(LOG, json.dumps(content, indent=1) + "\n")
            shutil.rmtree(place.folder)


if __name__ == "__main__":
    main()
