"""The first code cell of a page, which installs the package on Google Colab.

Colab opens the published notebook, and has no package of this project. Elsewhere the cell does
nothing, and the book does not show it. It needs the repository's address.
"""

from collections.abc import Sequence

import nbformat

from forgetting.foundation import project

TAG = "install"
"""Tag of the cell."""

SOURCE = """\
# Google Colab has to install the package first; elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    %pip install --quiet "forgetting[book] @ git+{repository}@{branch}"\
"""


def without_installation(cells: Sequence[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return all cells but the one that installs the package."""
    return [cell for cell in cells if TAG not in cell.metadata.get("tags", [])]


def with_installation(cells: Sequence[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return cells with the one that installs the package, below the title.

    Parameters
    ----------
    cells : sequence of nbformat.NotebookNode
        The first holds the title.

    Returns
    -------
    list of nbformat.NotebookNode
        Without such a cell where the repository has no address.
    """
    title, *others = without_installation(cells)
    if not project.REPOSITORY:
        return [title, *others]
    source = SOURCE.format(repository=project.REPOSITORY, branch=project.BRANCH)
    install = nbformat.v4.new_code_cell(source, id=TAG, metadata={"tags": [TAG, "remove-cell"]})
    return [title, install, *others]
