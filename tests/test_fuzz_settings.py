"""Configurations of generated values: each is made, or refused in one sentence."""

import importlib
import json
import pkgutil

import pytest
from fuzzing import fuzzed, numbers, odd, survives, texts
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import forgetting
from forgetting.book import run as runs
from forgetting.book import templates
from forgetting.errors import validated
from forgetting.experiments.context import Parameters


def _configurations():
    """Return every configuration of the package by its place; a new one is among them."""
    for module in pkgutil.walk_packages(forgetting.__path__, "forgetting."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds, seen = [BaseModel], {}
    while kinds:
        for kind in kinds.pop().__subclasses__():
            kinds.append(kind)
            if kind.__module__.startswith("forgetting."):
                seen[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return dict(sorted(seen.items()))


CONFIGURATIONS = _configurations()


@pytest.mark.parametrize("place", CONFIGURATIONS)
@fuzzed
@given(data=st.data())
def test_a_configuration_is_made_or_refused_in_a_sentence(place, data):
    kind = CONFIGURATIONS[place]
    names = st.sampled_from([*kind.model_fields, "seed", "typo"]) | texts
    given_values = data.draw(odd | st.dictionaries(names, odd | numbers, max_size=6))
    config = survives("configuration", lambda: validated(kind, given_values))
    if config is not None:
        json.loads(config.model_dump_json())


@fuzzed
@given(template=st.sampled_from(templates.names()), data=st.data())
def test_parameters_of_a_template_are_read_or_refused_in_a_sentence(template, data):
    names = st.sampled_from([*templates.parameters(template), "typo"]) | texts
    pairs = data.draw(st.dictionaries(names, texts, max_size=3))
    survives("template", lambda: templates.convert(template, pairs))


PRESETS = {"default": {}, "smoke": {"seed": 1}}


@fuzzed
@given(values=st.dictionaries(st.sampled_from(["preset", "seed", "device", "method"]), odd))
def test_the_cell_of_parameters_begins_a_run_or_is_refused_in_a_sentence(values):
    survives("run", lambda: runs.begin("tour", Parameters, PRESETS, values))
