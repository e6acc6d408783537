"""Methods by name: one call for all, a file more is a method more; results."""

import re
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
from bars import Bars, width
from pydantic import BaseModel

from forgetting.errors import DataError, ParameterError
from forgetting.foundation import registry
from forgetting.foundation.registry import Registry
from forgetting.methods import METHODS, TamingResult, UnlearningResult
from forgetting.methods import registry as method_registry
from forgetting.methods.direction import Direction, find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.finetune import FinetuneConfig
from forgetting.methods.gradient_ascent import gradient_ascent
from forgetting.methods.registry import unlearning_method
from forgetting.methods.selective_amnesia import AmnesiaConfig, selective_amnesia

FEW = {"steps": 3, "batch_size": 16, "fisher_batches": 2}


def test_the_registry_holds_feature_unlearning_and_its_baselines():
    assert list(METHODS) == [
        "feature_unlearning",
        "gradient_ascent",
        "gradient_surgery",
        "latent_filter",
        "selective_amnesia",
        "uno",
        "whole_image",
    ]
    assert [name for name, method in METHODS.items() if method.needs_score] == [
        "gradient_ascent",
        "gradient_surgery",
        "uno",
    ]
    assert METHODS["selective_amnesia"].knob == "elastic"
    assert METHODS["latent_filter"].knob is None


@pytest.mark.parametrize("name", METHODS)
def test_every_method_describes_itself_and_its_settings(name):
    method = METHODS[name]
    assert method.name.replace(" ", "_") == name
    assert method.description.endswith(".")
    assert method.source
    assert issubclass(method.configuration, BaseModel)
    assert method.knob is None or method.knob in method.configuration.model_fields
    for field in method.configuration.model_fields.values():
        assert field.description


@pytest.mark.parametrize("name", METHODS)
def test_all_methods_run_by_the_same_call_and_leave_the_given_generator(bars, labelled, name):
    method, direction = METHODS[name], find_direction(labelled)
    state = {key: value.clone() for key, value in bars.state_dict().items()}
    steps = []
    result = method(
        bars,
        direction,
        lambda images: width(images) - 10,
        method.configure(FEW | {"lr": 0.05}),
        trainable=lambda model: model,
        callback=lambda row, model: steps.append(row["step"]),
    )
    assert isinstance(result, UnlearningResult)
    assert all(torch.equal(state[key], value) for key, value in bars.state_dict().items())
    assert not any(parameter.requires_grad for parameter in result.model.parameters())
    z = torch.randn(500, 6, generator=torch.Generator().manual_seed(1))
    wide = z[direction.selects(z)]
    with torch.no_grad():
        assert width(result.model(wide)).mean() < width(bars(wide)).mean()
    assert steps == ([] if name == "latent_filter" else [1, 2, 3])


def test_a_small_search_varies_the_knob_of_every_method():
    for method in METHODS.values():
        config = method.configure(FEW | {"elastic": 7.0})
        if method.knob is not None:
            assert getattr(config.model_copy(update={method.knob: 0.5}), method.knob) == 0.5
    assert METHODS["selective_amnesia"].configure(FEW | {"elastic": 7.0}).elastic == 7.0
    assert METHODS["whole_image"].configure(FEW | {"elastic": 7.0}).steps == 3


FADE = '''
from pydantic import BaseModel

from forgetting.methods.finetune import FinetuneConfig, finetune, l1_distance
from forgetting.methods.registry import unlearning_method


@unlearning_method("fade out", FinetuneConfig, source="a test")
def fade_out(problem, config):
    """Give latents with the feature a black image."""

    def objective(batch):
        black = l1_distance(batch.images, 0 * batch.images)
        return {"fade": (batch.selected * black).mean()}

    return finetune(problem, objective, config)
'''


@pytest.fixture
def fresh_methods(monkeypatch):
    """Return a registry of methods that has not yet looked for other packages."""
    methods = Registry("method", "forgetting.methods")
    methods._entries.update(METHODS)
    monkeypatch.setattr(method_registry, "METHODS", methods)
    return methods


def test_a_file_of_another_package_is_an_eighth_method(
    bars, labelled, tmp_path, monkeypatch, fresh_methods
):
    (tmp_path / "fading.py").write_text(FADE)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("fade_out", "fading", "forgetting.methods")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point][: group == "forgetting.methods"]
    )
    try:
        assert len(fresh_methods) == 8
        method = fresh_methods["fade_out"]
    finally:
        sys.modules.pop("fading", None)
    assert method.description == "Give latents with the feature a black image."
    config = method.configure({"steps": 20, "lr": 0.05})
    result = method(bars, find_direction(labelled), None, config)
    z = torch.randn(500, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert result.model(z).mean() < bars(z).mean()
    assert result.history[-1]["loss_fade"] > 0


def test_a_method_whose_knob_is_no_setting_is_refused():
    with pytest.raises(ParameterError, match=r"knob of odd is 'elastic', which is no field"):
        unlearning_method("odd", FinetuneConfig, source="a test", knob="elastic")


def test_the_call_of_a_method_is_checked_before_anything_is_tuned(bars, labelled):
    direction = find_direction(labelled)
    with pytest.raises(ParameterError, match="gradient ascent follows a score"):
        gradient_ascent(bars, direction)
    with pytest.raises(ParameterError, match="of class AmnesiaConfig, not FinetuneConfig"):
        selective_amnesia(bars, direction, None, FinetuneConfig())
    with pytest.raises(ParameterError, match="gradient ascent follows a score"):
        gradient_ascent(bars, direction, FinetuneConfig())
    for method in METHODS.values():
        with pytest.raises(
            DataError, match="direction has 3 dimensions, the generator's latents 6"
        ):
            method(bars, Direction(torch.ones(3), 0.0), width)


def test_settings_in_the_place_of_the_score_are_refused(bars, labelled):
    direction = find_direction(labelled)
    with pytest.raises(ParameterError, match=r"needs no score, .*is a AmnesiaConfig.* fourth"):
        selective_amnesia(bars, direction, AmnesiaConfig(steps=2))


def test_a_method_that_needs_no_score_does_without(bars, labelled):
    direction, config = find_direction(labelled), UnlearningConfig(steps=2)
    uniform = METHODS["feature_unlearning"](bars, direction, width, config)
    assert unlearn_feature(bars, direction, config).history == uniform.history
    assert len(uniform.history) == 1


ROW = {"step": 3, "mu": 2.0, "sigma": 0.5, "shift": 0.2, "forget_bpd": 4.0}


@pytest.mark.parametrize(
    ("row", "settle_within", "is_within_rule"),
    [
        ({"within": 1.0}, 0.0, True),
        ({"within": 0.9}, 0.0, False),
        ({"within": 1.0}, 0.1, False),
        ({"within": 1.0}, 0.2, True),
        ({}, 0.0, False),
        ({"met": 1.0}, 0.0, True),
        ({"met": 0.0}, 0.0, False),
    ],
)
def test_a_taming_result_says_whether_its_last_row_meets_the_rule(
    row, settle_within, is_within_rule
):
    history = [ROW | {"within": 0.0, "forget_bpd": 2.0}, ROW | row]
    result = TamingResult(Bars(), history, settle_within)
    assert result.is_within_rule is is_within_rule
    assert result.share_within == row.get("within")
    assert result.position == 4.0


@pytest.mark.parametrize("threshold", [50.0, -50.0])
def test_a_direction_that_selects_all_latents_or_none_is_no_feature(threshold):
    far = Direction(torch.eye(6)[0], threshold)
    for method in METHODS.values():
        with pytest.raises(DataError, match="standard normal, so that the direction selects"):
            method(Bars(), far, width)


@pytest.mark.parametrize("name", ["learning_rate", "Steps", "stepz", ""])
def test_a_setting_that_no_method_has_is_not_passed_over(name):
    for method in METHODS.values():
        with pytest.raises(ParameterError, match="No method has a setting"):
            method.configure({"steps": 3, name: 1})
    assert METHODS["whole_image"].configure({"steps": 3, "elastic": 2.0}).steps == 3


def row(step, within=0.0, shift=0.0, bpd=7.0):
    return {"step": step, "within": within, "shift": shift, "forget_bpd": bpd, "mu": 4, "sigma": 1}


@pytest.mark.parametrize(
    ("rows", "settle_within", "sentence"),
    [
        ([row(10, within=1.0, bpd=8)], 0.0, "The rule is met: after 10 steps .* at [+]4.00 sigma"),
        (
            [row(10), row(20, 0.5)],
            0.0,
            "50% of them .* step 10 to 20 their share rose from 0%: r",
        ),
        ([row(10, 0.5), row(20, 0.5)], 0.0, "From step 10 to 20 neither .*: raise `lr`"),
        ([row(0), *(row(s, 0.5) for s in (150, 300, 400))], 0.0, "300 to 400 neither .* improved"),
        (
            [row(300, 0.5, bpd=6.0), row(400, 0.5)],
            0.0,
            "fell from 2.00 to 1.00 sigma of the",
        ),
        (
            [row(10, 1.0, shift=0.3)],
            0.1,
            "by 0.30 sigma of the base, where 0.1 are allowed: lower",
        ),
        ([{"step": 5, "met": 0}], 0.0, "The target distribution is not met after 5 steps"),
        ([{"step": 5, "met": 1}], 0.0, "The target distribution is met after 5 steps"),
    ],
)
def test_a_tamed_flow_says_whether_the_rule_was_met_and_what_to_try(rows, settle_within, sentence):
    assert re.search(sentence, str(TamingResult(Bars(), rows, settle_within, 4.0)))


def test_without_a_stopping_rule_the_result_says_where_the_images_lie():
    rows = [{"step": 3, "forget_bpd": 5.0, "mu": 4.0, "sigma": 2.0}]
    assert "no stopping rule; after 3 steps" in str(TamingResult(Bars(), rows))
