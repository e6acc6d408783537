"""What the package reads beside its code: from the checkout, or from the installed package.

In a checkout these files lie in its top folder. A wheel carries the templates, `runs.yaml` and the
published records inside the package; the weights are fetched (see `forgetting.zoo.store`).
"""

import functools
import hashlib
from pathlib import Path

from forgetting.errors import ForgettingError

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGED = PACKAGE / "_checkout"
"""Where a wheel holds what a checkout holds in its top folder."""

SHIPPED = ("notebooks", "results", "runs.yaml")
"""What a wheel holds of a checkout beside the code."""


@functools.cache
def source_digest() -> bytes:
    """Return a digest of the package's source, which changes when any module does."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.digest()


def checkout() -> Path | None:
    """Return the top folder of the checkout that the package is run from.

    Returns
    -------
    Path or None
        None where the package is installed from a wheel.
    """
    top = PACKAGE.parents[1]
    is_checkout = PACKAGE.parent.name == "src" and (top / "pyproject.toml").is_file()
    return top if is_checkout else None


def shipped() -> Path:
    """Return the folder that holds what the package reads: notebooks, runs.yaml and results.

    Returns
    -------
    Path
        The checkout's top folder, or a folder of the installed package.

    Raises
    ------
    ForgettingError
        The folder is incomplete.
    """
    folder = checkout() or PACKAGED
    for name in SHIPPED:
        if not (folder / name).exists():
            raise ForgettingError(
                f"{folder / name} is missing. Restore it from git, or install the package anew."
            )
    return folder


def working_folder() -> Path:
    """Return the folder in which runs are executed and below which they are written.

    Returns
    -------
    Path
        The checkout's top folder, or the current folder where there is no checkout.
    """
    return checkout() or Path.cwd()
