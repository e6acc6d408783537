"""A convolutional variational autoencoder (Kingma and Welling, 2014), whose decoder generates."""

import itertools
import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.models import MODELS, ModelKind
from forgetting.models.shared import (
    Autoencoder,
    LatentDecoder,
    StagedSizes,
    own_seed,
    standard_normal,
)


class VAEConfig(StagedSizes):
    """Sizes of a variational autoencoder."""

    hidden: int = Field(256, ge=1, description="units between convolutions and latents")


class Decoder(LatentDecoder):
    """The half that generates, of the sizes in `config`."""

    def __init__(self, config: VAEConfig) -> None:
        """Build a decoder with random weights from torch's global generator."""
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        inner = config.inner_shape
        layers: list[nn.Module] = [
            nn.Linear(config.latent_dim, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, math.prod(inner)),
            nn.SiLU(),
            nn.Unflatten(1, inner),
        ]
        for before, after in itertools.pairwise([*reversed(config.widths), config.width]):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
        layers.append(nn.Conv2d(config.width, config.channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # faster on a CPU

    def logits(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the images (B, C, H, W) of latents (B, latent_dim), before the sigmoid."""
        values: torch.Tensor = self.layers(latents)
        return values

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.layers(latents))


class VAE(Autoencoder):
    """A variational autoencoder with one Gaussian over its latents."""

    decoder: Decoder

    def __init__(self, config: VAEConfig, seed: int = 0) -> None:
        """Build both halves with random weights from a seed."""
        super().__init__()
        with own_seed(seed):
            encoder: list[nn.Module] = []
            for before, after in itertools.pairwise([config.channels, *config.widths]):
                encoder += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
            self.encoder = nn.Sequential(
                *encoder,
                nn.Flatten(),
                nn.Linear(math.prod(config.inner_shape), config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, 2 * config.latent_dim),
            )
            self.decoder = Decoder(config)

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance of latents, each (B, latent_dim), of images in [0, 1]."""
        mean, log_variance = self.encoder(images).float().chunk(2, 1)
        return mean, log_variance

    def negative_elbo(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both terms of the negative evidence lower bound, (B,), in nats per image.

        The reconstruction is the negative Bernoulli log-likelihood of the values, as usual on
        MNIST. Faces have the same term: a Gaussian with the best deviation reconstructs them more
        sharply, but its KL is several times as high, and samples of the prior are not faces.
        """
        mean, log_variance = self.encode(images)
        eps = standard_normal(mean, generator)
        logits = self.decoder.logits(mean + torch.exp(0.5 * log_variance) * eps)
        reconstruction = F.binary_cross_entropy_with_logits(
            logits.float(), images, reduction="none"
        )
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        return reconstruction.flatten(1).sum(1), kl.sum(1)


MODELS.register("vae")(ModelKind(Decoder, VAEConfig))
