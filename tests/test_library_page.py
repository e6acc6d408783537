"""The page on the library is complete: each name of the front door as its docstring has it."""

import inspect
import re

import yaml

import forgetting
from forgetting.foundation.files import ROOT

PAGE = ROOT / "book" / "library.md"
ENTRY = re.compile(r"^````\{py:function\} forgetting\.(\w+)(\(.*?\))\n\n(.*?)^````$", re.M | re.S)
NAMES = [name for name in forgetting.__all__ if name != "__version__"]


def short_signature(function):
    """Return a signature without annotations; a function as a default stands by its name."""
    signature = inspect.signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        default = parameter.default
        if inspect.isfunction(default):
            default = type("Named", (), {"__repr__": lambda self, f=default: f.__name__})()
        parameters.append(parameter.replace(annotation=parameter.empty, default=default))
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def entry(name):
    """Return the text of a name on the page: its first sentence, and its example."""
    text = inspect.getdoc(getattr(forgetting, name))
    sentence = text.partition("\n")[0]
    example = text.partition("Examples\n--------\n")[2].strip()
    return f"{sentence}\n\n```pycon\n{example}\n```\n"


def test_the_page_has_every_name_with_signature_sentence_and_example():
    found = {
        name: (signature, text)
        for name, signature, text in ENTRY.findall(PAGE.read_text(encoding="utf-8"))
    }
    assert sorted(found) == sorted(NAMES)
    for name, (signature, text) in found.items():
        assert signature == short_signature(getattr(forgetting, name))
        assert text == entry(name)  # tests/test_front_door.py runs the example


def test_the_page_on_citing_says_what_the_citation_file_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (ROOT / "book" / "cite.md").read_text(encoding="utf-8")
    for key in ("title", "version", "date-released", "license"):
        assert f"{{{citation[key]}}}" in page
    (author,) = citation["authors"]
    assert f"{{{{{author['name']}}}}}" in page
    assert forgetting.__version__ == citation["version"]
