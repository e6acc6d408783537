"""What a reader plays with on the page of taming: a flow on points at several steps.

A spline flow of zuko learns two moons and is tamed on the tip of one, once for each delta. A tile
shows its density, another the likelihoods of both sets of points.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image

from forgetting.book.theme import LIGHT, use_theme
from forgetting.border.wrappers import as_flow
from forgetting.foundation.files import replacing, write_text
from forgetting.methods.taming import TamingConfig, tame

NAME = "points"

DELTAS = (-1, 1, 2, 3, 4)
"""Where the points shall lie, in sigma above the mean; below 0 they become more likely."""

STEPS = (0, 5, 10, 20, 40, 80, 160, 320, 600)
"""Steps of taming after which the flow is drawn."""

TIP, RADIUS = (-1.0, 0.0), 0.35
"""Points nearer than this to the tip are to be forgotten."""

RANGE = (-0.5, 8.0)
"""Of minus the log-likelihood, in nats; what lies beyond is counted at the ends."""

SIDE = 240
"""Pixels of a tile."""

CONTROLS = {"place": "Steps of taming", "sample": "Delta, in sigma"}
"""What stands above the two sliders."""


def write_points(folder: Path) -> list[Path]:
    """Train the flow, tame it for each delta, and write the sprites and what is in them.

    Returns
    -------
    list of Path
        The files.
    """
    points = _moons()
    near = (points - torch.tensor(TIP)).norm(dim=1) < RADIUS
    forget, retain = points[near], points[~near]
    base = as_flow(_trained(points))
    tiles: dict[str, list[list[np.ndarray]]] = {"density": [], "likelihoods": []}
    texts: list[list[str]] = []
    for delta in DELTAS:
        drawn: dict[int, dict[str, Any]] = {}

        def look(
            row: dict[str, float], model: Any, drawn: dict[int, Any] = drawn, delta: int = delta
        ) -> None:
            step = int(row["step"])
            if step in STEPS:
                drawn[step] = _drawn(model, forget, retain, delta)

        look({"step": 0.0}, base)
        config = TamingConfig(
            delta=delta,
            lr=5e-4,
            distance_scale=2.0,
            batch_size=64,
            retain_batch_size=256,
            n_statistics=512,
            max_steps=STEPS[-1],
            stop_within=0.0,
            seed=0,
        )
        tame(base, forget, retain, config, callback=look)
        for name, rows in tiles.items():
            rows.append([drawn[step][name] for step in STEPS])
        texts.append([_text(delta, step, drawn[step]["quantile"]) for step in STEPS])
    labels = {"density": "density in the plane", "likelihoods": "points by likelihood"}
    paths, shown = [], []
    for name, rows in tiles.items():
        path = folder / f"{NAME}-play-{name}.webp"
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
        with replacing(path) as temporary:
            Image.fromarray(sheet).save(temporary, "WEBP", quality=80, method=6)
        paths.append(path)
        shown.append({"label": labels[name], "file": path.name})
    told = {
        "size": SIDE,
        "samples": len(DELTAS),
        "places": list(STEPS),
        "start": [DELTAS.index(3), len(STEPS) - 1],
        "controls": CONTROLS,
        "texts": texts,
        "rows": {"play": shown},
    }
    path = folder / f"{NAME}.json"
    write_text(path, json.dumps(told, indent=1) + "\n")
    return [*paths, path]


def _text(delta: int, step: int, quantile: float) -> str:
    """Return what a reader is told of a tile."""
    steps = "before taming" if not step else f"after {step} steps"
    return f"delta {delta}, {steps}: the points to forget have a mean quantile of {quantile:.3f}"


def _moons() -> torch.Tensor:
    """Return the points of two moons, (N, 2)."""
    from sklearn.datasets import make_moons

    points, _ = make_moons(4000, noise=0.08, random_state=0)
    return torch.from_numpy(points).float()


def _trained(points: torch.Tensor) -> torch.nn.Module:
    """Return a spline flow that learned the points."""
    import zuko

    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow: torch.nn.Module = zuko.flows.NSF(features=2, transforms=3, hidden_features=(64, 64))
    optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        index = torch.randint(len(points), (256,), generator=generator)
        loss = -flow().log_prob(points[index]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return flow.eval()


@torch.no_grad()
def _drawn(flow: Any, forget: torch.Tensor, retain: torch.Tensor, delta: float) -> dict[str, Any]:
    """Return both tiles of a flow, and the mean quantile of the points to forget."""
    unlikely, others = -flow.log_prob(forget), -flow.log_prob(retain)
    mean, sigma = float(others.mean()), float(others.std())
    quantile = 1 - torch.special.ndtr((unlikely - mean) / sigma)
    unit = torch.linspace(0, 1, 120)
    x, y = 3.9 * unit - 1.6, 2.6 * unit - 1.05
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    density = flow.log_prob(grid).exp().reshape(len(unit), -1)

    def plane(axis: Axes) -> None:
        ends = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
        axis.imshow(
            density, cmap="Blues", vmin=0, vmax=1, origin="lower", extent=ends, aspect="auto"
        )
        axis.plot(*forget[:30].T, ".", ms=3, color=LIGHT.colours["tamed"])
        axis.set_axis_off()

    def likelihoods(axis: Axes) -> None:
        bins = np.linspace(*RANGE, 49).tolist()
        roles = (("retained", others, "reference"), ("to forget", unlikely, "tamed"))
        for height, (label, values, role) in zip((0.9, 0.8), roles, strict=True):
            colour = LIGHT.colours[role]
            clipped = values.clamp(*RANGE).numpy()
            axis.hist(clipped, bins, density=True, color=colour, alpha=0.6)
            axis.annotate(
                label, (0.98, height), xycoords="axes fraction", color=colour, ha="right", size=8
            )
        axis.axvline(mean + delta * sigma, color=LIGHT.ink, ls="--", lw=1)
        axis.set(xlim=RANGE, ylim=(0, 1.3), yticks=[], xticks=[])
        axis.set_xlabel("less likely →", fontsize=8)
        axis.spines["left"].set_visible(False)

    return {
        "density": _tile(plane),
        "likelihoods": _tile(likelihoods),
        "quantile": float(quantile.mean()),
    }


def _tile(draw: Any) -> np.ndarray:
    """Return what a function draws on an axis, (SIDE, SIDE, 3), 8 bits."""
    with mpl.rc_context():
        use_theme(LIGHT)
        figure, axis = plt.subplots(figsize=(SIDE / 100, SIDE / 100), dpi=100, facecolor="white")
        draw(axis)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
        plt.close(figure)
    return pixels
