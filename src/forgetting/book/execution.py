"""The execution of templates: papermill, what remains after a failure, and clean pages."""

import copy
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from forgetting import errors
from forgetting.book import kernel, templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.colab import with_installation, without_installation
from forgetting.book.fingerprint import outputs_digest
from forgetting.book.records import Record, digest, read_record
from forgetting.book.run import CONTEXT, files
from forgetting.errors import ForgettingError
from forgetting.foundation.files import check_writable, write_text, write_texts

EARLY = 60.0
"""Seconds within which a refused run leaves no notebook: there is nothing worth keeping."""


def announcement(template: str, given: Mapping[str, Any], checkout: Checkout = HERE) -> str:
    """Return what a run is about to do, and how long comparable published runs took.

    Comparable runs have the same template, preset and, if the template has one, model.

    Parameters
    ----------
    given : mapping
        Parameters that differ from the template's defaults.

    Returns
    -------
    str
        Sentences for the terminal.
    """
    heading = templates.read(template, checkout).cells[0].source.splitlines()[0].lstrip("# ")
    declared = templates.parameters(template, checkout)
    values = {name: parameter.default for name, parameter in declared.items()} | dict(given)
    compared = [name for name in ("preset", "model") if name in declared]
    settings = ", ".join(f"{name} {values[name]}" for name in dict.fromkeys([*compared, *given]))
    minutes, threads, is_published = [], set(), False
    for path in checkout.results.rglob("*.run.json"):
        record_path = path.with_name(path.name.replace(".run.json", ".json"))
        record = read_record(record_path) if record_path.is_file() else {}
        recorded = record.get("parameters", {})
        is_published = is_published or record.get("template") == template
        is_alike = all(recorded.get(name) == values[name] for name in compared)
        if record.get("template") == template and is_alike:
            circumstances = read_record(path)
            minutes += [circumstances["seconds"] / 60] if "seconds" in circumstances else []
            threads |= {circumstances["threads"]} if "threads" in circumstances else set()
    if not minutes:
        if not is_published:
            return f"{heading}: {settings}. No run of this template is published."
        alike = " and ".join(f"{name} {values[name]}" for name in compared)
        return (
            f"{heading}: {settings}. No run of {alike} is published; `forgetting compare` shows "
            "the nearest."
        )
    ends = " to ".join(dict.fromkeys(f"{end(minutes):.1f}" for end in (min, max)))
    counts = " or ".join(map(str, sorted(threads)))
    return (
        f"{heading}: {settings}. Comparable published runs took {ends} minutes "
        f"(threads: {counts})."
    )


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
    checkout: Checkout = HERE,
) -> Record:
    """Execute a template with papermill.

    The notebook and the record appear when the whole template has run. The notebook is clean: it
    holds no progress bars, times or paths of this machine. After a failure neither file appears;
    the executed cells remain as `NAME.failed.ipynb` in `results`, unless the run was refused
    within its first minute because of its parameters, weights or data.

    Parameters
    ----------
    values : mapping
        Parameters that differ from the template's defaults.
    notebook : Path or None
        Where the executed notebook goes, if it is wanted.
    name : str
        Name of the run.
    results : Path
        Folder of the record `NAME.json` and of its circumstances `NAME.run.json`.
    role : {"headline", "ablation", "baseline"}
        Of the run in the book.
    title : str, optional
        Title of the notebook, in place of the template's.
    metadata : mapping, optional
        Goes into the notebook with the hashes of the record and of all weights, or into the
        circumstances where no notebook is wanted.
    progress : bool
        Whether to show the bar of the cells and, below it, those of what a cell does; where
        stderr is no terminal, a line a minute on what a cell does.

    Returns
    -------
    dict
        The record.

    Raises
    ------
    ForgettingError
        A parameter is out of range, data or weights are missing, a cell failed, or a file cannot
        be written. The sentence is that of the notebook.
    """
    kernel.check_package(checkout.root)
    text = templates.notebook_text(template, checkout)
    for folder in (results, *([notebook.parent] if notebook else [])):
        check_writable(folder)
    started = time.monotonic()
    failed = results / f"{name}.failed.ipynb"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        fresh = Path(temporary)
        (fresh / "template.ipynb").write_text(text, encoding="utf-8")
        context = {"name": name, "role": role, "folder": temporary, "results": str(results)}
        try:
            more, shown = kernel.progress(sys.stderr) if progress else kernel.QUIET
            more = {**more, CONTEXT: json.dumps(context)}
            with kernel.environment(fresh, **more):
                executed = kernel.begun(
                    lambda: papermill.execute_notebook(
                        fresh / "template.ipynb",
                        fresh / "executed.ipynb",
                        parameters=dict(values),
                        kernel_name=templates.KERNEL["name"],
                        cwd=checkout.root,
                        progress_bar=isinstance(shown, kernel.BarsBelow),
                        stderr_file=shown,
                        config=kernel.CONFIG,
                    )
                )
            record = read_record(fresh / f"{name}.json")
            circumstances = read_record(fresh / f"{name}.run.json")
        except PapermillExecutionError as error:
            kind: type[ForgettingError] | None = getattr(errors, error.ename, None)
            refused = kind in (errors.ParameterError, errors.WeightsError, errors.DataError)
            if kind and refused and time.monotonic() - started < EARLY:
                raise kind(error.evalue) from error
            kept = _keep(fresh / "executed.ipynb", failed)
            if kind is None:
                lines = str(error).splitlines()
                raise ForgettingError(f"{template} failed.{kept}", *lines) from error
            raise kind(f"{error.evalue}{kept}") from error
        except (OSError, RuntimeError) as error:
            kept = _keep(fresh / "executed.ipynb", failed)
            raise ForgettingError(
                f"{template} could not be executed: {error}. Is the disk or the memory full?{kept}"
            ) from error
    metadata = {**(metadata or {}), "record": digest(record)}
    if notebook is None:
        circumstances |= metadata
    texts = {}
    if notebook is not None:
        page = clean(executed, title, {**metadata, "weights": record["weights"]})
        page.metadata["forgetting"]["outputs"] = outputs_digest(page)
        texts[notebook] = nbformat.writes(page) + "\n"
    write_texts(texts | files(results, name, record, circumstances))
    return record


def closing(notebook: Path, record: Path) -> str:
    """Return lines for the terminal: the source and the data of a run, and its files.

    Parameters
    ----------
    notebook, record : Path
        The files that the run has written; its circumstances are beside the record.
    """
    noted = read_record(record.with_suffix(".run.json")).get("data", {})
    data = [f"{name}: {text}" for name, text in noted.items()]
    return "\n".join([*data, f"notebook  {notebook}", f"record    {record}"])


def _keep(executed: Path, path: Path) -> str:
    """Keep the cells that ran before a failure; return the sentence that names the file.

    A notebook that an earlier failure has left is not replaced. One that a full disk has cut off
    is not kept.
    """
    numbers = (f"-{number}" if number > 1 else "" for number in itertools.count(1))
    path = next(
        free
        for number in numbers
        if not (free := path.with_name(f"{path.stem}{number}.ipynb")).exists()
    )
    try:
        cells = executed.read_text(encoding="utf-8")
        json.loads(cells)
        write_text(path, cells)
    except (OSError, ValueError, ForgettingError):
        return ""
    return f" The cells that ran before are in {path}"


def reworded(
    notebook: nbformat.NotebookNode, template: str, title: str, checkout: Checkout = HERE
) -> nbformat.NotebookNode:
    """Return an executed notebook with the present text of its template and the old outputs.

    The template must compute what the notebook computed, cell by cell and up to names.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        An executed page.
    template : str
        Name of its template.
    title : str
        Title of the page.

    Returns
    -------
    nbformat.NotebookNode

    Raises
    ------
    ForgettingError
        The template has more code cells than the notebook.
    """
    old = without_installation(copy.deepcopy(notebook.cells))
    code = [cell for cell in old if cell.cell_type == "code"]
    injected = [cell for cell in code if "injected-parameters" in cell.metadata.get("tags", [])]
    executed = iter(cell for cell in code if cell not in injected)
    cells = []
    for cell in templates.read(template, checkout).cells:
        tags = cell.metadata.setdefault("tags", [])  # papermill sets it too
        if cell.cell_type == "code":
            page_cell = next(executed, None)
            if page_cell is None:
                raise ForgettingError(f"{template} has more code cells than its executed page.")
            page_cell.metadata, page_cell.source = cell.metadata, cell.source
            cells += [page_cell, *injected] if "parameters" in tags else [page_cell]
        else:
            cells.append(cell)
    page = copy.deepcopy(notebook)
    page.cells = cells
    return clean(page, title, notebook.metadata["forgetting"])


def clean(
    notebook: nbformat.NotebookNode, title: str | None, metadata: Mapping[str, Any]
) -> nbformat.NotebookNode:
    """Remove from an executed notebook what belongs to this execution alone.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Changed in place.
    title : str or None
        Replaces the title, unless it is None.
    metadata : mapping
        What the page is made from: fingerprint and hashes of weights.

    Returns
    -------
    nbformat.NotebookNode
        The same notebook.
    """
    if title is not None:
        _, _, text = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"# {title}\n{text}"
    notebook.metadata = {
        "kernelspec": templates.KERNEL,
        "language_info": {"name": "python"},
        "forgetting": dict(metadata),
    }
    notebook.cells = with_installation(notebook.cells)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook
