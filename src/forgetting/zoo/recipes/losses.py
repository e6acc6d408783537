"""What each kind of model minimises.

Every loss takes (model, images, labels, generator) and returns metrics, of which "loss" is
minimised. Images are float32 in [0, 1], (B, C, H, W); they are varied only in training mode.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.models.classifier import Classifier
from forgetting.models.gan import GAN
from forgetting.models.glow import Glow
from forgetting.models.vae import VAE
from forgetting.zoo.learner import Averaged, Loss, Metrics
from forgetting.zoo.recipes.augmentations import (
    coarsened,
    covered,
    mirrored,
    relit,
    shifted,
    warped,
)

R1_GAMMA = 0.005
"""Weight of R1, for images in [0, 1]."""

R1_SHARE = 8
"""R1 is measured at one in so many real images."""


def digits_classifier(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the cross-entropy of ten classes and of features, and the accuracy of the classes.

    Images of a residual network, classifier B, are shifted by up to 2 px.
    """
    assert isinstance(model, Classifier)
    if model.training and model.config.architecture == "residual":
        shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
        images = torch.roll(images, shift, dims=(2, 3))
    correct = model.classes(images).argmax(1) == labels[:, :10].argmax(1)
    return {"loss": model.loss(images, labels), "accuracy": correct.float().mean()}


def faces_classifier_a(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the cross-entropy of the attributes of warped and coarsened faces."""
    if model.training:
        images = warped(images, generator, shift=0.06, zoom=0.08, turn=5)
        images = coarsened(images, generator)
    return _attributes(model, images, labels)


def faces_classifier_b(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the cross-entropy of the attributes of warped, relit, covered and coarsened faces."""
    if model.training:
        images = warped(images, generator, shift=0.03, zoom=0.12, turn=8)
        images = covered(relit(images, generator), generator)
        images = coarsened(images, generator)
    return _attributes(model, images, labels)


def _attributes(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Metrics:
    """Return the mean cross-entropy over images and attributes, and the accuracy."""
    assert isinstance(model, Classifier)
    logits = model.logits(images).float()
    loss = F.binary_cross_entropy_with_logits(logits, labels.float())
    return {"loss": loss, "accuracy": ((logits > 0) == labels.bool()).float().mean()}


def vae(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the negative ELBO, nats per image (Kingma and Welling, 2014), and its two terms."""
    assert isinstance(model, VAE)
    reconstruction, kl = (term.mean() for term in model.negative_elbo(images, generator))
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def glow(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return bits per dimension under fresh dequantisation noise."""
    assert isinstance(model, Glow)
    nats = -model.log_prob(images, generator).mean() / model.latent_dim
    return {"loss": nats / math.log(2) + model.n_bits}


def half_mirrored(loss: Loss) -> Loss:
    """Return a loss of images of which half are mirrored in training: faces are few."""

    @functools.wraps(loss)
    def mirroring(
        model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> Metrics:
        images = mirrored(images, generator) if model.training else images
        return loss(model, images, labels, generator)

    return mirroring


faces_vae, faces_glow = half_mirrored(vae), half_mirrored(glow)


def averaged_faces_glow(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return bits per dimension under the model that learns; in evaluation under its average."""
    assert isinstance(model, Averaged)
    flow = model.model if model.training else model.average
    return faces_glow(flow, images, labels, generator)


def discriminate(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the logistic loss of a discriminator on real and generated images, with R1.

    Faces are few, so real ones are mirrored, and real and generated ones are shifted alike. Digits
    are many, and a mirrored digit is none. R1 (Mescheder et al., 2018) is gamma / 2 times the
    squared norm of the score's gradient at real images, here at a part of every batch.
    """
    assert isinstance(model, GAN)
    with torch.no_grad():
        generated = model.generator(_latents(model, len(images), generator)).float()
    if _has_colours(model):
        images = shifted(mirrored(images, generator), generator)
        generated = shifted(generated, generator)
    real = model.discriminator(images).float()
    fake = model.discriminator(generated).float()
    with torch.autocast(images.device.type, enabled=False):
        some = images[: max(1, len(images) // R1_SHARE)].detach().requires_grad_()
        (slope,) = torch.autograd.grad(model.discriminator(some).sum(), some, create_graph=True)
    penalty = slope.square().sum((1, 2, 3)).mean()
    loss = F.softplus(-real).mean() + F.softplus(fake).mean() + R1_GAMMA / 2 * penalty
    return {"loss": loss, "real": real.mean(), "fake": fake.mean(), "slope": penalty}


def deceive(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the non-saturating loss of a generator (Goodfellow et al., 2014).

    Generated faces are shifted, as those that the discriminator sees.
    """
    assert isinstance(model, GAN)
    generated = model.generator(_latents(model, len(images), generator)).float()
    if _has_colours(model):
        generated = shifted(generated, generator)
    return {"loss": F.softplus(-model.discriminator(generated).float()).mean()}


GAN_PLAYERS: dict[str, Loss] = {"discriminator": discriminate, "generator": deceive}
"""The losses of the two players of a GAN, by name."""


def _has_colours(model: GAN) -> bool:
    """Return whether a GAN makes faces, not digits."""
    return model.config.channels == 3


def _latents(model: GAN, n: int, generator: torch.Generator) -> torch.Tensor:
    """Return n latents (n, latent_dim) from the prior."""
    return torch.randn(n, model.config.latent_dim, generator=generator)
