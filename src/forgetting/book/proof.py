"""Proof by execution: one run of a sweep gives the same record before and after a change."""

from pathlib import Path

import jupytext
from pydantic import BaseModel

from forgetting.book import templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, sweeps
from forgetting.book.fingerprint import computing_tree, tokens
from forgetting.book.git import commit_of, git
from forgetting.book.records import read_record
from forgetting.book.schema import upgrade_folder
from forgetting.errors import DataError

COMPARED = ("template", "parameters", "metrics", "history")
"""Parts of a record that must be equal."""

SAME_MACHINE = ("cpu", "bfloat16", "device", "threads", "python", "versions")
"""Circumstances that must be equal: other processors and thread counts change the last digits."""


class Proof(BaseModel):
    """What shows that a sweep's records hold after a change of its template.

    Attributes
    ----------
    sweep, run : str
        Name of the sweep and of the run that was executed twice.
    before, after : str
        Commits of the two executions.
    cpu : str
        Processor of both.
    threads : int
        Of both.
    n_metrics, n_rows : int
        How many metrics and rows of the history are equal to the last digit.
    """

    sweep: str
    run: str
    before: str
    after: str
    cpu: str
    threads: int
    n_metrics: int
    n_rows: int


def read_proofs(folder: Path, commit: str, checkout: Checkout = HERE) -> dict[str, Proof]:
    """Return the proofs in a folder by the name of their sweep.

    Records of an older schema are upgraded in place.

    Parameters
    ----------
    folder : Path
        Its subfolders `before` and `after` hold the record `SWEEP/CASE.json` of one run of each
        sweep, with its circumstances.
    commit : str
        The commit before the change; its code made the records in `before`.

    Returns
    -------
    dict of str to Proof

    Raises
    ------
    DataError
        The folder holds no pair of records, or a pair proves nothing: its records differ, come
        from other code or parameters, or were made on different machines.
    """
    if (folder / "before").is_dir():
        upgrade_folder(folder / "before")
    proofs = {}
    for sweep in sweeps(checkout):
        for run in sweep.runs():
            paths = [folder / part / f"{run.name}.json" for part in ("before", "after")]
            if all(path.is_file() for path in paths):
                proofs[sweep.name] = _proof(sweep, run, paths, commit, checkout)
    if not proofs:
        raise DataError(
            f"{folder} proves nothing: before/SWEEP/CASE.json and after/SWEEP/CASE.json must be "
            "records of one run of a sweep in runs.yaml."
        )
    return proofs


def _proof(sweep: Entry, run: Entry, paths: list[Path], commit: str, checkout: Checkout) -> Proof:
    """Return the proof that two records of a run are; refuse them where they are none."""
    before, after = (read_record(path) for path in paths)
    then, now = (read_record(path.with_name(f"{path.stem}.run.json")) for path in paths)
    differing = [part for part in COMPARED if before.get(part) != after.get(part)]
    differing += [part for part in SAME_MACHINE if then.get(part) != now.get(part)]
    if differing:
        raise DataError(f"{run.name}: before and after differ in {', '.join(differing)}.")
    given = {name: after["parameters"].get(name) for name in run.parameters}
    if given != run.parameters:
        raise DataError(f"{run.name}: its parameters are not those of runs.yaml: {given}.")
    if then["revision"] != commit_of(checkout.root, commit)[:10]:
        raise DataError(f"{run.name}: 'before' was made at {then['revision']}, not at {commit}.")
    if not _has_present_template(run.template, str(now["revision"]), checkout):
        raise DataError(
            f"{run.name}: 'after' was made at {now['revision']}, whose template {run.template} "
            "is not the present one."
        )
    return Proof(
        sweep=sweep.name,
        run=run.name,
        before=then["revision"],
        after=now["revision"],
        cpu=now["cpu"],
        threads=now["threads"],
        n_metrics=len(after["metrics"]),
        n_rows=len(after["history"]),
    )


def _has_present_template(template: str, revision: str, checkout: Checkout) -> bool:
    """Return whether a template computes at a commit what it computes now."""
    if revision.endswith("-dirty"):
        return False
    place = f"{commit_of(checkout.root, revision)}:notebooks/{template}.py"
    text = git(checkout.root, "show", place).decode(errors="replace")
    then = computing_tree(jupytext.reads(text, "py:percent").cells)
    now = computing_tree(templates.read(template, checkout).cells)
    return list(tokens(then)) == list(tokens(now))
