"""Models and data so small that a run of any kind ends within seconds. See `kills.py`."""

from pathlib import Path

import torch
from PIL import Image
from torch import nn

import forgetting as fg
from forgetting.models.glow import Glow, GlowConfig

SIZE = 16


def images(n: int, *, seed: int) -> torch.Tensor:
    """Return images of smooth noise, float32 in [0, 1], (n, 1, SIZE, SIZE)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 1, 4, 4, generator=random)
    return nn.functional.interpolate(coarse, SIZE, mode="bilinear").clamp(0, 1)


def write_images(folder: Path, n: int, *, seed: int) -> None:
    """Write images as PNG files to a folder."""
    folder.mkdir(parents=True)
    for place, image in enumerate((images(n, seed=seed) * 255).byte()):
        Image.fromarray(image[0].numpy()).save(folder / f"{place:03}.png")


def make_flow() -> nn.Module:
    """Return a small flow of the images, fitted for a few steps so that it is no constant."""
    torch.manual_seed(0)
    flow = Glow(GlowConfig(image_size=SIZE, channels=1, n_blocks=2, n_steps=2, width=16))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    for step in range(60):
        optimizer.zero_grad()
        (-flow.log_prob(images(32, seed=step)).mean() / SIZE**2).backward()
        optimizer.step()
    return fg.as_flow(flow.eval())


class Mixtures(nn.Module):
    """A small generator of pictures that are no noise: one layer mixes few shapes."""

    latent_dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, SIZE**2))
        torch.manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, 8) to images (B, 1, SIZE, SIZE)."""
        return self.layers(z).sigmoid().view(-1, 1, SIZE, SIZE)


def make_generator() -> nn.Module:
    """Return the small generator."""
    return fg.as_generator(Mixtures(), latent_dim=8)


class Brightness(nn.Module):
    """A classifier of one attribute: whether the upper half of an image is bright."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 1)."""
        return 60 * (given[:, :, : self.rows].mean((1, 2, 3))[:, None] - 0.52)


def make_classifier() -> object:
    """Return what steers."""
    return fg.as_classifier(Brightness(8), attributes=("Bright",))


def make_grader() -> object:
    """Return what grades: another part of the image counts."""
    return fg.as_classifier(Brightness(7), attributes=("Bright",))
