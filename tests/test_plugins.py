"""Templates of other packages: an entry point is enough."""

import importlib
import sys

import pytest
from click.testing import CliRunner

from forgetting.book import templates
from forgetting.cli import main
from forgetting.errors import ForgettingError

TEMPLATE = """# %% [markdown]
# # A template of somebody else

# %% tags=["parameters"]
seed: int = 0  # of everything that is random
preset: str = "default"  # smoke or default
device: str = "auto"  # auto, cpu or cuda

# %%
raise SystemExit("a template is read, not imported")
"""

MARKS = """[forgetting.templates]
by_module = their_package.their_template
by_path = their_package:PATH
by_resource = their_package:RESOURCE
lost = their_package:nothing
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install a package with templates into a folder of the module search path."""
    folder = tmp_path / "their_package"
    folder.mkdir()
    (folder / "their_template.py").write_text(TEMPLATE)
    (folder / "__init__.py").write_text(
        "from importlib.resources import files\n"
        "PATH = __file__.replace('__init__', 'their_template')\n"
        "RESOURCE = files('their_package') / 'their_template.py'\n"
    )
    metadata = tmp_path / "their_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(MARKS)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("their_package", None)


@pytest.mark.parametrize("name", ["by_module", "by_path", "by_resource"])
def test_an_entry_point_adds_a_template(package, name):
    assert name in templates.names()
    assert templates.source(name).read_text() == TEMPLATE
    assert list(templates.parameters(name)) == ["seed", "preset", "device"]
    assert "A template of somebody else" in templates.notebook_text(name)


def test_the_command_line_lists_an_added_template(package):
    (package.parent / "their_package-1.0.dist-info" / "entry_points.txt").write_text(
        MARKS.replace("lost = their_package:nothing\n", "")
    )
    result = CliRunner().invoke(main, ["templates"])
    assert result.exit_code == 0, result.output
    assert "by_module" in result.output


def test_an_entry_point_without_a_file_is_refused_with_its_package(package):
    with pytest.raises(ForgettingError, match="The template 'lost' of their-package has no file"):
        templates.source("lost")
