"""A convolutional variational autoencoder (Kingma and Welling, 2014); its decoder generates."""

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import nn


class VAEConfig(BaseModel):
    """Sizes of a VAE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(1, ge=1)
    image_size: int = Field(28, ge=8, description="pixels; a multiple of 4")
    latent_dim: int = Field(32, ge=1)
    width: int = Field(32, ge=1, description="channels of the first convolution")


class VAE(nn.Module):
    """An encoder to a Gaussian over latents and a decoder back to images.

    `forward` is the generator: latents (B, latent_dim) to images (B, C, H, W) in [0, 1].
    """

    def __init__(self, config: VAEConfig, seed: int = 0) -> None:
        super().__init__()
        if config.image_size % 4:
            raise ValueError(f"image_size {config.image_size} is not a multiple of 4")
        self.config = config
        self.latent_dim = config.latent_dim
        width, small = config.width, config.image_size // 4
        hidden = 256
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Conv2d(config.channels, width, 4, stride=2, padding=1),
                nn.SiLU(),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.SiLU(),
                nn.Flatten(),
                nn.Linear(2 * width * small**2, hidden),
                nn.SiLU(),
                nn.Linear(hidden, 2 * config.latent_dim),
            )
            self.decoder = nn.Sequential(
                nn.Linear(config.latent_dim, hidden),
                nn.SiLU(),
                nn.Linear(hidden, 2 * width * small**2),
                nn.SiLU(),
                nn.Unflatten(1, (2 * width, small, small)),
                nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
                nn.SiLU(),
                nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
                nn.SiLU(),
                nn.Conv2d(width, config.channels, 3, padding=1),
            )

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log-variance, each (B, latent_dim), of the latents of images."""
        return self.encoder(images).chunk(2, 1)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, latent_dim) to images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decoder(latents))

    def negative_elbo(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return reconstruction and KL terms, nats per image, each (B,).

        The reconstruction is the Bernoulli log-likelihood of the grey values, as usual on MNIST.
        """
        mean, log_variance = self.encode(images)
        eps = torch.randn(mean.shape, generator=generator).to(mean.device)
        logits = self.decoder(mean + torch.exp(0.5 * log_variance) * eps)
        reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        return reconstruction.flatten(1).sum(1), kl.sum(1)
