"""The zoo's files as a release publishes them: the manifest, and a cache that is filled from it.

The package carries the manifest: the sha256 and the size of every file of the zoo. A file is
fetched from the release of the package's own version, verified, and kept in the user's cache.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from forgetting import __version__
from forgetting.errors import WeightsError
from forgetting.foundation import project
from forgetting.foundation.files import CACHE, sha256, write_text
from forgetting.foundation.json_files import read_object

MANIFEST = Path(__file__).with_name("manifest.json")
SUFFIXES = ("json", "safetensors")
"""The files of an entry: its record and its tensors."""

TIMEOUT = 30
"""Seconds without a byte after which a transfer is given up."""


class PublishedFile(TypedDict):
    """What the manifest says about a file."""

    sha256: str
    size: int  # bytes


class PublishedEntry(TypedDict):
    """What the manifest says about an entry of the zoo."""

    kind: str
    files: dict[str, PublishedFile]


@cache
def manifest() -> dict[str, PublishedEntry]:
    """Return what the package knows about every entry of the zoo, by name.

    Raises
    ------
    WeightsError
        The file of the package is damaged.
    """
    try:
        entries = read_object(MANIFEST)
        for entry in entries.values():
            digests = [entry["files"][suffix]["sha256"] for suffix in SUFFIXES]
            if not all(isinstance(text, str) for text in (entry["kind"], *digests)):
                raise ValueError("a kind or a hash is no text")
        return entries
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{MANIFEST} is damaged: install the package anew, or restore the file from git."
        ) from error


def write_manifest(folder: Path, path: Path = MANIFEST) -> None:
    """Describe the entries of a folder in the manifest.

    Parameters
    ----------
    folder : Path
        The checkout's zoo.
    path : Path
        Where the manifest is written.
    """
    entries = {
        record.stem: PublishedEntry(
            kind=json.loads(record.read_text(encoding="utf-8"))["kind"],
            files={suffix: _described(record.with_suffix(f".{suffix}")) for suffix in SUFFIXES},
        )
        for record in sorted(folder.glob("*.json"), key=lambda path: path.stem)
    }
    write_text(path, json.dumps(entries, indent=1) + "\n")
    manifest.cache_clear()


def fetch(name: str, suffix: str) -> Path:
    """Return the path of a file of the zoo in the user's cache; fetch it first if necessary.

    Parameters
    ----------
    name : str
        An entry of the manifest.
    suffix : str
        One of `SUFFIXES`.

    Raises
    ------
    WeightsError
        The release has no address, cannot be reached, or sends another file or half of it. The
        cache holds whole files only, so that the next call starts afresh.
    """
    import pooch
    from requests import RequestException

    file = f"{name}.{suffix}"
    path = CACHE / "zoo" / file
    published = manifest()[name]["files"][suffix]
    if path.is_file() and sha256(path) == published["sha256"]:
        return path
    url = project.release_file(__version__, file)
    if url is None:
        raise WeightsError(
            f"{file} is not on this machine, and no release is known to fetch it from: set "
            "FORGETTING_ZOO to a folder that holds it."
        )
    pooch.get_logger().setLevel("ERROR")
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    try:
        pooch.retrieve(url, published["sha256"], file, path.parent, downloader=downloader)
    except RequestException as error:
        raise WeightsError(
            f"{url} could not be fetched ({_reason(error)}): try again, or set FORGETTING_ZOO to "
            f"a folder that holds {file}."
        ) from error
    except ValueError as error:  # pooch's word for another hash
        raise WeightsError(
            f"{url} is not the file whose sha256 this version of the package carries, so it was "
            f"not kept: try again, or set FORGETTING_ZOO to a folder that holds {file}."
        ) from error
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be written ({error.strerror or error}): free some space, or set "
            "XDG_CACHE_HOME to a folder that you may write to."
        ) from error
    return path


def _described(path: Path) -> PublishedFile:
    return {"sha256": sha256(path), "size": path.stat().st_size}


def _reason(error: Any) -> str:
    """Return why a transfer failed, in a few words."""
    if error.response is not None:
        return f"the server's reply is {error.response.status_code}"
    if "IncompleteRead" in str(error):
        return "the connection was cut in the middle"
    return "no connection"
