"""The folders of the book: one place that names them all."""

from dataclasses import dataclass
from pathlib import Path

from forgetting.foundation import resources


@dataclass(frozen=True)
class Checkout:
    """The folders and files of the book: those of a checkout, or of an installed package.

    Attributes
    ----------
    root : Path
        Top folder. Runs are executed in it, and their output goes below it.
    packaged : Path, optional
        Folder with the templates, runs.yaml and the published records, where it is not `root`.
    """

    root: Path
    packaged: Path | None = None

    @property
    def shipped(self) -> Path:
        """Folder with the templates, runs.yaml and the published records."""
        return self.packaged or self.root

    @property
    def templates(self) -> Path:
        """Folder of the templates and of their notebooks."""
        return self.shipped / "notebooks"

    @property
    def runs_file(self) -> Path:
        """File that lists the pages and sweeps."""
        return self.shipped / "runs.yaml"

    @property
    def contents(self) -> Path:
        """File with the table of contents."""
        return self.root / "_toc.yml"

    @property
    def published(self) -> Path:
        """Folder of the published executed pages."""
        return self.root / "book" / "runs"

    @property
    def results(self) -> Path:
        """Folder of the published records."""
        return self.shipped / "results"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures that chapters show."""
        return self.root / "book" / "_static" / "pictures"

    @property
    def build(self) -> Path:
        """Folder of everything that can be made again."""
        return self.root / "_build"

    @property
    def own_runs(self) -> Path:
        """Folder of the runs that are not pages of the book."""
        return self.build / "my_runs"


HERE = Checkout(resources.working_folder(), resources.shipped())
"""The checkout that this package is run from, or what an installed package holds of one."""
