"""What the files of a run say, without what differs between equal runs."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image
from safetensors.torch import load_file

from forgetting.book.fingerprint import outputs_digest

VARYING = {"circumstances", "peak_mib", "revision", "load", "record", "record_sha256"}
"""Entries of JSON files that may differ between equal runs."""


def digest_of(path: Path) -> str:
    """Return a digest of what a file says, without times.

    Raises
    ------
    Exception
        The file is half-written: its reader refuses it.
    """
    if path.suffix == ".safetensors":
        said = [f"{k} {v.dtype} {v.tolist()}" for k, v in sorted(load_file(path).items())]
    elif path.suffix == ".json":
        said = [json.dumps(timeless(json.loads(path.read_text())), sort_keys=True)]
    elif path.suffix == ".ipynb":
        notebook = nbformat.from_dict(timeless(json.loads(path.read_text())))
        nbformat.validate(notebook)
        said = [outputs_digest(notebook)]
    elif path.suffix == ".png":
        with Image.open(path) as image:
            said = [image.tobytes().hex()]
    else:
        said = [path.suffix] if path.read_text().endswith("\n") else ["no last line"]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def timeless(content: Any) -> Any:
    """Return the content of a JSON file without what differs from run to run."""
    if isinstance(content, dict):
        return {
            key: timeless(value)
            for key, value in content.items()
            if "second" not in key and key not in VARYING
        }
    if isinstance(content, str):
        return re.sub(r"took \d+ s", "took a time", content)
    return [timeless(each) for each in content] if isinstance(content, list) else content
