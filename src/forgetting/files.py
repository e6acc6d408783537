"""Where things lie in a checkout, and how files are written: whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from forgetting.errors import ForgettingError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout's top folder: templates, zoo and results are found from here."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forgetting"
"""Downloads and checkpoints; everything in it can be made again."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block succeeds.

    A reader sees the old file or the new one, never a half. If the block fails, the temporary
    file is removed and `path` is untouched.

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
    """Raise a ForgettingError where no file can be made in `folder` (made if it is missing)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ForgettingError(_cannot_write(folder, error)) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _cannot_write(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"Cannot write {path}: {reason}. Free some space or choose a folder you may write to."
