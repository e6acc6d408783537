"""Templates of other packages, which entry points of the group `forgetting.templates` add."""

import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from forgetting.errors import ForgettingError

GROUP = "forgetting.templates"
"""Group of the entry points."""


def added() -> dict[str, EntryPoint]:
    """Return the entry points of templates from other packages.

    Returns
    -------
    dict of str to EntryPoint
        By the names of the templates.
    """
    return {point.name: point for point in entry_points(group=GROUP)}


def path(point: EntryPoint) -> Path:
    """Return the file that an entry point leads to.

    `package.module` is the module's own file, which is not imported. `package.module:attribute`
    is a path, or a resource of a package.

    Parameters
    ----------
    point : EntryPoint

    Returns
    -------
    Path

    Raises
    ------
    ForgettingError
        There is no such file.
    """
    try:
        if point.attr:
            file = Path(str(point.load()))
        else:
            spec = importlib.util.find_spec(point.module)
            file = Path(spec.origin if spec and spec.origin else point.module)
    except (ImportError, AttributeError) as error:
        raise ForgettingError(_leads_nowhere(point)) from error
    if not file.is_file():
        raise ForgettingError(_leads_nowhere(point))
    return file


def _leads_nowhere(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "another package"
    return (
        f"The template {point.name!r} of {package} has no file: the entry point {point.value!r} "
        "must name a py:percent module, or an attribute that holds its path."
    )
