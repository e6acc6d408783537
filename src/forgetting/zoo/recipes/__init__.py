"""How every entry of the zoo is made: model, data, loss and training, by name."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from forgetting.data.faces import CELEBA_ATTRIBUTES
from forgetting.models.classifier import ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import GlowConfig
from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import losses
from forgetting.zoo.training import Loss, TrainingConfig

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Recipe:
    """What an entry is and how it is trained.

    Attributes
    ----------
    data : "digits" (MNIST), "celeba" (CelebA, with its attributes) or "faces" (CelebA and LFW)
    summary : one sentence for the model card
    without : what no training image shows (a feature, an attribute, a person); such a model is
        the reference for unlearning it
    """

    kind: Literal["classifier", "vae", "glow", "gan"]
    data: Literal["digits", "celeba", "faces"]
    config: BaseModel
    training: TrainingConfig
    loss: Loss | dict[str, Loss]
    summary: str
    without: str | None = None


_DIGITS_CLASSIFIER = TrainingConfig(steps=4000, batch_size=128, lr=1e-3, log_every=100)
_DIGITS_VAE = TrainingConfig(steps=7000, batch_size=128, lr=1e-3, log_every=100)
_DIGITS_GLOW = TrainingConfig(
    steps=10_000,
    batch_size=32,
    lr=5e-4,
    warmup=500,
    max_grad_norm=50,
    log_every=50,
    checkpoint_every=250,
)
_FACES_CLASSIFIER = TrainingConfig(
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
_FACES_GLOW = TrainingConfig(
    steps=12_800,
    batch_size=32,
    lr=1e-3,
    warmup=500,
    precision="bfloat16",
    max_grad_norm=50,
    log_every=50,
    checkpoint_every=200,
)
_FACES_VAE = TrainingConfig(
    steps=4000,
    batch_size=64,
    lr=1e-3,
    warmup=200,
    precision="bfloat16",
    max_grad_norm=1000,
    log_every=50,
    checkpoint_every=200,
)
_GAN_LOSSES = {"discriminator": losses.discriminate, "generator": losses.deceive}
_DIGITS_GAN = TrainingConfig(
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
_DIGITS_GAN_CONFIG = GANConfig(width=32, minibatch_std="each")
_FACES_GAN = _DIGITS_GAN.model_copy(update={"steps": 9000, "batch_size": 32})
_FACES_GAN_CONFIG = GANConfig(channels=3, image_size=64, n_stages=4, latent_dim=128)
_FACES_VAE_CONFIG = VAEConfig(channels=3, image_size=64, n_stages=4, latent_dim=64, hidden=128)

RECIPES: dict[str, Recipe] = {
    "digits-classifier-a": Recipe(
        "classifier",
        "digits",
        ClassifierConfig(attributes=(*DIGITS, "thick", "left_slant"), n_classes=10),
        _DIGITS_CLASSIFIER,
        losses.digits_classifier,
        "Classifier A of the digits: labels and steers. Ten classes, thick strokes, left slant.",
    ),
    "digits-classifier-b": Recipe(
        "classifier",
        "digits",
        ClassifierConfig(attributes=DIGITS, n_classes=10, architecture="residual", width=24),
        _DIGITS_CLASSIFIER.model_copy(update={"seed": 1}),
        losses.digits_classifier,
        "Classifier B of the digits: grades only. Ten classes; features are graded by measurement.",
    ),
    "digits-vae": Recipe(
        "vae",
        "digits",
        VAEConfig(),
        _DIGITS_VAE,
        losses.vae,
        "A VAE of 28 px digits with 32 latents: the model that unlearns.",
    ),
    **{
        f"digits-vae-seed-{seed}": Recipe(
            "vae",
            "digits",
            VAEConfig(),
            _DIGITS_VAE.model_copy(update={"seed": seed}),
            losses.vae,
            "The digits VAE from another seed: does what is found hang on the base?",
        )
        for seed in (1, 2)
    },
    "digits-vae-no-thick": Recipe(
        "vae",
        "digits",
        VAEConfig(),
        _DIGITS_VAE,
        losses.vae,
        "The digits VAE trained without thick digits: what unlearning is compared with.",
        without="thick",
    ),
    "digits-vae-no-left-slant": Recipe(
        "vae",
        "digits",
        VAEConfig(),
        _DIGITS_VAE,
        losses.vae,
        "The digits VAE trained without left-slanted digits: what unlearning is compared with.",
        without="left_slant",
    ),
    "digits-glow": Recipe(
        "glow",
        "digits",
        GlowConfig(n_steps=8),
        _DIGITS_GLOW,
        losses.glow,
        "A Glow of digits padded to 32 px, 5 bits, additive coupling: the flow that is tamed.",
    ),
    "digits-glow-affine": Recipe(
        "glow",
        "digits",
        GlowConfig(n_steps=8, coupling="affine"),
        _DIGITS_GLOW,
        losses.glow,
        "The digits Glow with affine coupling: does taming hang on the coupling?",
    ),
    "faces-classifier-a": Recipe(
        "classifier",
        "celeba",
        ClassifierConfig(
            attributes=CELEBA_ATTRIBUTES,
            channels=3,
            image_size=64,
            n_stages=4,
            batch_norm=True,
            fit="resize",
            n_features=128,
        ),
        _FACES_CLASSIFIER,
        losses.faces_classifier_a,
        "Classifier A of the faces: labels and steers. The 40 attributes of CelebA, at 32 and 64 px.",
    ),
    "faces-classifier-b": Recipe(
        "classifier",
        "celeba",
        ClassifierConfig(
            attributes=CELEBA_ATTRIBUTES,
            architecture="residual",
            channels=3,
            image_size=64,
            n_stages=3,
            fit="resize",
            n_features=128,
        ),
        _FACES_CLASSIFIER.model_copy(update={"seed": 1}),
        losses.faces_classifier_b,
        "Classifier B of the faces: grades only. The 40 attributes of CelebA, at 32 and 64 px.",
    ),
    "faces-glow": Recipe(
        "glow",
        "faces",
        GlowConfig(channels=3),
        _FACES_GLOW,
        losses.faces_glow,
        "A Glow of faces at 32 px, 5 bits, additive coupling: the flow that is tamed.",
    ),
    "faces-glow-no-bush": Recipe(
        "glow",
        "faces",
        GlowConfig(channels=3),
        _FACES_GLOW,
        losses.faces_glow,
        "The faces Glow trained without George W. Bush: what taming on him is compared with.",
        without="George_W_Bush",
    ),
    "faces-vae": Recipe(
        "vae",
        "faces",
        _FACES_VAE_CONFIG,
        _FACES_VAE,
        losses.faces_vae,
        "A VAE of 64 px faces with 64 latents: the model that unlearns.",
    ),
    "faces-vae-no-bangs": Recipe(
        "vae",
        "faces",
        _FACES_VAE_CONFIG,
        _FACES_VAE,
        losses.faces_vae,
        "The faces VAE trained without bangs: what unlearning is compared with.",
        without="Bangs",
    ),
    "digits-gan": Recipe(
        "gan",
        "digits",
        _DIGITS_GAN_CONFIG,
        _DIGITS_GAN,
        _GAN_LOSSES,
        "A GAN of 28 px digits with 64 latents.",
    ),
    "digits-gan-no-thick": Recipe(
        "gan",
        "digits",
        _DIGITS_GAN_CONFIG,
        _DIGITS_GAN,
        _GAN_LOSSES,
        "The digits GAN trained without thick digits: what unlearning is compared with.",
        without="thick",
    ),
    "digits-gan-no-left-slant": Recipe(
        "gan",
        "digits",
        _DIGITS_GAN_CONFIG,
        _DIGITS_GAN,
        _GAN_LOSSES,
        "The digits GAN trained without left-slanted digits: what unlearning is compared with.",
        without="left_slant",
    ),
    "faces-gan": Recipe(
        "gan",
        "faces",
        _FACES_GAN_CONFIG,
        _FACES_GAN,
        _GAN_LOSSES,
        "A GAN of 64 px faces with 128 latents.",
    ),
    "faces-gan-no-bangs": Recipe(
        "gan",
        "faces",
        _FACES_GAN_CONFIG,
        _FACES_GAN,
        _GAN_LOSSES,
        "The faces GAN trained without bangs: what unlearning is compared with.",
        without="Bangs",
    ),
}
