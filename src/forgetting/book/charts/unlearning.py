"""Charts of unlearned features."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import (
    Row,
    Value,
    forest,
    label_points,
    percent,
    share_scale,
    table,
)
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.errors import DataError

DIGITS = {
    "digits_vae_thick": "VAE of digits, thick strokes",
    "digits_vae_left_slant": "VAE of digits, left slant",
    "digits_gan_thick": "GAN of digits, thick strokes",
    "digits_gan_left_slant": "GAN of digits, left slant",
}
"""Cases of the sweep on digits, in words."""

FACES = {
    "unlearn_bangs": "VAE of faces, bangs",
    "unlearn_gan_bangs": "GAN of faces, bangs",
    "unlearn_style_gan_bangs": "style-based GAN, bangs",
    "unlearn_smiling": "VAE of faces, smiles",
    "unlearn_gan_smiling": "GAN of faces, smiles",
}
"""Pages on faces, in words."""

IN_ROUNDS = {"unlearn_gan_smiling": "unlearn_gan_smiling_rounds"}
"""Records of the same model and feature after rounds, by page."""

GRADERS = {"": "classifier B", "outside_": "face-api"}
"""The graders of faces, by what their metrics begin with."""

SHARE = "share of samples with the feature, %"


def digits_row(results: Results, case: str) -> Row:
    """Return the shares of a case of digits, means over seeds."""
    name, rounds = "unlearn_digits_table", f"{case}_until_gone"
    metrics = {
        "original": f"prevalence_before_{case}",
        "unlearned": f"prevalence_after_{case}",
        "until gone": f"prevalence_after_{rounds}",
        "filter": f"prevalence_filter_{case}",
        "retrained": f"prevalence_retrained_{case}",
    }
    values = {role: percent(results.value(name, metric)) for role, metric in metrics.items()}
    return Row(DIGITS[case], values)


def worse_grader(results: Results, page: str) -> str:
    """Return what the metrics of the grader begin with that finds more of the feature left."""
    metrics = results.metrics(page)
    return max(GRADERS, key=lambda grader: metrics.get(f"prevalence_{grader}after", -1))


def faces_row(results: Results, page: str) -> Row:
    """Return the shares of a page on faces, by the grader that finds more of the feature left."""
    grader = worse_grader(results, page)
    names = {"original": "before", "unlearned": "after", "filter": "filter"}
    names["retrained"] = "retrained"
    values: dict[str, Value] = {}
    for role, name in names.items():
        metric = f"prevalence_{grader}{name}"
        if metric in results.metrics(page):
            values[role] = percent(results.value(page, metric))
    if page in IN_ROUNDS:
        metric = f"prevalence_{grader}after"
        values["until gone"] = percent(results.value(IN_ROUNDS[page], metric))
    floor = f"prevalence_{grader}floor"
    if "retrained" not in values and floor in results.metrics(page):
        values["reference"] = percent(results.value(page, floor))
    return Row(f"{FACES[page]}", values)


def _shares(rows: list[Row]) -> Chart:
    return Chart(
        table(rows, "share, %"),
        lambda theme, width: forest(rows, theme, width, SHARE),
    )


@CHARTS.register("shares")
def shares(results: Results) -> Chart:
    """Return what is left of every feature, in every model of the study."""
    rows = [digits_row(results, case) for case in DIGITS]
    return _shares(rows + [faces_row(results, page) for page in FACES])


@CHARTS.register("digits-shares")
def digits_shares(results: Results) -> Chart:
    """Return what is left of the features of digits."""
    return _shares([digits_row(results, case) for case in DIGITS])


@CHARTS.register("faces-shares")
def faces_shares(results: Results) -> Chart:
    """Return what is left of the features of faces."""
    return _shares([faces_row(results, page) for page in FACES])


@CHARTS.register("digits-fid")
def digits_fid(results: Results) -> Chart:
    """Return the FID of models of digits that unlearned, beside its floor."""
    rows = []
    for case, label in DIGITS.items():
        metrics = {
            "unlearned": f"fid_after_{case}",
            "until gone": f"fid_after_{case}_until_gone",
            "filter": f"fid_filter_{case}",
            "retrained": f"fid_retrained_{case}",
            "reference": f"fid_floor_{case}",
        }
        values = {k: results.value("unlearn_digits_table", m) for k, m in metrics.items()}
        rows.append(Row(label, values))
    return Chart(
        table(rows, "FID"),
        lambda theme, width: forest(
            rows, theme, width, "FID to the original's samples without the feature", False
        ),
    )


def trade_off(results: Results, page: str) -> Chart:
    """Return FID against what is left of the feature, for every method at every setting.

    Parameters
    ----------
    page : str
        Of the template `unlearning_baselines`.
    """
    metrics = results.metrics(page)
    methods = [name.removeprefix("setting_") for name in metrics if name.startswith("setting_")]
    if not methods:
        raise DataError(f"{page} compares no methods.")
    rows = []
    for method in methods:
        values: dict[str, Value] = {}
        point = (100 * metrics[f"prevalence_{method}"], metrics[f"fid_{method}"])
        values["share"], values["FID"] = (point[0],) * 3, (point[1],) * 3
        rows.append(Row(method.replace("_", " "), values))
    beside = {
        role: (100 * metrics[f"prevalence_{name}"], metrics[f"fid_{name}"])
        for role, name in (
            ("original", "before"),
            ("until gone", "until_gone"),
            ("filter", "latent_filter"),
            ("retrained", "retrained"),
        )
        if f"fid_{name}" in metrics
    }
    floor = metrics["fid_floor"]

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = plt.subplots(figsize=(width, 4.6 if width <= NARROW else 3.6))
        points: dict[str, tuple[float, float]] = {}
        colours: dict[str, str] = {}
        for row in rows:
            is_ours = row.label == "feature unlearning"
            label = LABELS["unlearned"] if is_ours else row.label
            points[label] = row.values["share"][0], row.values["FID"][0]
            colours[label] = theme.colours["unlearned"] if is_ours else theme.ink
            mark = MARKERS["unlearned"] if is_ours else "o"
            axis.plot(*points[label], mark, color=colours[label], ms=7, clip_on=False)
        for role, point in beside.items():
            points[LABELS[role]], colours[LABELS[role]] = point, theme.colours[role]
            axis.plot(*point, MARKERS[role], color=theme.colours[role], ms=7, clip_on=False)
        axis.axhline(floor, color=theme.ink, lw=0.8, ls=":")
        axis.text(0, floor, " floor", transform=axis.get_yaxis_transform(), ha="left", va="bottom")
        axis.set(xlabel=SHARE, ylabel="FID", yscale="log")
        axis.margins(y=0.12)
        for formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
        share_scale(axis, max(x for x, _ in points.values()))
        axis.grid(axis="both")
        label_points(axis, points, colours)
        return figure

    cells = [Row(role, {"share": (x,) * 3, "FID": (y,) * 3}) for role, (x, y) in beside.items()]
    data = table([*rows, *cells], "value").pivot_table(
        index="row", columns="model", values="value"
    )
    return Chart(data.reset_index(), draw)


@CHARTS.register("ways-thick")
def ways_thick(results: Results) -> Chart:
    """Return how methods trade thick strokes for FID, in the VAE of digits."""
    return trade_off(results, "ways_thick")


@CHARTS.register("ways-bangs")
def ways_bangs(results: Results) -> Chart:
    """Return how methods trade bangs for FID, in the VAE of faces."""
    return trade_off(results, "ways_bangs")
