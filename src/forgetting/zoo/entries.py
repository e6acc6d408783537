"""Train an entry of the zoo by its recipe, and write its card."""

import platform
import time

import torch
from torch import nn

from forgetting.errors import ForgettingError
from forgetting.files import CACHE
from forgetting.models.gan import GAN
from forgetting.models.vae import VAE
from forgetting.zoo import references as reference
from forgetting.zoo import store as zoo
from forgetting.zoo.recipes import RECIPES, Recipe, embedding, losses
from forgetting.zoo.recipes.ingredients import N_WATCHED, load_training_data
from forgetting.zoo.training import Learner, train

SOURCES = {"digits": "MNIST", "celeba": "CelebA", "faces": "CelebA and LFW"}

MAKERS = {
    reference.DIGITS: reference.make_digits_reference,
    reference.FACES: reference.make_faces_reference,
    reference.LIKELIHOODS: reference.make_faces_likelihoods,
    embedding.NAME: embedding.make_faces_embedding,
}
"""The entries that are measured or fitted at once, not trained in steps."""


def train_entry(name: str, *, threads: int | None = None, again: bool = False) -> bool:
    """Train an entry of the zoo, or go on where an earlier training stopped, and save it.

    Checkpoints lie in the user's cache. The full data is needed: MNIST, or CelebA and LFW.

    Parameters
    ----------
    again : train it although the zoo has it

    Returns
    -------
    Whether anything was done: not, where the zoo has the entry and nothing was interrupted.

    Raises
    ------
    ForgettingError
        There is no such recipe.
    DataError
        The data is not at hand.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    if name not in RECIPES and name not in MAKERS:
        known = ", ".join([*RECIPES, *MAKERS])
        raise ForgettingError(f"No recipe is called {name!r}. There are: {known}.")
    checkpoint = CACHE / "training" / f"{name}.safetensors"
    if name in zoo.names() and not again and not checkpoint.is_file():
        return False
    if name in MAKERS:
        MAKERS[name]()
        return True
    recipe = RECIPES[name]
    data = load_training_data(recipe)
    learner = _learner(recipe)
    adversarial = recipe.kind == "gan"
    started = time.monotonic()
    history = train(
        learner,
        data.images,
        data.labels,
        recipe.training,
        checkpoint=checkpoint,
        held_out=None if adversarial else data.watched,
        name=name,
    )
    entry = {
        "kind": recipe.kind,
        "config": recipe.config.model_dump(mode="json"),
        "training": {
            "data": data.description,
            "without": recipe.without,
            "thresholds": data.thresholds,
            "n_images": len(data.images),
            **recipe.training.model_dump(),
        },
        "circumstances": {
            "seconds_since_last_start": round(time.monotonic() - started, 1),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "machine": platform.machine(),
        },
        "history": history,
    }
    zoo.save(name, _kept(learner.model), entry, card(name, recipe, entry))
    checkpoint.unlink(missing_ok=True)
    return True


def _learner(recipe: Recipe) -> Learner:
    seed = recipe.training.seed
    if recipe.kind == "gan":
        return Learner(GAN(recipe.config, seed), recipe.loss, after=losses.follow)
    if recipe.kind == "vae":
        return Learner(VAE(recipe.config, seed), recipe.loss)
    model = zoo.KINDS[recipe.kind][0](recipe.config, seed=seed)
    return Learner(model, recipe.loss, losses.start_glow if recipe.kind == "glow" else None)


def _kept(model: nn.Module) -> nn.Module:
    """Return what generates."""
    if isinstance(model, GAN):
        return model.average
    return model.decoder if isinstance(model, VAE) else model


def card(name: str, recipe: Recipe, entry: dict) -> str:
    """Return the model card: what it is, what it saw, what it may be used for."""
    training, last = entry["training"], entry["history"][-1]
    digits = recipe.data == "digits"
    without = ""
    if recipe.without:
        without = f" Left out: {recipe.without.replace('_', ' ')}."
    decay = f" with weight decay {training['weight_decay']:g}" if training["weight_decay"] else ""
    figures = "\n".join(
        f"| {key.replace('_', ' ')} | {value:.4g} |" for key, value in last.items()
    )
    if digits:
        licence = "see the notice in `zoo/README.md`."
        knows = "It knows digits and nothing else."
    else:
        licence = (
            f"**non-commercial research only**, as {SOURCES[recipe.data]}, which it was learned\n"
            "  from; see the notice in `zoo/README.md`."
        )
        knows = (
            "It knows small, aligned faces of people\n  in the public eye around 2000 to 2015, "
            "and their unevenness; it must not be used to\n  identify anybody."
        )
    return f"""# {name}

{recipe.summary}

- **Kind**: `{recipe.kind}`, configuration in `{name}.json`; load it with
  `forgetting.zoo.load("{name}")`.
- **Training data**: {training["n_images"]:,} images, {training["data"]}.{without}
  {N_WATCHED} other images were watched and not trained on.
- **Training**: {training["steps"]:,} steps of {training["batch_size"]}, Adam{decay}, learning
  rate {training["lr"]:g}, {training["precision"]}, seed {training["seed"]}; again with
  `forgetting train {name} --again`.
- **Use**: research on unlearning and its evaluation. {knows}
- **Licence**: {licence}

| at the end of training | |
|---|---|
{figures}
"""
