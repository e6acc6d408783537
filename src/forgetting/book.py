"""The book: which pages and sweeps are executed, from what, and how the pages are rendered."""

import base64
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import jupytext
import nbformat
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from forgetting import templates, zoo
from forgetting.data.digits import mnist_folder
from forgetting.data.faces import faces_folder
from forgetting.errors import DataError, ForgettingError
from forgetting.files import ROOT, replacing, write_text
from forgetting.runs import Run, check, nearest, records

BUILD = ROOT / "_build"
PUBLISHED = ROOT / "book" / "runs"
RESULTS = ROOT / "results"
PICTURE = ROOT / "book" / "_static" / "finding.png"


class Entry(BaseModel):
    """One entry of runs.yaml: a page that a template makes, or a sweep of runs without pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    template: str
    role: Literal["headline", "ablation", "baseline"] = "headline"
    needs: Literal["none", "mnist", "faces"] = "none"
    slow: bool = Field(False, description="takes long: `make book` shows its published page")
    last: bool = Field(False, description="is executed after all others: it reads their records")
    reads: str = Field("", description="a sweep: the page is made of its published records")
    parameters: dict[str, Any] = {}
    cases: dict[str, dict[str, Any]] = Field({}, description="of a sweep: parameters by name")
    grid: dict[str, list[Any]] = Field({}, description="of a sweep: all values of a parameter")

    @property
    def is_sweep(self) -> bool:
        """Whether this entry is a sweep."""
        return bool(self.cases or self.grid)

    def runs(self) -> list["Entry"]:
        """Return the runs of a sweep: every case with every combination of the grid's values."""
        found = []
        for case, given in (self.cases or {"": {}}).items():
            for values in itertools.product(*self.grid.values()):
                label = "-".join(map(str, (case, *values) if case else values))
                parameters = {
                    **self.parameters,
                    **given,
                    **dict(zip(self.grid, values, strict=True)),
                }
                update = {"name": f"{self.name}/{label}", "parameters": parameters}
                found.append(self.model_copy(update=update | {"cases": {}, "grid": {}}))
        return found

    def fingerprint(self, results: Path) -> str:
        """Return a hash of what the page's or run's figures are made from, but for the weights.

        Its template's code and its entry; for a page that reads others' records, those too. Prose
        is no part of it: other words need no other run.
        """
        cells = jupytext.read(templates.source(self.template)).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        made_of = [code, self.role, self.parameters]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        if self.last:
            others = [entry.name for entry in pages() if not entry.last]
            digest.update(json.dumps(records(results, others), sort_keys=True).encode())
        if self.reads:
            read = records(RESULTS, [run.name for run in sweep(self.reads).runs()])
            digest.update(json.dumps(read, sort_keys=True).encode())
        return digest.hexdigest()


def entries() -> list[Entry]:
    """Return the entries of runs.yaml, in order.

    Raises
    ------
    ParameterError
        An entry is malformed, or names a parameter that its template lacks.
    """
    listed = yaml.safe_load((ROOT / "runs.yaml").read_text(encoding="utf-8"))
    found = [check(Entry, values) for values in listed]
    for entry in found:
        known = templates.parameters(entry.template)
        given = {*entry.parameters, *entry.grid}.union(*entry.cases.values())
        for name in sorted(given):
            if name not in known:
                raise ForgettingError(
                    f"runs.yaml, {entry.name}: {entry.template} has no parameter {name!r}."
                )
    return found


def pages() -> list[Entry]:
    """Return the entries that are pages, in order."""
    return [entry for entry in entries() if not entry.is_sweep]


def sweep(name: str) -> Entry:
    """Return the sweep of that name.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep.
    """
    known = {entry.name: entry for entry in entries() if entry.is_sweep}
    if name not in known:
        raise ForgettingError(f"runs.yaml has no sweep {name!r}. {nearest(name, list(known))}")
    return known[name]


def table(name: str, run: Run) -> pd.DataFrame:
    """Return a sweep's published runs as a table, a row each.

    The columns: `case` (of a sweep of cases), the run's parameters, its metrics, `seconds` and
    `seconds_forgetting`. The weights that those runs stand on are noted in `run`.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep, or none of its runs is there.
    """
    entry = sweep(name)
    found = records(RESULTS, [one.name for one in entry.runs()])
    beside = records(RESULTS, [f"{one}.run" for one in found])
    if not found:
        raise ForgettingError(f"No run of {name} is there: `forgetting sweep {name}` makes them.")
    rows = []
    for label, record in found.items():
        run.weights |= record["weights"]
        case = {"case": label.split("/")[1].split("-")[0]} if entry.cases else {}
        took = {key: beside[f"{label}.run"][key] for key in ("seconds", "seconds_forgetting")}
        rows.append({**case, **record["parameters"], **record["metrics"], **took})
    print(f"{len(rows)} of {len(entry.runs())} runs")
    return pd.DataFrame(rows)


def is_current(entry: Entry, folder: Path, results: Path) -> bool:
    """Return whether a page, or a run of a sweep, stands on today's code and weights."""
    page, record = folder / f"{entry.name}.ipynb", results / f"{entry.name}.json"
    if not record.is_file():
        return False
    if "/" in entry.name:
        beside = record.with_name(f"{record.stem}.run.json")
        if not beside.is_file():
            return False
        made = json.loads(beside.read_text(encoding="utf-8"))
        made["weights"] = json.loads(record.read_text(encoding="utf-8"))["weights"]
    elif page.is_file():
        made = nbformat.read(page, as_version=4).metadata.get("forgetting", {})
    else:
        return False
    used = made.get("weights", {})
    known = {name: zoo.record(name)["sha256"] for name in used if name in zoo.names()}
    return made.get("fingerprint") == entry.fingerprint(results) and used == known


def is_worded(entry: Entry, folder: Path) -> bool:
    """Return whether a page says what its template says today."""
    page = nbformat.read(folder / f"{entry.name}.ipynb", as_version=4)
    return page == templates.reworded(page, entry.template, entry.title)


def _reword(entry: Entry, folder: Path) -> None:
    path = folder / f"{entry.name}.ipynb"
    page = nbformat.read(path, as_version=4)
    page = templates.reworded(page, entry.template, entry.title)
    write_text(path, nbformat.writes(page) + "\n")


def execute(
    wanted: list[Entry],
    folder: Path,
    results: Path,
    say: Callable[[str], None],
    jobs_at_once: int | None = None,
) -> None:
    """Execute every page that is not current, some at a time; what was executed before is kept.

    A page whose template has only other words gets these, and keeps its outputs.

    Pages share the cores: as many at once as there are cores, four at most, each with its part
    of the threads (or as many as OMP_NUM_THREADS says). Two pages of one thread are done sooner
    than one after the other with two.
    """
    stale = [entry for entry in wanted if not is_current(entry, folder, results)]
    for entry in wanted:
        if entry in stale:
            continue
        if "/" in entry.name or is_worded(entry, folder):
            say(f"{entry.name}: current")
        else:
            _reword(entry, folder)
            say(f"{entry.name}: current, in other words")
    cores = os.cpu_count() or 1
    workers = jobs_at_once or min(4, cores)
    started = time.monotonic()
    first = [entry for entry in stale if not (entry.last or entry.reads)]
    waves = first, [e for e in stale if e.reads], [e for e in wanted if e.last and stale]
    for wave in waves:
        with ProcessPoolExecutor(
            workers, get_context("spawn"), _set_threads, (max(1, cores // workers),)
        ) as pool:
            jobs = {pool.submit(_execute, entry, folder, results): entry for entry in wave}
            try:
                for number, job in enumerate(as_completed(jobs), 1):
                    job.result()
                    minutes = (time.monotonic() - started) / 60
                    say(f"{jobs[job].name}: executed ({number}/{len(jobs)}, {minutes:.1f} min)")
            except BrokenProcessPool as error:
                raise ForgettingError(
                    "A page's process was killed, perhaps for want of memory. What was executed "
                    "is kept: run the same command again."
                ) from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _set_threads(threads: int) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _execute(entry: Entry, folder: Path, results: Path) -> None:
    templates.execute(
        entry.template,
        entry.parameters,
        None if "/" in entry.name else folder / f"{entry.name}.ipynb",
        name=entry.name,
        role=entry.role,
        results=results,
        title=entry.title,
        metadata={"fingerprint": entry.fingerprint(results)},
        progress=False,
    )


def make(say: Callable[[str], None]) -> Path:
    """Execute what needs no data and is not slow, take the published page of the rest, render.

    Returns
    -------
    The path of the rendered book's first page.
    """
    wanted = [entry for entry in pages() if entry.needs == "none" and not entry.slow]
    execute(wanted, BUILD / "runs", BUILD / "results", say)
    return render()


def publish(
    say: Callable[[str], None], only: tuple[str, ...] = (), jobs_at_once: int | None = None
) -> None:
    """Execute every page with real data into book/runs and results: the published figures.

    Raises
    ------
    DataError
        A page needs data that is not here.
    """
    known = [entry.name for entry in pages()]
    for name in only:
        if name not in known:
            raise ForgettingError(f"runs.yaml has no page {name!r}. {nearest(name, known)}")
    wanted = [entry for entry in pages() if not only or entry.name in only or entry.last]
    _check_data(wanted)
    execute(wanted, PUBLISHED, RESULTS, say, jobs_at_once)
    _write_picture()


def run_sweep(name: str, say: Callable[[str], None], jobs_at_once: int | None = None) -> None:
    """Execute those runs of a sweep that are not current; their records go to results/NAME.

    Stopped at any moment, it goes on where it was.

    Raises
    ------
    DataError
        A run needs data that is not here.
    """
    wanted = sweep(name).runs()
    _check_data(wanted)
    execute(wanted, PUBLISHED, RESULTS, say, jobs_at_once)


def _check_data(wanted: list[Entry]) -> None:
    if any(entry.needs == "mnist" for entry in wanted) and mnist_folder() is None:
        raise DataError("Publishing needs the full MNIST set: run `forgetting data mnist` first.")
    if any(entry.needs == "faces" for entry in wanted):
        for name in ("celeba", "lfw"):
            faces_folder(name)


def render(output: Path = ROOT) -> Path:
    """Render the book to `output`/_build/html.

    A current page of _build/runs, executed here, stands before the published one.

    Raises
    ------
    ForgettingError
        Sphinx warned (warnings are errors) or failed; its words stand above.
    """
    staged = output / "_build" / "book"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(ROOT / "book", staged / "book")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, staged / name)
    for entry in pages():
        if is_current(entry, BUILD / "runs", BUILD / "results"):
            name = f"{entry.name}.ipynb"
            shutil.copy(BUILD / "runs" / name, staged / "book" / "runs" / name)
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(staged), "-q", "-W", "-n"]
    command += ["--keep-going", "--path-output", str(output)]
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise ForgettingError("The book could not be rendered; Sphinx says above what is wrong.")
    return output / "_build" / "html" / "index.html"


def report() -> list[str]:
    """Return a sentence for everything in the checkout that does not agree with the rest."""
    problems = []
    for name in zoo.names():
        try:
            zoo.tensors(name)
        except ForgettingError as error:
            problems.append(str(error))
    for name in templates.names():
        path = templates.FOLDER / f"{name}.ipynb"
        if not path.is_file() or path.read_text(encoding="utf-8") != templates.twin(name):
            problems.append(f"{path.name} is not the twin of {name}.py: run `make notebooks`.")
    for entry in pages():
        if not is_current(entry, PUBLISHED, RESULTS):
            problems.append(
                f"The page {entry.name} is not current: its template, parameters or weights have "
                "moved on. Run `make publish`."
            )
        elif not is_worded(entry, PUBLISHED):
            problems.append(
                f"The page {entry.name} has other words than its template. Run `make publish`: "
                "it will not be executed for it."
            )
    for entry in entries():
        runs = entry.runs() if entry.is_sweep else []
        stale = [run for run in runs if not is_current(run, PUBLISHED, RESULTS)]
        if stale:
            problems.append(
                f"{len(stale)} of the {len(runs)} runs of the sweep {entry.name} are not current. "
                f"Run `forgetting sweep {entry.name}`."
            )
    return problems


def code_moved_on() -> list[str]:
    """Return a sentence for every published run whose library code has changed since.

    This is no error: a changed docstring changes no result. It is said so that a reader can ask.
    """
    moved = []
    for entry in pages():
        path = RESULTS / f"{entry.name}.run.json"
        if not path.is_file():
            continue
        revision = json.loads(path.read_text(encoding="utf-8"))["revision"]
        commit = str(revision).removesuffix("-dirty")
        command = ["git", "-C", str(ROOT), "diff", "--quiet", commit, "--", "src"]
        code = subprocess.run(command, capture_output=True, check=False).returncode
        if code:
            moved.append(
                f"{entry.name}: the library has changed since {revision}, where it was published."
            )
    return moved


def _write_picture() -> None:
    """Take the figure of the first page for the README."""
    page = nbformat.read(PUBLISHED / "introduction.ipynb", as_version=4)
    for cell in page.cells:
        if "picture" in cell.metadata.get("tags", []):
            for out in cell.outputs:
                if "image/png" in out.get("data", {}):
                    with replacing(PICTURE) as temporary:
                        temporary.write_bytes(base64.b64decode(out.data["image/png"]))
