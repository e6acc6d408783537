"""The directive `claims`: the claims of one paper, each with its verdict, figure and page."""

import json
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from forgetting.book.cells import badge, cell, link_to, table_of
from forgetting.book.checkout import HERE
from forgetting.book.claims import comparisons_of, figures_of, tally_of

COLUMNS = (("claim", 44), ("verdict", 13), ("figure", 27), ("page", 16))


class Claims(SphinxDirective):
    """A table of the claims of one paper, or of the study's own."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table, with the content as its caption."""
        path = HERE.results / "claims.json"
        self.env.note_dependency(str(path))
        claims = [
            claim
            for claim in json.loads(path.read_text(encoding="utf-8"))
            if claim["paper"] == self.arguments[0]
        ]
        if not claims:
            raise self.error(f"results/claims.json has no claims of {self.arguments[0]}.")
        return table_of(self, COLUMNS, [self._cells(claim) for claim in claims], ["claims"])

    def _cells(self, claim: dict[str, Any]) -> list[nodes.Node]:
        """Return the cells of a row: claim, rule and comparisons, verdict, figure, and page."""
        first = nodes.paragraph("", claim["claim"])
        detail = f"Not tested yet: {claim['reason']}." if "reason" in claim else claim["rule"]
        return [
            nodes.container("", first, cell(detail, "rule"), *_comparisons(claim)),
            badge(claim["verdict"]),
            nodes.container("", *map(cell, figures_of(claim))),
            nodes.paragraph("", "", link_to(claim["page"])),
        ]


def _comparisons(claim: dict[str, Any]) -> list[nodes.Node]:
    """Return the comparisons behind a verdict, folded behind how many of them hold."""
    texts = comparisons_of(claim)
    if not texts:
        return []
    summary = f'<details class="rule"><summary>{tally_of(claim)}</summary>'
    listed = nodes.bullet_list("", *(nodes.list_item("", cell(text)) for text in texts))
    return [
        nodes.raw("", summary, format="html"),
        listed,
        nodes.raw("", "</details>", format="html"),
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    app.add_directive("claims", Claims)
    return {"parallel_read_safe": True, "version": "1"}
