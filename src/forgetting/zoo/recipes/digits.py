"""Recipes of the models of digits: two classifiers, a VAE, a GAN and a Glow."""

import functools
from dataclasses import replace

from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import RECIPES, learners, losses
from forgetting.zoo.recipes.ingredients import DIGITS
from forgetting.zoo.training import TrainingConfig

CLASSES = tuple("0123456789")
FEATURES = {"thick": "thick", "left_slant": "left-slanted"}

of_digits = functools.partial(learners.usual_recipe, DIGITS)

CLASSIFIER_A = of_digits(
    "classifier",
    ClassifierConfig(attributes=(*CLASSES, *FEATURES), n_classes=10),
    TrainingConfig(steps=4000, batch_size=128, lr=1e-3, log_every=100),
    losses.digits_classifier,
    "Classifier A of digits labels and steers: ten classes, thick and left-slanted.",
)
CLASSIFIER_B = replace(
    CLASSIFIER_A,
    config=ClassifierConfig(attributes=CLASSES, n_classes=10, architecture="residual", width=24),
    training=CLASSIFIER_A.training.changed(seed=1),
    summary="Classifier B of digits grades ten classes; features are graded by measurement.",
)
VAE = of_digits(
    "vae",
    VAEConfig(),
    TrainingConfig(steps=7000, batch_size=128, lr=1e-3, log_every=100),
    losses.vae,
    "A VAE of 28 px digits with 32 latents: the model that unlearns.",
)
GAN = of_digits(
    "gan",
    GANConfig(width=32, minibatch_std="each"),
    TrainingConfig(
        steps=8000,
        batch_size=64,
        lr=1e-3,
        slower={"generator": 0.3},
        beta1=0.0,
        beta2=0.99,
        decay=0.2,
        precision="bfloat16",
        log_every=100,
    ),
    losses.DIGITS_GAN,
    "A GAN of 28 px digits with 64 latents.",
)
GLOW = of_digits(
    "glow",
    GlowConfig(n_steps=8),
    TrainingConfig(
        steps=10_000,
        batch_size=32,
        lr=5e-4,
        warmup=500,
        max_grad_norm=50,
        log_every=50,
        checkpoint_every=250,
    ),
    losses.glow,
    "A Glow of digits padded to 32 px, 5 bits, additive coupling: the flow that is tamed.",
)
AFFINE_GLOW = replace(
    GLOW,
    config=GlowConfig(n_steps=8, coupling="affine"),
    summary="The Glow of digits with affine coupling: does taming depend on the coupling?",
)

RECIPES.register("digits-classifier-a")(CLASSIFIER_A)
RECIPES.register("digits-classifier-b")(CLASSIFIER_B)
for _recipe in (VAE, GAN, GLOW):
    RECIPES.register(f"digits-{_recipe.kind}")(_recipe)
RECIPES.register("digits-glow-affine")(AFFINE_GLOW)
for _seed in (1, 2):
    RECIPES.register(f"digits-vae-seed-{_seed}")(
        replace(
            VAE,
            training=VAE.training.changed(seed=_seed),
            summary="The VAE of digits from another seed: do the findings depend on the base?",
        )
    )
for _feature, _adjective in FEATURES.items():
    for _recipe, _title in ((VAE, "VAE"), (GAN, "GAN")):
        RECIPES.register(f"digits-{_recipe.kind}-no-{_feature.replace('_', '-')}")(
            replace(
                _recipe,
                summary=(
                    f"The {_title} of digits trained without {_adjective} digits: the reference "
                    "for unlearning."
                ),
                without=_feature,
            )
        )
