"""Charts of the tables on taming: number of images, target distributions, ablations."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import Row, legend, percent, table
from forgetting.book.charts.taming import PEOPLE, SIZES, place
from forgetting.book.numerals import Results
from forgetting.book.papers import printed
from forgetting.book.theme import MARKERS, Theme

SETS = {
    "forget": "the forgotten photographs",
    "reference": "the person's other photographs",
}


@CHARTS.register("people-drop")
def people_drop(results: Results) -> Chart:
    """Return the quantile drop by the number of forgotten images, beside the paper's."""
    ours = {
        name: {
            n: results.value(PEOPLE, f"quantile_drop_{name}_{size}") for n, size in SIZES.items()
        }
        for name in SETS
    }
    papers = {
        name: dict(zip(SIZES, printed("identity", "drop", name), strict=True)) for name in SETS
    }

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        shape = (2, 1) if is_narrow else (1, 2)
        figure, axes = plt.subplots(*shape, figsize=(width, 5.4 if is_narrow else 3.2))
        for axis, (name, title) in zip(axes, SETS.items(), strict=True):
            for x, n in enumerate(SIZES):
                place(axis, x - 0.1, ours[name][n], "tamed", theme)
                place(
                    axis, x + 0.15, (papers[name][n], math.nan, math.nan), "reference", theme, "_"
                )
            axis.set_title(title, fontsize=10, loc="left")
            axis.set_xticks(range(len(SIZES)), [str(n) for n in SIZES])
            axis.set_xlim(-0.5, len(SIZES) - 0.5)
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
            axis.grid(axis="y")
        axes[0].set_ylabel("quantile drop")
        axes[1].set_ylabel("quantile drop" if is_narrow else "")
        axes[-1].set_xlabel("images forgotten")
        if not is_narrow:
            axes[0].set_xlabel("images forgotten")
        legend(figure, axes[0], is_narrow)
        return figure

    rows = [
        Row(f"{name}, {n}", {"tamed": ours[name][n], "the paper": (papers[name][n],) * 3})
        for name in SETS
        for n in SIZES
    ]
    return Chart(table(rows, "quantile drop"), draw)


@CHARTS.register("people-shift")
def people_shift(results: Results) -> Chart:
    """Return how far faces of others move, and the person's own, in sigma of the base."""
    sets = {
        "random": "held-out faces",
        "neutral": "five neutral people",
        "reference": "the person's other photographs",
    }
    rows = []
    for name, words in sets.items():
        for n, size in SIZES.items():
            metric = f"shift_{name}_sigma_{size}"
            rows.append(Row(f"{words}, {n}", {"tamed": results.value(PEOPLE, metric)}))

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = plt.subplots(figsize=(width, 3.2))
        for step, (name, words) in enumerate(sets.items()):
            values = rows[step * len(SIZES) : (step + 1) * len(SIZES)]
            role = "tamed" if name == "reference" else "original"
            marker = {"random": "o", "neutral": "^", "reference": "s"}[name]
            for x, row in enumerate(values):
                place(axis, x + (step - 1) * 0.14, row.values["tamed"], role, theme, marker)
            axis.plot([], [], marker, color=theme.colours[role], label=words)
        axis.set_xticks(range(len(SIZES)), [str(n) for n in SIZES])
        axis.set(xlabel="images forgotten", ylabel="shift, sigma", yscale="log")
        ticks = [0.05, 0.1, 0.2, 0.5]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.grid(axis="y")
        handles, labels = axis.get_legend_handles_labels()
        chosen = [at for at, label in enumerate(labels) if label in sets.values()]
        figure.legend(
            [handles[at] for at in chosen],
            [labels[at] for at in chosen],
            loc="outside upper left",
            ncols=1 if width <= NARROW else 3,
            fontsize=9,
            handletextpad=0.2,
        )
        return figure

    return Chart(table(rows, "shift, sigma"), draw)


TARGETS = {
    "smiles": ("smiles", ("smiling",)),
    "men": ("men", ("men",)),
    "both": (
        "both at once",
        ("smiling men", "other men", "smiling women", "other women"),
    ),
}
"""Cases of the sweep on targets: a title, and the combinations of attributes."""


@CHARTS.register("targets")
def targets(results: Results) -> Chart:
    """Return shares before and after they are to meet a target, by two classifiers."""
    name = "tame_targets_table"
    rows: dict[tuple[str, str], Row] = {}
    for case, (_, words) in TARGETS.items():
        for at, word in enumerate(words):
            values = {
                f"{grader} {when}": percent(
                    results.value(name, f"share_{grader}_{when}_{case}_{at}")
                )
                for grader in "ab"
                for when in ("before", "after")
            }
            values["target"] = percent(results.value(name, f"target_{case}_{at}"))
            rows[case, word] = Row(f"{case}: {word}", values)

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        layout = "sm\nbb" if is_narrow else "smb"
        figure, axes = plt.subplot_mosaic(
            layout,
            figsize=(width, 6.2 if is_narrow else 3.8),
            width_ratios=None if is_narrow else [1, 1, 1.5],
        )
        for case, (title, words) in TARGETS.items():
            axis = axes[case[0]]
            for word in words:
                _slope(axis, rows[case, word], word, theme)
            axis.set_title(title, fontsize=10, loc="left")
            axis.set_xticks([0, 1], ["before", "after"])
            axis.set_xlim(-0.25 if case != "both" else -1.0, 1.3)
            axis.set_ylim(0, None)
            axis.grid(axis="y")
        axes["s"].set_ylabel("share of samples, %")
        _target_legend(figure, theme, is_narrow)
        return figure

    return Chart(table(list(rows.values()), "share, %"), draw)


def _slope(axis: Axes, row: Row, word: str, theme: Theme) -> None:
    """Draw a share before and after, by both classifiers, and a tick at its target."""
    for grader, style in (("a", "-"), ("b", ":")):
        ends = [row.values[f"{grader} {when}"][0] for when in ("before", "after")]
        axis.plot([0, 1], ends, style, color=theme.ink, lw=1, alpha=0.7)
        for x, role in enumerate(("original", "tamed")):
            colour = theme.colours[role]
            face = colour if grader == "a" else "none"
            axis.plot(x, ends[x], MARKERS[role], color=colour, mfc=face, ms=6)
    target = row.values["target"][0]
    axis.plot([1.1, 1.25], [target, target], color=theme.colours["reference"], lw=2.5)
    if word not in ("smiling", "men"):
        at = row.values["a before"][0]
        axis.text(-0.09, at, word, ha="right", va="center", fontsize=8)


def _target_legend(figure: Figure, theme: Theme, is_narrow: bool) -> None:
    """Name the marks of the targets' chart."""
    original, tamed = theme.colours["original"], theme.colours["tamed"]
    axis = figure.axes[0]
    axis.plot([], [], "o", color=original, label="original")
    axis.plot([], [], "s", color=tamed, label="tamed")
    axis.plot([], [], "_", color=theme.colours["reference"], ms=12, mew=2.5, label="target")
    axis.plot([], [], ":s", color=theme.ink, mfc="none", label="by classifier B")
    legend(figure, axis, is_narrow)


ABLATIONS = "tame_ablations_table"

LOSS = {
    "as_here": "as here",
    "alpha_of_a_fifth": "$\\alpha = 0.2$",
    "alpha_of_four_fifths": "$\\alpha = 0.8$",
    "delta_1": "$\\delta = 1$",
    "delta_2": "$\\delta = 2$",
    "delta_3": "$\\delta = 3$",
    "no_kl": "no KL term",
    "kl_forward": "forward KL alone",
    "kl_reverse": "reverse KL alone",
    "kl_forward_as_released": "forward KL as released",
    "kl_reverse_as_released": "reverse KL as released",
    "ascent_and_retaining": "ascent and retaining",
    "ascent": "ascent alone",
    "no_retaining": "no retaining",
}
"""Ablations of the loss, in words."""

STEPS = {
    "as_here": "as here",
    "as_published": "all as published",
    "not_waiting_to_settle": "not waiting to settle",
    "learning_rate_as_published": "learning rate as published",
    "epsilon_as_published": "epsilon as published",
    "any_gradient": "gradient of any norm",
    "twice_to_retain": "twice as many to retain",
    "in_float32": "steps in float32",
    "past_the_threshold": "300 steps, no stopping",
}
"""Ablations of the steps, in words."""

PANELS = {
    "shift_random_sigma": "shift of held-out faces, sigma",
    "quantile_after_forget": "quantile of the forgotten",
}


def ablations(results: Results, cases: Mapping[str, str]) -> Chart:
    """Return shift of others and quantile of the forgotten, a row for each ablation."""
    rows = [
        Row(label, {name: results.value(ABLATIONS, f"{name}_{case}") for name in PANELS})
        for case, label in cases.items()
    ]

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        height = (0.46 if is_narrow else 0.34) * len(rows) + 0.9
        figure, axes = plt.subplots(1, 2, sharey=True, figsize=(width, height))
        for axis, (metric, words) in zip(axes, PANELS.items(), strict=True):
            _ablation_panel(axis, rows, metric, theme)
            _log_ticks(axis, metric, is_narrow)
            axis.set_xlabel(words if not is_narrow else words.replace(" of ", "\nof "))
        axes[0].set_yticks(range(len(rows)), ["" if is_narrow else row.label for row in rows])
        axes[0].set_ylim(len(rows) - 0.5, -0.7)
        if is_narrow:
            for y, row in enumerate(rows):
                axes[0].text(
                    *(0, y - 0.3, row.label),
                    transform=axes[0].get_yaxis_transform(),
                    fontsize=8.5,
                    bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 0.6},
                )
        return figure

    return Chart(table(rows, "value"), draw)


def _ablation_panel(axis: Axes, rows: Sequence[Row], metric: str, theme: Theme) -> None:
    """Draw one metric of every ablation, with a line at that of the first."""
    first = rows[0].values[metric][0]
    axis.axvline(first, color=theme.ink, lw=0.8, ls=":")
    for y, row in enumerate(rows):
        value, low, high = row.values[metric]
        colour = theme.colours["tamed"]
        axis.plot([low, high], [y, y], color=colour, lw=2, alpha=0.55, solid_capstyle="butt")
        axis.plot(value, y, MARKERS["tamed"], color=colour, ms=6)
    axis.set_xscale("log")
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    axis.spines["left"].set_visible(False)


def _log_ticks(axis: Axes, metric: str, is_narrow: bool) -> None:
    """Give a logarithmic axis few ticks: powers of ten, or 1, 2 and 5 of one power."""
    low, high = axis.get_xlim()
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if metric.startswith("quantile"):
        step = 2 if len(powers) > 3 and is_narrow else 1
        axis.set_xticks([10.0**n for n in powers[::step]])
    else:
        ticks = [10.0**n for n in powers[:: 2 if is_narrow else 1]]
        if len(powers) < 2:
            ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2) if low <= tick <= high]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


@CHARTS.register("parts-loss")
def parts_loss(results: Results) -> Chart:
    """Return what each part of the loss is for."""
    return ablations(results, LOSS)


@CHARTS.register("parts-steps")
def parts_steps(results: Results) -> Chart:
    """Return what the settings of the steps are for."""
    return ablations(results, STEPS)
