"""The directive `settings`: every setting of a method, as its class describes them."""

from importlib import import_module
from typing import Any

from docutils import nodes
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import cell, table_of

COLUMNS = (("setting", 22), ("default", 14), ("what it is", 64))


class SettingsTable(SphinxDirective):
    """A table of the fields of a class of settings. The argument is its place, with dots."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        module, _, name = self.arguments[0].rpartition(".")
        try:
            fields = getattr(import_module(module), name).model_fields
        except (ImportError, AttributeError, ValueError) as error:
            raise self.error(f"There are no settings {self.arguments[0]}.") from error
        return table_of(self, COLUMNS, [_row(*field) for field in fields.items()], ["figures"])


def _row(name: str, field: FieldInfo) -> list[nodes.Node]:
    """Return the cells of one setting."""
    named = nodes.paragraph("", "", nodes.literal(name, name))
    return [named, cell(str(field.default)), cell(field.description or "")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("settings", SettingsTable)
    return {"parallel_read_safe": True, "version": "1"}
