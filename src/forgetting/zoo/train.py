"""Make an entry of the zoo by its recipe, and write its card."""

import os
import platform
import textwrap
import time
from graphlib import TopologicalSorter
from typing import Any

import torch

from forgetting.errors import ParameterError
from forgetting.foundation.files import CACHE
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES, Measurement, Recipe
from forgetting.zoo.recipes.ingredients import N_HELD_OUT
from forgetting.zoo.shares import check_devices, check_shares, start
from forgetting.zoo.training import TrainingConfig, train


def names() -> list[str]:
    """Return the names of the recipes that make the zoo, each after those that it needs.

    What is trained `by_name_only` is not among them.
    """
    needs = {
        name: recipe.needs
        for name, recipe in RECIPES.items()
        if isinstance(recipe, Measurement) or not recipe.by_name_only
    }
    return list(TopologicalSorter(needs).static_order())


def train_entry(
    name: str,
    *,
    threads: int | None = None,
    again: bool = False,
    device: str = "cpu",
    devices: int = 1,
) -> bool:
    """Make an entry of the zoo and save it, or go on with a training that was interrupted.

    Checkpoints lie in the user's cache. The full data is needed: MNIST, or CelebA and LFW.

    Parameters
    ----------
    name : str
        Name of the recipe, in `RECIPES`.
    threads : int, optional
        CPU threads; without it, as many as torch uses.
    again : bool
        Make the entry although the zoo has it.
    device : str
        Where a model is trained, as `choose_device` takes it. On a processor an interrupted
        training ends with the same weights, bit for bit; on a GPU nearly so.
    devices : int
        How many devices share each batch. Each gets a process that runs the command of this
        one; the first saves the entry.

    Returns
    -------
    bool
        Whether the entry was made. It was not, where the zoo has it and nothing was interrupted.

    Raises
    ------
    ParameterError
        There is no such recipe, there are no such devices, or several shall measure an entry.
    DataError
        The data is not at hand.
    WeightsError
        There is no folder to save the entry in.
    """
    recipe = RECIPES[name]
    if threads:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # or Lightning Fabric chooses another number
    place = check_devices(device, devices)
    torch.use_deterministic_algorithms(place.type == "cpu")
    checkpoint = CACHE / "training" / f"{name}.safetensors"
    if store.has(name) and not again and not checkpoint.is_file():
        return False
    store.save_folder(name)
    if isinstance(recipe, Measurement):
        if devices > 1:
            raise ParameterError(f"{name} is measured on one device: leave out `--devices`.")
        recipe.make()
        return True
    data = recipe.data.load(recipe)
    learner = recipe.learner(recipe)
    training = recipe.training.changed(shares=devices) if devices > 1 else recipe.training
    n_images = min(training.batch_size, len(data.images))
    check_shares(training.shares, n_images, learner.model, name)  # before processes are started
    group, place = start(place, devices)  # now, because this process has cached the data
    started = time.monotonic()
    history = train(
        learner,
        data.images,
        data.labels,
        training,
        checkpoint=checkpoint,
        held_out=None if learner.is_adversarial else data.held_out,
        name=name,
        device=place,
        group=group,
    )
    if group.rank:
        return True
    entry = {
        "kind": recipe.kind,
        "config": recipe.config.model_dump(mode="json"),
        "training": {
            "data": data.description,
            "without": recipe.without,
            "thresholds": data.thresholds,
            "n_images": len(data.images),
            **training.model_dump(),
        },
        "circumstances": {
            "seconds_since_last_start": round(time.monotonic() - started, 1),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "machine": platform.machine(),
            "device": place.type,
        },
        "history": history,
    }
    store.save(name, learner.keep(learner.model), entry, card(name, recipe, entry))
    checkpoint.unlink(missing_ok=True)
    return True


def card(name: str, recipe: Recipe, entry: dict[str, Any]) -> str:
    """Return the model card, Markdown: what the model is, what it saw, what it may be used for.

    Parameters
    ----------
    name : str
        Name of the entry.
    recipe : Recipe
        By which it is made.
    entry : dict
        Its record, with "training" and "history".
    """
    made = entry["training"]
    settings = {key: value for key, value in made.items() if key in TrainingConfig.model_fields}
    training = TrainingConfig(**settings)
    without = f" Left out: {recipe.without.replace('_', ' ')}." if recipe.without else ""
    devices = f" --devices {training.shares}" if training.shares > 1 else ""
    decay = f" with weight decay {training.weight_decay:g}" if training.weight_decay else ""
    facts = {
        "Kind": (
            f"`{recipe.kind}`, configuration in `{name}.json`; load it with "
            f'`forgetting.zoo.load("{name}")`.'
        ),
        "Training data": (
            f"{made['n_images']:,} images: {made['data']}.{without} The loss was measured on "
            f"{N_HELD_OUT} other images."
        ),
        "Training": (
            f"{training.steps:,} steps of {training.batch_size}, Adam{decay}, learning rate "
            f"{training.lr:g}, {training.precision}, seed {training.seed}; again with "
            f"`forgetting train {name} --again{devices}`."
        ),
        **recipe.data.card(),
    }
    lines = [
        *(f"# {name}", "", recipe.summary, ""),
        *(bullet(title, text) for title, text in facts.items()),
        *("", "| at the end of training | |", "|---|---|"),
        *(f"| {key.replace('_', ' ')} | {x:.4g} |" for key, x in entry["history"][-1].items()),
    ]
    return "\n".join(lines) + "\n"


def bullet(title: str, text: str) -> str:
    """Return an item of a card's list, wrapped."""
    return textwrap.fill(
        f"- **{title}**: {text}",
        width=99,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
