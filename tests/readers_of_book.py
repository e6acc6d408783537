"""Readers of records, pages, tables, profiles and of runs.yaml."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

from file_readers import Reader

from forgetting.book import beside, execution, own_runs, profiles, templates
from forgetting.book.catalogue import table
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.claims import CLAIMS, judged_claims
from forgetting.book.entries import entries, sweep
from forgetting.book.needs import needs
from forgetting.book.numerals import Results
from forgetting.book.papers import paper_rows
from forgetting.book.published import is_current
from forgetting.book.schema import upgrade_folder
from forgetting.book.validated import read_validations

PUBLISHED = HERE.results


def results(folder, monkeypatch):
    """Return a reader of records as the commands read them."""
    checkout = Checkout(folder, HERE.root)
    monkeypatch.setattr(Checkout, "results", folder / "results")
    monkeypatch.setattr(Checkout, "published", HERE.published)
    (folder / "results").mkdir()
    ends = (".json", ".run.json")
    for end in ends:
        shutil.copy(PUBLISHED / f"tour{end}", folder / "results")
        shutil.copy(PUBLISHED / f"tour{end}", folder / f"own{end}")
    page = next(page for page in entries(checkout) if page.name == "tour")
    own = folder / "own.json"

    def read(_):
        needs(page, checkout)
        execution.announcement("tour", {}, checkout)
        Results(folder / "results").seconds("tour")
        Results(folder / "results").value("tour", "l1_others")
        template, given = own_runs.of_record(own)
        own_runs.with_changes(template, given, {"preset": "smoke"})
        execution.closing(own, own)
        is_current(page, HERE.published, folder / "results", checkout)
        "\n".join(beside.compare_run(own, True, checkout).lines())

    files = [folder / f"{name}{end}" for name in ("own", "results/tour") for end in ends]
    return Reader(files, read)


def sweep_table(folder, monkeypatch):
    """Return a reader of the records of a sweep as a table reads them."""
    name = "unlearn_digits"
    checkout = Checkout(folder, HERE.root)
    first = sorted(path for path in (PUBLISHED / name).glob("*.run.json"))[0]
    entry = sweep(name, checkout)
    monkeypatch.setattr("forgetting.book.catalogue.sweep", lambda *_: entry)
    monkeypatch.setattr(Checkout, "results", folder / "results")
    (folder / "results" / name).mkdir(parents=True)
    files = [first, first.with_name(first.name.replace(".run.json", ".json"))]
    paths = [Path(shutil.copy(file, folder / "results" / name)) for file in files]

    return Reader(paths, lambda _: table(name, SimpleNamespace(weights={}), checkout))


def older_record(folder, monkeypatch):
    path = folder / "old.json"
    record = {"name": "old", "template": "tour", "role": "headline", "parameters": {"by_hand": 1}}
    record |= {"metrics": {"presence_b_x": 0.5}, "weights": {"a-judge-a": "x"}, "history": [{}]}
    path.write_text(json.dumps(record))

    def read(_):
        try:
            return upgrade_folder(folder)
        finally:
            for other in folder.iterdir():
                if other != path and other.is_file():
                    other.unlink()

    return Reader([path], read)


def runs(folder, monkeypatch):
    path = folder / "runs.yaml"
    text = HERE.runs_file.read_text(encoding="utf-8")
    listed = text.split("\n- ")
    path.write_text("\n- ".join([*listed[:3], listed[-1]]), encoding="utf-8")
    monkeypatch.setattr(Checkout, "templates", HERE.templates)

    def read(_):
        return [entry.runs() for entry in entries(Checkout(folder)) if entry.is_sweep]

    return Reader([path], read)


def profile(folder, monkeypatch):
    path = folder / "config.yaml"
    path.write_text((profiles.WORKFLOW / "kubernetes/config.yaml").read_text())
    monkeypatch.setattr(profiles, "find_spec", lambda name: name)  # a profile needs its plugin
    with path.open("a") as file:
        file.write(f"container-image: some\nkubernetes-persistent-volumes: ['a:{folder}']\n")
    return Reader(
        [path], lambda _: profiles.snakemake(profiles.find_profile(str(folder)), [folder])
    )


def notebook(folder, monkeypatch):
    monkeypatch.setattr(Checkout, "templates", folder)
    for end in ("py", "ipynb"):
        shutil.copy(HERE.root / "notebooks" / f"tour.{end}", folder)

    def read(_):
        templates.convert("tour", {"seed": "1"})
        templates.check_notebook("tour")

    return Reader([folder / "tour.py", folder / "tour.ipynb"], read)


def page(folder, monkeypatch):
    """Return a reader of an executed page."""
    (folder / "runs").mkdir()
    monkeypatch.setattr(Checkout, "published", folder / "runs")
    path = Path(shutil.copy(HERE.root / "book/runs/tour.ipynb", folder / "runs"))
    own = next(page for page in entries() if page.name == "tour")
    return Reader([path], lambda _: is_current(own, folder / "runs", HERE.results))


def judged(folder, monkeypatch):
    """Return a reader of claims and papers, and of what was judged from them."""
    monkeypatch.setattr(Checkout, "results", folder / "results")
    for name in ("book", "results"):
        (folder / name).mkdir()
    files = []
    for name in ("claims", "papers"):
        first, *listed = (HERE.root / f"book/{name}.yaml").read_text("utf-8").split("\n- ")
        files.append(folder / f"book/{name}.yaml")
        files[-1].write_text("\n- ".join([first, *listed[:2]]), encoding="utf-8")
    checkout = Checkout(folder)
    for name in ("claims", "papers", "validation"):
        files.append(Path(shutil.copy(PUBLISHED / f"{name}.json", folder / "results")))
    monkeypatch.setattr(Results, "__init__", by_default(PUBLISHED))

    def read(_):
        judged_claims(checkout)
        paper_rows(checkout)
        CLAIMS.check(checkout)
        read_validations(checkout)

    return Reader(files, read)


def by_default(folder):
    original = Results.__init__
    return lambda self, _: original(self, folder)
