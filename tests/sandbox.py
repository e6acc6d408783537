"""A folder of its own for commands: a small checkout, and programs that are not executed."""

import io
import json
import os
import shutil
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

import nbformat
from papermill.exceptions import PapermillExecutionError

from forgetting.book.checkout import HERE
from forgetting.book.job import outcome_path
from forgetting.book.render import render
from forgetting.book.run import CONTEXT
from forgetting.errors import TrainingError
from forgetting.foundation import resources

TEMPLATES = ("tour", "taming_points", "unlearning_own", "taming_own", "auditing_own")

RUNS = """\
- {name: tour, title: A tour, template: tour, after: start}
- {name: tame_points, title: Points, template: taming_points, below: start}
- {name: small, title: Some, template: tour, parameters: {preset: smoke}, grid: {seed: [1, 2]}}
"""

CONTENTS = """\
format: jb-book
root: book/index
parts:
  - caption: Start
    chapters:
      - file: book/start
"""

CLAIMS = "- {claim: It is so., paper: ours, page: start, untested: Nobody tried.}\n"

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

WRITERS = {"open": 1, "os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1} | {
    **{"os.link": 2, "os.symlink": 2, "os.truncate": 1, "os.chmod": 1, "os.utime": 1},
}
"""Events by which Python tells that it changes a file, and how many paths each has."""

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind")


def make_checkout(root):
    """Make a checkout of two pages, a sweep and the templates of one's own runs."""
    for folder in ("notebooks", "results", "book/runs", "book/_static", "zoo", "src"):
        (root / folder).mkdir(parents=True)
    for template in TEMPLATES:
        for end in ("py", "ipynb"):
            shutil.copy(HERE.templates / f"{template}.{end}", root / "notebooks")
    for record in ("tour", "tame_points"):
        for end in ("json", "run.json"):
            shutil.copy(HERE.results / f"{record}.{end}", root / "results")
        shutil.copy(HERE.published / f"{record}.ipynb", root / "book" / "runs")
    texts = {"runs.yaml": RUNS, "_toc.yml": CONTENTS, "book/claims.yaml": CLAIMS}
    texts |= {"book/papers.yaml": "[]\n", "book/references.bib": "", "_config.yml": "title: T\n"}
    texts |= {"book/start.md": "# Start\n", "book/index.md": "# Index\n"}
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")


class Guard:
    """Refuses the network, and changes of files outside a folder, as a system would.

    Attributes
    ----------
    strays : list of str
        Files that were to be changed, though they are neither in the folder nor named by the user.
    is_changed : bool
        Whether something in the folder was changed.
    """

    def __init__(self):
        self.folder, self.named, self.strays, self.is_changed = None, (), [], False
        sys.addaudithook(self._see)  # for good, but it does nothing outside of `watching`

    @contextmanager
    def watching(self, folder, named):
        """Watch over a block in which the user names some files."""
        self.named = [os.path.abspath(path) for path in named]
        self.strays, self.folder = [], str(folder)
        try:
            yield
        finally:
            self.folder = None

    def _see(self, event, arguments):
        if self.folder is None:
            return
        if event in NETWORK:
            raise ConnectionRefusedError(111, "Connection refused")
        if event not in WRITERS or (event == "open" and not (arguments[2] or 0) & WRITING):
            return
        for path in arguments[: WRITERS[event]]:
            if not isinstance(path, str | bytes | os.PathLike):
                continue
            path = os.path.abspath(os.fsdecode(path))
            folder = os.path.realpath(os.path.dirname(path))
            if path == os.devnull:
                continue
            if f"{folder}/".startswith(f"{self.folder}/"):
                self.is_changed = True
                continue
            if event != "open" and isinstance(arguments[-1], int) and arguments[-1] >= 0:
                continue  # relative to a folder that is open, as `shutil.rmtree` removes files
            if not any(f"{path}/".startswith(f"{place.rstrip('/')}/") for place in self.named):
                self.strays.append(f"{event} {path}")
            raise PermissionError(13, "Permission denied", path)


class Programs:
    """Takes the place of `subprocess.Popen`: each program ends at once, as `end` says.

    Attributes
    ----------
    end : tuple of (int, str) or None
        Exit code and what is printed; None where there is no such program.
    given : tuple of str
        Texts of the user: none that begins with a dash may become an option of a program.
    """

    def __init__(self):
        self.end, self.given = (0, ""), ()
        self.injected = []

    def __call__(self, command, **settings):
        """Return a process that has ended."""
        command = [os.fspath(argument) for argument in command]
        for place, argument in enumerate(command):
            after = {"--", "--end-of-options"} & set(command[:place])
            if not after and any(argument.startswith(text) for text in self.given):
                self.injected.append(f"{command[0]} {argument}")
        for argument in command:
            os.fsencode(argument)
        if self.end is None and command[0] != sys.executable:
            raise FileNotFoundError(2, "No such file or directory", command[0])
        code, printed = self.end or (0, "")
        if command[0] == sys.executable:
            code, printed = self._python(command, code, printed)
        output = printed.encode("utf-8", "surrogateescape")
        if "archive" in command and not code:
            output = _archive(resources.checkout())
        return Process(command, code, output, **settings)

    def __getitem__(self, kind):
        """Return itself: annotations name `subprocess.Popen[bytes]`."""
        return self

    def _python(self, command, code, printed):
        """Return how Python ends: it finds this package, and executes the jobs of a plan."""
        if command[1] == "-c":
            return 0, str(resources.PACKAGE / "__init__.py")
        if "--directory" in command and not code:
            folder = Path(command[command.index("--directory") + 1])
            for name in json.loads((folder / "plan.json").read_text())["jobs"]:
                path = outcome_path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(printed))
        return code, printed


def _archive(folder):
    """Return a folder as git archives it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        packed.add(folder, ".")
    return buffer.getvalue()


class Process:
    """A process that has ended."""

    pid = 2**22 + 1  # which no system gives to a process

    def __init__(self, command, code, output, **settings):
        self.args, self.returncode = command, code
        self.stdin = None
        is_text = settings.get("text") or settings.get("encoding")
        errors = settings.get("errors") or "strict"
        self.stdout = io.StringIO(output.decode(errors=errors)) if is_text else io.BytesIO(output)
        self.stderr = self.stdout

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def communicate(self, input=None, timeout=None):
        """Return what it printed."""
        return self.stdout.getvalue(), self.stderr.getvalue()

    def poll(self):
        """Return the exit code."""
        return self.returncode

    def wait(self, timeout=None):
        """Return the exit code."""
        return self.returncode

    def send_signal(self, number):
        """Do nothing."""

    kill = terminate = poll


class Notebooks:
    """Takes the place of `papermill.execute_notebook`.

    Attributes
    ----------
    error : tuple of str or None
        Name and text of the error that a cell ends with.
    """

    def __init__(self):
        self.error = None

    def __call__(self, source, target, parameters, **settings):
        """Leave what the published run of a template left, or fail."""
        notebook = nbformat.read(source, as_version=4)
        nbformat.write(notebook, target)
        if self.error:
            raise PapermillExecutionError(1, 1, "", *self.error, [])
        context = json.loads(os.environ[CONTEXT])
        record = "tame_points" if "n_statistics" in str(notebook) else "tour"
        for end in ("json", "run.json"):
            path = Path(context["folder"]) / f"{context['name']}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE.results / f"{record}.{end}", path)
        return notebook


def nothing_is_trained(*arguments, **settings):
    """Take the place of what trains, measures or attacks."""
    raise TrainingError("Nothing is trained in a test.")


@contextmanager
def as_checkout(root):
    """Make a folder the checkout in the block."""
    places = HERE.root, HERE.packaged
    try:
        _set(root, root)
        yield
    finally:
        _set(*places)


def _set(root, packaged):
    object.__setattr__(HERE, "root", root)
    object.__setattr__(HERE, "packaged", packaged)
    render.__defaults__ = root, HERE
