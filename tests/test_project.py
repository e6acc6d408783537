"""The project's papers: one version, one title, one licence, one address, the same Pythons."""

import json
import re
import tomllib

import pytest
import yaml
from jupyter_book.config import get_final_config

import forgetting
from forgetting.book import render
from forgetting.foundation import project
from forgetting.foundation.files import ROOT
from forgetting.zoo.release import SUFFIXES

TITLE = "The Forgetting Book"


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


CITATION = yaml.safe_load(text("CITATION.cff"))
CODEMETA = json.loads(text("codemeta.json"))
PYPROJECT = tomllib.loads(text("pyproject.toml"))["project"]


def test_the_version_is_the_same_everywhere():
    versions = {forgetting.__version__, CITATION["version"], CODEMETA["version"]}
    assert len(versions) == 1
    assert f"\n## {versions.pop()}" in text("CHANGELOG.md")


def test_title_makers_and_licence_are_the_same_everywhere():
    config = yaml.safe_load(text("_config.yml"))
    assert CITATION["title"].startswith(f"{TITLE}: ")
    assert config["title"] == CODEMETA["name"] == TITLE
    makers = CITATION["authors"][0]["name"]
    assert {makers} == {
        config["author"],
        CODEMETA["author"][0]["name"],
        PYPROJECT["authors"][0]["name"],
    }
    licence = PYPROJECT["license"]
    assert CITATION["license"] == licence
    assert CODEMETA["license"] == f"https://spdx.org/licenses/{licence}"
    assert text("LICENSE").startswith(f"{licence} License")
    assert CODEMETA["keywords"] == PYPROJECT["keywords"][: len(CODEMETA["keywords"])]


def test_the_two_papers_are_the_same_in_the_citation_and_the_metadata():
    cited = {paper["title"] for paper in CITATION["references"]}
    assert cited == {paper["name"] for paper in CODEMETA["referencePublication"]}


def test_no_file_gives_another_address_than_the_projects_one():
    assert CITATION.get("repository-code", project.REPOSITORY) == project.REPOSITORY
    assert CODEMETA.get("codeRepository", project.REPOSITORY) == project.REPOSITORY


def test_the_pythons_of_the_package_are_those_of_the_tests_of_its_core():
    pythons = re.findall(r"Python :: (3\.\d+)", " ".join(PYPROJECT["classifiers"]))
    workflow = yaml.safe_load(text(".github/workflows/test.yml"))
    matrix = workflow["jobs"]["core"]["strategy"]["matrix"]["include"]
    assert sorted({job["python"] for job in matrix}) == pythons
    assert PYPROJECT["requires-python"] == f">={pythons[0]}"
    assert CODEMETA["runtimePlatform"] == f"Python {pythons[0]} to {pythons[-1]}"
    (torch,) = [line for line in PYPROJECT["dependencies"] if line.startswith("torch>")]
    oldest, newest = matrix[0]["torch"], matrix[-1]["torch"]
    release, minor = newest.split(".")
    assert torch == f"torch>={oldest},<{release}.{int(minor) + 1}"


@pytest.mark.parametrize("address", ["", "https://github.com/example/forgetting"])
def test_buttons_to_the_repository_are_in_the_book_only_if_it_has_an_address(
    address, monkeypatch, tmp_path
):
    """As Jupyter Book gives its configuration to Sphinx."""
    monkeypatch.setattr(project, "REPOSITORY", address)
    path = tmp_path / render.CONFIG
    path.write_text(render.configuration(), encoding="utf-8")
    sphinx, _ = get_final_config(
        user_yaml=path, sourcedir=tmp_path, cli_config={"latex_individualpages": False}
    )
    options = sphinx["html_theme_options"]
    assert [options.get(button, False) for button in render.BUTTONS] == [bool(address)] * 3
    assert not address or options["repository_url"] == address
    launched = options.get("launch_buttons", {})
    assert bool(launched.get("colab_url")) == bool(launched.get("binderhub_url")) == bool(address)
    assert options["navbar_persistent"] == []


def test_every_workflow_calls_targets_that_the_makefile_has():
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.M))
    workflows = [path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    called = re.findall(r"\bmake ([a-z]+(?: [a-z]+)*)", "\n".join(workflows))
    words = {word for line in called for word in line.split()}
    assert {"test", "render", "wheel", "validate"} <= words <= targets


def test_a_release_has_the_files_that_a_wheel_fetches():
    release = text(".github/workflows/release.yml")
    assert all(f"zoo/*.{suffix}" in release for suffix in SUFFIXES)
    assert "dist/*.whl" in release


def test_the_software_bill_has_every_pinned_package_in_its_version():
    bill = json.loads(text("results/bill.cdx.json"))["components"]
    billed = {(plain(each["name"]), each["version"].partition("+")[0]) for each in bill}
    lines = [line.split(";")[0].strip() for line in text("constraints.txt").splitlines()]
    pinned = {line.partition("==")[::2] for line in lines if "==" in line}
    assert billed == {(plain(name), version) for name, version in pinned}


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
