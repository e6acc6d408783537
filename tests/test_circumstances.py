"""What a run says of where it was made: the revision of its checkout, and its package."""

import pytest
from planted import git

from forgetting.book import execution, kernel, run, validation
from forgetting.errors import ForgettingError
from forgetting.foundation import resources


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return the folder of a checkout with one commit, from which the package seems to be run."""
    top = (tmp_path / "checkout").resolve()
    (top / "src").mkdir(parents=True)
    (top / "src" / "code.py").write_text("")
    (top / ".gitignore").write_text("*.pyc\n")
    git(tmp_path, "init", "-q", str(top))
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    monkeypatch.setattr(resources, "checkout", lambda: top)
    return top


def test_a_revision_says_that_files_were_changed_or_added(repository):
    head = git(repository, "rev-parse", "--short=10", "HEAD")
    (repository / "src" / "code.pyc").write_text("")
    assert run._revision() == head
    (repository / "src" / "added.py").write_text("")
    assert run._revision() == f"{head}-dirty"
    (repository / "src" / "added.py").unlink()
    (repository / "src" / "code.py").write_text("pass")
    assert run._revision() == f"{head}-dirty"


def test_a_revision_is_that_of_the_checkout_and_of_no_other_repository(repository, monkeypatch):
    copied = repository / "copy"
    copied.mkdir()
    other = repository.parent / "other"
    git(repository.parent, "init", "-q", str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "other")
    head = git(repository, "rev-parse", "--short=10", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert run._revision() == head
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.setattr(resources, "checkout", lambda: copied)
    assert run._revision() is None


def test_a_notebook_of_another_package_than_its_command_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(resources.PACKAGE.parent))
    kernel.check_package(tmp_path)
    other = tmp_path / "src" / "forgetting"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    with pytest.raises(ForgettingError, match=f"set PYTHONPATH to {resources.PACKAGE.parent}"):
        kernel.check_package(tmp_path)
    with pytest.raises(ForgettingError, match=f"would import the one in {other}"):
        execution.execute("speed", {}, None, name="run", results=tmp_path)
    with pytest.raises(ForgettingError, match=f"would import the one in {other}"):
        validation.validate(print, ["speed"])
