"""Build hooks of the package: its links, and the one file of the checkout that is in no folder."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PROJECT = "src/forgetting/foundation/project.py"


class LinksHook(MetadataHookInterface):
    """Add the links of `forgetting.foundation.project` to the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the links; there are none while the project has no address."""
        module = runpy.run_path(str(Path(self.root) / PROJECT))
        links: dict[str, str] = module["urls"]()
        if links:
            metadata["urls"] = links


class RunsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Put `runs.yaml` beside the templates of a wheel; pyproject.toml can map folders only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file, unless the package is installed as editable and reads the checkout's."""
        if version == "standard":
            build_data["force_include"]["runs.yaml"] = "forgetting/_checkout/runs.yaml"
