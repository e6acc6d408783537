"""The directive `metrics`: what every figure of a record is, as results/README.md says it."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.checkout import HERE

FILE = "README.md"


class Metrics(SphinxDirective):
    """The text and tables of results/README.md but for its title; headings name the tables."""

    def run(self) -> list[nodes.Node]:
        """Return the sections, in which every table has the heading above it as its caption."""
        path = HERE.results / FILE
        self.env.note_dependency(str(path))
        _, _, text = path.read_text(encoding="utf-8").partition("\n")
        lead, *sections = text.split("\n## ")
        return [*self.parse_text_to_nodes(lead), *map(self._section, sections)]

    def _section(self, text: str) -> nodes.section:
        """Return a section, whose heading is the first line."""
        heading, _, body = text.partition("\n")
        section = nodes.section("", nodes.title("", heading), names=[heading.lower()])
        self.state.document.note_implicit_target(section, section)
        section += self.parse_text_to_nodes(body)
        for table in section.findall(nodes.table):
            table.insert(0, nodes.title("", heading))
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("metrics", Metrics)
    return {"parallel_read_safe": True, "version": "1"}
