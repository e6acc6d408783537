"""A scratch folder in which a kind of run is started, killed and compared."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import yaml
from contents import digest_of
from kinds import HERE, RUNS, Kind
from tiny import write_images

from forgetting.foundation.files import ROOT

PATIENCE = 900
"""Seconds after which a run counts as hanging."""


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
