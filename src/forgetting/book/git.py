"""What the book reads of a repository: by git, which takes no text of a user for an option."""

import os
import subprocess
from pathlib import Path

from forgetting.errors import DataError


def git(root: Path, *arguments: str) -> bytes:
    """Return what a command of git prints.

    Variables such as GIT_DIR, in which a hook of git names its own repository, do not count.

    Parameters
    ----------
    root : Path
        Folder of the repository.
    *arguments : str
        Of git. A name of a commit is none of them: `commit_of` gives its hash.

    Raises
    ------
    DataError
        git fails, or is not installed.
    """
    others = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=others)
    except (OSError, ValueError) as error:  # no git, or a text that no program can be given
        raise DataError(f"git cannot be called: {error}") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise DataError(f"`git {arguments[0]}` failed: {reason or 'no reason given'}")
    return done.stdout


def commit_of(root: Path, name: str) -> str:
    """Return the full hash of a commit, from any name that git has for it.

    Raises
    ------
    DataError
        git finds no such commit; a name that begins with a dash is none.
    """
    try:
        found = git(root, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    except DataError as error:
        raise DataError(f"git cannot read the commit {name!r}: {error}") from error
    return found.decode(errors="replace").strip()
