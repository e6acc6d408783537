"""The kernel of a run: this Python, without what a user has set for other notebooks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipykernel import kernelspec
from traitlets.config import Config

from forgetting.book import templates
from forgetting.book.run import INLINE

CONFIG = Config(
    {
        "KernelManager": {"transport_encryption": "auto"},
        "NotebookClient": {"extra_arguments": ["--log-level=CRITICAL"]},
    }
)
"""Configuration of kernels: without encryption each prints a warning, and a slow one prints that
it was interrupted when it is shut down. Errors of cells are no messages of this log."""


@contextmanager
def environment(folder: Path, **more: str) -> Iterator[None]:
    """Set the variables with which a kernel is that of this interpreter, and restore them.

    The user may have another kernel of the same name, a backend of matplotlib in MPLBACKEND, which
    would draw no picture into a notebook, and startup files of Python and IPython. None of them
    counts.

    Parameters
    ----------
    folder : Path
        Of the run; it receives the description of the kernel, and the profile.
    **more : str
        Further variables of the run.
    """
    kernelspec.write_kernel_spec(folder / "kernels" / templates.KERNEL["name"])
    places = filter(None, [str(folder), os.environ.get("JUPYTER_PATH")])
    variables = {
        "JUPYTER_PATH": os.pathsep.join(places),
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": INLINE,
        "PYTHONSTARTUP": "",
        **more,
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
