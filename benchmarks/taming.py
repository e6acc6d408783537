"""Speed of taming, beside a loop that does what the authors' public code does.

    make bench        or        python benchmarks/taming.py --help

The public loop asks, at every step: all images to forget for the stopping rule; a batch of them
with gradient; all of them again for the log; the base about the retain batch; the tamed model
about the same batch, with gradient; and, every ten steps, 1,024 retain images for mu and sigma.
Both loops run on the same Glow of the zoo, with the same images (the Glow's own samples), turn by
turn in one run, at the authors' settings. To the stopping rule runs `default`: `tame` with the
settings of the pages on persons, which retain more images a step and wait until they have
settled; with `--to-the-rule` both loops as well. Writes `results/bench/taming.json`, or, on a
processor that does not multiply in bfloat16, `taming-float32.json`.
"""

import copy
import json
import os
import statistics
import sys
import time

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from tqdm import tqdm

from forgetting.book import templates
from forgetting.border.contracts import bits_per_dim
from forgetting.experiments.latent_people import LatentPeople
from forgetting.foundation.files import ROOT, write_text
from forgetting.foundation.precision import has_bfloat16
from forgetting.methods.taming import TamingConfig, tame
from forgetting.zoo import store as zoo

CPU = torch.device("cpu")

NAME = "taming" if has_bfloat16(CPU) else "taming-float32"

OUTPUT = ROOT / "results" / "bench" / f"{NAME}.json"

SIZES = (1, 4, 15)

PUBLISHED = TamingConfig(precision="bfloat16")
"""The authors' settings."""

DEFAULT = TamingConfig(
    **{
        name: parameter.default
        for name, parameter in templates.parameters("taming_person").items()
        if name in TamingConfig.model_fields and name != "max_steps"
    }
)
"""What the pages on persons take; the public loop may take as many steps."""

NEVER = 1e-9
"""A stopping rule that is asked about, as the public loop does, and never met."""


def gaussian_kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Return KL(N_p || N_q) of the Gaussians fitted to two samples (B,)."""
    fitted = [torch.distributions.Normal(x.mean(), x.std()) for x in (p, q)]
    return torch.distributions.kl_divergence(*fitted)


def public_loop(
    flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor, steps: int, delta: float = 4.0
) -> int:
    """Tame as the public code does, at most `steps` steps; return how many it took."""
    tamed = copy.deepcopy(flow).requires_grad_(True)
    optimizer = torch.optim.Adam(tamed.parameters(), lr=5e-5)
    g = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def asked(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([bits_per_dim(model, part, g) for part in images.split(128)])

    for step in range(steps):
        if step % 10 == 0:
            some = torch.randperm(len(retain), generator=g)[:1024]
            sigma, mu = torch.std_mean(asked(tamed, retain[some]))
            threshold = mu + delta * sigma
        if ((asked(tamed, forget) - threshold).abs() <= 0.15 * delta * sigma).all():
            return step
        batch = forget[torch.randperm(len(forget), generator=g)[:8]]
        bpd_forget = bits_per_dim(tamed, batch, g)
        asked(tamed, forget)  # for the log
        kept = retain[torch.randperm(len(retain), generator=g)[:8]]
        bpd_base, bpd_kept = asked(flow, kept), bits_per_dim(tamed, kept, g)
        kl = gaussian_kl(bpd_base, bpd_kept) + gaussian_kl(bpd_kept, bpd_base)
        loss_forget = torch.sigmoid((bpd_forget - threshold) ** 2).mean()
        loss = 0.6 * loss_forget + 0.4 * (0.6 * kl + 0.4 * bpd_kept.mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--steps", default=20, show_default=True, help="of each loop in each round")
@click.option("--to-the-rule", is_flag=True, help="also both loops to the rule (half an hour)")
@click.option("--threads", default=0, help="CPU threads [all]")
def main(rounds: int, steps: int, to_the_rule: bool, threads: int) -> None:
    """Measure, print the table, write the JSON."""
    if threads:
        torch.set_num_threads(threads)
    flow = zoo.load("faces-glow")
    people = LatentPeople(flow, zoo.load("faces-embedding"), radius=0.3, temperature=0.7)
    person = people.person(0, 2048, 100)
    rows = {}
    for n in tqdm(SIZES, desc="sizes", file=sys.stderr):
        forget, retain = person.candidates[:n], person.retain

        def public(most: int, forget=forget, retain=retain) -> int:
            return public_loop(flow, forget, retain, most)

        def ours(most: int, stop: float, config=PUBLISHED, forget=forget, retain=retain) -> int:
            update = {"max_steps": most, "stop_within": stop}
            tamed = tame(flow, forget, retain, config.model_copy(update=update))
            return tamed.history[-1]["step"]

        ours(1, NEVER)  # asks the base what it keeps
        per_step = {"public": [], "ours": []}
        for _ in range(rounds):
            for name, loop in (("public", public), ("ours", lambda most: ours(most, NEVER))):
                started = time.perf_counter()
                taken = loop(steps)
                per_step[name].append((time.perf_counter() - started) / max(taken, 1))
        row = {f"seconds_a_step_{name}": statistics.median(s) for name, s in per_step.items()}
        row["times_faster_a_step"] = statistics.median(
            p / o for p, o in zip(per_step["public"], per_step["ours"], strict=True)
        )
        loops = {"default": lambda most: ours(most, 0.15, DEFAULT)}
        if to_the_rule:
            loops |= {"public": public, "ours": lambda most: ours(most, 0.15)}
        on_the_way = {}
        for name, loop in loops.items():
            started = time.perf_counter()
            taken = loop(1000)
            seconds = time.perf_counter() - started
            row[f"steps_to_the_rule_{name}"] = taken
            row[f"seconds_to_the_rule_{name}"] = seconds
            on_the_way[name] = seconds / max(taken, 1)
        if to_the_rule:
            row["times_faster_on_the_way"] = on_the_way["public"] / on_the_way["ours"]
        rows[f"{n} to forget"] = row
    result = {
        "rows": rows,
        "rounds": rounds,
        "steps": steps,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": {"torch": torch.__version__},
    }
    write_text(OUTPUT, json.dumps(result, indent=1) + "\n")
    table = Table("", *rows)
    for key in next(iter(rows.values())):
        table.add_row(key.replace("_", " "), *(f"{row[key]:.3g}" for row in rows.values()))
    console = Console()
    console.print(table)
    console.print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
