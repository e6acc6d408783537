"""Jobs that stand in for those of pages and runs: each only notes that it has begun."""

from forgetting.book.entries import Entry

JOB = """
import json
import os
import signal
import sys
import time
from pathlib import Path

fates = {fates!r}
folder, name = Path(sys.argv[1]), sys.argv[2]
with open(Path("begun", name.replace("/", "_")), "a") as begun:
    begun.write(".")
    begun.flush()
    fate = dict(enumerate(fates[name], 1)).get(begun.tell())
if fate == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if fate == "sleeps":
    time.sleep(300)
(folder / "outcomes" / f"{{name}}.json").write_text(json.dumps(""))
"""


def write_jobs(checkout, *fates):
    """Make a checkout whose jobs only begin, and return the runs of which they are the jobs.

    The fates of a run are what becomes of it the first times: "killed" by the system, or "sleeps".
    """
    package = checkout / "forgetting" / "book"  # Python looks first into the checkout
    for folder in (package, checkout / "begun"):
        folder.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    seeds = range(len(fates))
    runs = Entry(name="some", title="Some", template="no", grid={"seed": list(seeds)}).runs()
    names = [run.name for run in runs]
    fates = {name: list(each) for name, each in zip(names, fates, strict=True)}
    (package / "job.py").write_text(JOB.format(fates=fates))
    return runs


def times_begun(checkout):
    """Return how often each job has begun."""
    return {path.name: path.stat().st_size for path in (checkout / "begun").iterdir()}
