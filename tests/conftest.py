"""What all tests share. Nothing here needs data, a network or an environment variable."""

import pytest
import torch

from forgetting.models.glow import Glow, GlowConfig


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FORGETTING_DATA", raising=False)
    for module in ("data.digits", "data.faces", "evaluation.answers"):
        monkeypatch.setattr(f"forgetting.{module}.CACHE", tmp_path / "cache")


@pytest.fixture(params=["additive", "affine"])
def glow(request):
    """Return a small Glow with random, not zero, couplings, as if it had been trained a little."""
    config = GlowConfig(
        channels=3, image_size=8, n_steps=2, n_blocks=2, width=8, coupling=request.param
    )
    model = Glow(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    model.initialise(torch.rand(32, 3, 8, 8, generator=generator))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()
