"""Files are written completely or not at all, several of them together."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import nn

import forgetting as fg
from forgetting.cli import main
from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation import files
from forgetting.foundation.files import replacing_all, write_texts
from forgetting.zoo.saved import save_model

FULL = OSError(errno.ENOSPC, "No space left on device")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(params=[{}, {"a": "old a", "c": "old c"}], ids=["anew", "again"])
def before(request, tmp_path):
    """Write some of three files, and return their contents."""
    for name, text in request.param.items():
        (tmp_path / name).write_text(text)
    return request.param


def write(folder):
    write_texts({folder / name: f"new {name}" for name in "abc"})


def test_files_appear_together(tmp_path, before):
    write(tmp_path)
    assert contents(tmp_path) == {name: f"new {name}" for name in "abc"}


@pytest.mark.parametrize("operation", ["write_text", "chmod", "replace"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_disk_that_fills_up_at_any_file_leaves_all_as_they_were(
    tmp_path, before, monkeypatch, operation, which
):
    calls, original = [], getattr(Path, operation)

    def fails(path, *arguments, **options):
        calls.append(path)
        if len(calls) == which + 1:
            raise FULL
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, operation, fails)
    with pytest.raises(ForgettingError, match=r"Cannot write .*No space left"):
        write(tmp_path)
    monkeypatch.undo()
    assert contents(tmp_path) == before


def test_a_failure_before_the_files_are_written_leaves_them_as_they_were(tmp_path, before):
    def interrupted():
        with replacing_all([tmp_path / "a", tmp_path / "b"]) as (first, _):
            first.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("given", ["", "relative", None])
def test_the_cache_does_not_depend_on_the_folder_of_a_program(given, monkeypatch):
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert files._user_cache() == Path.home() / ".cache"


@pytest.mark.parametrize(
    "use", [lambda: fg.load_images(""), lambda: fg.restore("", nn.Linear(1, 1))]
)
def test_a_folder_without_a_name_is_not_the_current_one(use):
    with pytest.raises(ParameterError, match=r"empty name: give '\.'"):
        use()


def test_nothing_is_saved_in_a_folder_without_a_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="empty name"):
        save_model("", nn.Linear(1, 1), {}, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        ("run", "tour", "--output", ""),
        ("unlearn", "digits-vae", "--feature", "7", "--output", ""),
        ("tame", "digits-glow", "--forget", "", "--retain", ".", "--output", "x"),
    ],
)
def test_a_command_refuses_a_path_without_a_name(options):
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert "the path is empty: give . if you mean the current folder" in done.output
