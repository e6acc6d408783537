"""Figures in one style, on an opaque white background so that a dark page keeps them legible."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure

from forgetting.book.theme import LIGHT, use_theme
from forgetting.border.checks import check_images
from forgetting.errors import ParameterError

COLOURS = LIGHT.colours
"""The colour of each role, on light pages.

The roles are the original model, a model that forgot (`unlearned`, `tamed`; of two that unlearned,
`until gone` is the one that did so in rounds), the latent filter, a model that was retrained
without what is forgotten, the `control`, which was tuned with nothing to forget, `lacking`:
samples that surely lack a feature, and `reference`: the floors and thresholds that a figure is
read against.
"""

BLUE, RED, GREEN, PURPLE = (
    COLOURS[role] for role in ("original", "unlearned", "retrained", "until gone")
)
GREY = "#7d858c"
"""What stands for nothing but itself."""

TERMS = LIGHT.ink, "#b8860b", PURPLE, GREY
"""Colours of curves, which stand for no model."""


def use_style() -> None:
    """Set the style of notebooks for every figure that follows: on white, at twice the pixels."""
    use_theme(LIGHT)
    plt.rcParams["figure.facecolor"] = "white"
    plt.rcParams["axes.facecolor"] = "white"
    plt.rcParams["savefig.facecolor"] = "white"
    plt.rcParams["figure.dpi"] = 200


def image_rows(rows: Mapping[str, torch.Tensor], scale: float = 0.62) -> Figure:
    """Show a row of images (n, C, H, W) in [0, 1] under each name, column by column comparable.

    A row of fewer images than the longest ends in empty columns.

    Raises
    ------
    DataError
        Images are no floats in [0, 1], which the figure would show cut off.
    """
    n = max(len(images) for images in rows.values())
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(n * scale + 1.4, len(rows) * (scale + 0.08)), squeeze=False
    )
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        axis.imshow(_tile(images, n), cmap="gray_r", vmin=0, vmax=1)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        _bare(axis)
    return figure


def image_grid(images: torch.Tensor, columns: int = 16, scale: float = 0.42) -> Figure:
    """Show images (n, C, H, W) in [0, 1], row after row, all of them.

    Raises
    ------
    DataError
        The images are no floats in [0, 1], which the figure would show cut off.
    """
    n_rows = -(-len(images) // columns)
    figure, axis = plt.subplots(figsize=(columns * scale, n_rows * scale))
    axis.imshow(_tile(images, columns), cmap="gray_r", vmin=0, vmax=1)
    _bare(axis)
    return figure


def figure_of(axis: plt.Axes) -> Figure:
    """Return the figure that an axis belongs to."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    return figure


def intervals(
    rows: Sequence[tuple[str, float, float, float]],
    label: str,
    colours: Sequence[str],
    axis: plt.Axes | None = None,
) -> plt.Axes:
    """Draw (name, value, low, high) as points with their intervals, one above the other."""
    axis = axis or plt.subplots(figsize=(6.4, 0.42 * len(rows) + 0.9))[1]
    for y, ((_, value, low, high), colour) in enumerate(zip(rows, colours, strict=True)):
        axis.plot([low, high], [y, y], color=colour, lw=2.5, alpha=0.5)
        axis.plot(value, y, "o", color=colour)
    axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(label)
    axis.grid(axis="x", alpha=0.3)
    return axis


def curves(
    history: Sequence[Mapping[str, float]],
    series: Mapping[str, str],
    ylabel: str,
    axis: plt.Axes | None = None,
) -> plt.Axes:
    """Draw entries of a history against its steps; `series` maps an entry to its label.

    Raises
    ------
    ParameterError
        There are more entries than colours of curves.
    """
    if len(series) > len(TERMS):
        raise ParameterError(
            f"{len(series)} curves in {len(TERMS)} colours: draw them in several figures."
        )
    axis = axis or plt.subplots(figsize=(6.4, 3))[1]
    for (key, label), colour in zip(series.items(), TERMS, strict=False):
        rows = [row for row in history if key in row]
        axis.plot(
            [row["step"] for row in rows], [row[key] for row in rows], color=colour, label=label
        )
    axis.set_xlabel("step")
    axis.set_ylabel(ylabel)
    if len(series) > 1:
        axis.legend()
    return axis


def _bare(axis: plt.Axes) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    sns.despine(ax=axis, left=True, bottom=True)


def _tile(images: torch.Tensor, columns: int) -> np.ndarray:
    images = check_images(images, "The images to show").cpu()
    array = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    missing = -len(array) % columns
    array = np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
    n, c, h, w = array.shape
    tiled = array.reshape(n // columns, columns, c, h, w).transpose(0, 3, 1, 4, 2)
    tiled = tiled.reshape(n // columns * h, columns * w, c)
    return tiled[..., 0] if c == 1 else tiled
