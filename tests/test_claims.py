"""Verdicts on claims: made by their rules from records, and published as they are made."""

import json

import pytest

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.claims import (
    CLAIMS,
    Claim,
    comparisons_of,
    figures_of,
    judged_claims,
    read_claims,
    tally_of,
    verdict,
)
from forgetting.book.entries import pages, sweeps
from forgetting.book.numerals import Results
from forgetting.errors import ForgettingError


@pytest.fixture
def results(tmp_path):
    metrics = {"a": 0.02, "a_low": 0.01, "a_high": 0.03}
    metrics |= {"b": 0.05, "b_low": 0.04, "b_high": 0.06, "c": 0.025, "d": 1.0}
    (tmp_path / "run.json").write_text(
        json.dumps({"schema": 2, "metrics": metrics}), encoding="utf-8"
    )
    return Results(tmp_path)


def judged(results, *comparisons, **rule):
    tests = [{"run": comparison} for comparison in comparisons]
    claim = Claim(claim="It holds.", paper="ours", page="found", tests=tests, **rule)
    return claim.judged(results)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (("a", "at most", "b"), "holds"),
        (("b", "at most", "a"), "does not hold"),
        (("a", "at least", "b"), "does not hold"),
        (("b", "at least", "a"), "holds"),
        (("a", "at most", "c"), "cannot be told"),  # the interval reaches beyond
        (("c", "at least", "a"), "cannot be told"),
        (("a", "at most", 0.03), "holds"),
        (("a", "at least", 0.03), "cannot be told"),
        (("d", "at least", 1), "holds"),
    ],
)
def test_a_comparison_is_of_whole_intervals(results, comparison, expected):
    assert judged(results, comparison)["verdict"] == expected


def test_a_margin_and_a_factor_move_the_bound(results):
    assert judged(results, ("b", "at most", "a"), margin=0.05)["verdict"] == "holds"
    assert judged(results, ("b", "at most", "a"), factor=6)["verdict"] == "holds"
    assert judged(results, ("b", "at least", "a"), margin=0.1)["verdict"] == "does not hold"


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "fails"], "holds in part"),
        (["holds", "open"], "holds in part"),
        (["fails", "open"], "does not hold"),
        (["open", "open"], "cannot be told"),
    ],
)
def test_a_verdict_is_made_of_all_comparisons(outcomes, word):
    assert verdict(outcomes) == word


def test_a_claim_names_the_figure_its_interval_and_its_records(results):
    claim = judged(results, ("a", "at most", "b"), shown=[("wide", "run", "b")], unit=" px")
    (figure,) = claim["figures"]
    assert (figure["value"], figure["interval"]) == (0.05, [0.04, 0.06])
    assert figures_of(claim) == ["wide: 0.050 px (0.040 to 0.060)"]
    assert claim["records"] == ["run"]
    assert tally_of(claim) == "1 of 1 comparison holds"


def test_behind_a_verdict_stand_its_comparisons_and_how_many_of_them_hold(results):
    claim = judged(results, ("a", "at most", "b"), ("b", "at most", 0.03), margin=0.01)
    assert tally_of(claim) == "1 of 2 comparisons hold"
    assert comparisons_of(claim) == [
        "a: 0.020 (0.010 to 0.030), at most b with the margin of the rule: "
        "0.060 (0.050 to 0.070): holds",
        "b: 0.050 (0.040 to 0.060), at most 0.03: fails",
    ]


def test_a_claim_without_tests_needs_a_reason(results):
    assert judged(results, untested="no data")["verdict"] == "not tested yet"
    with pytest.raises(ForgettingError, match="no tests and no reason"):
        judged(results)


def test_a_share_is_compared_with_a_share(tmp_path):
    metrics = {"prevalence_after": 0.2, "prevalence_before": 0.3, "fid_after": 30.0}
    metrics |= {"attack_value_after": 7.0}
    (tmp_path / "run.json").write_text(json.dumps({"schema": 2, "metrics": metrics}))
    results, share = Results(tmp_path), "prevalence_after"
    assert judged(results, (share, "at most", 0.05))["verdict"] == "does not hold"
    assert judged(results, ("attack_value_after", "at least", 5))["verdict"] == "holds"
    assert judged(results, (share, "at most", "prevalence_before"))["verdict"] == "holds"
    for than, rule in ((5, {}), ("fid_after", {}), ("prevalence_before", {"margin": 5})):
        with pytest.raises(ForgettingError, match="is a share from 0 to 1 and the other is not"):
            judged(results, (share, "at most", than), **rule)


def test_a_metric_that_no_record_has_is_noticed(results):
    with pytest.raises(ForgettingError, match="run has no e"):
        judged(results, ("e", "at most", 1))


def test_published_verdicts_are_those_of_the_records():
    assert CLAIMS.check() == []
    claims = json.loads((HERE.results / "claims.json").read_text(encoding="utf-8"))
    assert claims == judged_claims()
    assert {claim["paper"] for claim in claims} == {"moon2024feature", "malnick2024taming", "ours"}


def test_a_verdict_that_the_records_do_not_give_is_reported(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "results").mkdir()
    source = (HERE.root / "book" / "claims.yaml").read_text(encoding="utf-8")
    (tmp_path / "book" / "claims.yaml").write_text(source, encoding="utf-8")
    checkout = Checkout(tmp_path)
    assert "claims.yaml: There is no record" in CLAIMS.check(checkout)[0]


def test_verdicts_without_rules_are_reported(tmp_path):
    checkout = Checkout(tmp_path)
    assert CLAIMS.check(checkout) == []
    checkout.results.mkdir()
    (checkout.results / "claims.json").write_text("[]")
    assert "claims.json follows from no rules" in CLAIMS.check(checkout)[0]


def test_every_claim_points_at_a_page_and_at_published_records():
    published = {page.name for page in pages()} | {sweep.name for sweep in sweeps()}
    for claim in read_claims():
        assert (HERE.root / "book" / f"{claim.page}.md").is_file(), claim.claim
        for test in claim.tests:
            (record,) = test
            assert record.partition("/")[0] in {"zoo", *published}, claim.claim
        assert bool(claim.tests) == bool(claim.rule), claim.claim
