"""A run: checked parameters, seeds, the models it took from the zoo, and the record it leaves.

A notebook begins with `begin(...)`, takes its models and generators from the run, and closes
with `finish(...)`, which writes two files: NAME.json holds the science (parameters, metrics,
history, sha256 of all weights), NAME.run.json the circumstances (versions, machine, seconds).
"""

import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from forgetting.book.schema import SCHEMA
from forgetting.errors import ForgettingError, ParameterError, validated
from forgetting.experiments.context import Experiment, Parameters
from forgetting.files import ROOT, write_text
from forgetting.methods.progress import progress as progress
from forgetting.precision import has_bfloat16

OWN = ROOT / "_build" / "my_runs"
"""Where the records of runs go that are no pages of the book."""

CONTEXT = "FORGETTING_RUN"
"""Environment variable by which the command line tells a notebook its name, role and folder."""

RECORDED_VERSIONS = ("forgetting", "torch", "torchvision", "numpy", "scipy", "scikit-image")


class Run(Experiment):
    """One execution of a template; made by `begin`."""

    def __init__(self, template: str, parameters: Parameters) -> None:
        super().__init__(template, parameters)
        context = json.loads(os.environ.get(CONTEXT, "{}"))
        self.name: str = context.get("name", template)
        self.role: str = context.get("role", "headline")
        self.folder = Path(context.get("folder", OWN))
        self.results = Path(context.get("results", OWN))
        self._started = time.monotonic()
        self._revision = _revision()  # of the code that is loaded now, whatever comes meanwhile

    def finish(
        self, metrics: Mapping[str, float], history: list[dict[str, float]]
    ) -> dict[str, float]:
        """Write the record and its circumstances; return the metrics, sorted by name."""
        metrics = {name: float(metrics[name]) for name in sorted(metrics)}
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise ForgettingError(f"{', '.join(bad)} came out as no finite number.")
        record = {
            "schema": SCHEMA,
            "name": self.name,
            "template": self.template,
            "role": self.role,
            "parameters": self.parameters.model_dump(mode="json"),
            "metrics": metrics,
            "weights": dict(sorted(self.weights.items())),
            "history": history,
        }
        circumstances = {
            "seconds": round(time.monotonic() - self._started, 2),
            **{name: round(value, 2) for name, value in self.seconds.items()},
            "peak_mib": round(_peak_mib()),
            "revision": self._revision,
            "threads": torch.get_num_threads(),
            "cpu": _cpu(),
            "bfloat16": has_bfloat16(self.device),
            "device": str(self.device),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in RECORDED_VERSIONS},
        }
        write_text(self.folder / f"{self.name}.json", json.dumps(record, indent=1) + "\n")
        write_text(
            self.folder / f"{self.name}.run.json", json.dumps(circumstances, indent=1) + "\n"
        )
        return metrics


def begin(
    template: str,
    model: type[Parameters],
    presets: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
) -> Run:
    """Check a template's parameters and begin a run.

    Parameters
    ----------
    model : names, types and ranges of the parameters
    presets : for each preset, the value of every parameter that may be left at 0
    given : the values of the parameters cell; other names in it are passed over

    Raises
    ------
    ParameterError
        A value is of the wrong type or out of range, or there is no such preset.
    """
    values = {name: given[name] for name in model.model_fields if name in given}
    preset = presets.get(values.get("preset", "default"))
    if preset is None:
        raise ParameterError(
            f"preset = {values['preset']!r}, but {template} knows {', '.join(presets)}."
        )
    for name, value in preset.items():
        if values.get(name, 0) == 0:
            values[name] = value
    return Run(template, validated(model, values))


def records(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return those run records in a folder that are there, by name, in the order of names."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _revision() -> str | None:
    """Return the commit, marked where what a run depends on is not as committed."""
    git = ["git", "-C", str(ROOT)]
    sources = ["src", "notebooks", "zoo", "runs.yaml"]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        same = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *sources], check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if same.returncode else head


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
