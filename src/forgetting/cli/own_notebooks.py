"""Notebooks of the runs on anyone's model, in the folder that a run leaves."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def has_notebooks() -> bool:
    """Return whether notebooks can be executed here, which takes `forgetting[book]`."""
    return find_spec("papermill") is not None


def clear_killed(template: str, output: Path, files: Sequence[str]) -> None:
    """Put aside what the run of a template left in a folder, if it was killed there."""
    if has_notebooks():
        from forgetting.book import own_runs

        own_runs.clear_killed(output, _run_name(template), files)


def _run_name(template: str) -> str:
    """Return the name of the run of a template on anyone's model."""
    return template.removesuffix("_own")


def leave_notebook(
    template: str, output: Path, settings: Mapping[str, Any], **values: Any
) -> None:
    """Execute a template on anyone's model, and leave notebook and record in a folder.

    A kernel takes seconds to start, so a command checks its options before, on a model of its own.

    Parameters
    ----------
    settings : mapping
        Of the method. The template has some as parameters, and takes the others as one text.
    **values
        Further parameters of the template; None stands for its default.
    """
    from forgetting.book import execution, own_runs, templates

    declared = templates.parameters(template)
    values |= {name: value for name, value in settings.items() if name in declared}
    others = [f"{name}={value}" for name, value in settings.items() if name not in declared]
    if others:
        values["settings"] = ",".join(others)
    given = {name: value for name, value in values.items() if value is not None}
    name = _run_name(template)
    with own_runs.claimed(output, name):
        execution.execute(
            template,
            given | {"folder": str(output)},
            output / f"{name}.ipynb",
            name=name,
            results=output,
        )
