"""What two executions print is compared: words must be the same, numbers may differ by so much."""

import pytest
from nbformat.v4 import new_output

from forgetting.book import comparison
from forgetting.book.comparison import Printed, differences, half_width

METRICS = {
    "prevalence_after": 0.0980,
    "prevalence_after_low": 0.0901,
    "prevalence_after_high": 0.1066,
    "fid_after": 48.86,
    "fid_change": 33.1,
    "fid_change_std": 12.1,
    "near_9": 0.5,
}


@pytest.mark.parametrize(
    ("text", "value", "unit", "scale"),
    [
        ("9.80%", 9.8, 0.01, 100),
        ("9.9 %", 9.9, 0.1, 100),
        ("0.5 points", 0.5, 0.1, 100),
        ("5,100", 5100, 1, 1),
        ("-0.07", -0.07, 0.01, 1),
        ("1.2e-05", 1.2e-5, 1e-6, 1),
    ],
)
def test_a_printed_number_is_read_with_its_unit(text, value, unit, scale):
    printed = Printed(text)
    assert comparison.NUMBER.findall(f"some {text}, then") == [text]
    assert printed.value == pytest.approx(value)
    assert printed.unit == pytest.approx(unit)
    assert printed.scale == scale


def test_digits_within_words_are_words():
    assert comparison.NUMBER.findall("digits-vae-seed-1 and x_3 of 2026-11-26") == ["2026"]
    assert differences("digits-vae-seed-1", "digits-vae-seed-2", {})


@pytest.mark.parametrize(
    ("text", "line", "half"),
    [
        ("9.80%", "prevalence_after  9.80%", 0.825),
        ("9.0%", "thick 9.8% (9.0% to 10.7%)", 0.825),
        ("+33", "change +33 ± 12", 12.1),
        ("12", "change +33 ± 12", 12.1),
        ("48.86", "fid 48.86", 0.0),
        ("9.80", "a number that is no share 9.80", 0.0),
        ("9", "9 images", 0.0),
    ],
)
def test_a_printed_number_has_the_interval_of_its_metric(text, line, half):
    assert half_width(Printed(text), line, METRICS) == pytest.approx(half)


@pytest.mark.parametrize(
    ("published", "here"),
    [
        ("prevalence_after  9.80%", "prevalence_after 10.30%"),
        ("prevalence_after  9.80%", "prevalence_after  9.00%"),
        ("fid 48.86", "fid 49.3"),
        ("change +33 ± 12", "change +44 ± 11"),
        ("drop -0.00", "drop +0.00"),
        ("unheard of 3.1", "unheard of 3.1"),
    ],
)
def test_numbers_within_what_is_allowed_agree(published, here):
    assert differences(published, here, METRICS) == []


@pytest.mark.parametrize(
    ("published", "here", "row"),
    [
        (
            "prevalence_after  9.80%",
            "prevalence_after 10.70%",
            "published 9.80%, here 10.70%, allowed ± 0.83",
        ),
        ("fid 48.86", "fid 49.90", "published 48.86, here 49.90, allowed ± 0.982"),
        ("drop -0.07", "drop +0.07", "published -0.07, here +0.07, allowed ± 0.0064"),
        ("steps 3", "steps 4", "published 3, here 4, allowed ± 0.56"),
        ("share 9.80", "share 9.80%", "published 9.80, here 9.80%, allowed ± 0.201"),
    ],
)
def test_a_number_beyond_what_is_allowed_is_shown_with_both_values(published, here, row):
    assert differences(published, here, METRICS) == [published, f"  {row}"]


@pytest.mark.parametrize(
    ("published", "here"),
    [
        ("cannot be told from none", "9% of what the forgotten do"),
        ("at least 0.96 (Smiling)", "at least 0.96 (Male)"),
        ("one\ntwo", "one"),
        ("one 1", "one 1 2"),
    ],
)
def test_changed_text_differs(published, here):
    lines = differences(published, here, METRICS)
    assert here.splitlines()[-1] in lines[-1]


def test_points_are_neither_percent_nor_plain_numbers():
    for one, other in (("5 points", "5"), ("5%", "5"), ("5 points", "5%")):
        assert differences(f"changed {one}", f"changed {other}", {})
        assert differences(f"changed {other}", f"changed {one}", {})
        assert not differences(f"changed {one}", f"changed {one}", {})


def output(text):
    return new_output("stream", name="stdout", text=text)


def test_figures_and_messages_are_not_compared_and_tables_are():
    message = new_output("stream", name="stderr", text="a warning")
    old, new = (
        new_output("display_data", {"text/html": f"<b>{x} of A</b>", "image/png": y})
        for x, y in ((1.00, "abc"), (1.001, "def"))
    )
    assert comparison.compare_outputs([output("a"), old], [message, output("a"), new], {}) == []
    other = new_output("display_data", {"text/html": "<b>1.0 of B</b>", "image/png": "abc"})
    assert comparison.compare_outputs([old], [other], {})
    (line,) = comparison.compare_outputs([old], [], {})
    assert "kinds of output differ" in line
