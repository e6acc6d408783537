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
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import nbformat
import yaml
from PIL import Image
from safetensors.torch import load_file
from tqdm import tqdm

from forgetting.book.fingerprint import outputs_digest
from forgetting.foundation.files import ROOT, write_text

LOG = ROOT / "results" / "faults.json"
HERE = Path(__file__).parent
PATIENCE = 900
"""Seconds after which a run counts as hanging."""

WHENS = ("before", "after")

N_WRITES = 3
"""Writes of a run, from the first to the last, before and after each of which it is killed."""

N_STEPS, EVERY = 600, 20
"""Steps of the training, and from one checkpoint to the next, as `tiny_recipe.py` has them."""

PIECE = 2048
"""Bytes that the release sends at once, so that a download takes seconds."""


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes
    ----------
    command : tuple of str
        After `python`.
    left : tuple of str
        Patterns of what it leaves, below the scratch folder.
    trains : bool
        Whether it trains by `tiny_recipe.py`.
    """

    command: tuple[str, ...]
    left: tuple[str, ...]
    trains: bool = False


FORGETTING = ("-m", "forgetting.cli")
TINY = str(HERE / "tiny.py")

KINDS = {
    "training": Kind(
        (*FORGETTING, "train", "tiny-vae", "--threads", "1"),
        ("clone/zoo/tiny-vae.*",),
        trains=True,
    ),
    "taming": Kind(
        (
            *(*FORGETTING, "tame", f"{TINY}:make_flow", "--output", "out"),
            *("--forget", "../forget", "--retain", "../retain", "--size", "16"),
            *("--channels", "1", "-p", "max_steps=40", "-p", "n_statistics=32"),
        ),
        ("clone/out/*",),
    ),
    "unlearning": Kind(
        (
            *(*FORGETTING, "unlearn", f"{TINY}:make_generator", "--output", "out"),
            *("--feature", "Bright", "--classifier", f"{TINY}:make_classifier"),
            *("--grader", f"{TINY}:make_grader", "--samples", "500"),
            *("-p", "n_collected=2000", "-p", "rounds=2", "-p", "steps=20"),
        ),
        ("clone/out/*",),
    ),
    "notebook": Kind(
        (*FORGETTING, "run", "tour", "-p", "preset=smoke", "--name", "one", "--output", "out"),
        ("clone/out/*",),
    ),
    "sweep": Kind((*FORGETTING, "sweep", "small", "--jobs", "1"), ("clone/results/small/*",)),
    "publish": Kind(
        (*FORGETTING, "publish", "small_page", "--jobs", "1"),
        ("clone/results/small_page*", "clone/book/runs/small_page*"),
    ),
    "download": Kind((str(HERE / "fetch.py"),), ("cache/forgetting/zoo/digits-*",)),
}
"""The kinds of runs, by name."""

RUNS = [
    {
        "name": "small_page",
        "title": "A small page",
        "template": "tour",
        "parameters": {"preset": "smoke"},
    },
    {
        "name": "small",
        "title": "A small sweep",
        "template": "tour",
        "parameters": {"preset": "smoke"},
        "grid": {"seed": [1, 2, 3]},
    },
]
"""What takes the place of runs.yaml in the clone."""


class Release(http.server.SimpleHTTPRequestHandler):
    """Serves the weights of the checkout slowly, at whatever path."""

    def do_GET(self) -> None:
        """Send a file in pieces."""
        content = (ROOT / "zoo" / Path(self.path).name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(content), max(PIECE, len(content) // 40)):
                self.wfile.write(content[start : start + max(PIECE, len(content) // 40)])
                time.sleep(0.05)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@dataclass
class Place:
    """The scratch folder of one kind of run: a clone, images, a cache.

    Attributes
    ----------
    folder : Path
        The scratch folder.
    kind : Kind
        What is run in it.
    release : str
        Address of the release.
    """

    folder: Path
    kind: Kind
    release: str
    undisturbed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    n_moves: int = 0

    @property
    def clone(self) -> Path:
        """The clone, in which commands are given."""
        return self.folder / "clone"

    def make(self) -> None:
        """Make the clone, and the images of the taming."""
        (self.folder / "moves").mkdir(parents=True)
        git = ["git", "clone", "--quiet", "--shared", str(ROOT), str(self.clone)]
        subprocess.run(git, check=True)
        plugin = self.folder / "plugin" / "tiny-0.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 0\n")
        (plugin / "entry_points.txt").write_text("[forgetting.zoo.recipes]\ntiny = tiny_recipe\n")
        sys.path.insert(0, str(HERE))
        from tiny import write_images

        write_images(self.folder / "forget", 8, seed=1)
        write_images(self.folder / "retain", 240, seed=2)

    def reset(self) -> None:
        """Bring everything to the state before the first run."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        (self.folder / "steps").unlink(missing_ok=True)
        for command in (["checkout", "--quiet", "."], ["clean", "-fdxq"]):
            subprocess.run(["git", "-C", str(self.clone), *command], check=True)
        (self.clone / "runs.yaml").write_text(yaml.safe_dump(RUNS))

    def start(self, fault: str = "") -> subprocess.Popen[str]:
        """Start the run, in a group of processes of its own."""
        paths = [HERE, *([self.folder / "plugin"] if self.kind.trains else []), self.clone / "src"]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "FAULT_AT": fault,
            "FAULT_MOVES": str(self.folder / "moves"),
            "FAULT_RELEASE": self.release,
            "FAULT_STEPS": str(self.folder / "steps"),
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("FORGETTING_DATA", None)
        environment.pop("FORGETTING_ZOO", None)
        return subprocess.Popen(
            [sys.executable, *self.kind.command],
            cwd=self.clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self) -> tuple[int, str]:
        """Run to the end; return the exit code and what was printed."""
        process = self.start()
        printed, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, printed

    def files(self) -> list[Path]:
        """Return what the run has left up to now, without temporary files and failed notebooks."""
        found = [path for pattern in self.kind.left for path in self.folder.glob(pattern)]
        return sorted(p for p in found if p.name[0] != "." and p.suffixes[:1] != [".failed"])

    def content(self) -> dict[str, str]:
        """Return a digest of each file that was left, by its name below the scratch folder."""
        return {str(path.relative_to(self.folder)): digest_of(path) for path in self.files()}


def digest_of(path: Path) -> str:
    """Return a digest of what a file says, without times.

    Raises
    ------
    Exception
        The file is half-written: its reader refuses it.
    """
    if path.suffix == ".safetensors":
        said = [f"{k} {v.dtype} {v.tolist()}" for k, v in sorted(load_file(path).items())]
    elif path.suffix == ".json":
        said = [json.dumps(timeless(json.loads(path.read_text())), sort_keys=True)]
    elif path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        said = [outputs_digest(notebook)]
    elif path.suffix == ".png":
        with Image.open(path) as image:
            said = [image.tobytes().hex()]
    else:
        said = [path.suffix] if path.read_text().endswith("\n") else ["no last line"]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def timeless(content: Any) -> Any:
    """Return the content of a JSON file without what differs from run to run."""
    if isinstance(content, dict):
        return {
            key: timeless(value)
            for key, value in content.items()
            if "second" not in key and key not in VARYING
        }
    return [timeless(each) for each in content] if isinstance(content, list) else content


VARYING = {"circumstances", "peak_mib", "revision", "load", "record", "record_sha256"}
"""Entries of JSON files that may differ between equal runs."""


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
        os.killpg(process.pid, signal.SIGKILL)
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


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve a release on the loopback interface, and yield its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Release) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
@click.option("--kills", default=29, show_default=True, help="Of every kind of run.")
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


def prepare(place: Place) -> None:
    """Run twice without a kill: what is left must be equal, and the second run is timed.

    Raises
    ------
    click.ClickException
        A run fails, or the two leave something else.
    """
    contents = []
    for _ in range(2):
        place.reset()
        started = time.monotonic()
        code, printed = place.finish()
        place.seconds = time.monotonic() - started
        if code:
            raise click.ClickException(f"{' '.join(place.kind.command)}: {printed[-2000:]}")
        contents.append(place.content())
    first, second = contents
    if first != second or not first:
        other = sorted(k for k in first | second if first.get(k) != second.get(k))
        raise click.ClickException(f"Two undisturbed runs differ in {other or 'nothing: empty'}.")
    place.undisturbed = first
    place.n_moves = max(int(path.name) for path in (place.folder / "moves").iterdir())


if __name__ == "__main__":
    main()
