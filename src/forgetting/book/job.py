"""One job of a command: `python -m forgetting.book.job FOLDER NAME` executes a page or a run.

Its outcome says that the record is there, or why not. A job that the system ends leaves none, and
Snakemake starts it again.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import forgetting
from forgetting.book.checkout import Checkout
from forgetting.book.entries import Entry
from forgetting.book.execution import execute
from forgetting.errors import ForgettingError
from forgetting.foundation.files import write_text

PACKAGE = str(Path(forgetting.__file__).parent)
"""Folder of the code that runs here."""


def outcome_path(folder: Path, name: str) -> Path:
    """Return where a job leaves its outcome: the sentence of its failure, or an empty text.

    Parameters
    ----------
    folder : Path
        Of the jobs.
    name : str
        Of the page or run.
    """
    return folder / "outcomes" / f"{name}.json"


def read_outcome(folder: Path, name: str) -> str | None:
    """Return why a job failed: an empty text if it did not, None where it left no outcome."""
    path = outcome_path(folder, name)
    return str(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def execute_entry(entry: Entry, folder: Path, results: Path, checkout: Checkout) -> None:
    """Execute one page or one run of a sweep.

    Parameters
    ----------
    entry : Entry
        A run of a sweep leaves a record and no notebook.
    folder, results : Path
        Folders of executed pages and of records.

    Raises
    ------
    ForgettingError
        See `forgetting.book.execution.execute`.
    """
    execute(
        entry.template,
        entry.parameters,
        None if entry.is_run_of_a_sweep else folder / f"{entry.name}.ipynb",
        name=entry.name,
        role=entry.role,
        results=results,
        title=entry.title,
        metadata={"fingerprint": entry.fingerprint(checkout)},
        progress=False,
        checkout=checkout,
    )


def main(folder: Path, name: str) -> None:
    """Execute the job of a plan, and write its outcome.

    Parameters
    ----------
    folder : Path
        Folder with the plan, as `forgetting.book.jobs` writes it.
    name : str
        Of the page or run.
    """
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    job = plan["jobs"][name]
    os.environ.update(plan["environment"])
    os.environ.setdefault("OMP_NUM_THREADS", str(plan["threads"]))
    places = {key: Path(path) for key, path in plan["checkout"].items() if path}
    failed = ""
    try:
        if plan["package"] != PACKAGE:
            raise ForgettingError(
                f"The job has its code in {PACKAGE}, and the command in {plan['package']}: set "
                "PYTHONPATH for the jobs, so that both are the same."
            )
        if lacking := [other for other in job["after"] if read_outcome(folder, other)]:
            raise ForgettingError(f"It reads records of runs that failed, such as {lacking[0]}.")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as kernels:
            os.environ["JUPYTER_RUNTIME_DIR"] = kernels
            execute_entry(
                Entry.model_construct(**job["entry"]),  # checked when the plan was made
                Path(plan["folder"]),
                Path(plan["results"]),
                Checkout(**places),
            )
    except ForgettingError as error:
        failed = str(error)
        print(failed)
    write_text(outcome_path(folder, name), json.dumps(failed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
