"""The npm package `@vladmandic/face-api`: fetched by npm, verified, and read without running it.

Its weights stay in the user's cache. They are never copied into the project.
"""

import hashlib
import json
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
FOLDER = CACHE / "face-api"

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


def has_face_api(folder: Path = FOLDER) -> bool:
    """Return whether the package's networks are in the cache."""
    return all(path.exists() for path in _paths(folder))


def _paths(folder: Path) -> list[Path]:
    """Return the files that are kept of the package."""
    stems = [stem for stem, _ in NETWORKS.values()]
    ends = (".bin", "-weights_manifest.json")
    return [folder / f"{stem}{end}" for stem in stems for end in ends]


def download_face_api(folder: Path = FOLDER) -> None:
    """Fetch the package with `npm pack` and keep the files of its three networks.

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
    load_face_api.cache_clear()
    load_face_api(folder)


@cache
def load_face_api(folder: Path = FOLDER) -> FaceApi:
    """Return the networks of the package, in evaluation mode.

    Raises
    ------
    WeightsError
        The package is not in the cache, or a file is not the one that the study was made with.
    """
    if not has_face_api(folder):
        raise WeightsError(f"The outside networks of {PACKAGE} are not at hand: {HOW}")
    weights: dict[str, torch.Tensor] = {}
    for network, (stem, sha256) in NETWORKS.items():
        path = folder / f"{stem}.bin"
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise WeightsError(f"{path} is not that of {PACKAGE}: remove it. {HOW}")
        manifest = json.loads((folder / f"{stem}-weights_manifest.json").read_text("utf-8"))
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
