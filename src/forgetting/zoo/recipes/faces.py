"""Recipes of the models of faces: two classifiers, two VAEs, two GANs and two Glows."""

import functools
from dataclasses import replace

from forgetting.data.celeba import CELEBA_ATTRIBUTES
from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.hierarchical_vae import HierarchicalVAEConfig
from forgetting.models.style_gan import StyleGANConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import RECIPES, digits, learners, losses
from forgetting.zoo.recipes.ingredients import CELEBA, FACES
from forgetting.zoo.training import TrainingConfig

SORTED_BY = ("faces-classifier-a", "faces-reference")
"""What a recipe without an attribute needs: LFW, which has no labels, is sorted by these."""

TRAINING = TrainingConfig(
    steps=4000,
    batch_size=64,
    lr=1e-3,
    warmup=200,
    precision="bfloat16",
    log_every=50,
    checkpoint_every=200,
)
"""What trainings on faces start from; those of GANs start from that of the GAN of digits."""

CLASSIFIER_CONFIG = ClassifierConfig(
    attributes=CELEBA_ATTRIBUTES,
    channels=3,
    image_size=64,
    n_stages=4,
    batch_norm=True,
    fit="resize",
    n_features=128,
)

of_faces = functools.partial(learners.usual_recipe, FACES)

CLASSIFIER_A = learners.usual_recipe(
    CELEBA,
    "classifier",
    CLASSIFIER_CONFIG,
    TRAINING.changed(lr=2e-3, decay=0.8, weight_decay=0.05),
    losses.faces_classifier_a,
    "Classifier A of faces labels and steers: 40 attributes of CelebA, 32 and 64 px.",
)
CLASSIFIER_B = replace(
    CLASSIFIER_A,
    config=CLASSIFIER_CONFIG.model_copy(
        update={"architecture": "residual", "n_stages": 3, "batch_norm": False}
    ),
    training=CLASSIFIER_A.training.changed(seed=1),
    loss=losses.faces_classifier_b,
    summary="Classifier B of faces only grades: 40 attributes of CelebA, 32 and 64 px.",
)
VAE = of_faces(
    "vae",
    VAEConfig(channels=3, image_size=64, n_stages=4, latent_dim=64, hidden=128),
    TRAINING.changed(max_grad_norm=1000),
    losses.faces_vae,
    "A VAE of faces at 64 px with 64 latents: the model that unlearns.",
)
GAN = of_faces(
    "gan",
    GANConfig(channels=3, image_size=64, n_stages=4, latent_dim=128),
    digits.GAN.training.changed(steps=9000, batch_size=32),
    losses.FACES_GAN,
    "A GAN of 64 px faces with 128 latents.",
)
HIERARCHICAL_VAE = of_faces(
    "hierarchical-vae",
    HierarchicalVAEConfig(),
    VAE.training.changed(steps=4500, warmup=300, precision="float32"),
    losses.faces_hierarchical_vae,
    "A hierarchical VAE of faces at 64 px with seven groups of latents.",
)
STYLE_GAN = of_faces(
    "style-gan",
    StyleGANConfig(),
    digits.GAN.training.changed(steps=6000, lr=2.5e-3, slower={}),
    losses.FACES_STYLE_GAN,
    "A style-based GAN of 64 px faces with 128 latents and 256 styles.",
)
GLOW = of_faces(
    "glow",
    GlowConfig(channels=3),
    TRAINING.changed(steps=12_800, batch_size=32, warmup=500, max_grad_norm=50),
    losses.faces_glow,
    "A Glow of faces at 32 px, 5 bits, additive coupling: the flow that is tamed.",
)
GLOW_64 = replace(
    GLOW,
    config=GlowConfig(channels=3, image_size=64, n_blocks=4),
    training=GLOW.training.changed(steps=3000, checkpoint_every=50),
    loss=losses.averaged_faces_glow,
    learner=learners.averaged_glow,
    summary="A Glow of faces at 64 px, 5 bits, additive coupling: the flow that is tamed.",
)

RECIPES.register("faces-classifier-a")(CLASSIFIER_A)
RECIPES.register("faces-classifier-b")(CLASSIFIER_B)
for _recipe in (VAE, GAN, GLOW, HIERARCHICAL_VAE, STYLE_GAN):
    RECIPES.register(f"faces-{_recipe.kind}")(_recipe)
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
