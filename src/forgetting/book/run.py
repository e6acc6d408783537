"""A run: checked parameters, seeds, the models it took from the zoo, and the record it leaves.

A notebook begins with `begin(...)`, takes its models and generators from the run, and closes
with `finish(...)`, which writes two files: NAME.json holds the science (parameters, metrics,
history, sha256 of all weights), NAME.run.json the circumstances (versions, machine, seconds).
"""

import difflib
import hashlib
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
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn
from tqdm import tqdm

from forgetting.errors import ForgettingError, ParameterError
from forgetting.files import ROOT, write_text
from forgetting.methods import Callback
from forgetting.metrics.fidelity import Statistics
from forgetting.precision import has_bfloat16
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo

OWN = ROOT / "_build" / "my_runs"
"""Where the records of runs go that are no pages of the book."""

CONTEXT = "FORGETTING_RUN"
"""Environment variable by which the command line tells a notebook its name, role and folder."""

M = TypeVar("M", bound=BaseModel)

RECORDED_VERSIONS = ("forgetting", "torch", "torchvision", "numpy", "scipy", "scikit-image")


class Parameters(BaseModel):
    """What every template takes; a template's own parameters are added by a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "default"
    seed: int = Field(0, ge=0)
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")


class Run:
    """One execution of a template; made by `begin`."""

    def __init__(self, template: str, parameters: Parameters) -> None:
        context = json.loads(os.environ.get(CONTEXT, "{}"))
        self.template = template
        self.parameters = parameters
        self.name: str = context.get("name", template)
        self.role: str = context.get("role", "headline")
        self.folder = Path(context.get("folder", OWN))
        self.results = Path(context.get("results", OWN))
        self.weights: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()
        self._revision = _revision()  # of the code that is loaded now, whatever comes meanwhile
        wanted = parameters.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ParameterError(f"device = {wanted!r}, but no GPU is here: use cpu.")
        self.device = torch.device(wanted)
        torch.manual_seed(parameters.seed)
        # a few backward passes have no deterministic form on a GPU: there it is only a warning
        torch.use_deterministic_algorithms(True, warn_only=self.device.type == "cuda")

    def load(self, name: str, *kinds: str) -> nn.Module:
        """Return a model of the zoo on the run's device, and note its hash for the record.

        Raises
        ------
        WeightsError
            There is no such model, or its weights are not what they should be.
        ParameterError
            It is not of one of `kinds` (any, if none are named).
        """
        kind = zoo.record(name)["kind"]
        if kinds and kind not in kinds:
            raise ParameterError(
                f"{name!r} is a {kind}; {self.template} takes a {' or '.join(kinds)}."
            )
        model = zoo.load(name).to(self.device)
        self.record(name)
        return model

    def record(self, name: str) -> dict[str, Any]:
        """Return what the zoo's NAME.json says, and note the entry's hash for the record."""
        entry = zoo.record(name)
        self.weights[name] = entry["sha256"]
        return entry

    def statistics(self, subset: str = "all", name: str = reference.DIGITS) -> Statistics:
        """Return statistics of real images from the zoo, and note their hash for the record."""
        self.record(name)
        return reference.load_statistics(subset, name)

    def seed(self, stream: str) -> int:
        """Return a seed of its own for each named use of randomness in this run."""
        digest = hashlib.sha256(f"{self.parameters.seed}/{stream}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def generator(self, stream: str) -> torch.Generator:
        """Return a generator of its own for each named use of randomness in this run."""
        return torch.Generator().manual_seed(self.seed(stream))

    def latents(self, stream: str, n: int, dim: int) -> torch.Tensor:
        """Return latents (n, dim) from N(0, I), the same for every model that is asked."""
        return torch.randn(n, dim, generator=self.generator(stream))

    def timed(self, name: str) -> "_Timer":
        """Return a context that notes the seconds its block takes as `seconds_NAME`."""
        return _Timer(self.seconds, f"seconds_{name}")

    def finish(
        self, metrics: Mapping[str, float], history: list[dict[str, float]]
    ) -> dict[str, float]:
        """Write the record and its circumstances; return the metrics, sorted by name."""
        metrics = {name: float(metrics[name]) for name in sorted(metrics)}
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise ForgettingError(f"{', '.join(bad)} came out as no finite number.")
        record = {
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


class _Timer:
    def __init__(self, into: dict[str, float], name: str) -> None:
        self._into, self._name = into, name

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        spent = time.monotonic() - self._started
        self._into[self._name] = self._into.get(self._name, 0.0) + spent


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
    return Run(template, check(model, values))


def check(model: type[M], values: Mapping[str, Any]) -> M:
    """Return a validated model, or say in one sentence a parameter what is not allowed.

    Raises
    ------
    ParameterError
    """
    try:
        return model(**values)
    except ValidationError as error:
        sentences = []
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"])) or "parameters"
            message = problem["msg"][0].lower() + problem["msg"][1:]
            sentences.append(f"{name} = {problem['input']!r}: {message}.")
        raise ParameterError(" ".join(sentences)) from error


def nearest(name: str, known: list[str]) -> str:
    """Return a hint at the known name that is nearest to a misspelt one."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."


def progress(total: int, name: str) -> Callback:
    """Return a callback for a method that moves a progress bar on stderr."""
    bar = tqdm(total=total, desc=name, unit="step", file=sys.stderr)

    def advance(row: dict[str, float], model: nn.Module) -> None:
        bar.update(row["step"] - bar.n)
        bar.set_postfix({key: f"{row[key]:.3g}" for key in ("loss", "within") if key in row})
        if bar.n >= total:
            bar.close()

    return advance


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
