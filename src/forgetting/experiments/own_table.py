"""Tables of reports on anyone's model, as text."""

from collections.abc import Mapping, Sequence


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as aligned lines: the first column to the left, others to the right."""
    first, *others = ([len(cell) for cell in column] for column in zip(*rows, strict=True))
    lines = []
    for head, *cells in rows:
        aligned = [c.rjust(max(widths)) for c, widths in zip(cells, others, strict=True)]
        lines.append("  ".join([head.ljust(max(first)), *aligned]).rstrip())
    return "\n".join(lines)


def share_text(metrics: Mapping[str, float], name: str) -> str:
    """Return a share of metrics by its name, with the ends of its interval, in percent."""
    low, high = metrics[f"{name}_low"], metrics[f"{name}_high"]
    return f"{metrics[name]:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def threshold_sentences(titles: Sequence[str], thresholds: Sequence[float]) -> list[str]:
    """Return a sentence on where scores count as the feature, unless all begin at 0.

    Parameters
    ----------
    titles, thresholds : sequence
        Of what steers, and then of what grades; there may be fewer thresholds.
    """
    if not any(thresholds):
        return []
    each = (f"{value:g} by {title}" for title, value in zip(titles, thresholds, strict=False))
    return [f"A sample has the feature with a score above {' and '.join(each)}."]
