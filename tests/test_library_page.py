"""The page on the library is complete: each name of the front door, and what a result holds."""

import inspect
import re

import yaml

import forgetting
from forgetting.foundation.files import ROOT

PAGE = ROOT / "book" / "library.md"
NAMES = [name for name in forgetting.__all__ if name != "__version__"]


def test_the_page_has_every_name_of_the_front_door_once():
    found = re.findall(r"^\.\. autofunction:: forgetting\.(\w+)$", PAGE.read_text(), re.M)
    assert sorted(found) == sorted(NAMES)


def test_the_page_has_the_class_of_every_result():
    text = PAGE.read_text()
    for name in ("unlearn", "tame", "audit", "prevalence"):
        returned = inspect.signature(getattr(forgetting, name)).return_annotation
        place = f"{returned.__module__}.{returned.__name__}"
        assert f".. autoclass:: {place}()" in text


def test_the_page_on_citing_says_what_the_citation_file_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (ROOT / "book" / "cite.md").read_text(encoding="utf-8")
    for key in ("title", "version", "date-released", "license"):
        assert f"{{{citation[key]}}}" in page
    (author,) = citation["authors"]
    assert f"{{{{{author['name']}}}}}" in page
    assert forgetting.__version__ == citation["version"]
