"""Speed and memory of the Glow, beside an equal one from normflows and the machine's ceiling.

    make bench        or        python benchmarks/glow.py --help

Everything is measured in one run, turn by turn, and only ratios of one run are compared: the
speed of a shared machine changes from minute to minute. The ceiling is what the machine reaches
in large convolutions (forward and backward); the operations of a training step are counted, not
estimated. Writes `results/bench/glow.json` beside the table.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import normflows
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from forgetting.foundation.files import ROOT, write_text
from forgetting.foundation.precision import Precision, autocast_context, has_bfloat16
from forgetting.models.glow import Glow, GlowConfig

OUTPUT = ROOT / "results" / "bench" / "glow.json"

CPU = torch.device("cpu")

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16") if has_bfloat16(CPU) else ("float32",)

Step = Callable[[], None]


def training_step(flow: nn.Module, images: torch.Tensor, precision: Precision) -> Step:
    """Return one step of maximum likelihood, by Adam, on images (B, 3, H, W)."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast_context(precision, CPU):
            log_p = (
                flow.log_prob(images, generator)
                if isinstance(flow, Glow)
                else flow.log_prob(images - 0.5 + torch.rand_like(images) / 32, None)
            )
            loss = -log_p.mean() / images[0].numel()
        loss.backward()
        optimizer.step()

    return step


def sampling_step(flow: nn.Module, n: int) -> Step:
    """Return the drawing of n samples."""

    @torch.no_grad()
    def step() -> None:
        flow.sample(n)

    return step


def normflows_glow(config: GlowConfig) -> nn.Module:
    """Return the additive Glow of normflows with the sizes of ours."""
    flows, bases, merges = [], [], []
    channels, size, blocks = config.channels, config.image_size, config.n_blocks
    for level in range(blocks):  # from the latent's end to the image
        squeezed = channels * 2 ** (blocks + 1 - level)
        steps = [
            normflows.flows.GlowBlock(squeezed, config.width, scale=False)
            for _ in range(config.n_steps)
        ]
        flows.append([*steps, normflows.flows.Squeeze()])
        kept = squeezed if level == 0 else squeezed // 2
        side = size // 2 ** (blocks - level)
        bases.append(normflows.distributions.DiagGaussian((kept, side, side)))
        if level:
            merges.append(normflows.flows.Merge())
    return normflows.MultiscaleFlow(bases, flows, merges)


def convolutions(precision: Precision, batch: int) -> tuple[Step, int]:
    """Return one forward and backward pass of large convolutions, and its operations."""
    layers = nn.Sequential(*(nn.Conv2d(256, 256, 3, padding=1) for _ in range(3)))
    layers.to(memory_format=torch.channels_last)
    images = torch.rand(batch, 256, 16, 16).to(memory_format=torch.channels_last)
    images.requires_grad_()

    def step() -> None:
        with autocast_context(precision, CPU):
            out = layers(images)
        out.float().sum().backward()

    return step, operations(step)


def operations(step: Step) -> int:
    """Count the floating-point operations of a step (a multiply-add is two)."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def rates(steps: dict[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return how often a second each step runs, once a round, turn by turn."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in tqdm(range(rounds), desc="rounds", file=sys.stderr):
        for name, step in steps.items():
            started, count = time.perf_counter(), 0
            while (spent := time.perf_counter() - started) < seconds:
                step()
                count += 1
            found[name].append(count / spent)
    return found


def peak_mib(config: GlowConfig, batch: int, kind: str) -> float:
    """Return the memory that three training steps add, measured in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--memory-of", config.model_dump_json()]
    command += ["--batch", str(batch), "--kind", kind, "--threads", str(torch.get_num_threads())]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(found.stdout)


def _peak() -> float:
    """Return the most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if not status.is_file():  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    # on Linux getrusage counts the process it was forked from as well
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def _measure_memory(config: GlowConfig, batch: int, kind: str) -> float:
    warm = nn.Conv2d(3, 8, 3)  # what the libraries themselves take
    warm(torch.rand(1, 3, 8, 8)).sum().backward()
    before = _peak()
    flow = normflows_glow(config) if kind == "normflows" else Glow(config)
    images = torch.rand(batch, config.channels, config.image_size, config.image_size)
    step = training_step(flow, images, "bfloat16" if kind == "bfloat16" else "float32")
    for _ in range(3):
        step()
    return _peak() - before


def subjects(batch: int) -> Iterator[tuple[str, Step, int]]:
    """Yield name, step and images a step of everything that is timed."""
    config = GlowConfig(channels=3, n_steps=16, n_blocks=3, width=128)
    images = torch.rand(batch, 3, 32, 32)
    for precision in PRECISIONS:
        ours = Glow(config)
        ours.initialise(images)
        yield f"ours, training, {precision}", training_step(ours, images, precision), batch
    theirs = normflows_glow(config)
    yield "normflows, training, float32", training_step(theirs, images, "float32"), batch
    yield "ours, sampling", sampling_step(ours, batch), batch
    yield "normflows, sampling", sampling_step(theirs, batch), batch
    for name, other, n in (
        ("K = 32", config.model_copy(update={"n_steps": 32}), batch),
        ("64 px", config.model_copy(update={"image_size": 64}), batch // 4),
    ):
        flow, large = Glow(other), torch.rand(n, 3, other.image_size, other.image_size)
        flow.initialise(large)
        for precision in PRECISIONS:
            step = training_step(flow, large, precision)
            yield f"ours, training, {precision}, {name}", step, n
        yield f"ours, sampling, {name}", sampling_step(flow, n), n


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=6.0, show_default=True, help="of each subject in each round")
@click.option("--batch", default=64, show_default=True, type=click.IntRange(4))
@click.option("--threads", default=0, help="CPU threads [all]")
@click.option("--memory-of", hidden=True)
@click.option("--kind", default="float32", hidden=True)
def main(
    rounds: int, seconds: float, batch: int, threads: int, memory_of: str | None, kind: str
) -> None:
    """Measure, print the table, write the JSON."""
    if threads:
        torch.set_num_threads(threads)
    if memory_of:
        print(_measure_memory(GlowConfig.model_validate_json(memory_of), batch, kind))
        return
    torch.manual_seed(0)
    found = list(subjects(batch))
    steps = {name: step for name, step, _ in found}
    per_step = {name: n for name, _, n in found}
    ceilings, flops = {}, {}
    for precision in PRECISIONS:
        name = f"ceiling, {precision}"
        steps[name], ceilings[precision] = convolutions(precision, batch)
        per_step[name] = 1
    for name in steps:
        if "training" in name:
            flops[name] = operations(steps[name]) / per_step[name]
    measured = rates(steps, rounds, seconds)
    rows = {}
    for name, values in measured.items():
        row = {"rate": statistics.median(values) * per_step[name]}
        row |= {"low": min(values) * per_step[name], "high": max(values) * per_step[name]}
        precision = "bfloat16" if "bfloat16" in name else "float32"
        if name in flops:
            row["gflop_per_image"] = flops[name] / 1e9
            pairs = zip(values, measured[f"ceiling, {precision}"], strict=True)
            share = [
                v * per_step[name] * flops[name] / (c * ceilings[precision]) for v, c in pairs
            ]
            row["share_of_ceiling"] = statistics.median(share)
        if name.startswith("ceiling"):
            row["gflops"] = statistics.median(values) * ceilings[precision] / 1e9
        rows[name] = row
    ratios = {}
    for name in (*(f"training, {precision}" for precision in PRECISIONS), "sampling"):
        other = "normflows, sampling" if name == "sampling" else "normflows, training, float32"
        pairs = zip(measured[f"ours, {name}"], measured[other], strict=True)
        ratios[f"ours / normflows, {name}"] = statistics.median(a / b for a, b in pairs)
    memory = {}
    for kind in (*PRECISIONS, "normflows"):
        for k, size, n in ((8, 32, batch), (16, 32, batch), (32, 32, batch), (16, 64, batch // 4)):
            config = GlowConfig(channels=3, image_size=size, n_steps=k, n_blocks=3, width=128)
            memory[f"{kind}, K = {k}, {size} px, batch {n}"] = peak_mib(config, n, kind)
    result = {
        "rows": rows,
        "ratios": ratios,
        "memory_mib": memory,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {"torch": torch.__version__, "normflows": normflows.__version__},
    }
    write_text(OUTPUT, json.dumps(result, indent=1) + "\n")
    _show(result, OUTPUT)


def _show(result: dict, path: Path) -> None:
    table = Table("subject", "images/s", "slowest to fastest", "GFLOP an image", "of ceiling")
    for name, row in result["rows"].items():
        if name.startswith("ceiling"):
            table.add_row(name, "", "", f"{row['gflops']:.0f} GFLOP/s", "")
            continue
        counted = f"{row['gflop_per_image']:.2f}" if "gflop_per_image" in row else ""
        share = f"{row['share_of_ceiling']:.0%}" if "share_of_ceiling" in row else ""
        spread = f"{row['low']:.1f} to {row['high']:.1f}"
        table.add_row(name, f"{row['rate']:.1f}", spread, counted, share)
    console = Console()
    console.print(table)
    for name, ratio in result["ratios"].items():
        console.print(f"{name}: {ratio:.2f}")
    for name, mib in result["memory_mib"].items():
        console.print(f"memory of a training, {name}: {mib:.0f} MiB")
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()
