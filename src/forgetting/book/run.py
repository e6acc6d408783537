"""A run of a template: checked parameters, seeds, models from the zoo, and its record.

A notebook starts with `begin(...)`, takes its models and random generators from the run, and ends
with `finish(...)`, which writes two files. NAME.json holds the science: parameters, metrics,
history, sha256 of all weights. NAME.run.json holds the circumstances: versions, machine, seconds.
"""

import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from forgetting.book.checkout import HERE
from forgetting.book.schema import SCHEMA, read_records
from forgetting.errors import ForgettingError, ParameterError, validated
from forgetting.experiments.context import Experiment, Parameters
from forgetting.files import write_text
from forgetting.methods.progress import progress as progress
from forgetting.precision import has_bfloat16

CONTEXT = "FORGETTING_RUN"
"""Environment variable that carries a run's name, role and folders to its notebook, as JSON."""

RECORDED_VERSIONS = ("forgetting", "torch", "torchvision", "numpy", "scipy", "scikit-image")
"""Packages whose versions the circumstances of a run list."""

records = read_records
"""Short name of `forgetting.book.schema.read_records`, which templates use."""


class Run(Experiment):
    """One execution of a template, made by `begin`.

    Attributes
    ----------
    name : str
        Of the record.
    role : str
        Of the run in the book.
    folder : Path
        Where the record goes.
    results : Path
        Where the records of other runs are.
    """

    def __init__(self, template: str, parameters: Parameters) -> None:
        """Read the context of the run and start its clock.

        Parameters
        ----------
        template : str
            Name of the template.
        parameters : Parameters
            Checked parameters.
        """
        super().__init__(template, parameters)
        context = json.loads(os.environ.get(CONTEXT, "{}"))
        self.name: str = context.get("name", template)
        self.role: str = context.get("role", "headline")
        self.folder = Path(context.get("folder", HERE.own_runs))
        self.results = Path(context.get("results", HERE.own_runs))
        self._started = time.monotonic()
        self._revision = _revision()  # now, because the checkout may change during the run

    def finish(
        self, metrics: Mapping[str, float], history: list[dict[str, float]]
    ) -> dict[str, float]:
        """Write the record and the circumstances of the run.

        Parameters
        ----------
        metrics : mapping of str to float
            By name.
        history : list of dict
            One row for each logged step.

        Returns
        -------
        dict of str to float
            The metrics, sorted by name.

        Raises
        ------
        ForgettingError
            A metric is not finite, or a file cannot be written.
        """
        metrics = {name: float(metrics[name]) for name in sorted(metrics)}
        not_finite = [name for name, value in metrics.items() if not math.isfinite(value)]
        if not_finite:
            raise ForgettingError(
                f"Not finite: {', '.join(not_finite)}. The run leaves no record; look for the "
                "first cell that shows NaN or infinity."
            )
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
        for end, content in (("json", record), ("run.json", circumstances)):
            text = json.dumps(content, indent=1) + "\n"
            write_text(self.folder / f"{self.name}.{end}", text)
        return metrics


def begin(
    template: str,
    model: type[Parameters],
    presets: Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
) -> Run:
    """Check the parameters of a template and begin a run.

    Parameters
    ----------
    template : str
        Name of the template.
    model : type
        Subclass of `Parameters` with names, types and ranges.
    presets : mapping of str to mapping
        For each preset, values of the parameters that may be left at 0.
    given : mapping
        Variables of the notebook; those that are not fields of `model` are ignored.

    Returns
    -------
    Run

    Raises
    ------
    ParameterError
        A value has the wrong type or is out of range, or the preset does not exist.
    """
    values = {name: given[name] for name in model.model_fields if name in given}
    preset = presets.get(values.get("preset", "default"))
    if preset is None:
        raise ParameterError(
            f"preset = {values['preset']!r}, but the presets of {template} are "
            f"{', '.join(presets)}."
        )
    for name, value in preset.items():
        if values.get(name, 0) == 0:
            values[name] = value
    return Run(template, validated(model, values))


def _peak_mib() -> float:
    """Return the largest amount of memory that this process has used, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _revision() -> str | None:
    """Return the commit of the checkout, with `-dirty` where files that matter have changed."""
    git = ["git", "-C", str(HERE.root)]
    sources = ["src", "notebooks", "zoo", "runs.yaml"]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        unchanged = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *sources], check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if unchanged.returncode else head


def _cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
