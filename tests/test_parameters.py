"""Parameters that templates share: their ranges, presets and the line that a page prints."""

import pytest
from pydantic import ValidationError

from forgetting.book.run import begin
from forgetting.errors import ParameterError
from forgetting.experiments.attribute_images import SOURCES, FaceFlowParameters
from forgetting.experiments.context import Parameters
from forgetting.experiments.own_parameters import OwnUnlearningParameters
from forgetting.experiments.unlearning import PRESETS, FeatureParameters
from forgetting.experiments.unlearning_methods import UnlearningParameters


class Labelled(Parameters):
    labels: str


def test_a_line_has_every_parameter_but_empty_ones():
    assert Labelled(labels="a.csv", seed=3).line() == (
        "preset default, seed 3, device auto, labels a.csv"
    )
    assert Labelled(labels="").line() == "preset default, seed 0, device auto"


def test_a_flow_of_faces_takes_the_sources_that_there_are():
    for source in SOURCES:
        FaceFlowParameters(source=source, model="faces-glow", temperature=0.7)
    with pytest.raises(ValidationError, match="source"):
        FaceFlowParameters(source="lfw", model="faces-glow", temperature=0.7)
    with pytest.raises(ValidationError, match="temperature"):
        FaceFlowParameters(source="auto", model="faces-glow", temperature=0.0)


@pytest.mark.parametrize("name", ["smoke", "default"])
def test_presets_of_unlearning_are_within_the_ranges_of_its_parameters(name):
    sizes = {key: n for key, n in PRESETS[name].items() if key in FeatureParameters.model_fields}
    assert FeatureParameters(feature="thick", model="digits-vae", preset=name, **sizes)
    assert PRESETS[name].keys() == {"n_collected", "steps", "rounds", "n_samples"}


@pytest.mark.parametrize(
    ("model", "unused"),
    [(UnlearningParameters, ["rounds"]), (OwnUnlearningParameters, ["rounds", "n_collected"])],
)
def test_a_parameter_that_has_no_effect_beside_others_is_refused(model, unused):
    presets = {"default": dict.fromkeys(unused, 6)}
    for name in unused:
        given = {"method": "moon2024", name: 9}
        with pytest.raises(ParameterError, match=f"^{name} = 9 has no effect with .*'moon2024'"):
            begin("template", model, presets, given)
        # where it has one, is not given, or is what the preset has: other parameters are missing
        for taken in ({"method": "until_gone"}, {name: 0}, {name: 6}):
            with pytest.raises(ParameterError, match="field required"):
                begin("template", model, presets, given | taken)
