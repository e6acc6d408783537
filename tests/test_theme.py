"""The palettes: any two roles differ for every reader, and stand out from the page."""

import itertools

import numpy as np
import pytest
from colorspacious import cspace_convert
from matplotlib.colors import to_rgb

from forgetting.book.theme import DARK, LABELS, LIGHT, MARKERS, THEMES, recoloured

ROLES = ("original", "unlearned", "until gone", "filter", "retrained")
DEFICIENCIES = (None, "deuteranomaly", "protanomaly", "tritanomaly")
APART = 15
"""Distance in CAM02-UCS; two colours at 1 can just be told apart, side by side."""


def seen(colour, deficiency):
    rgb = np.array(to_rgb(colour))
    if deficiency:
        space = {"name": "sRGB1+CVD", "cvd_type": deficiency, "severity": 100}
        rgb = np.clip(cspace_convert(rgb, space, "sRGB1"), 0, 1)
    return cspace_convert(rgb, "sRGB1", "CAM02-UCS")


def luminance(colour):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("deficiency", DEFICIENCIES, ids=str)
def test_no_two_roles_look_alike(theme, deficiency):
    for first, second in itertools.combinations(ROLES, 2):
        places = [seen(theme.colours[role], deficiency) for role in (first, second)]
        assert np.linalg.norm(places[0] - places[1]) > APART, (first, second)


def test_a_red_and_a_green_of_equal_light_would_be_noticed():
    places = [seen(colour, "deuteranomaly") for colour in ("#c8553d", "#6f8a3f")]
    assert np.linalg.norm(places[0] - places[1]) < APART


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_colours_stand_out_from_the_page(theme):
    assert contrast(theme.ink, theme.background) > 7
    for role in ROLES:
        assert contrast(theme.colours[role], theme.background) >= 3, role


def test_every_role_has_a_name_and_roles_of_one_chart_have_markers_of_their_own():
    assert len({MARKERS[role] for role in ROLES}) == len(ROLES)
    assert LABELS.keys() == MARKERS.keys() <= LIGHT.colours.keys()


def test_a_colour_of_the_light_palette_has_one_counterpart_in_the_dark_one():
    pairs = dict(zip(LIGHT.palette, DARK.palette, strict=True))
    assert [pairs[colour] for colour in LIGHT.palette] == list(DARK.palette)
    drawing = '<use href="#m193b53d5d9" style="fill: #193b53"/><path stroke="#123456"/>'
    assert recoloured(drawing, DARK) == drawing.replace("#193b53", DARK.colours["original"])
