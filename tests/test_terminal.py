"""Pages show what a run or a command printed, and refuse what was not printed once."""

import nbformat
import pytest

from forgetting.book.terminal import printed
from forgetting.errors import ForgettingError


def notebook(path, *texts):
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in texts]
    cell = nbformat.v4.new_code_cell("print()", outputs=outputs)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_the_output_that_begins_as_asked_is_shown(tmp_path):
    path = notebook(tmp_path / "run.ipynb", "parameters\n", "7 in Decoder\n\nGone: 0.1%\n")
    assert printed(path, "7 in") == "7 in Decoder\n\nGone: 0.1%"


def test_an_output_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ForgettingError, match="no output begins with '7'"):
        printed(notebook(tmp_path / "run.ipynb", "other 7\n"), "7")


def test_a_run_that_is_not_published_is_refused(tmp_path):
    with pytest.raises(ForgettingError, match="publish the run first"):
        printed(tmp_path / "none.ipynb", "7")
