"""What each kind of model minimises.

Every loss takes (model, images, labels, generator) and returns metrics, of which "loss" is
minimised. Images are float32 in [0, 1], (B, C, H, W); they are varied only in training mode.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.foundation.precision import autocast_context
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow
from forgetting.models.hierarchical_vae import HierarchicalVAE
from forgetting.models.players import Players
from forgetting.models.vae import VAE
from forgetting.zoo.learner import Averaged, Loss, Metrics
from forgetting.zoo.recipes.augmentations import (
    Variation,
    coarsened,
    covered,
    mirrored,
    recoloured_and_shifted,
    relit,
    shifted,
    unvaried,
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


def hierarchical_vae(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return the negative ELBO, nats per image, and its terms: of every group of latents its KL.

    In evaluation the average of the weights is measured.
    """
    assert isinstance(model, Averaged)
    vae = model.model if model.training else model.average
    assert isinstance(vae, HierarchicalVAE)
    reconstruction, kls = vae.negative_elbo(images, generator)
    reconstruction, kls = reconstruction.mean(), kls.mean(0)
    terms = {f"kl_{name}": kl for name, kl in zip(vae.decoder.names, kls, strict=True)}
    kl = kls.sum()
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl, **terms}


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
faces_hierarchical_vae = half_mirrored(hierarchical_vae)


def averaged_faces_glow(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Return bits per dimension under the model that learns; in evaluation under its average."""
    assert isinstance(model, Averaged)
    flow = model.model if model.training else model.average
    return faces_glow(flow, images, labels, generator)


def players(real: Variation, both: Variation) -> dict[str, Loss]:
    """Return the losses of the two players of a GAN, by name.

    Parameters
    ----------
    real : callable
        How real images are varied.
    both : callable
        How real and generated images are varied alike, whenever the discriminator sees them,
        differentiably (Zhao et al., 2020).
    """
    return {
        "discriminator": functools.partial(discriminate, real=real, both=both),
        "generator": functools.partial(deceive, both=both),
    }


def discriminate(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    generator: torch.Generator,
    *,
    real: Variation,
    both: Variation,
) -> Metrics:
    """Return the logistic loss of a discriminator on real and generated images, with R1.

    R1 (Mescheder et al., 2018) is gamma / 2 times the squared norm of the score's gradient at real
    images, here at a part of every batch.
    """
    assert isinstance(model, Players)
    with torch.no_grad():
        generated = model.generator(_latents(model, images, generator)).float()
    images = both(real(images, generator), generator)
    generated = both(generated, generator)
    real_scores = model.discriminator(images).float()
    fake_scores = model.discriminator(generated).float()
    with autocast_context("float32", images.device):
        some = images[: max(1, len(images) // R1_SHARE)].detach().requires_grad_()
        (slope,) = torch.autograd.grad(model.discriminator(some).sum(), some, create_graph=True)
    penalty = slope.square().sum((1, 2, 3)).mean()
    loss = F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
    return {
        "loss": loss + R1_GAMMA / 2 * penalty,
        "real": real_scores.mean(),
        "fake": fake_scores.mean(),
        "slope": penalty,
    }


def deceive(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    generator: torch.Generator,
    *,
    both: Variation,
) -> Metrics:
    """Return the non-saturating loss of a generator (Goodfellow et al., 2014)."""
    assert isinstance(model, Players)
    generated = both(model.generator(_latents(model, images, generator)).float(), generator)
    return {"loss": F.softplus(-model.discriminator(generated).float()).mean()}


def _latents(model: Players, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return as many latents (B, latent_dim) from the prior as there are images."""
    latents = torch.randn(
        len(images), model.latent_dim, generator=generator, device=generator.device
    )
    return latents.to(images.device)


DIGITS_GAN = players(unvaried, unvaried)
"""Digits are many, and a mirrored digit is none."""

FACES_GAN = players(mirrored, shifted)
"""Faces are few: real ones are mirrored, and all are shifted.

With colours and cut-out squares as well, faces were farther from real ones after the same first
steps of a short training.
"""

FACES_STYLE_GAN = players(mirrored, recoloured_and_shifted)
"""A long training varies colours as well, or the discriminator learns the few faces by heart."""
