"""The working folder, the user's cache, and atomic writing of files."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError

from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation import resources

ROOT = resources.working_folder()
"""The folder in which runs are executed: the checkout's top folder, or else the current one."""


def _user_cache() -> Path:
    """Return XDG_CACHE_HOME, or ~/.cache where it is empty, missing or not a full path."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".cache"


CACHE = _user_cache() / "forgetting"
"""The user's cache: downloads, checkpoints and results that can be made again."""


def named_folder(folder: Path | str) -> Path:
    """Return a folder as a path, unless its name is empty, as that of an unset variable.

    Raises
    ------
    ParameterError
        It is empty, which would be the current folder, or no path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ParameterError(f"A folder is of type {type(folder).__name__}: give a path.")
    if (text := str(folder)) == "":
        raise ParameterError("A folder has the empty name: give '.' if you mean the current one.")
    if not is_path(text):
        raise ParameterError(f"{text!r} cannot be a path on this system: give another name.")
    return Path(folder)


def expanded(folder: Path | str) -> Path:
    """Return a path whose `~` is a home; one of nobody's home stays as it is."""
    return Path(os.path.expanduser(folder))


def is_path(text: str) -> bool:
    """Return whether a file can have a path: names of files are not too long, and have no NUL."""
    try:
        os.lstat(text)
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


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
    with replacing_all([Path(path)]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary paths that replace all of `paths` when the block succeeds, or none of them.

    Parameters
    ----------
    paths : sequence of Path
        The files to write; their folders are made if they are missing.

    Yields
    ------
    list of Path
        Each in the folder of its file.

    Raises
    ------
    ForgettingError
        A folder cannot be made or written to, or the disk is full.
    """
    fresh: list[Path] = []
    old: dict[Path, Path] = {}
    path = paths[0]
    try:
        for path in paths:
            fresh.append(_beside(path))
        yield fresh
        for path in paths[:-1]:  # the last file is replaced or not; nothing follows it
            if path.exists():
                old[path] = _beside(path)
                shutil.copy2(path, old[path])
        try:
            for path, temporary in zip(paths, fresh, strict=True):
                temporary.chmod(0o644)
                temporary.replace(path)
        except BaseException:
            for earlier in paths[:-1]:
                if earlier in old:
                    old[earlier].replace(earlier)
                else:
                    earlier.unlink(missing_ok=True)
            raise
    except (OSError, SafetensorError) as error:
        raise ForgettingError(_cannot_write(path, error)) from error
    finally:
        for temporary in (*fresh, *old.values()):
            temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Return an empty temporary file in the folder of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    return Path(name)


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
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write text files in UTF-8, all of them completely or none at all.

    Parameters
    ----------
    texts : mapping of Path to str
        Content by file.

    Raises
    ------
    ForgettingError
        A file cannot be written.
    """
    with replacing_all(list(texts)) as temporaries:
        for temporary, text in zip(temporaries, texts.values(), strict=True):
            temporary.write_text(text, encoding="utf-8")


def _cannot_write(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"Cannot write {path}: {reason}. Free some space or choose a folder you may write to."


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    OSError
        It cannot be read, or is a pipe or a device, of which reading might never end.
    """
    check_ends(path)
    return path.read_bytes()


def check_ends(path: Path) -> None:
    """Raise an error if a file is a pipe or a device, of which reading might never end.

    Raises
    ------
    OSError
        It is one, or is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no regular file")


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
