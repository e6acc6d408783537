"""Chapters: charts are drawn from records, and executed pages are staged for a reader."""

import re

import nbformat
import pytest

from forgetting.book import pages as chapter_pages
from forgetting.book import staging
from forgetting.book.charts import CHARTS, NARROW, WIDE
from forgetting.book.charts.drawing import check_mean
from forgetting.book.checkout import HERE
from forgetting.book.entries import Entry, pages
from forgetting.book.staging import clean_download, lecturers, run_it_yourself, staged
from forgetting.book.theme import DARK, LIGHT, recoloured
from forgetting.errors import DataError, ForgettingError, ParameterError

CHAPTERS = sorted((HERE.root / "book").glob("*.md"))


@pytest.mark.parametrize("name", list(CHARTS))
def test_a_chart_is_drawn_for_both_themes_and_widths(name, tmp_path):
    paths = chapter_pages.draw(name, tmp_path)
    drawn = {kind: path.read_text(encoding="utf-8") for kind, path in paths.items()}
    assert set(drawn) == {
        "csv",
        *(
            f"only-{theme} only-{screen}"
            for theme in ("light", "dark")
            for screen in ("wide", "narrow")
        ),
    }
    assert drawn["csv"].count("\n") > 2
    for kind, text in drawn.items():
        if kind != "csv":
            width = float(re.search(r'width="([\d.]+)pt"', text).group(1)) / 72
            assert width == pytest.approx(NARROW if "narrow" in kind else WIDE, abs=0.01)
    assert chapter_pages.draw(name, tmp_path) == paths  # the same files, the same names


def with_plain_ids(drawing):
    """Return SVG whose identifiers are numbered; matplotlib makes them from the colours, too."""
    numbers = {}
    return re.sub(
        r"\b([mph]|C\w+_)[0-9a-f]{10}\b",
        lambda found: f"id-{numbers.setdefault(found[0], len(numbers))}",
        drawing,
    )


@pytest.mark.parametrize("name", list(CHARTS))
def test_a_recoloured_chart_is_what_is_drawn_for_a_dark_page(name):
    chart = CHARTS[name](chapter_pages.RESULTS)
    light, dark = (chapter_pages.drawing(chart, theme, NARROW) for theme in (LIGHT, DARK))
    assert with_plain_ids(recoloured(light, DARK)) == with_plain_ids(dark)
    assert recoloured(light, LIGHT) == light != dark


def test_a_table_beside_runs_of_another_execution_is_refused():
    check_mean("some share", 2.0, [1.0, 3.0])
    with pytest.raises(DataError, match=r"some share is 2, and its runs have 2\.5: publish"):
        check_mean("some share", 2.0, [2.0, 3.0])


def test_a_chart_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="digits-shares"):
        chapter_pages.draw("digit-shares", tmp_path)


def test_every_chart_stands_in_a_chapter():
    text = "\n".join(path.read_text(encoding="utf-8") for path in CHAPTERS)
    assert set(re.findall(r"```\{chart\} ([\w-]+)", text)) == set(CHARTS)


def test_no_figure_of_a_record_is_typed_into_a_chapter():
    for path in CHAPTERS:
        prose = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", path.read_text("utf-8"), flags=re.S)
        assert not re.findall(r"\d+\.\d+ ?%", prose), path.name


def page(*cells):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# A title\n\nText.")]
    )
    notebook.cells += cells
    return notebook


def code(source, tags=(), html=None, **metadata):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags), **metadata})
    if html:
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": html})]
    return cell


ENTRY = Entry(name="one", title="A title", template="speed", parameters={"seed": 3})


def test_the_lecture_of_a_template_stands_on_its_first_page_only():
    text = nbformat.v4.new_markdown_cell("## A step\n\nWhat the step does.")
    first = staged(page(text.copy()), ENTRY, "one")
    later = staged(page(text.copy()), ENTRY, "zero")
    assert "What the step does." in first.cells[1].source
    assert later.cells[1].source == "## A step"
    assert "{doc}`zero`" in later.cells[0].source
    assert lecturers()["feature_unlearning"] == "unlearn_thick"


def test_figures_have_an_alternative_text_and_tables_a_caption():
    table = "<table border='1'>\n<tr></tr></table>"
    given = code("x", html=table, caption="What is *left*", alt="Two curves.")
    silent = code("y", html=table)
    notebook = staged(page(given, nbformat.v4.new_markdown_cell("## Left"), silent), ENTRY, "one")
    cells = notebook.cells
    assert cells[1].metadata["mystnb"]["image"]["alt"] == "Two curves."
    assert "<caption>What is left</caption>" in cells[1].outputs[0]["data"]["text/html"]
    assert "A title" in cells[3].metadata["mystnb"]["image"]["alt"]
    assert "<caption>Left</caption>" in cells[3].outputs[0]["data"]["text/html"]


def test_parameters_and_what_validation_compares_are_folded():
    cells = staged(
        page(
            code("seed = 0", ["parameters"]),
            code("seed = 1", ["injected-parameters"]),
            code("print()", ["nbval-check-output"]),
            code("x = 1"),
        ),
        ENTRY,
        "one",
    ).cells
    assert [cell.metadata.get("tags", [])[-1:] for cell in cells[1:5]] == [
        ["hide-input"],
        ["hide-input"],
        ["hide-input"],
        [],
    ]


def test_a_figure_of_images_is_told_from_a_plot():
    images, plot = code("plots.image_rows(rows)", ["figure"]), code("plots.curves(x)", ["figure"])
    cells = staged(page(images, plot), ENTRY, "one").cells
    assert "samples" in cells[1].metadata["tags"]
    assert "samples" not in cells[2].metadata["tags"]


def test_an_outdated_page_says_so():
    entry = ENTRY.model_copy(update={"outdated": "it waits."})
    for lecturer in ("one", "zero"):
        title = staged(page(), entry, lecturer).cells[0].source
        assert "has changed since it was executed: it waits." in title


def test_a_table_of_outdated_runs_says_so(monkeypatch):
    sweep = ENTRY.model_copy(update={"name": "many", "outdated": "they wait."})
    monkeypatch.setattr(staging, "sweeps", lambda _: [sweep])
    told = staged(page(), ENTRY.model_copy(update={"reads": "many"}), "one").cells[0].source
    assert "are of an earlier code: they wait." in told
    assert "earlier code" not in staged(page(), ENTRY, "one").cells[0].source


def test_a_page_ends_with_its_command_and_how_long_it_takes():
    text = run_it_yourself(ENTRY)
    assert "forgetting run speed -p seed=3" in text
    assert "forgetting validate one" in text
    target = ENTRY.model_copy(update={"parameters": {"target": "Male: 0.3"}, "needs": "faces"})
    assert '-p target="Male: 0.3"' in run_it_yourself(target)
    assert "CelebA and LFW" in run_it_yourself(target)
    (speed,) = (entry for entry in pages() if entry.name == "speed")
    assert re.search(
        r"took (under a minute|\d+ minutes?) with \d+ threads?", run_it_yourself(speed)
    )


def test_a_downloaded_notebook_holds_no_roles_of_sphinx():
    source = (
        "See {doc}`../protocol`, {doc}`the table <runs/one>` and {cite}`moon2024feature`; "
        "{cite:t}`moon2024feature` say so.\n\n```{note}\nOld.\n```"
    )
    notebook = page(nbformat.v4.new_markdown_cell(source))
    titles, authors = (
        {"protocol": "How forgetting is judged"},
        {"moon2024feature": "Moon et al. 2024"},
    )
    text = clean_download(notebook, titles, authors).cells[1].source
    assert text == (
        "See How forgetting is judged, the table and (Moon et al. 2024); Moon et al. 2024 say so."
        "\n\n> Old.\n"
    )


@pytest.mark.parametrize(
    ("role", "metric", "options", "reason"),
    [
        (chapter_pages.Share, "fid_after", [], "is no share: cite it as `number`"),
        (chapter_pages.Points, "fid_after", [], "is no difference of shares"),
        (chapter_pages.Figure, "fid_after", ["interval"], "has no interval"),
    ],
)
def test_a_figure_of_another_kind_stops_the_book(role, metric, options, reason):
    with pytest.raises(ForgettingError, match=reason):
        role().shown("unlearn_gan_smiling", metric, options)
    assert chapter_pages.Share().shown("unlearn_gan_smiling", "prevalence_after").endswith(" %")


def test_a_figure_that_no_record_has_stops_the_book():
    with pytest.raises(ForgettingError, match="has no prevalence_afetr"):
        chapter_pages.RESULTS.value("unlearn_gan_smiling", "prevalence_afetr")
