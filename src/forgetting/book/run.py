"""A run of a template: checked parameters, seeds, models from the zoo, and its record.

A notebook starts with `begin(...)`, takes its models and random generators from the run, and ends
with `finish(...)`, which writes two files. NAME.json holds the science: parameters, metrics,
history, sha256 of all weights. NAME.run.json holds the circumstances: data, versions, machine,
seconds.
"""

import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from forgetting.book.checkout import HERE
from forgetting.book.git import git
from forgetting.book.own_runs import numbered
from forgetting.book.records import SCHEMA, Record, digest, read_records
from forgetting.data import sources
from forgetting.errors import DataError, ForgettingError, ParameterError, quoted, validated
from forgetting.experiments.context import Experiment, Parameters
from forgetting.foundation import resources
from forgetting.foundation.files import write_texts
from forgetting.foundation.memory import keep_memory
from forgetting.foundation.precision import has_bfloat16
from forgetting.foundation.progress import progress as progress

CONTEXT = "FORGETTING_RUN"
"""Environment variable that carries a run's name, role and folders to its notebook, as JSON."""

RECORDED_VERSIONS = ("forgetting", "torch", "torchvision", "numpy", "scipy", "scikit-image")
"""Packages whose versions the circumstances of a run list."""

INLINE = "module://matplotlib_inline.backend_inline"
"""The backend of matplotlib that draws into a notebook, as ipykernel names it."""


class Run(Experiment):
    """One execution of a template, made by `begin`.

    Attributes
    ----------
    name : str
        Of the record; the template's, followed by a number, where the run was given none.
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
        context = _context()
        self.name: str = context.get("name", template)
        self._is_named = "name" in context
        self.role: str = context.get("role", "headline")
        self.folder = Path(context.get("folder", HERE.own_runs))
        self.results = Path(context.get("results", HERE.own_runs))
        self._started = time.monotonic()
        sources.begin_notes()
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
            "name": "",
            "template": self.template,
            "role": self.role,
            "parameters": self.parameters.model_dump(mode="json"),
            "metrics": metrics,
            "weights": dict(sorted(self.weights.items())),
            "history": history,
        }
        circumstances = {
            "seconds": round(time.monotonic() - self._started + self.earlier_seconds, 2),
            **{name: round(value, 2) for name, value in self.seconds.items()},
            "data": sources.noted(),
            "peak_mib": round(_peak_mib()),
            "revision": self._revision,
            "threads": torch.get_num_threads(),
            "cpu": _cpu(),
            "bfloat16": has_bfloat16(self.device),
            "device": str(self.device),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in RECORDED_VERSIONS},
            "record": digest(record),
        }
        free = nullcontext(self.name) if self._is_named else numbered(self.folder, self.template)
        with free as self.name:
            record["name"] = self.name
            write_texts(files(self.folder, self.name, record, circumstances))
        return metrics


def files(
    folder: Path, name: str, record: Mapping[str, Any], circumstances: Mapping[str, Any]
) -> dict[Path, str]:
    """Return the contents of the two files of a run, by path.

    Parameters
    ----------
    folder : Path
        Where both files go.
    name : str
        Of the run.
    record, circumstances : mapping
        What they hold.

    Returns
    -------
    dict of Path to str
        `NAME.json` and `NAME.run.json`.
    """
    contents = {f"{name}.json": record, f"{name}.run.json": circumstances}
    return {folder / end: json.dumps(each, indent=1) + "\n" for end, each in contents.items()}


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
        A value has the wrong type, is out of range or has no effect with the method, or the
        preset does not exist.
    """
    values = {name: given[name] for name in model.model_fields if name in given}
    chosen = values.get("preset", "default")
    preset = presets.get(chosen) if isinstance(chosen, str) else None
    if preset is None:
        raise ParameterError(
            f"preset = {quoted(chosen)}, but the presets of {template} are {', '.join(presets)}."
        )
    method = values.get("method")
    for name in model.without_effect.get(method, ()) if isinstance(method, str) else ():
        if not _is_left(values, name) and values[name] != preset.get(name):
            raise ParameterError(
                f"{name} = {quoted(values[name])} has no effect with method = {method!r}: leave "
                "it out."
            )
    for name, value in preset.items():
        if _is_left(values, name):
            values[name] = value
    _draw_inline()
    keep_memory()
    return Run(template, validated(model, values))


def _is_left(values: Mapping[str, Any], name: str) -> bool:
    """Return whether a parameter is left at 0, for which its preset has a value."""
    value = values.get(name, 0)
    return isinstance(value, Real) and value == 0


def records(folder: Path, names: Collection[str]) -> dict[str, Record]:
    """Return run records by name; the published record stands in for one that a folder lacks.

    Parameters
    ----------
    folder : Path
        Folder of records that come before the published ones.
    names : Collection[str]
        A name may hold a subfolder, as in `SWEEP/RUN`.

    Returns
    -------
    dict of str to dict
        In the order of the names, without those that have no record.

    Raises
    ------
    DataError
        A record is unreadable or not of the present schema.
    """
    available = read_records(HERE.results, names) | read_records(folder, names)
    return {name: available[name] for name in names if name in available}


def _context() -> dict[str, str]:
    """Return what the command that executes a notebook says of its run; nothing without one."""
    try:
        context = json.loads(os.environ.get(CONTEXT, "{}"))
        if all(isinstance(text, str) and text.isprintable() for text in context.values()):
            return dict(context)
    except (AttributeError, ValueError, RecursionError):
        pass
    raise ParameterError(f"{CONTEXT} holds something else than `forgetting run` sets: unset it.")


def _draw_inline() -> None:
    """Draw into the notebook, where the environment of its kernel names another backend."""
    if "IPython" in sys.modules and os.environ.get("MPLBACKEND", INLINE) != INLINE:
        from IPython.core.getipython import get_ipython

        if shell := get_ipython():
            shell.run_line_magic("matplotlib", "inline")


def _peak_mib() -> float:
    """Return the largest amount of memory that this process has used, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _revision() -> str | None:
    """Return the commit of the checkout, with `-dirty` where files that matter have changed.

    Files that were added count as well. An installed package has no commit, nor has a copy of the
    checkout that is no repository, whatever repository its folder belongs to.
    """
    if (top := resources.checkout()) is None:
        return None
    sources = ["src", "notebooks", "zoo", "runs.yaml"]
    try:
        if Path(os.fsdecode(git(top, "rev-parse", "--show-toplevel").strip())).resolve() != top:
            return None
        head = git(top, "rev-parse", "--short=10", "HEAD").decode().strip()
        changed = git(top, "status", "--porcelain", "--untracked-files=all", "--", *sources)
    except DataError:
        return None
    return f"{head}-dirty" if changed else head


def _cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
