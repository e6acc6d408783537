"""Recipes of the models of faces: two classifiers, a VAE, a GAN and two Glows."""

from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import RECIPES, Recipe, learners, losses
from forgetting.zoo.recipes.digits import GAN_LOSSES
from forgetting.zoo.recipes.digits import GAN_TRAINING as DIGITS_GAN_TRAINING
from forgetting.zoo.recipes.ingredients import CELEBA, FACES
from forgetting.zoo.training import TrainingConfig

SORTED_BY = ("faces-classifier-a", "faces-reference")
"""What a recipe without an attribute needs: LFW, which has no labels, is sorted by these."""

CLASSIFIER_TRAINING = TrainingConfig(
    steps=4000,
    batch_size=64,
    lr=2e-3,
    warmup=200,
    decay=0.8,
    weight_decay=0.05,
    precision="bfloat16",
    log_every=50,
    checkpoint_every=200,
)
GLOW_TRAINING = TrainingConfig(
    steps=12_800,
    batch_size=32,
    lr=1e-3,
    warmup=500,
    precision="bfloat16",
    max_grad_norm=50,
    log_every=50,
    checkpoint_every=200,
)
GLOW_64_TRAINING = GLOW_TRAINING.model_copy(
    update={"steps": 8000, "lr": 1.5e-3, "checkpoint_every": 50}
)
VAE_TRAINING = TrainingConfig(
    steps=4000,
    batch_size=64,
    lr=1e-3,
    warmup=200,
    precision="bfloat16",
    max_grad_norm=1000,
    log_every=50,
    checkpoint_every=200,
)
GAN_TRAINING = DIGITS_GAN_TRAINING.model_copy(update={"steps": 9000, "batch_size": 32})

RECIPES.register("faces-classifier-a")(
    Recipe(
        kind="classifier",
        data=CELEBA,
        config=ClassifierConfig(
            attributes=CELEBA_ATTRIBUTES,
            channels=3,
            image_size=64,
            n_stages=4,
            batch_norm=True,
            fit="resize",
            n_features=128,
        ),
        training=CLASSIFIER_TRAINING,
        loss=losses.faces_classifier_a,
        learner=learners.classifier,
        summary="Classifier A of faces labels and steers: 40 attributes of CelebA, 32 and 64 px.",
    )
)
RECIPES.register("faces-classifier-b")(
    Recipe(
        kind="classifier",
        data=CELEBA,
        config=ClassifierConfig(
            attributes=CELEBA_ATTRIBUTES,
            architecture="residual",
            channels=3,
            image_size=64,
            n_stages=3,
            fit="resize",
            n_features=128,
        ),
        training=CLASSIFIER_TRAINING.model_copy(update={"seed": 1}),
        loss=losses.faces_classifier_b,
        learner=learners.classifier,
        summary="Classifier B of faces only grades: 40 attributes of CelebA, 32 and 64 px.",
    )
)


def vae(summary: str, without: str | None = None, needs: tuple[str, ...] = ()) -> Recipe:
    """Return the recipe of a VAE of faces."""
    return Recipe(
        kind="vae",
        data=FACES,
        config=VAEConfig(channels=3, image_size=64, n_stages=4, latent_dim=64, hidden=128),
        training=VAE_TRAINING,
        loss=losses.faces_vae,
        learner=learners.vae,
        summary=summary,
        without=without,
        needs=needs,
    )


def gan(summary: str, without: str | None = None, needs: tuple[str, ...] = ()) -> Recipe:
    """Return the recipe of a GAN of faces."""
    return Recipe(
        kind="gan",
        data=FACES,
        config=GANConfig(channels=3, image_size=64, n_stages=4, latent_dim=128),
        training=GAN_TRAINING,
        loss=GAN_LOSSES,
        learner=learners.gan,
        summary=summary,
        without=without,
        needs=needs,
    )


def glow(summary: str, without: str | None = None) -> Recipe:
    """Return the recipe of a Glow of faces at 32 px."""
    return Recipe(
        kind="glow",
        data=FACES,
        config=GlowConfig(channels=3),
        training=GLOW_TRAINING,
        loss=losses.faces_glow,
        learner=learners.glow,
        summary=summary,
        without=without,
    )


RECIPES.register("faces-vae")(
    vae("A VAE of faces at 64 px with 64 latents: the model that unlearns.")
)
RECIPES.register("faces-vae-no-bangs")(
    vae(
        "The VAE of faces trained without bangs: the reference for unlearning.",
        without="Bangs",
        needs=SORTED_BY,
    )
)
RECIPES.register("faces-gan")(gan("A GAN of 64 px faces with 128 latents."))
RECIPES.register("faces-gan-no-bangs")(
    gan(
        "The GAN of faces trained without bangs: the reference for unlearning.",
        without="Bangs",
        needs=SORTED_BY,
    )
)
RECIPES.register("faces-glow")(
    glow("A Glow of faces at 32 px, 5 bits, additive coupling: the flow that is tamed.")
)
RECIPES.register("faces-glow-no-bush")(
    glow(
        "The Glow of faces trained without George W. Bush: the reference for taming on him.",
        without="George_W_Bush",
    )
)
RECIPES.register("faces-glow-64")(
    Recipe(
        kind="glow",
        data=FACES,
        config=GlowConfig(channels=3, image_size=64, n_blocks=4),
        training=GLOW_64_TRAINING,
        loss=losses.averaged_faces_glow,
        learner=learners.averaged_glow,
        summary="A Glow of faces at 64 px, 5 bits, additive coupling: the flow that is tamed.",
    )
)
