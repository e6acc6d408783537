"""Parts of pages that several directives make: cells and rows of tables, and links to pages."""

from collections.abc import Sequence

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective


def cell(text: str, *classes: str) -> nodes.paragraph:
    """Return a paragraph of a table, in which no line breaks before a percent sign."""
    paragraph = nodes.paragraph("", text.replace(" %", "\N{NO-BREAK SPACE}%"))
    paragraph["classes"] += classes
    return paragraph


def badge(verdict: str, text: str = "") -> nodes.paragraph:
    """Return a verdict as a coloured word, or another text in the colour of the verdict."""
    classes = ["verdict", verdict.replace(" ", "-")]
    return nodes.paragraph("", "", nodes.inline("", text or verdict, classes=classes))


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

    A narrow screen shows each row as a card, in which every cell stands behind the head of its
    column.

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
    heads = [head for head, _ in columns]
    group += nodes.tbody("", *(row(_with_heads(cells, heads)) for cells in rows))
    table += [nodes.title("", "", *caption), group]
    return [table, *messages]


def _with_heads(cells: list[nodes.Node], heads: list[str]) -> list[nodes.Node]:
    """Return the cells of a row; all but the first that say something begin with their head."""
    first, *others = cells
    return [
        first,
        *(
            nodes.container("", cell(head, "column"), inner) if inner.children else inner
            for inner, head in zip(others, heads[1:], strict=True)
        ),
    ]


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
