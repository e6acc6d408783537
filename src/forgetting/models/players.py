"""The two players of a GAN, and the moving average of the one that generates."""

import copy

from torch import nn


class Players(nn.Module):
    """Both players of a GAN, and the moving average of the generator, which the zoo keeps.

    Attributes
    ----------
    generator, average : Module
        The generator in training, and the moving average of its weights. Its `latent_dim` is the
        dimension of the latents.
    discriminator : Module
        The other player: images (B, C, H, W) in [0, 1] to scores (B,), higher for real images.
    latent_dim : int
        Dimension of the latents, which are N(0, I).
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent_dim: int) -> None:
        """Bring both players together; the average starts at the generator."""
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.latent_dim = latent_dim
