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
from forgetting.files import CACHE, replacing
from forgetting.models.face_api import FaceApi

PACKAGE = "@vladmandic/face-api@1.7.15"
LICENCE = "MIT"
FOLDER = "face-api"
"""Folder of the networks, in that of `FORGETTING_DATA` or in the user's cache of data."""

NETWORKS = {
    "expression": (
        "face_expression_model",
        "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
    ),
    "identity": (
        "face_recognition_model",
        "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
    ),
    "gender": (
        "age_gender_model",
        "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa",
    ),
}
"""The networks, the package's name of their files, and the sha256 of their weights."""

HOW = "`forgetting data face-api` fetches it with npm."


def data_folder() -> Path:
    """Return the folder of data that holds the networks, or the user's cache of data."""
    named = os.environ.get("FORGETTING_DATA")
    if named and has_face_api(Path(named)):
        return Path(named)
    return CACHE / "data"


def has_face_api(folder: Path | None = None) -> bool:
    """Return whether a folder of data, by default `data_folder`, holds the package's networks."""
    return all(path.exists() for path in _paths(folder or data_folder()))


def _paths(folder: Path) -> list[Path]:
    """Return the files of the package that are kept in a folder of data."""
    stems = [stem for stem, _ in NETWORKS.values()]
    ends = (".bin", "-weights_manifest.json")
    return [folder / FOLDER / f"{stem}{end}" for stem in stems for end in ends]


def download_face_api(folder: Path) -> None:
    """Fetch the package with `npm pack` and keep the files of its three networks.

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
        packed = subprocess.run(
            [npm, "pack", "--silent", PACKAGE], cwd=scratch, capture_output=True, text=True
        )
        archives = list(Path(scratch).glob("*.tgz"))
        if packed.returncode or len(archives) != 1:
            reason = packed.stderr.strip().splitlines()[-1:] or ["no archive came"]
            raise WeightsError(f"npm could not fetch {PACKAGE}: {reason[0]}")
        with tarfile.open(archives[0]) as archive:
            for path in _paths(folder):
                member = archive.extractfile(f"package/model/{path.name}")
                if member is None:
                    raise WeightsError(f"{PACKAGE} holds no model/{path.name}.")
                with replacing(path) as written:
                    written.write_bytes(member.read())
    _load.cache_clear()
    load_face_api(folder)


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
    for network, (stem, sha256) in NETWORKS.items():
        path = folder / FOLDER / f"{stem}.bin"
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise WeightsError(f"{path} is not that of {PACKAGE}: remove it. {HOW}")
        described = path.with_name(f"{stem}-weights_manifest.json")
        manifest = json.loads(described.read_text(encoding="utf-8"))
        for name, tensor in _dequantised(data, manifest).items():
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
