"""Parts of pages that several directives make: cells and rows of tables, and links to pages."""

from collections.abc import Sequence

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective


def cell(text: str) -> nodes.paragraph:
    """Return a paragraph of a table, in which no line breaks before a percent sign."""
    return nodes.paragraph("", text.replace(" %", "\N{NO-BREAK SPACE}%"))


def row(cells: list[nodes.Node]) -> nodes.row:
    """Return a row of a table."""
    return nodes.row("", *(nodes.entry("", inner) for inner in cells))


def table_of(
    directive: SphinxDirective,
    columns: Sequence[tuple[str, int]],
    rows: Sequence[list[nodes.Node]],
    classes: list[str],
) -> list[nodes.Node]:
    """Return a table whose caption is the content of a directive, and messages on the caption.

    Parameters
    ----------
    columns : sequence of (head, width)
        Widths are relative.
    rows : sequence of list of Node
        The cells of each row.
    classes : list[str]
        For the style sheet.
    """
    table = nodes.table(classes=classes)
    directive.set_source_info(table)
    caption, messages = directive.parse_inline(
        " ".join(directive.content), lineno=directive.lineno
    )
    group = nodes.tgroup(cols=len(columns))
    group += [nodes.colspec(colwidth=width) for _, width in columns]
    group += nodes.thead("", row([cell(head) for head, _ in columns]))
    group += nodes.tbody("", *map(row, rows))
    table += [nodes.title("", "", *caption), group]
    return [table, *messages]


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
