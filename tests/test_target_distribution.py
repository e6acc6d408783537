"""A target distribution is read or refused, and samples meet it or the result says no."""

import math

import pytest
import torch
from points import POINTS, Gaussian

from forgetting.errors import DataError, ParameterError
from forgetting.methods import TamingResult
from forgetting.methods.target_distribution import Target, TargetConfig, meet_target

KNOWN = ("Right", "High")


@pytest.mark.parametrize(
    ("text", "combinations", "shares"),
    [
        ("Right: 0.3", ["Right", "~Right"], [0.3, 0.7]),
        ("~Right: 0.3", ["Right", "~Right"], [0.7, 0.3]),
        (
            "Right&High: 0.1, ~Right&~High: 0.5",
            ["Right&High", "Right&~High", "~Right&High", "~Right&~High"],
            [0.1, 0.2, 0.2, 0.5],
        ),
    ],
)
def test_a_target_is_read_from_text(text, combinations, shares):
    target = Target.parse(text, KNOWN)
    assert target.combinations == combinations
    torch.testing.assert_close(target.shares, torch.tensor(shares))


def test_a_target_is_read_from_a_mapping_as_from_text():
    from_mapping = Target.parse({"Right&High": 0.1, "~Right&~High": 0.5}, KNOWN)
    from_text = Target.parse("Right&High: 0.1, ~Right&~High: 0.5", KNOWN)
    assert from_mapping.combinations == from_text.combinations
    assert torch.equal(from_mapping.shares, from_text.shares)
    with pytest.raises(ParameterError, match=r"'Right: 1\.5' is not of the form"):
        Target.parse({"Right": 1.5}, KNOWN)


def test_a_target_does_not_change_with_the_tensor_that_it_was_made_of():
    shares = torch.tensor([0.3, 0.7])
    target = Target(("Right",), shares)
    shares[0] = 0.9
    assert target.shares.tolist() == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize("shares", [[1.2, -0.2], [0.5, 0.4], [0.5, 0.25, 0.25], [float("nan"), 1]])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ParameterError, match="2 numbers from 0 to 1 that add up to one"):
        Target(("Right",), torch.tensor(shares))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Right: 1.2", "'Right: 1.2' is not of the form"),
        ("Right", "'Right' is not of the form"),
        ("Right: half", "share from 0 to 1"),
        ("Rihgt: 0.5", "'Rihgt' is no attribute of the classifier. It has: Right, High"),
        ("Right: 0.6, ~Right: 0.6", "add up to 1.2"),
        ("Right: 0.2, ~Right: 0.2", "add up to 0.4"),
        ("Right: 0.2, Right: 0.2", "given twice"),
        ("Right: 0.2, High: 0.2", "the same and in the same order"),
        ("Right&Right: 0.2", "two different attributes"),
    ],
)
def test_an_impossible_target_is_refused(text, sentence):
    with pytest.raises(ParameterError, match=sentence):
        Target.parse(text, KNOWN)


def test_shares_are_counted_by_combination():
    target = Target.parse("Right&High: 0.25", KNOWN)
    has_feature = torch.tensor([[True, True], [True, False], [False, True], [True, False]])
    assert target.cells(has_feature).tolist() == [0, 1, 2, 1]
    torch.testing.assert_close(target.measure(has_feature), torch.tensor([0.25, 0.5, 0.25, 0.0]))


CONFIG = TargetConfig(
    tolerance=0.03,
    lr=0.02,
    max_steps=600,
    batch_size=64,
    retain_batch_size=64,
    log_every=10,
)


def has_feature(points):
    return points > 0


@pytest.mark.parametrize("text", ["Right: 0.2", "Right&High: 0.1, ~Right&~High: 0.4"])
def test_samples_meet_the_target(flow, text):
    target = Target.parse(text, KNOWN)
    k = len(target.attributes)

    def measure(model, step):
        return target.measure(has_feature(model.sample(4000, step))[:, :k])

    points, before = flow.sample(2000, 999), measure(flow, 0)
    assert (before - target.shares).abs().max() > 0.1
    result = meet_target(
        flow, points, target.cells(has_feature(points)[:, :k]), target, measure, CONFIG
    )
    assert result.history[-1]["met"] == 1
    assert result.is_within_rule
    assert (measure(result.model, 9999) - target.shares).abs().max() < 0.05
    assert torch.equal(measure(flow, 0), before)


def test_a_result_says_when_its_target_is_not_met_in_time(flow):
    target = Target.parse("Right: 0.05", KNOWN)
    points = flow.sample(500, 1)
    config = CONFIG.model_copy(update={"max_steps": 5})
    result = meet_target(
        flow,
        points,
        target.cells(has_feature(points)[:, :1]),
        target,
        lambda model, step: target.measure(has_feature(model.sample(500, step))[:, :1]),
        config,
    )
    assert result.history[-1]["met"] == 0
    assert not result.is_within_rule
    assert result.history[-1]["step"] == 5


def test_a_combination_without_images_is_refused_before_any_training(flow):
    target = Target.parse("Right: 0.5", KNOWN)
    points = flow.sample(50, 1)
    ones = torch.ones(50).long()
    with pytest.raises(DataError, match="0 of the 50 images show Right"):
        meet_target(flow, points, ones, target, lambda model, step: 1 / 0)
    with pytest.raises(DataError, match="0 of the 0 images show Right"):
        meet_target(flow, points[:0], ones[:0], target, lambda model, step: 1 / 0)
    nothing_else = Target.parse("Right: 0", KNOWN)
    with pytest.raises(DataError, match="All 50 images show the same of Right, ~Right"):
        meet_target(flow, points, ones, nothing_else, lambda model, step: 1 / 0)


def test_numbers_of_combinations_are_checked_and_each_half_gets_some_of_every_combination(
    flow, monkeypatch
):
    target = Target.parse("Right: 0.5", KNOWN)
    points = flow.sample(40, 1)

    def measure(model, number):
        return torch.tensor([0.2, 0.8])

    shows = torch.arange(40) > 8  # which images show it: 1 would stand for those that do not
    for wrong in (torch.ones(39).long(), torch.full((40,), 2), shows):
        with pytest.raises(DataError, match="cells must be 40 numbers from 0 to 1"):
            meet_target(flow, points, wrong, target, measure)
    given = []

    def tame(flow, forget, retain, config, **_):
        given.extend([forget, retain])
        return TamingResult(flow, [{"step": 0}])

    monkeypatch.setattr("forgetting.methods.target_distribution.tame", tame)
    cells = torch.ones(40).long()
    cells[[3, 30]] = 0
    meet_target(flow, points, cells, target, measure)
    rare = points[[3, 30]]
    assert [len(half) for half in given] == [20, 20]
    for half in given:
        assert sum(bool((rare == point).all(1).any()) for point in half) == 1


def test_an_image_that_is_given_twice_is_not_both_moved_and_retained(flow):
    target = Target.parse("Right: 0.5", KNOWN)
    points = flow.sample(40, 1)
    twice = torch.cat([points, points[:30]])
    result = meet_target(
        flow,
        twice,
        target.cells(has_feature(twice)[:, :1]),
        target,
        lambda model, number: torch.tensor([0.2, 0.8]),
        CONFIG.model_copy(update={"max_steps": 2}),
    )
    assert result.history[-1]["step"] == 2


def test_the_pressure_follows_the_last_error_and_a_clipped_sum_of_all_errors(flow, monkeypatch):
    target = Target.parse("Right: 0.5", KNOWN)
    points = flow.sample(20, 1)
    cells = target.cells(has_feature(points)[:, :1])
    measured = [torch.tensor([share, 1 - share]) for share in (0.9, 0.6, 0.2)]
    config = TargetConfig(gain=4.0, memory=0.5, tolerance=0.01, confirm=1)
    pressures = []

    def tame(flow, forget, retain, config, *, steer, callback):
        pressures.extend(steer(step, flow) for step in range(3))
        moved = target.cells(has_feature(forget)[:, :1])
        assert all(
            len(pressure[moved == cell].unique()) == 1 for pressure in pressures for cell in (0, 1)
        )
        pressures[:] = [float(pressure[moved == 0][0]) for pressure in pressures]
        return TamingResult(flow, [{"step": step} for step in range(3)])

    monkeypatch.setattr("forgetting.methods.target_distribution.tame", tame)
    result = meet_target(flow, points, cells, target, lambda model, n: measured[n], config)
    limit = 2 * config.tolerance
    expected = [
        4.0 * (0.4 + 0.5 * limit),
        4.0 * (0.1 + 0.5 * 2 * limit),
        4.0 * (-0.3 + 0.5 * limit),
    ]
    assert pressures == pytest.approx(expected, abs=1e-5)
    assert [row["share_0"] for row in result.history] == pytest.approx([0.9, 0.6, 0.2])


def test_one_lucky_measurement_does_not_meet_a_target(flow):
    target = Target.parse("Right: 0.5", KNOWN)
    points = flow.sample(100, 1)
    numbers = []

    def measure(model, number):
        numbers.append(number)
        return torch.tensor([0.5, 0.5] if len(numbers) % 4 == 1 else [0.8, 0.2])

    config = CONFIG.model_copy(update={"max_steps": 20, "confirm": 3})
    cells = target.cells(has_feature(points)[:, :1])
    result = meet_target(flow, points, cells, target, measure, config)
    assert result.history[-1]["met"] == 0
    assert numbers == list(range(12))  # one and three further ones, at each of steps 0, 10 and 20
    assert result.history[0]["share_0"] == pytest.approx(0.8)


MOSTLY = Target(("A",), torch.tensor([0.8, 0.2]))
EVEN = torch.tensor([0.5, 0.5])
CELLS = (POINTS[:, 0] > 0).long()


@pytest.mark.parametrize("attributes", [("A", "A"), (), ("A", "B", "C"), "AB"])
def test_a_target_is_of_one_or_two_different_attributes(attributes):
    shares = torch.full((2 ** len(attributes),), 1 / 2 ** len(attributes))
    with pytest.raises(ParameterError, match="one or two different attributes"):
        Target(attributes, shares)


def test_a_double_absence_is_no_absence():
    with pytest.raises(ParameterError, match="is no attribute"):
        Target.parse("~~A: 0.3", ["A"])


@pytest.mark.parametrize(
    "has_feature",
    [
        torch.tensor([[1], [0]]),
        torch.tensor([[1.0], [0.0]]),
        torch.ones(3, 2).bool(),
        torch.ones(3).bool(),
        torch.ones(0, 1).bool(),
    ],
)
def test_combinations_are_numbered_from_booleans_of_the_targets_attributes(has_feature):
    for read in (MOSTLY.cells, MOSTLY.measure):
        with pytest.raises(DataError, match=r"give booleans \(N, 1\)|at least one image"):
            read(has_feature)


def met(points, cells, shares=EVEN):
    config = TargetConfig(max_steps=2, n_statistics=4)
    return meet_target(Gaussian(), points, cells, MOSTLY, lambda model, _: shares, config)


def test_numbers_of_combinations_are_whole_in_any_format():
    expected = met(POINTS, CELLS).history
    for kind in (torch.uint8, torch.int32, torch.float32):
        assert met(POINTS, CELLS.to(kind)).history == expected
    with pytest.raises(DataError, match="cells must be 130 numbers"):
        met(POINTS, CELLS * 0.5)


def test_an_image_that_comes_twice_shows_one_combination():
    twice = torch.cat([POINTS, POINTS[:5]])
    assert met(twice, torch.cat([CELLS, CELLS[:5]])).history == met(POINTS, CELLS).history
    with pytest.raises(DataError, match="comes twice, with two combinations"):
        met(twice, torch.cat([CELLS, 1 - CELLS[:5]]))


@pytest.mark.parametrize(
    "shares",
    [
        torch.tensor(0.5),
        torch.tensor([0.5]),
        torch.tensor([0.5, 0.3]),
        torch.tensor([math.nan, 0.5]),
        torch.tensor([1.5, -0.5]),
        torch.tensor([0.2, 0.3, 0.5]),
        [0.5, 0.5],
    ],
)
def test_measured_shares_are_those_of_the_targets_combinations(shares):
    with pytest.raises(DataError, match=r"`measure` returns"):
        met(POINTS, CELLS, shares)
