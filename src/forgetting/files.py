"""The working folder, the user's cache, and atomic writing of files."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from forgetting import resources
from forgetting.errors import ForgettingError

ROOT = resources.working_folder()
"""The folder in which runs are executed: the checkout's top folder, or else the current one."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forgetting"
"""The user's cache: downloads, checkpoints and results that can be made again."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    A reader sees the old file or the new file, never a part of one. If the block fails, the
    temporary file is removed and `path` is unchanged.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made if it is missing.

    Yields
    ------
    Path
        In the same folder.

    Raises
    ------
    ForgettingError
        The folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ForgettingError(_cannot_write(path, error)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise ForgettingError(_cannot_write(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Check that a file can be written to a folder, which is made if it is missing.

    Raises
    ------
    ForgettingError
        The folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ForgettingError(_cannot_write(folder, error)) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all.

    Raises
    ------
    ForgettingError
        The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _cannot_write(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"Cannot write {path}: {reason}. Free some space or choose a folder you may write to."
