"""Recipes of the models of faces: two classifiers, two VAEs, two GANs and two Glows."""

from dataclasses import replace

from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.hierarchical_vae import HierarchicalVAEConfig
from forgetting.models.style_gan import StyleGANConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import RECIPES, Recipe, learners, losses
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
HIERARCHICAL_VAE_TRAINING = TrainingConfig(
    steps=4500,
    batch_size=64,
    lr=1e-3,
    warmup=300,
    max_grad_norm=1000,
    log_every=50,
    checkpoint_every=200,
)
STYLE_GAN_TRAINING = TrainingConfig(
    steps=6000,
    batch_size=64,
    lr=2.5e-3,
    beta1=0.0,
    beta2=0.99,
    decay=0.2,
    precision="bfloat16",
    log_every=100,
    checkpoint_every=500,
)
GAN_TRAINING = DIGITS_GAN_TRAINING.model_copy(update={"steps": 9000, "batch_size": 32})

CLASSIFIER_CONFIG = ClassifierConfig(
    attributes=CELEBA_ATTRIBUTES,
    channels=3,
    image_size=64,
    n_stages=4,
    batch_norm=True,
    fit="resize",
    n_features=128,
)
CLASSIFIER_A = Recipe(
    kind="classifier",
    data=CELEBA,
    config=CLASSIFIER_CONFIG,
    training=CLASSIFIER_TRAINING,
    loss=losses.faces_classifier_a,
    learner=learners.classifier,
    summary="Classifier A of faces labels and steers: 40 attributes of CelebA, 32 and 64 px.",
)
VAE = Recipe(
    kind="vae",
    data=FACES,
    config=VAEConfig(channels=3, image_size=64, n_stages=4, latent_dim=64, hidden=128),
    training=VAE_TRAINING,
    loss=losses.faces_vae,
    learner=learners.vae,
    summary="A VAE of faces at 64 px with 64 latents: the model that unlearns.",
)
GAN = Recipe(
    kind="gan",
    data=FACES,
    config=GANConfig(channels=3, image_size=64, n_stages=4, latent_dim=128),
    training=GAN_TRAINING,
    loss=losses.FACES_GAN,
    learner=learners.gan,
    summary="A GAN of 64 px faces with 128 latents.",
)
HIERARCHICAL_VAE = Recipe(
    kind="hierarchical-vae",
    data=FACES,
    config=HierarchicalVAEConfig(),
    training=HIERARCHICAL_VAE_TRAINING,
    loss=losses.faces_hierarchical_vae,
    learner=learners.hierarchical_vae,
    summary="A hierarchical VAE of faces at 64 px with seven groups of latents.",
)
STYLE_GAN = Recipe(
    kind="style-gan",
    data=FACES,
    config=StyleGANConfig(),
    training=STYLE_GAN_TRAINING,
    loss=losses.FACES_STYLE_GAN,
    learner=learners.style_gan,
    summary="A style-based GAN of 64 px faces with 128 latents and 256 styles.",
)
GLOW = Recipe(
    kind="glow",
    data=FACES,
    config=GlowConfig(channels=3),
    training=GLOW_TRAINING,
    loss=losses.faces_glow,
    learner=learners.glow,
    summary="A Glow of faces at 32 px, 5 bits, additive coupling: the flow that is tamed.",
)

RECIPES.register("faces-classifier-a")(CLASSIFIER_A)
RECIPES.register("faces-classifier-b")(
    replace(
        CLASSIFIER_A,
        config=CLASSIFIER_CONFIG.model_copy(
            update={"architecture": "residual", "n_stages": 3, "batch_norm": False}
        ),
        training=CLASSIFIER_TRAINING.model_copy(update={"seed": 1}),
        loss=losses.faces_classifier_b,
        summary="Classifier B of faces only grades: 40 attributes of CelebA, 32 and 64 px.",
    )
)
RECIPES.register("faces-vae")(VAE)
RECIPES.register("faces-gan")(GAN)
RECIPES.register("faces-glow")(GLOW)
RECIPES.register("faces-hierarchical-vae")(HIERARCHICAL_VAE)
RECIPES.register("faces-style-gan")(STYLE_GAN)
for _recipe, _title in (
    (VAE, "VAE"),
    (GAN, "GAN"),
    (HIERARCHICAL_VAE, "hierarchical VAE"),
    (STYLE_GAN, "style-based GAN"),
):
    RECIPES.register(f"faces-{_recipe.kind}-no-bangs")(
        replace(
            _recipe,
            summary=(
                f"The {_title} of faces trained without bangs: the reference for unlearning."
            ),
            without="Bangs",
            needs=SORTED_BY,
        )
    )
GLOW_64 = replace(
    GLOW,
    config=GlowConfig(channels=3, image_size=64, n_blocks=4),
    training=GLOW_64_TRAINING,
    loss=losses.averaged_faces_glow,
    learner=learners.averaged_glow,
    summary="A Glow of faces at 64 px, 5 bits, additive coupling: the flow that is tamed.",
)
RECIPES.register("faces-glow-64")(GLOW_64)
for _name, _recipe, _title in (
    ("faces-glow", GLOW, "Glow of faces"),
    ("faces-glow-64", GLOW_64, "Glow of faces at 64 px"),
):
    RECIPES.register(f"{_name}-no-bush")(
        replace(
            _recipe,
            summary=(
                f"The {_title} trained without George W. Bush: the reference for taming on him."
            ),
            without="George_W_Bush",
        )
    )
