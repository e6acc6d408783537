"""Rows of samples, and something to play with: two directives for chapters.

- ``{samples}`` shows a strip of `forgetting.book.pictures`: a row of images for each model.
- ``{play}`` shows a slider along a forgotten direction and what each model makes of its place, or
  one along the steps of taming. Without JavaScript it shows one place.

Both need the option `alt`. The first argument is the name of a subject; that of ``{samples}`` has
a second, `with` or `without` the feature.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = "book/_static/pictures"
"""Folder of the pictures in the staged book; Sphinx copies it to `_static/pictures`."""


class _Pictures(SphinxDirective):
    """What both directives share: the pictures of a subject, and the caption."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required}

    def subject(self) -> dict[str, Any]:
        """Return what `forgetting pictures` wrote of the subject."""
        path = Path(self.env.srcdir) / FOLDER / f"{self.arguments[0]}.json"
        if "alt" not in self.options:
            raise self.error(
                f"{self.name} {self.arguments[0]} has no alternative text: give :alt:"
            )
        if not path.is_file():
            raise self.error(f"There is no {path.name}: run `forgetting pictures`.")
        self.env.note_dependency(str(path))
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told

    def address(self, file: str) -> str:
        """Return the address of a picture, from the page."""
        depth = self.env.docname.count("/")
        return f"{'../' * depth}_static/pictures/{file}"

    def framed(self, html: str, classes: list[str]) -> list[nodes.Node]:
        """Return a figure of HTML, with the content as its caption."""
        figure = nodes.figure(classes=classes)
        self.set_source_info(figure)
        figure += nodes.raw("", html, format="html")
        text, messages = self.parse_inline(" ".join(self.content), lineno=self.lineno)
        figure += nodes.caption("", "", *text)
        return [figure, *messages]


class Samples(_Pictures):
    """A row of samples for each model, from the same latents."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Return the rows, each with its name."""
        told = self.subject()
        rows = told["rows"][self.arguments[1]]
        lines = [
            f'<div class="strip"><span>{escape(row["label"])}</span>'
            f'<div><img src="{self.address(row["file"])}" loading="lazy" '
            f'alt="{escape(self.options["alt"])}: {escape(row["label"])}.">'
            f"{_measured(row['values'])}</div></div>"
            for row in rows
        ]
        return self.framed("\n".join(lines), ["samples"])


def _measured(values: list[float]) -> str:
    """Return the measured values of a row, each below its image, as HTML."""
    cells = "".join(f"<span>{value}</span>" for value in values)
    return f'<div class="values">{cells}</div>' if values else ""


class Play(_Pictures):
    """Two sliders that choose one tile of each sprite."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the widget."""
        told = _with_texts(self.subject())
        row, column = told["start"]
        n, columns, size = told["samples"], len(told["places"]), told["size"]
        name, alt, shown = self.arguments[0], escape(self.options["alt"]), told["rows"]["play"]
        tiles = [
            f'<figure class="tile"><span class="image" role="img" style="'
            f"background-image: url('{self.address(tile['file'])}'); "
            f'--columns: {columns}; --rows: {n}" '
            f'aria-label="{alt}: {escape(tile["label"])}"></span>'
            f"<figcaption>{escape(tile['label'])}</figcaption></figure>"
            for tile in shown
        ]
        place, sample = (escape(told["controls"][which]) for which in ("place", "sample"))
        html = (
            f'<div class="play" id="play-{name}" '
            f'data-texts="{escape(json.dumps(told["texts"]))}" '
            f'style="--size: {size}px; --tiles: {len(shown)}; --column: {column}; --row: {row}">'
            f'<div class="tiles">{"".join(tiles)}</div>'
            '<div class="controls" hidden>'
            f'<label>{place} <input type="range" class="place" '
            f'min="0" max="{columns - 1}" step="1" value="{column}"></label>'
            f'<label>{sample} <input type="range" class="sample" min="0" max="{n - 1}" step="1" '
            f'value="{row}"></label>'
            '<output aria-live="polite"></output></div></div>'
        )
        return self.framed(html, ["playing"])


def _with_texts(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a widget; of a direction the texts follow from its threshold."""
    if "texts" in told:
        return told
    threshold, n = told["threshold"], told["samples"]
    sides = []
    for place in told["places"]:
        where, what = "below", "all should agree"
        if place >= threshold:
            where, what = "above", "the other two should differ from the original"
        sides.append(f"projection {place:.2f}, {where} the threshold {threshold:.2f}: {what}")
    return told | {
        "controls": {"place": "How much of the feature the latent has", "sample": "Sample"},
        "start": [told["first"], len(sides) - 3],
        "texts": [[f"sample {row + 1} of {n}, {side}" for side in sides] for row in range(n)],
    }


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx, and the script of the widget."""
    app.add_directive("samples", Samples)
    app.add_directive("play", Play)
    app.add_js_file("play.js", loading_method="defer")
    return {"parallel_read_safe": True, "version": "1"}
