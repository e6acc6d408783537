"""What chapters may write: figures of records in their sentences, and charts drawn from records.

A Sphinx extension. Chapters are Markdown; nothing in them is typed that a record holds:

- ``{share}`RECORD METRIC` `` is a share in percent, and ``{share}`RECORD METRIC interval` `` the
  same with its interval. Digits are rounded as the interval allows.
- ``{points}`RECORD METRIC` `` is a difference of shares in points, with the same ending.
- ``{number}`RECORD METRIC` `` is any other figure, with the same ending.
- ``{minutes}`RECORD` `` is how long a published run took.
- ``{chart}`` shows a chart of `forgetting.book.charts`, drawn for light and dark pages, for wide
  and narrow screens, with its figures as a file to download. Its option `alt` is obligatory.
"""

import functools
import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import matplotlib as mpl
import matplotlib.pyplot as plt
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole

from forgetting.book.cells import link_to
from forgetting.book.charts import CHARTS, NARROW, WIDE, Chart
from forgetting.book.entries import Entry, entries
from forgetting.book.numerals import Results, in_figures, in_minutes
from forgetting.book.theme import LABELS, LIGHT, THEMES, Theme, recoloured, use_theme
from forgetting.errors import ForgettingError
from forgetting.foundation.files import write_texts

FOLDER = "_charts"
"""Folder of the staged book that holds the drawn charts."""

SILENT = {"sphinx-mathjax-offline", "sphinx_jupyterbook_latex", "sphinx_multitoc_numbering"}
"""Extensions that change no page while it is read, but do not tell Sphinx, which would then read
on one core."""

RESULTS = Results()
"""The records that chapters cite."""


class Figure(SphinxRole):
    """A figure of a record in a sentence."""

    unit, factor = "", 1.0
    least, most, kind = -math.inf, math.inf, "number"

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the figure as text, or report why there is none."""
        record, metric, *options = self.text.split()
        try:
            text = self.shown(record, metric, options)
            note_use(self.env, {record})
        except ForgettingError as error:
            message = self.inliner.reporter.warning(str(error), line=self.lineno)
            return [nodes.problematic(self.rawtext, self.rawtext)], [message]
        return [
            nodes.inline(text, text.replace(" %", "\N{NO-BREAK SPACE}%"), classes=["measured"])
        ], []

    def shown(self, record: str, metric: str, options: Sequence[str] = ()) -> str:
        """Return a metric of a record as text.

        Raises
        ------
        ForgettingError
            There is no such metric, it has not the interval that is wanted, or it lies where no
            figure of this kind does.
        """
        if list(options) not in ([], ["interval"]):
            raise ForgettingError(f"After record and metric only `interval`, not {options}.")
        value, low, high = RESULTS.value(record, metric)
        if not self.least <= value <= self.most:
            raise ForgettingError(
                f"{metric} of {record} is {value:g}, which is no {self.kind}: cite it as `number`."
            )
        if options and not high > low:
            raise ForgettingError(f"{metric} of {record} has no interval: take out `interval`.")
        value, low, high = (self.factor * x for x in (value, low, high))
        return in_figures(value, low, high, self.unit, bool(options))


class Share(Figure):
    """A share of a record in percent."""

    unit, factor = " %", 100.0
    least, most, kind = 0.0, 1.0, "share"


class Points(Figure):
    """A difference of shares of a record, in points."""

    unit, factor = " points", 100.0
    least, most, kind = -1.0, 1.0, "difference of shares"


class Minutes(SphinxRole):
    """How long a published run took."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the duration as text, or report why there is none."""
        try:
            text = in_minutes(RESULTS.seconds(self.text))
        except ForgettingError as error:
            message = self.inliner.reporter.warning(str(error), line=self.lineno)
            return [nodes.problematic(self.rawtext, self.rawtext)], [message]
        return [nodes.inline(text, text, classes=["measured"])], []


class ChartDirective(SphinxDirective):
    """A chart with its caption, alternative text, and figures to download."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return a figure of four drawings, of which a page shows one."""
        (name,) = self.arguments
        if "alt" not in self.options:
            raise self.error(f"The chart {name} has no alternative text: give it `:alt:`.")
        RESULTS.used.clear()
        try:
            paths = draw(name, Path(self.env.srcdir) / FOLDER)
            note_use(self.env, RESULTS.used)
        except ForgettingError as error:
            raise self.error(str(error)) from error
        figure = nodes.figure(classes=["chart"])
        self.set_source_info(figure)
        for kind, path in paths.items():
            if path.suffix == ".svg":
                figure += nodes.image(
                    uri=f"/{FOLDER}/{path.name}", alt=self.options["alt"], classes=kind.split()
                )
        text, messages = self.parse_inline(" ".join(self.content), lineno=self.lineno)
        link = addnodes.download_reference(
            "", "", nodes.inline("", "figures as CSV"), reftarget=f"/{FOLDER}/{paths['csv'].name}"
        )
        figure += nodes.caption("", "", *text, nodes.Text(" ("), link, nodes.Text(")"))
        return [figure, *messages]


def draw(name: str, folder: Path) -> dict[str, Path]:
    """Draw a chart for every theme and width, and write its figures.

    A dark drawing is the light one in other colours: to draw takes much longer than to recolour.

    Parameters
    ----------
    name : str
        Of the chart.
    folder : Path
        Where the files go.

    Returns
    -------
    dict of str to Path
        The drawings by the classes of the page that show them, and the table under `csv`.

    Raises
    ------
    ForgettingError
        There is no such chart, or a record that it needs is missing.
    """
    chart = CHARTS[name](RESULTS)
    data = chart.data
    if "model" in data:
        data = data.assign(model=data["model"].replace(dict(LABELS)))
    table = data.to_csv(index=False, float_format="%.6g")
    stem = f"{name}-{hashlib.sha256(table.encode()).hexdigest()[:8]}"
    widths = {"wide": WIDE, "narrow": NARROW}
    drawings = {screen: drawing(chart, LIGHT, width) for screen, width in widths.items()}
    paths = {"csv": folder / f"{name}.csv"}
    texts = {paths["csv"]: table}
    for theme in THEMES:
        for screen, light in drawings.items():
            path = folder / f"{stem}-{theme.name}-{screen}.svg"
            paths[f"only-{theme.name} only-{screen}"] = path
            texts[path] = recoloured(light, theme)
    write_texts(texts)
    return paths


def drawing(chart: Chart, theme: Theme, width: float) -> str:
    """Return a chart as SVG.

    Parameters
    ----------
    width : float
        Inches.
    """
    stream = io.StringIO()
    with mpl.rc_context():
        use_theme(theme)
        figure = chart.draw(theme, width)
        figure.savefig(stream, format="svg", metadata={"Date": None})
        plt.close(figure)
    return stream.getvalue()


def note_use(env: BuildEnvironment, names: Iterable[str]) -> None:
    """Note which records the page that is read cites."""
    env.temp_data.setdefault("records", set()).update(names)


@functools.cache
def _listed() -> dict[str, Entry]:
    """Return the entries of runs.yaml by name, which all pages of a build share."""
    return {entry.name: entry for entry in entries()}


def load_shared(app: Sphinx) -> None:
    """Load what all pages share, once, before Sphinx forks the processes that read them."""
    list(CHARTS)  # imports their modules
    _listed()
    for name in SILENT & set(app.extensions):
        app.extensions[name].parallel_read_safe = True


def tell_outdated(app: Sphinx, document: nodes.document) -> None:
    """Add a note to a page that cites runs of earlier code, which are to be executed anew."""
    cited = {name.partition("/")[0] for name in app.env.temp_data.get("records", ())}
    listed = _listed()
    read = {listed[name].reads for name in cited if name in listed}
    table_of = {entry.reads: entry.name for entry in listed.values() if entry.reads}
    outdated = {n for n in cited | read if n in listed and listed[n].outdated}
    names = sorted({table_of.get(name, name) for name in outdated})
    if names and document.children:
        note = nodes.note(classes=["outdated"])
        text = "Some figures of this page are of runs of earlier code, to be executed anew: "
        told = nodes.paragraph("", text)
        for place, name in enumerate(names):
            told += nodes.Text(", " if place else "")
            told += nodes.Text(name) if listed[name].is_sweep else link_to(f"runs/{name}")
        told += nodes.Text(".")
        note += told
        page = document.next_node(nodes.section)
        place = page.first_child_matching_class(nodes.section)
        page.insert(len(page) if place is None else place, note)  # below what the page says first


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the roles and the directive to Sphinx."""
    mpl.use("Agg")
    app.add_role("share", Share())
    app.add_role("points", Points())
    app.add_role("number", Figure())
    app.add_role("minutes", Minutes())
    app.add_directive("chart", ChartDirective)
    app.connect("builder-inited", load_shared)
    app.connect("doctree-read", tell_outdated)
    app.add_js_file("sort.js", loading_method="defer")
    return {"parallel_read_safe": True, "version": "1"}
