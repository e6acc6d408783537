"""Parts of pages that several directives make: cells and rows of tables, and links to pages."""

from docutils import nodes
from sphinx import addnodes


def cell(text: str) -> nodes.paragraph:
    """Return a paragraph of a table, in which no line breaks before a percent sign."""
    return nodes.paragraph("", text.replace(" %", "\N{NO-BREAK SPACE}%"))


def row(cells: list[nodes.Node]) -> nodes.row:
    """Return a row of a table."""
    return nodes.row("", *(nodes.entry("", inner) for inner in cells))


def link_to(page: str) -> addnodes.pending_xref:
    """Return a link to a page, whose text is the title of the page.

    Parameters
    ----------
    page : str
        Its name below `book/`, such as `hidden` or `runs/tame_1`.
    """
    return addnodes.pending_xref(
        "",
        nodes.inline(),
        refdomain="std",
        reftype="doc",
        reftarget=f"/book/{page}",
        refexplicit=False,
        refwarn=True,
    )
