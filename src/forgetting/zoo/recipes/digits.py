"""Recipes of the models of digits: two classifiers, a VAE, a GAN and a Glow."""

from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.learner import Loss
from forgetting.zoo.recipes import RECIPES, Recipe, learners, losses
from forgetting.zoo.recipes.ingredients import DIGITS
from forgetting.zoo.training import TrainingConfig

CLASSES = tuple("0123456789")
FEATURES = {"thick": "thick", "left_slant": "left-slanted"}

CLASSIFIER_TRAINING = TrainingConfig(steps=4000, batch_size=128, lr=1e-3, log_every=100)
VAE_TRAINING = TrainingConfig(steps=7000, batch_size=128, lr=1e-3, log_every=100)
GLOW_TRAINING = TrainingConfig(
    steps=10_000,
    batch_size=32,
    lr=5e-4,
    warmup=500,
    max_grad_norm=50,
    log_every=50,
    checkpoint_every=250,
)
GAN_TRAINING = TrainingConfig(
    steps=8000,
    batch_size=64,
    lr=1e-3,
    slower={"generator": 0.3},
    beta1=0.0,
    beta2=0.99,
    decay=0.2,
    precision="bfloat16",
    log_every=100,
)
GAN_CONFIG = GANConfig(width=32, minibatch_std="each")
GAN_LOSSES: dict[str, Loss] = {"discriminator": losses.discriminate, "generator": losses.deceive}

RECIPES.register("digits-classifier-a")(
    Recipe(
        kind="classifier",
        data=DIGITS,
        config=ClassifierConfig(attributes=(*CLASSES, *FEATURES), n_classes=10),
        training=CLASSIFIER_TRAINING,
        loss=losses.digits_classifier,
        learner=learners.classifier,
        summary="Classifier A of digits labels and steers: ten classes, thick and left-slanted.",
    )
)
RECIPES.register("digits-classifier-b")(
    Recipe(
        kind="classifier",
        data=DIGITS,
        config=ClassifierConfig(
            attributes=CLASSES, n_classes=10, architecture="residual", width=24
        ),
        training=CLASSIFIER_TRAINING.model_copy(update={"seed": 1}),
        loss=losses.digits_classifier,
        learner=learners.classifier,
        summary="Classifier B of digits grades ten classes; features are graded by measurement.",
    )
)


def vae(summary: str, seed: int = 0, without: str | None = None) -> Recipe:
    """Return the recipe of a VAE of digits."""
    return Recipe(
        kind="vae",
        data=DIGITS,
        config=VAEConfig(),
        training=VAE_TRAINING.model_copy(update={"seed": seed}),
        loss=losses.vae,
        learner=learners.vae,
        summary=summary,
        without=without,
    )


def gan(summary: str, without: str | None = None) -> Recipe:
    """Return the recipe of a GAN of digits."""
    return Recipe(
        kind="gan",
        data=DIGITS,
        config=GAN_CONFIG,
        training=GAN_TRAINING,
        loss=GAN_LOSSES,
        learner=learners.gan,
        summary=summary,
        without=without,
    )


def glow(summary: str, config: GlowConfig) -> Recipe:
    """Return the recipe of a Glow of digits."""
    return Recipe(
        kind="glow",
        data=DIGITS,
        config=config,
        training=GLOW_TRAINING,
        loss=losses.glow,
        learner=learners.glow,
        summary=summary,
    )


RECIPES.register("digits-vae")(
    vae("A VAE of 28 px digits with 32 latents: the model that unlearns.")
)
RECIPES.register("digits-gan")(gan("A GAN of 28 px digits with 64 latents."))
RECIPES.register("digits-glow")(
    glow(
        "A Glow of digits padded to 32 px, 5 bits, additive coupling: the flow that is tamed.",
        GlowConfig(n_steps=8),
    )
)
RECIPES.register("digits-glow-affine")(
    glow(
        "The Glow of digits with affine coupling: does taming depend on the coupling?",
        GlowConfig(n_steps=8, coupling="affine"),
    )
)
for _seed in (1, 2):
    RECIPES.register(f"digits-vae-seed-{_seed}")(
        vae("The VAE of digits from another seed: do the findings depend on the base?", _seed)
    )
for _feature, _adjective in FEATURES.items():
    _name = _feature.replace("_", "-")
    _reference = f"trained without {_adjective} digits: the reference for unlearning."
    RECIPES.register(f"digits-vae-no-{_name}")(
        vae(f"The VAE of digits {_reference}", without=_feature)
    )
    RECIPES.register(f"digits-gan-no-{_name}")(
        gan(f"The GAN of digits {_reference}", without=_feature)
    )
