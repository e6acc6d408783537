"""Templates: notebooks with a parameters cell, run again with other parameters.

The source of a template is `notebooks/NAME.py` (py:percent); `notebooks/NAME.ipynb` is its
generated twin, which papermill executes. The names and types of the parameters are read from the
source, because papermill itself would pass over a misspelt one.
"""

import ast
import copy
import functools
import io
import json
import os
import tempfile
import time
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from pydantic import TypeAdapter, ValidationError
from traitlets.config import Config

from forgetting import errors
from forgetting.book.run import CONTEXT
from forgetting.errors import ForgettingError, ParameterError, did_you_mean
from forgetting.files import ROOT, check_writable, write_text

FOLDER = ROOT / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

KERNEL_CONFIG = Config({"KernelManager": {"transport_encryption": "auto"}})
"""Of the kernels that execute templates: unencrypted, each warns that it can be listened to."""

EARLY = 60.0
"""Seconds before which what is refused has cost nothing that were worth keeping."""

TYPES = {kind.__name__: kind for kind in (str, int, float, bool)}
"""What a parameter can be: papermill knows these by name."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell: its name, type, default and comment."""

    name: str
    annotation: str
    default: Any
    comment: str

    def convert(self, text: str) -> Any:
        """Return the value that a string from the command line stands for.

        Raises
        ------
        ParameterError
            The text is not of the parameter's type.
        """
        try:
            return TypeAdapter(TYPES[self.annotation]).validate_strings(text)
        except ValidationError as error:
            raise ParameterError(
                f"{self.name} = {text!r} is no {self.annotation}: {self.comment}"
            ) from error


def names() -> list[str]:
    """Return the names of all templates."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def source(template: str) -> Path:
    """Return the path of a template's source.

    Raises
    ------
    ForgettingError
        There is no such template.
    """
    if template not in names():
        raise ForgettingError(
            f"No template is called {template!r}. {did_you_mean(template, names())}"
        )
    return FOLDER / f"{template}.py"


def read(template: str) -> nbformat.NotebookNode:
    """Return a template's source as a notebook of the caller's own."""
    return copy.deepcopy(_parsed(source(template).read_text(encoding="utf-8")))


@functools.cache
def _parsed(text: str) -> nbformat.NotebookNode:
    """Parse a template's text once: a tenth of a second, asked of every run of every sweep."""
    return jupytext.reads(text, "py:percent")


def parameters(template: str) -> dict[str, Parameter]:
    """Return the parameters of a template by name, read from its source."""
    cell = next(c for c in read(template).cells if "parameters" in c.metadata.get("tags", []))
    lines = cell.source.splitlines()
    found = {}
    tokens = list(tokenize.generate_tokens(io.StringIO(cell.source).readline))
    for node in ast.parse(cell.source).body:
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.annotation) not in TYPES:
            raise ForgettingError(
                f"{template}.py, parameters cell: {lines[node.lineno - 1]!r} is not of the form "
                f"`name: type = literal  # comment`, with a type of {', '.join(TYPES)}."
            )
        own = range(node.lineno, node.end_lineno + 1)  # more than one where a line was wrapped
        comments = [t.string for t in tokens if t.type == tokenize.COMMENT and t.start[0] in own]
        name, default = node.target.id, ast.literal_eval(node.value)
        comment = " ".join(text.lstrip("# ") for text in comments)
        found[name] = Parameter(name, ast.unparse(node.annotation), default, comment)
    return found


def announcement(template: str, given: Mapping[str, Any]) -> str:
    """Return what a run is about to do and how long such runs took that are published.

    Such are those of the template with the same preset and, where it takes one, the same model.

    Parameters
    ----------
    given : parameters that differ from the template's defaults
    """
    title = read(template).cells[0].source.splitlines()[0].lstrip("# ")
    known = {name: parameter.default for name, parameter in parameters(template).items()}
    asked = {**known, **given}
    alike = [name for name in ("preset", "model") if name in known]
    told = ", ".join(f"{name} {asked[name]}" for name in dict.fromkeys([*alike, *given]))
    spent, threads = [], set()
    for path in (ROOT / "results").rglob("*.run.json"):
        record = path.with_name(path.name.replace(".run.json", ".json"))
        made = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        same = all(made.get("parameters", {}).get(name) == asked[name] for name in alike)
        if made.get("template") == template and same:
            circumstances = json.loads(path.read_text(encoding="utf-8"))
            spent.append(circumstances["seconds"] / 60)
            threads.add(circumstances["threads"])
    if not spent:
        return f"{title}: {told}. No such run is published."
    ends = " to ".join(dict.fromkeys(f"{end(spent):.1f}" for end in (min, max)))
    cores = " or ".join(map(str, sorted(threads)))
    return f"{title}: {told}. Published runs like it took {ends} minutes (threads: {cores})."


def convert(template: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Check names and types of parameters given as strings, and convert them.

    Raises
    ------
    ParameterError
        A name is unknown (the nearest known one is named) or a value has the wrong type.
    """
    known = parameters(template)
    for name in given:
        if name not in known:
            raise ParameterError(
                f"{template} has no parameter {name!r}. {did_you_mean(name, list(known))}"
            )
    return {name: known[name].convert(text) for name, text in given.items()}


def notebook_text(template: str) -> str:
    """Return the text of the notebook that a template's source stands for."""
    notebook = read(template)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return nbformat.writes(notebook) + "\n"


def write_notebooks() -> None:
    """Write the twin of every template."""
    for name in names():
        write_text(FOLDER / f"{name}.ipynb", notebook_text(name))


def execute(
    template: str,
    values: Mapping[str, Any],
    notebook: Path | None,
    *,
    name: str,
    results: Path,
    role: str = "headline",
    title: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Execute a template with papermill.

    When all of it has run, the notebook appears at `notebook` (where one is wanted), under its
    `title` and without progress bars, times and paths of this machine, and its record as
    `results/NAME.json`. If it fails, neither does; what was executed until then is kept as
    `results/NAME.failed.ipynb`, unless parameters, weights or data were refused at once.

    Parameters
    ----------
    metadata : goes into the notebook, with the hashes of the weights that the run took; into
        `results/NAME.run.json` where no notebook is kept

    Returns
    -------
    The run's record.

    Raises
    ------
    ForgettingError
        A parameter is out of range, data or weights are missing, or there is no room to write;
        the sentence is the notebook's own.
    """
    text = notebook_text(template)
    for folder in (results, *([notebook.parent] if notebook else [])):
        check_writable(folder)
    before, started = os.environ.get(CONTEXT), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        (fresh / "template.ipynb").write_text(text, encoding="utf-8")
        context = {"name": name, "role": role, "folder": temporary, "results": str(results)}
        os.environ[CONTEXT] = json.dumps(context)
        try:
            executed = papermill.execute_notebook(
                fresh / "template.ipynb",
                fresh / "executed.ipynb",
                parameters=dict(values),
                kernel_name="python3",
                cwd=ROOT,
                progress_bar=progress,
                config=KERNEL_CONFIG,
            )
            record = json.loads((fresh / f"{name}.json").read_text(encoding="utf-8"))
            circumstances = (fresh / f"{name}.run.json").read_text(encoding="utf-8")
        except PapermillExecutionError as error:
            kind = getattr(errors, error.ename, None)
            refused = kind in (errors.ParameterError, errors.WeightsError, errors.DataError)
            if refused and time.monotonic() - started < EARLY:
                raise kind(error.evalue) from error  # before there was anything to keep
            kept = _keep(fresh / "executed.ipynb", results / f"{name}.failed.ipynb")
            if kind is None:
                raise ForgettingError(f"{template} failed.{kept}\n{error}") from error
            raise kind(f"{error.evalue}{kept}") from error
        except (OSError, RuntimeError) as error:
            kept = _keep(fresh / "executed.ipynb", results / f"{name}.failed.ipynb")
            raise ForgettingError(
                f"{template} could not be executed: {error}. Is the disk or the memory full?{kept}"
            ) from error
        finally:
            os.environ.pop(CONTEXT)
            if before is not None:
                os.environ[CONTEXT] = before
    if notebook is None:
        known = {**json.loads(circumstances), **(metadata or {})}
        circumstances = json.dumps(known, indent=1) + "\n"
    write_text(results / f"{name}.json", json.dumps(record, indent=1) + "\n")
    write_text(results / f"{name}.run.json", circumstances)
    if notebook is not None:
        metadata = {**(metadata or {}), "weights": record["weights"]}
        write_text(notebook, nbformat.writes(_clean(executed, title, metadata)) + "\n")
    return record


def _keep(executed: Path, path: Path) -> str:
    """Keep what was executed before a failure, if it can be; return the sentence that says so."""
    try:
        write_text(path, executed.read_text(encoding="utf-8"))
    except (OSError, ForgettingError):
        return ""
    return f" What was executed until then: {path}"


def reworded(notebook: nbformat.NotebookNode, template: str, title: str) -> nbformat.NotebookNode:
    """Return an executed notebook in its template's words and code of today, with its outputs.

    What the template computes must be what was executed: cell by cell, but for names.

    Raises
    ------
    ForgettingError
        The template has another number of code cells than the notebook.
    """
    code = [cell for cell in copy.deepcopy(notebook.cells) if cell.cell_type == "code"]
    injected = [cell for cell in code if "injected-parameters" in cell.metadata.get("tags", [])]
    executed = iter(cell for cell in code if cell not in injected)
    cells = []
    for cell in read(template).cells:
        cell.metadata.setdefault("tags", [])  # as papermill does
        if cell.cell_type == "code":
            ran = next(executed, None)
            if ran is None:
                raise ForgettingError(f"{template} has more code cells than its executed page.")
            ran.metadata, ran.source = cell.metadata, cell.source
            cells += [ran, *injected] if "parameters" in cell.metadata.get("tags", []) else [ran]
        else:
            cells.append(cell)
    found = copy.deepcopy(notebook)
    found.cells = cells
    return _clean(found, title, notebook.metadata["forgetting"])


def _clean(
    notebook: nbformat.NotebookNode, title: str | None, metadata: Mapping[str, Any]
) -> nbformat.NotebookNode:
    """Leave out what belongs to this execution alone; put the page's own title on it."""
    if title is not None:
        _, _, text = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"# {title}\n{text}"
    notebook.metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "forgetting": dict(metadata),
    }
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    return notebook
