"""The rendered book in Chromium: what a reader can see, open, play with and tell apart."""

import json
import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from axe_playwright_python.sync_playwright import Axe  # noqa: E402  # after the check

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

WIDE, NARROW = {"width": 1400, "height": 1000}, {"width": 390, "height": 844}

CHAPTERS = (
    "index",
    "found",
    "feature_unlearning",
    "unlearning_digits",
    "taming_people",
    "glossary",
)

WITHOUT_ALT = "[...document.querySelectorAll('main img')].filter(x => !x.alt.trim()).length"
WITHOUT_CAPTION = (
    "[...document.querySelectorAll('main table')]"
    ".filter(x => !x.caption && !x.closest('.highlight')).length"
)
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

TORN = """() => {
  const torn = [];
  for (const figure of document.querySelectorAll('main .measured')) {
    const next = figure.nextSibling;
    if (!next || !/^[.,;:)]/.test(next.data ?? '')) continue;
    const mark = document.createRange();
    mark.setStart(next, 0);
    mark.setEnd(next, 1);
    const end = figure.getClientRects()[figure.getClientRects().length - 1];
    if (mark.getBoundingClientRect().left < end.right - 1) torn.push(figure.textContent);
  }
  return torn;
}"""
"""The figures whose punctuation mark begins the next line."""


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, rendered):
    """Return a function that opens a page of the book, by its address below `book/`."""
    contexts = []

    def open_page(name, viewport=WIDE, scheme="light", **options):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto((rendered / "book" / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def addresses(rendered):
    return sorted(
        str(p.relative_to(rendered / "book")) for p in (rendered / "book").rglob("*.html")
    )


def test_no_page_logs_an_error_lacks_words_for_a_figure_or_is_wider_than_a_telephone(
    chromium, rendered
):
    context = chromium.new_context(viewport=NARROW)
    page, problems = context.new_page(), []
    where = ""
    page.on("console", lambda m: m.type == "error" and problems.append((where, m.text)))
    page.on("pageerror", lambda error: problems.append((where, str(error))))
    listed = addresses(rendered)
    assert len(listed) > 80
    for where in listed:
        page.goto((rendered / "book" / where).as_uri())
        for what in (WITHOUT_ALT, WITHOUT_CAPTION, WIDER):
            if found := page.evaluate(what):
                problems.append((where, what.split(".")[-1], found))
    context.close()
    assert problems == []


@pytest.mark.parametrize("width", [360, 390, 700, 1400])
def test_no_full_stop_or_comma_begins_a_line_behind_a_figure(chromium, rendered, width):
    context = chromium.new_context(viewport={"width": width, "height": 844})
    page, torn, n_figures = context.new_page(), [], 0
    for path in sorted((rendered / "book").glob("*.html")):
        page.goto(path.as_uri())
        torn += [(path.stem, text) for text in page.evaluate(TORN)]
        n_figures += page.locator("main .measured").count()
    context.close()
    assert n_figures > 100
    assert torn == []


@pytest.mark.parametrize("name", ["found", "validation", "unlearning_table"])
def test_a_row_is_a_card_with_its_heads_on_a_telephone(opened, name):
    for viewport in (NARROW, WIDE):
        page = opened(name, viewport)
        cells = page.locator("table.claims tbody tr").first.locator("td")
        boxes = [cells.nth(index).bounding_box() for index in range(cells.count())]
        labels = [cells.nth(index).locator(".column") for index in range(1, cells.count())]
        shown = [label.text_content().strip() for label in labels if label.is_visible()]
        is_card = viewport is NARROW
        assert all((box["width"] > 300) == is_card for box in boxes[1:])
        assert (boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"] < boxes[3]["y"]) == is_card
        heads = page.locator("table.claims").first.locator("thead th")
        assert heads.first.is_visible() != is_card
        names = [name.strip() for name in heads.all_text_contents()]
        assert shown == (names[1:] if is_card else [])
        empty = [cell for cell in page.locator("table.claims td").all() if not cell.inner_text()]
        assert not is_card or not any(cell.is_visible() for cell in empty)


def test_menus_and_buttons_work_on_a_wide_screen(opened):
    page = opened("feature_unlearning")
    sidebar = page.locator("#pst-primary-sidebar")
    assert sidebar.bounding_box()["x"] >= 0
    page.locator("button.primary-toggle").click()
    page.wait_for_function(
        "document.querySelector('#pst-primary-sidebar').getBoundingClientRect().right <= 0"
    )
    page.locator("button.primary-toggle").click()
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.locator("button.theme-switch-button").click()
    page.locator("button.theme-switch-button").click()
    assert page.evaluate("document.documentElement.dataset.mode") != "auto"
    assert theme in ("light", "dark")
    page.locator(".dropdown-download-buttons > button").click()
    assert page.locator(".dropdown-download-buttons .dropdown-menu").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    assert page.locator(".pst-search-dialog, #pst-search-dialog").first.is_visible()


def test_menus_open_on_a_telephone(opened):
    page = opened("feature_unlearning", NARROW)
    page.locator("button.primary-toggle").click()
    page.locator("#pst-primary-sidebar-modal").wait_for(state="visible")
    assert (
        page.locator("#pst-primary-sidebar-modal")
        .get_by_text("Unlearning a feature", exact=True)
        .is_visible()
    )
    page.keyboard.press("Escape")
    page.locator("#pst-primary-sidebar-modal").wait_for(state="hidden")
    page.locator("button.secondary-toggle").click()
    page.locator("#pst-secondary-sidebar-modal").wait_for(state="visible")


def test_a_reader_plays_by_mouse_and_by_keyboard(opened):
    page = opened("feature_unlearning")
    play = page.locator(".play").first
    image = play.locator(".image").first
    before = image.evaluate("x => getComputedStyle(x).backgroundPosition")
    place = play.locator("input.place")
    place.focus()
    page.keyboard.press("Home")
    moved = image.evaluate("x => getComputedStyle(x).backgroundPosition")
    assert moved != before
    assert "below" in play.locator("output").inner_text()
    box = place.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert "above" in play.locator("output").inner_text()
    play.locator("input.sample").focus()
    page.keyboard.press("ArrowRight")
    after = image.evaluate("x => getComputedStyle(x).backgroundPosition")
    assert after.split()[1] != moved.split()[1]


def test_steps_of_taming_are_played_with_the_same_two_sliders(opened):
    play = opened("taming").locator(".play")
    place, output = play.locator("input.place"), play.locator("output")
    assert "after 600 steps" in output.inner_text()
    place.focus()
    place.press("Home")
    assert "delta 3, before taming" in output.inner_text()
    play.locator("input.sample").press("End")
    assert "delta 4, before taming" in output.inner_text()


@pytest.mark.parametrize("name", ["feature_unlearning", "taming"])
def test_the_pictures_of_the_widget_are_there(opened, name):
    page = opened(name)
    for image in page.locator(".play .image").all():
        address = image.evaluate("x => getComputedStyle(x).backgroundImage.slice(5, -2)")
        loaded = page.evaluate(
            "async a => { const i = new Image(); i.src = a; await i.decode(); return i.width; }",
            address,
        )
        assert loaded > 100


def test_a_long_table_is_sorted_by_the_head_that_is_pressed(opened):
    page = opened("all_methods")
    table = page.locator("table.sortable").first
    column = 1

    def shown():
        cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        return [float(text.split()[0].rstrip("%")) for text in cells if text[:1].isdigit()]

    before = shown()
    head = table.locator("thead th").nth(column)
    head.locator("button").click()
    assert shown() == sorted(before) != before
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert shown() == sorted(before, reverse=True)


def test_a_page_is_whole_without_javascript(opened):
    page = opened("feature_unlearning", java_script_enabled=False)
    play = page.locator(".play").first
    assert play.locator(".image").first.is_visible()
    assert not play.locator(".controls").is_visible()
    assert page.locator("figcaption").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_shows_one_drawing_of_a_chart(opened, scheme, viewport):
    page = opened("index", viewport, scheme)
    shown = [image for image in page.locator("figure.chart img").all() if image.is_visible()]
    assert len(shown) == page.locator("figure.chart").count()
    for image in shown:
        source = image.get_attribute("src")
        assert f"-{scheme}-" in source
        assert ("-narrow" in source) == (viewport is NARROW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_can_be_read_by_everyone(opened, name, scheme):
    page = opened(name, WIDE, scheme)
    rules = {"type": "rule", "values": ["color-contrast", "image-alt", "label", "link-name"]}
    found = Axe().run(page, context="main", options={"runOnly": rules}).response["violations"]
    told = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found]
    assert told == [], json.dumps(told, indent=1)
