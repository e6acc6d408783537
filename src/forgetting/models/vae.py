"""A convolutional variational autoencoder (Kingma and Welling, 2014), whose decoder generates."""

import itertools
import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from forgetting.models import MODELS, ModelKind


class VAEConfig(BaseModel):
    """Sizes of a variational autoencoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(1, ge=1)
    image_size: int = Field(28, ge=8, description="pixels; a multiple of 2**n_stages")
    n_stages: int = Field(2, ge=1, description="times the image is halved")
    latent_dim: int = Field(32, ge=1)
    width: int = Field(32, ge=1, description="channels of the first convolution")
    hidden: int = Field(256, ge=1, description="units between convolutions and latents")


class Decoder(nn.Module):
    """The half that generates: a network from latents to images in [0, 1].

    Attributes
    ----------
    config : VAEConfig
        Its sizes.
    latent_dim : int
        Dimension of the latents, which are N(0, I).
    """

    def __init__(self, config: VAEConfig) -> None:
        """Build a decoder with random weights from torch's global generator.

        Raises
        ------
        ValueError
            The size of the image is not a multiple of 2**n_stages.
        """
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        inner = _inner(config)
        layers: list[nn.Module] = [
            nn.Linear(config.latent_dim, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, math.prod(inner)),
            nn.SiLU(),
            nn.Unflatten(1, inner),
        ]
        for before, after in itertools.pairwise([*reversed(_widths(config)), config.width]):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
        layers.append(nn.Conv2d(config.width, config.channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def logits(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the images (B, C, H, W) of latents (B, latent_dim), before the sigmoid."""
        values: torch.Tensor = self.layers(latents)
        return values

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.layers(latents))


class VAE(nn.Module):
    """An encoder to a Gaussian over latents, and a decoder to images, which the zoo keeps.

    Attributes
    ----------
    decoder : Decoder
        The half that generates.
    """

    def __init__(self, config: VAEConfig, seed: int = 0) -> None:
        """Build both halves with random weights from a seed."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder: list[nn.Module] = []
            for before, after in itertools.pairwise([config.channels, *_widths(config)]):
                encoder += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
            self.encoder = nn.Sequential(
                *encoder,
                nn.Flatten(),
                nn.Linear(math.prod(_inner(config)), config.hidden),
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
        """Return both terms of the negative evidence lower bound.

        The reconstruction is the negative Bernoulli log-likelihood of the values, as usual on
        MNIST. Faces have the same term: a Gaussian with the best deviation reconstructs them more
        sharply, but its KL is several times as high, and samples of the prior are not faces.

        Parameters
        ----------
        images : Tensor, (B, C, H, W)
            Images in [0, 1].
        generator : torch.Generator or None
            Source of the latents' noise; None is torch's global generator.

        Returns
        -------
        reconstruction, kl : Tensor, (B,)
            In nats per image.
        """
        mean, log_variance = self.encode(images)
        device = mean.device if generator is None else generator.device
        eps = torch.randn(mean.shape, generator=generator, device=device).to(mean.device)
        logits = self.decoder.logits(mean + torch.exp(0.5 * log_variance) * eps)
        reconstruction = F.binary_cross_entropy_with_logits(
            logits.float(), images, reduction="none"
        )
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        return reconstruction.flatten(1).sum(1), kl.sum(1)


def _widths(config: VAEConfig) -> list[int]:
    return [config.width * 2**stage for stage in range(config.n_stages)]


def _inner(config: VAEConfig) -> tuple[int, int, int]:
    """Return the shape (C, H, W) between the convolutions and the latents."""
    if config.image_size % 2**config.n_stages:
        raise ValueError(
            f"image_size {config.image_size} is not a multiple of {2**config.n_stages}"
        )
    small = config.image_size // 2**config.n_stages
    return _widths(config)[-1], small, small


MODELS.register("vae")(ModelKind(Decoder, VAEConfig))
