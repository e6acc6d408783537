"""Recipes of the models of digits: two classifiers, a VAE, a GAN and a Glow."""

from dataclasses import replace

from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.vae import VAEConfig
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

CLASSIFIER_A = Recipe(
    kind="classifier",
    data=DIGITS,
    config=ClassifierConfig(attributes=(*CLASSES, *FEATURES), n_classes=10),
    training=CLASSIFIER_TRAINING,
    loss=losses.digits_classifier,
    learner=learners.classifier,
    summary="Classifier A of digits labels and steers: ten classes, thick and left-slanted.",
)
RECIPES.register("digits-classifier-a")(CLASSIFIER_A)
RECIPES.register("digits-classifier-b")(
    replace(
        CLASSIFIER_A,
        config=ClassifierConfig(
            attributes=CLASSES, n_classes=10, architecture="residual", width=24
        ),
        training=CLASSIFIER_TRAINING.model_copy(update={"seed": 1}),
        summary="Classifier B of digits grades ten classes; features are graded by measurement.",
    )
)
VAE = Recipe(
    kind="vae",
    data=DIGITS,
    config=VAEConfig(),
    training=VAE_TRAINING,
    loss=losses.vae,
    learner=learners.vae,
    summary="A VAE of 28 px digits with 32 latents: the model that unlearns.",
)
GAN = Recipe(
    kind="gan",
    data=DIGITS,
    config=GANConfig(width=32, minibatch_std="each"),
    training=GAN_TRAINING,
    loss=losses.DIGITS_GAN,
    learner=learners.gan,
    summary="A GAN of 28 px digits with 64 latents.",
)
GLOW = Recipe(
    kind="glow",
    data=DIGITS,
    config=GlowConfig(n_steps=8),
    training=GLOW_TRAINING,
    loss=losses.glow,
    learner=learners.glow,
    summary="A Glow of digits padded to 32 px, 5 bits, additive coupling: the flow that is tamed.",
)

RECIPES.register("digits-vae")(VAE)
RECIPES.register("digits-gan")(GAN)
RECIPES.register("digits-glow")(GLOW)
RECIPES.register("digits-glow-affine")(
    replace(
        GLOW,
        config=GlowConfig(n_steps=8, coupling="affine"),
        summary="The Glow of digits with affine coupling: does taming depend on the coupling?",
    )
)
for _seed in (1, 2):
    RECIPES.register(f"digits-vae-seed-{_seed}")(
        replace(
            VAE,
            training=VAE_TRAINING.model_copy(update={"seed": _seed}),
            summary="The VAE of digits from another seed: do the findings depend on the base?",
        )
    )
for _feature, _adjective in FEATURES.items():
    _name = _feature.replace("_", "-")
    _reference = f"trained without {_adjective} digits: the reference for unlearning."
    RECIPES.register(f"digits-vae-no-{_name}")(
        replace(VAE, summary=f"The VAE of digits {_reference}", without=_feature)
    )
    RECIPES.register(f"digits-gan-no-{_name}")(
        replace(GAN, summary=f"The GAN of digits {_reference}", without=_feature)
    )
