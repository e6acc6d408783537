"""The colours of the book: a palette for light pages and one for dark ones, one colour a role.

Both palettes were chosen so that any two roles differ for readers with normal sight and with each
of the three common colour deficiencies; a test simulates them. Every role has a marker as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib as mpl
import seaborn as sns


@dataclass(frozen=True)
class Theme:
    """A palette.

    Attributes
    ----------
    name : str
        `light` or `dark`, as the pages' theme names them.
    background, ink, faint : str
        Colours of the page, of text and axes, and of grids.
    colours : mapping of str to str
        By role.
    """

    name: str
    background: str
    ink: str
    faint: str
    colours: Mapping[str, str]

    @property
    def palette(self) -> tuple[str, ...]:
        """Every colour, in the same order in all themes."""
        return (self.background, self.ink, self.faint, *self.colours.values())


def _theme(name: str, background: str, ink: str, faint: str, *roles: str) -> Theme:
    original, unlearned, until_gone, edited, retrained = roles
    colours = {
        "original": original,
        "unlearned": unlearned,
        "until gone": until_gone,
        "tamed": unlearned,
        "filter": edited,
        "retrained": retrained,
        "control": retrained,
        "reference": ink,
        "lacking": ink,
    }
    return Theme(name, background, ink, faint, MappingProxyType(colours))


LIGHT = _theme(
    *("light", "#ffffff", "#33383d", "#d5d9dd"),
    *("#193b53", "#dc7215", "#ad29cd", "#55440d", "#249c84"),
)
DARK = _theme(
    *("dark", "#121212", "#d3d8dd", "#3c4248"),
    *("#81b1fa", "#e65808", "#a81dd1", "#eacd34", "#b6f5e0"),
)
THEMES = LIGHT, DARK

MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "original": "o",
        "unlearned": "s",
        "tamed": "s",
        "until gone": "D",
        "filter": "^",
        "retrained": "v",
        "control": "v",
        "reference": "|",
    }
)
"""The marker of each role, which tells it where colours cannot be told apart."""


LABELS: Mapping[str, str] = MappingProxyType(
    {
        "original": "original",
        "unlearned": "unlearned, one pass",
        "tamed": "tamed",
        "until gone": "unlearned, in rounds",
        "filter": "latent filter",
        "retrained": "never saw it",
        "control": "tuned, nothing to forget",
        "reference": "floor",
    }
)
"""What charts call the roles."""


def use_theme(theme: Theme) -> None:
    """Set the style of every figure that follows, on a transparent background.

    Nothing of a user's own matplotlibrc counts, whose `image.origin` would turn images over.
    """
    mpl.rcdefaults()
    sns.set_theme(
        context="notebook",
        style="ticks",
        rc={
            "axes.edgecolor": theme.ink,
            "axes.facecolor": "none",
            "axes.grid": False,
            "axes.labelcolor": theme.ink,
            "axes.labelsize": 10,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": theme.ink,
            "axes.titlesize": 11,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "font.size": 10,
            "grid.color": theme.faint,
            "legend.frameon": False,
            "legend.labelcolor": theme.ink,
            "savefig.facecolor": "none",
            "svg.fonttype": "path",
            "svg.hashsalt": "forgetting",
            "text.color": theme.ink,
            "xtick.color": theme.ink,
            "xtick.labelsize": 9,
            "ytick.color": theme.ink,
            "ytick.labelsize": 9,
        },
    )


def recoloured(drawing: str, theme: Theme) -> str:
    """Return a drawing of the light theme in the colours of another theme.

    Parameters
    ----------
    drawing : str
        SVG.
    theme : Theme
        Its palette has the order of the light one.

    Returns
    -------
    str
        SVG; colours that are not in the light palette stay.
    """
    colours = dict(zip(LIGHT.palette, theme.palette, strict=True))
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: colours.get(found[0], found[0]), drawing)
