"""The npm package `@vladmandic/face-api`: fetched by npm, verified, and read without running it.

Its weights stay in the user's cache. They are never copied into the project.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from forgetting.errors import WeightsError
from forgetting.foundation.files import CACHE, replacing
from forgetting.models.face_api import FaceApi

PACKAGE = "@vladmandic/face-api@1.7.15"
FOLDER = "face-api"
"""Folder of the networks, in that of `FORGETTING_DATA` or in the user's cache of data."""

STEMS = {"expression": "face_expression_model", "gender": "age_gender_model"}
"""The networks, and how the package's names of their files begin."""

FILES = {
    "face_expression_model.bin": (
        "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d"
    ),
    "face_expression_model-weights_manifest.json": (
        "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8"
    ),
    "age_gender_model.bin": "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa",
    "age_gender_model-weights_manifest.json": (
        "74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f"
    ),
}
"""The files that are kept of the package, and their sha256."""

TIMEOUT = 600
"""Seconds after which npm is given up."""

HOW = "`forgetting data face-api` fetches it with npm."


def data_folder() -> Path:
    """Return the folder of data that holds the networks, or the user's cache of data."""
    named = os.environ.get("FORGETTING_DATA")
    if named and has_face_api(Path(named)):
        return Path(named)
    return CACHE / "data"


def has_face_api(folder: Path | None = None) -> bool:
    """Return whether a folder of data, by default `data_folder`, holds the package's files."""
    return all(((folder or data_folder()) / FOLDER / name).exists() for name in FILES)


def download_face_api(folder: Path) -> None:
    """Fetch the package with `npm pack` and keep the files of its networks.

    Parameters
    ----------
    folder : Path
        Folder of data; the files go to its subfolder `face-api`.

    Raises
    ------
    WeightsError
        npm is missing or fails, or the package is not the one that the study was made with.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(f"{PACKAGE} comes from npm, which this machine lacks: install Node.js.")
    with tempfile.TemporaryDirectory() as scratch:
        archive = _pack(npm, Path(scratch))
        try:
            with tarfile.open(archive) as packed:
                read = {name: packed.extractfile(f"package/model/{name}") for name in FILES}
                held = {name: file.read() for name, file in read.items() if file}
        except (KeyError, OSError, tarfile.TarError) as error:
            raise WeightsError(f"{PACKAGE} came from npm, but cannot be read: {error}") from error
    for name, data in held.items():
        _check(name, data)
    for name, data in held.items():
        with replacing(folder / FOLDER / name) as written:
            written.write_bytes(data)
    _load.cache_clear()


def _pack(npm: str, folder: Path) -> Path:
    """Return the archive of the package that npm puts into a folder."""
    command = [npm, "pack", "--silent", PACKAGE]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"npm did not fetch {PACKAGE} in {TIMEOUT} seconds.") from error
    except OSError as error:
        raise WeightsError(f"npm cannot be called ({error.strerror}): mend it.") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        told = done.stderr.decode(errors="replace").strip()
        reason = told.splitlines()[-1:] or ["no archive came"]
        raise WeightsError(f"npm could not fetch {PACKAGE}: {reason[0]}")
    return archives[0]


def _check(name: str, data: bytes) -> bytes:
    """Return the content of a file, unless it is not that of the package."""
    if hashlib.sha256(data).hexdigest() != FILES[name]:
        raise WeightsError(f"{name} is not that of {PACKAGE}: remove it. {HOW}")
    return data


def load_face_api(folder: Path | None = None) -> FaceApi:
    """Return the networks of the package, in evaluation mode.

    Parameters
    ----------
    folder : Path, optional
        Folder of data; without it, that of `data_folder`.

    Raises
    ------
    WeightsError
        The package is not in the cache, or a file is not the one that the study was made with.
    """
    return _load(folder or data_folder())


@cache
def _load(folder: Path) -> FaceApi:
    if not has_face_api(folder):
        raise WeightsError(f"The outside networks of {PACKAGE} are not at hand: {HOW}")
    weights: dict[str, torch.Tensor] = {}
    for network, stem in STEMS.items():
        data, manifest = (
            _check(name, (folder / FOLDER / name).read_bytes())
            for name in (f"{stem}.bin", f"{stem}-weights_manifest.json")
        )
        for name, tensor in _dequantised(data, json.loads(manifest)).items():
            weights[f"{network}/{name}"] = tensor
    return FaceApi(weights).eval()


def _dequantised(data: bytes, manifest: list[dict]) -> dict[str, torch.Tensor]:
    """Return the tensors of a file; a byte stands for scale * byte + min of its tensor."""
    tensors, start = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        shape, quantization = entry["shape"], entry.get("quantization")
        stored = np.dtype(np.uint8 if quantization else "<f4")
        n = int(np.prod(shape))
        values = np.frombuffer(data, stored, n, start).astype(np.float32)
        start += n * stored.itemsize
        if quantization:
            values = values * np.float32(quantization["scale"]) + np.float32(quantization["min"])
        tensor = torch.from_numpy(values.reshape(shape).copy())
        tensors[entry["name"]] = _as_torch(entry["name"], tensor)
    if start != len(data):
        raise WeightsError(f"{PACKAGE}: its manifest describes {start} of {len(data)} bytes.")
    return tensors


def _as_torch(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a filter (H, W, in, out) as PyTorch orders it; other tensors as they are."""
    if name.endswith("depthwise_filter"):
        return tensor.permute(2, 3, 0, 1).contiguous()
    return tensor.permute(3, 2, 0, 1).contiguous() if tensor.dim() == 4 else tensor
