"""Registries: what a wing offers by name, and what other packages add to it.

A module adds an entry with `@REGISTRY.register("name")`. The modules of the wing are imported on
the first look-up, so that a new file is enough. Another package adds entries through an entry
point in the registry's group, which names the entry or a module that registers it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from forgetting.errors import ForgettingError, ParameterError, did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Entries by name, in alphabetical order."""

    def __init__(self, kind: str, package: str, group: str | None = None) -> None:
        """Make a registry for the modules of a package.

        Parameters
        ----------
        kind : str
            What an entry is, in one word, as errors say it.
        package : str
            Whose modules register entries, such as `forgetting.methods`.
        group : str, optional
            Of the entry points through which other packages add theirs; the package's name, unless
            the package has a second registry.
        """
        self.kind = kind
        self.package = package
        self.group = group or package
        self._entries: dict[str, T] = {}
        self._is_loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds what it decorates under a name.

        Raises
        ------
        ParameterError
            Another entry has that name.
        """

        def add(entry: T) -> T:
            if self._entries.get(name, entry) is not entry:
                raise ParameterError(
                    f"Two entries of {self.group} are called {name!r}: rename one of them."
                )
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        """Return an entry.

        Raises
        ------
        ParameterError
            There is no such entry; the most similar name is named.
        """
        self._load()
        if name not in self._entries:
            hint = did_you_mean(name, sorted(self._entries))
            raise ParameterError(f"There is no {self.kind} {name!r}. {hint}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        """Import the package's modules and what other packages add, once.

        Raises
        ------
        ForgettingError
            What another package adds cannot be imported.
        """
        if self._is_loaded:
            return
        self._is_loaded = True  # before the imports, whose modules may look entries up
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, f"{self.package}."):
            importlib.import_module(module.name)
        for point in entry_points(group=self.group):
            entry = self._imported(point)
            if point.name not in self._entries and not isinstance(entry, ModuleType):
                self.register(point.name)(entry)

    def _imported(self, point: EntryPoint) -> Any:
        """Return what an entry point names: an entry, or a module that registers its entries."""
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            self._is_loaded = False  # the next look-up says so again
            package = point.dist.name if point.dist else "another package"
            raise ForgettingError(
                f"The {self.kind} {point.name!r} of {package} cannot be imported from "
                f"{point.value!r} ({error}): mend or remove that package."
            ) from error
