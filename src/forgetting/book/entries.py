"""The pages and sweeps that runs.yaml lists."""

import ast
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import nbformat
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forgetting.book import templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.fingerprint import computing_tree, fingerprint
from forgetting.book.records import Record, read_records
from forgetting.book.yaml_files import read_mappings
from forgetting.errors import (
    ForgettingError,
    ParameterError,
    did_you_mean,
    quoted,
    shortened,
    validated,
)

LONGEST = 100
"""Characters that a value may have which stands in names of files."""


class Entry(BaseModel):
    """An entry of runs.yaml: a page that a template makes, or a sweep of runs without pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    template: str
    role: Literal["headline", "ablation", "baseline"] = "headline"
    needs: Literal["none", "mnist", "faces", "gan-face-generate"] = Field(
        "none", description="data, or a package with a model that others have trained"
    )
    slow: bool = Field(
        False, description="the page takes long: `make book` shows its published form"
    )
    reads: str = Field("", description="name of the sweep whose published records the page reads")
    below: str = Field("", description="page of which this page is a section in the contents")
    after: str = Field("", description="page that this page follows in the contents")
    outdated: str = Field(
        "",
        description="why the published page or runs come from an earlier form of the template; "
        "the page shows this sentence until it is executed again",
    )
    parameters: dict[str, Any] = {}
    cases: dict[str, dict[str, Any]] = Field(
        {}, description="of a sweep: parameters of each case; a list holds several values of one"
    )
    grid: dict[str, list[Any]] = Field({}, description="of a sweep: values of each parameter")

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        """Refuse a case that cannot be told from others, and values that no run would have."""
        for case, given in {"": {}, **self.cases}.items():
            where = f"{self.name}, case {case}" if case else self.name
            if "-" in case:
                raise ValueError(f"{where}: '-' ends the name of a case, so use '_' within it")
            if not re.fullmatch(r"[\w.]*", case):
                raise ValueError(f"{where}: name a case with letters, digits, '.' and '_' alone")
            lists = {name: value for name, value in given.items() if isinstance(value, list)}
            if twice := sorted((given.keys() - lists.keys()) & self.grid.keys()):
                raise ValueError(
                    f"{where}: {twice[0]} is in the grid, whose values would count: give a list"
                )
            if empty := [name for name, values in (self.grid | lists).items() if not values]:
                raise ValueError(f"{where}: {empty[0]} has no values, so that there is no run")
            for name, values in (self.grid | lists).items():
                if unfit := [v for v in values if not _may_be_in_a_name(str(v))]:
                    raise ValueError(
                        f"{where}: {name} has a value that no file's name can hold "
                        f"({quoted(unfit[0])}): give one without '/', in at most {LONGEST} "
                        "printable characters"
                    )
                if twice := [v for i, v in enumerate(values) if v in values[:i]]:
                    raise ValueError(f"{where}: {name} has the value {twice[0]} twice")
        return self

    @property
    def is_sweep(self) -> bool:
        """Whether this entry is a sweep."""
        return bool(self.cases or self.grid)

    @property
    def is_run_of_a_sweep(self) -> bool:
        """Whether this entry is one run of a sweep, which has a record but no page."""
        return "/" in self.name

    def runs(self) -> list["Entry"]:
        """Return the runs of a sweep: every case with every combination of the grid's values.

        Raises
        ------
        ForgettingError
            The values of two runs make the same name.
        """
        runs = []
        for case, given in (self.cases or {"": {}}).items():
            lists = {name: value for name, value in given.items() if isinstance(value, list)}
            axes = {**self.grid, **lists}
            for values in itertools.product(*axes.values()):
                label = "-".join(map(str, (case, *values) if case else values))
                parameters = {**self.parameters, **given, **dict(zip(axes, values, strict=True))}
                update = {"name": f"{self.name}/{label}", "parameters": parameters}
                runs.append(self.model_copy(update=update | {"cases": {}, "grid": {}}))
        _check_names(run.name for run in runs)
        return runs

    def fingerprint(self, checkout: Checkout = HERE) -> str:
        """Return a hash of everything except weights that the figures of a page or run depend on.

        These are the computing tree of the template, role, parameters, and the records that the
        page reads. Prose and figure cells are not among them.

        Returns
        -------
        str
            Hexadecimal sha256.
        """
        cells = templates.read(self.template, checkout).cells
        runs = [run.name for run in sweep(self.reads, checkout).runs()] if self.reads else []
        return self.fingerprint_of(cells, read_records(checkout.results, runs))

    def fingerprint_of(
        self,
        cells: list[nbformat.NotebookNode],
        runs: Mapping[str, Record],
    ) -> str:
        """Return the fingerprint that the entry has with given cells and records.

        Parameters
        ----------
        cells : list of nbformat.NotebookNode
            Cells of the template.
        runs : mapping of str to dict
            Records of a sweep's runs; empty unless the page reads them.

        Returns
        -------
        str
            Hexadecimal sha256.
        """
        return self.fingerprint_of_tree(computing_tree(cells), runs)

    def fingerprint_of_tree(self, tree: ast.Module, runs: Mapping[str, Record]) -> str:
        """Return what `fingerprint_of` returns, given the computing tree of the cells."""
        circumstances = {"role": self.role, "parameters": self.parameters}
        # `pages` is empty since no page reads those of others; without it all hashes would differ
        return fingerprint(tree, {**circumstances, "pages": {}, "runs": runs})


def entries(checkout: Checkout = HERE) -> list[Entry]:
    """Return the entries of runs.yaml, in order.

    Returns
    -------
    list of Entry

    Raises
    ------
    ForgettingError
        runs.yaml cannot be read, an entry is malformed, two have one name, a key is given twice,
        or the template of an entry lacks one of its parameters.
    """
    listed = [validated(Entry, values) for values in read_mappings(checkout.runs_file)]
    _check_names(entry.name for entry in listed)
    for entry in listed:
        given = {*entry.parameters, *entry.grid}.union(*entry.cases.values())
        try:
            templates.check_names(entry.template, dict.fromkeys(sorted(given)), checkout)
        except ParameterError as error:
            raise ForgettingError(f"runs.yaml, {entry.name}: {error}") from error
    return listed


def _may_be_in_a_name(text: str) -> bool:
    """Return whether the value of a parameter may stand in the names of a run's files."""
    is_plain = text.isprintable() and not {"/", "\\"} & set(text)
    return is_plain and 0 < len(text) <= LONGEST and set(text) != {"."}


def _check_names(names: Iterable[str]) -> None:
    """Check that no two records have one name, for file systems that ignore case, too."""
    if repeated := [name for name, n in Counter(map(str.casefold, names)).items() if n > 1]:
        raise ForgettingError(
            f"runs.yaml gives one name to two runs, {shortened(repeated)}: change a name, a case "
            "or a value."
        )


def pages(checkout: Checkout = HERE) -> list[Entry]:
    """Return the entries that are pages, in order.

    Returns
    -------
    list of Entry
    """
    return [entry for entry in entries(checkout) if not entry.is_sweep]


def sweeps(checkout: Checkout = HERE) -> list[Entry]:
    """Return the entries that are sweeps, in order.

    Returns
    -------
    list of Entry
    """
    return [entry for entry in entries(checkout) if entry.is_sweep]


def sweep(name: str, checkout: Checkout = HERE) -> Entry:
    """Return a sweep by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Entry

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep; the most similar name is given.
    """
    listed = {entry.name: entry for entry in sweeps(checkout)}
    if name not in listed:
        hint = did_you_mean(name, list(listed))
        raise ForgettingError(f"runs.yaml has no sweep {name!r}. {hint}")
    return listed[name]
