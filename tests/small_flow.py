"""A small flow of faces in a zoo of its own: templates on faces sample it thirty times as fast."""

import torch
import torch.nn.functional as F

from forgetting.border.inference import generate
from forgetting.models.glow import Glow, GlowConfig
from forgetting.zoo import store

NAME = "small-faces-flow"
STEPS, BATCH_SIZE = 60, 32


def save_small_flow(folder):
    """Train a Glow of one step a block on blurred faces of the VAE, and save it to a folder."""
    generator = torch.Generator().manual_seed(0)
    vae = store.load("faces-vae")
    latents = torch.randn(200, vae.latent_dim, generator=generator)
    faces = F.avg_pool2d(generate(vae, latents), 2)
    config = GlowConfig(channels=3, image_size=32, n_steps=1, n_blocks=3, width=32)
    flow = Glow(config, seed=0)
    flow.initialise(faces)
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.002)
    for _ in range(STEPS):
        batch = faces[torch.randint(len(faces), (BATCH_SIZE,), generator=generator)]
        loss = -flow.log_prob(batch, generator).mean() / flow.latent_dim
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
        optimizer.step()
    training = {"steps": STEPS, "batch_size": BATCH_SIZE}
    entry = {"kind": "glow", "config": vars(config), "training": training}
    store.save(NAME, flow, entry, "A flow of tests.", folder)
