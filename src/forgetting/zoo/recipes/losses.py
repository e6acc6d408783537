"""What each kind of model minimises, and how its training images are varied.

All take (model, images, labels, generator) and return metrics, of which "loss" is minimised;
images are float32 in [0, 1], (B, C, H, W), and are varied only while the model is in train mode.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.models.classifier import Classifier
from forgetting.models.gan import GAN
from forgetting.models.glow import Glow
from forgetting.models.vae import VAE
from forgetting.zoo.training import Metrics

R1_GAMMA = 0.005
"""Weight of R1, for images in [0, 1]."""

R1_SHARE = 8
"""R1 is asked of one in so many real images."""


def digits_classifier(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Cross-entropy of ten classes and of features; classifier B's digits are shifted by up to 2 px."""
    assert isinstance(model, Classifier)
    if model.training and model.config.architecture == "residual":
        shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
        images = torch.roll(images, shift, dims=(2, 3))
    correct = model.classes(images).argmax(1) == labels[:, :10].argmax(1)
    return {"loss": model.loss(images, labels), "accuracy": correct.float().mean()}


def faces_classifier_a(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Cross-entropy of the attributes; faces are mirrored, moved and turned a little."""
    if model.training:
        images = moved(images, generator, shift=0.06, zoom=0.08, turn=5)
        images = coarsened(images, generator)
    return _attributes(model, images, labels)


def faces_classifier_b(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Cross-entropy of the attributes; light and colour change too, and a patch is covered."""
    if model.training:
        images = moved(images, generator, shift=0.03, zoom=0.12, turn=8)
        images = covered(relit(images, generator), generator)
        images = coarsened(images, generator)
    return _attributes(model, images, labels)


def _attributes(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Metrics:
    assert isinstance(model, Classifier)
    logits = model.logits(images).float()
    loss = F.binary_cross_entropy_with_logits(logits, labels.float())
    return {"loss": loss, "accuracy": ((logits > 0) == labels.bool()).float().mean()}


def vae(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Negative ELBO, nats per image."""
    assert isinstance(model, VAE)
    reconstruction, kl = (term.mean() for term in model.negative_elbo(images, generator))
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def faces_vae(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Negative ELBO of faces, half of them mirrored."""
    images = mirrored(images, generator) if model.training else images
    return vae(model, images, labels, generator)


def glow(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Bits a dimension, under fresh dequantisation noise."""
    assert isinstance(model, Glow)
    nats = -model.log_prob(images, generator).mean() / model.latent_dim
    return {"loss": nats / math.log(2) + model.n_bits}


def faces_glow(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Bits a dimension of faces, half of them mirrored."""
    images = mirrored(images, generator) if model.training else images
    return glow(model, images, labels, generator)


def start_glow(model: nn.Module, images: torch.Tensor, generator: torch.Generator) -> None:
    """Set a Glow's actnorms from the first batch."""
    assert isinstance(model, Glow)
    model.initialise(images, generator)


def discriminate(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Logistic loss of a discriminator on real and generated images, with R1.

    Faces are few: both kinds are shifted alike, and real ones mirrored. Digits are enough, and
    mirrored they are none. R1 (Mescheder et al., 2018) is gamma / 2 times the squared norm of the
    score's gradient at real images, here at a part of every batch.
    """
    assert isinstance(model, GAN)
    with torch.no_grad():
        made = model.generator(_latents(model, len(images), generator)).float()
    if _are_faces(model):
        images = shifted(mirrored(images, generator), generator)
        made = shifted(made, generator)
    real = model.discriminator(images).float()
    fake = model.discriminator(made).float()
    with torch.autocast(images.device.type, enabled=False):
        some = images[: max(1, len(images) // R1_SHARE)].detach().requires_grad_()
        (slope,) = torch.autograd.grad(model.discriminator(some).sum(), some, create_graph=True)
    penalty = slope.square().sum((1, 2, 3)).mean()
    loss = F.softplus(-real).mean() + F.softplus(fake).mean() + R1_GAMMA / 2 * penalty
    return {"loss": loss, "real": real.mean(), "fake": fake.mean(), "slope": penalty}


def deceive(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
) -> Metrics:
    """Loss of a generator: its images, faces shifted as the discriminator's, shall score high."""
    assert isinstance(model, GAN)
    made = model.generator(_latents(model, len(images), generator)).float()
    if _are_faces(model):
        made = shifted(made, generator)
    return {"loss": F.softplus(-model.discriminator(made).float()).mean()}


def follow(model: nn.Module) -> None:
    """Move a GAN's average towards its generator, with a half-life of 700 steps or so."""
    assert isinstance(model, GAN)
    model.follow(0.999)


def _are_faces(model: GAN) -> bool:
    return model.config.channels == 3


def _latents(model: GAN, n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(n, model.config.latent_dim, generator=generator)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to an eighth of its side, differentiably; 0 comes in from outside.

    Of what DiffAugment varies (Zhao et al., 2020) the translation alone: with its colours and its
    cut-out square as well, faces after as many of the first steps were farther from real ones.
    """
    n, _, size, _ = images.shape
    reach = size // 8
    u = torch.rand(2, n, generator=generator)
    shift = torch.floor(u * (2 * reach + 1)) - reach
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    theta[:, :, 2] = shift.T * 2 / size
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def mirrored(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image, left to right, with probability 1/2."""
    flip = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(flip, images.flip(3), images)


def moved(
    images: torch.Tensor, generator: torch.Generator, shift: float, zoom: float, turn: float
) -> torch.Tensor:
    """Mirror, shift (a share of the side), zoom (a share) and turn (degrees) each image."""
    n = len(images)
    u = torch.rand(5, n, generator=generator) * 2 - 1
    angle, scale = u[0] * math.radians(turn), 1 + u[1] * zoom
    flip = torch.sign(u[4])
    row_x = torch.stack([scale * flip * angle.cos(), -scale * angle.sin(), 2 * shift * u[2]], 1)
    row_y = torch.stack([scale * flip * angle.sin(), scale * angle.cos(), 2 * shift * u[3]], 1)
    grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def relit(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast and the balance of the colours of each image."""
    u = torch.rand(len(images), 5, 1, 1, generator=generator) * 2 - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (1 + 0.25 * u[:, :1]) + mean + 0.12 * u[:, 1:2]
    return (images + 0.04 * u[:, 2:]).clamp(0, 1)


def covered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cover a square (up to 0.3 of the side) of half of the images with grey."""
    n, _, height, width = images.shape
    u = torch.rand(4, n, 1, 1, generator=generator)
    half = 0.15 * u[0] * (u[1] < 0.5)
    y, x = torch.arange(height) / height, torch.arange(width) / width
    near = ((y[:, None] - u[2]).abs() < half) & ((x - u[3]).abs() < half)
    return torch.where(near[:, None], 0.5, images)


def coarsened(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Bring half of the images to half their resolution, and half of those to 5 bits."""
    n, size = len(images), images.shape[-1]
    u = torch.rand(2, n, 1, 1, 1, generator=generator)
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    small = torch.where(u[1] < 0.5, torch.floor(small * 255 / 8).clamp(0, 31) / 31, small)
    large = F.interpolate(small, size=(size, size), mode="bilinear")
    return torch.where(u[0] < 0.5, large, images)
