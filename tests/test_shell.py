"""What surrounds the text of rendered pages: header, menus, scripts and footer."""

import os
import re
from collections import Counter

import pytest


@pytest.fixture(scope="module")
def pages(rendered):
    """Return the HTML of every rendered page, except redirections, by its path."""
    texts = {
        str(path.relative_to(rendered)): path.read_text(encoding="utf-8")
        for path in sorted(rendered.rglob("*.html"))
        if "_static" not in path.parts
    }
    return {path: text for path, text in texts.items() if 'http-equiv="Refresh"' not in text}


def test_a_page_has_one_header_and_one_button_for_each_menu(pages):
    assert "book/taming.html" in pages
    for path, text in pages.items():
        classes = re.findall(r'<button\b[^>]*\bclass="([^"]*)"', text)
        count = Counter(name for value in classes for name in value.split())
        assert len(re.findall(r"<header\b", text)) == 1, path
        assert count["primary-toggle"] == count["theme-switch-button"] == 1, path
        assert count["secondary-toggle"] <= 1, path


def test_no_two_controls_have_the_same_id(pages):
    tags = "button|header|footer|dialog|nav|form|input"
    for path, text in pages.items():
        ids = re.findall(rf'<(?:{tags})\b[^>]*\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), path


def test_no_script_declares_a_constant_twice(pages):
    for path, text in pages.items():
        declared = re.findall(r"\b(?:const|let) (\w+) ?=", "".join(inline_scripts(text)))
        assert len(declared) == len(set(declared)), path
        assert text.count("const THEBE_JS_URL") <= 1, path


def test_a_page_declares_its_initial_colours(pages):
    for path, text in pages.items():
        assert 'data-default-mode="auto"' in text, path  # the theme logs an error if it is empty


def test_every_page_states_its_licence_with_a_link(pages):
    for path, text in pages.items():
        (line,) = re.findall(r'<p class="licence">(.*?)</p>', text, flags=re.S)
        assert "Code: MIT" in line, path
        assert "non-commercial research only" in line, path
        (link,) = re.findall(r'href="([^"]+)"', line)
        target = path if link == "#" else os.path.normpath(f"{os.path.dirname(path)}/{link}")
        assert target.lstrip("/") == "book/licence.html", path


def inline_scripts(text):
    return re.findall(r"<script>(.*?)</script>", text, flags=re.S)
