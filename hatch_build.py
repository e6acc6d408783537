"""Build hook of the package: its links come from the project's one address."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class LinksHook(MetadataHookInterface):
    """Add the links of `forgetting.project` to the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the links; there are none while the project has no address."""
        module = runpy.run_path(str(Path(self.root) / "src" / "forgetting" / "project.py"))
        links: dict[str, str] = module["urls"]()
        if links:
            metadata["urls"] = links
