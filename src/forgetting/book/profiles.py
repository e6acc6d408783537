"""Profiles: how Snakemake reaches a cluster."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from forgetting.book.yaml_files import read_yaml
from forgetting.errors import ForgettingError

WORKFLOW = Path(__file__).parent / "workflow"
"""The Snakefile, and profiles of clusters."""


def find_profile(profile: str) -> Path:
    """Return the folder of a profile: one of this package by its name, or any folder.

    Raises
    ------
    ForgettingError
        There is no such folder, it holds no config.yaml, or a plugin of Snakemake is missing.
    """
    shipped = {path.parent.name: path.parent for path in sorted(WORKFLOW.glob("*/config.yaml"))}
    folder = shipped.get(profile, Path(profile))
    if not os.path.isfile(folder / "config.yaml"):
        raise ForgettingError(
            f"There is no profile {profile!r}: give one of {', '.join(shipped)}, or a folder with "
            "a config.yaml of Snakemake."
        )
    executor = _settings(folder).get("executor")
    if executor in shipped and find_spec(f"snakemake_executor_plugin_{executor}") is None:
        raise ForgettingError(
            f"The profile {profile} needs a plugin of Snakemake: run "
            "`pip install 'forgetting[book,cluster]'` first."
        )
    return folder.resolve()


def snakemake(profile: Path | None, folders: Iterable[Path]) -> list[str]:
    """Return the first arguments with which Python calls Snakemake.

    Parameters
    ----------
    profile : Path, optional
        Folder of a profile.
    folders : iterable of Path
        What the jobs read and write.

    Raises
    ------
    ForgettingError
        The profile is of Kubernetes, and names no image or no volume with a folder.
    """
    settings = {} if profile is None else _settings(profile)
    if settings.get("executor") != "kubernetes":
        return ["-m", "snakemake"]
    advice = f"set it in a copy of {WORKFLOW / 'kubernetes'}, and give the copy as --profile."
    if not settings.get("container-image"):
        raise ForgettingError(f"The profile {profile} has no container-image: {advice}")
    volumes = settings.get("kubernetes-persistent-volumes") or []
    volumes = volumes.split() if isinstance(volumes, str) else volumes
    mounted = [Path(str(volume).rpartition(":")[2]) for volume in volumes]
    for folder in folders:
        if not any(folder.resolve().is_relative_to(place) for place in mounted):
            raise ForgettingError(
                f"No volume in kubernetes-persistent-volumes of the profile {profile} holds "
                f"{folder}: {advice}"
            )
    return [str(WORKFLOW / "pods.py")]


def _settings(profile: Path) -> dict[str, Any]:
    """Return the settings of a profile."""
    path = profile / "config.yaml"
    settings = read_yaml(path)
    if not isinstance(settings, dict):
        raise ForgettingError(f"{path} holds no settings: write each as `name: value`.")
    return settings
