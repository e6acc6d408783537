"""The hierarchical VAE: groups of latents, the evidence bound, and what the zoo keeps of it."""

import pytest
import torch
from pydantic import ValidationError

from forgetting.models.hierarchical_vae import HierarchicalVAE, HierarchicalVAEConfig
from forgetting.zoo.learner import Averaged
from forgetting.zoo.recipes import losses

CONFIG = HierarchicalVAEConfig(
    image_size=16, width=4, max_width=16, groups=((1, 5), (4, 2), (8, 1))
)


def images(n=4):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_latent_holds_all_groups_and_each_changes_the_image():
    decoder = HierarchicalVAE(CONFIG).decoder
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += 0.05 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(0)
            )
    assert decoder.group_dims == (5, 32, 64)
    assert decoder.names == ("0_1x1", "1_4x4", "2_8x8")
    latents = torch.randn(3, decoder.latent_dim, generator=torch.Generator().manual_seed(0))
    decoded = decoder(latents)
    assert decoded.shape == (3, 3, 16, 16)
    assert 0 <= decoded.min() < decoded.max() <= 1
    torch.testing.assert_close(decoder(latents[1:2]), decoded[1:2])
    for start, end in ((0, 5), (5, 37), (37, 101)):
        changed = latents.clone()
        changed[:, start:end] += 1
        assert not torch.allclose(decoder(changed), decoded)


def test_the_bound_is_the_squared_error_and_a_kl_of_every_group():
    vae = HierarchicalVAE(CONFIG)
    reconstruction, kls = vae.negative_elbo(images(), torch.Generator().manual_seed(0))
    assert reconstruction.shape == (4,)
    assert kls.shape == (4, 3)
    assert (kls >= 0).all()
    again, _ = vae.negative_elbo(images(), torch.Generator().manual_seed(0))
    assert torch.equal(reconstruction, again)
    sharper = HierarchicalVAE(CONFIG.model_copy(update={"deviation": 0.05}))
    larger, _ = sharper.negative_elbo(images(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(larger, 4 * reconstruction)


def test_the_kl_is_zero_where_the_posterior_is_the_prior():
    vae = HierarchicalVAE(CONFIG)
    for posterior in vae.posteriors:
        torch.nn.init.zeros_(posterior.last.weight)
        torch.nn.init.zeros_(posterior.last.bias)
    _, kls = vae.negative_elbo(images(), torch.Generator().manual_seed(0))
    assert kls.abs().max() == 0


def test_the_loss_reports_every_group_and_reaches_every_weight():
    model = Averaged(HierarchicalVAE(CONFIG)).train()
    metrics = losses.faces_hierarchical_vae(
        model, images(), None, torch.Generator().manual_seed(0)
    )
    assert {"loss", "reconstruction", "kl", "kl_0_1x1", "kl_1_4x4", "kl_2_8x8"} == set(metrics)
    torch.testing.assert_close(metrics["loss"], metrics["reconstruction"] + metrics["kl"])
    metrics["loss"].backward()
    assert all(p.grad is not None for p in model.model.parameters())
    assert all(p.grad is None for p in model.average.parameters())


def test_groups_go_from_coarse_to_fine_on_grids_that_exist():
    with pytest.raises(ValidationError, match="must rise"):
        HierarchicalVAEConfig(image_size=16, groups=((4, 1), (1, 1)))
    with pytest.raises(ValidationError, match="must rise"):
        HierarchicalVAEConfig(image_size=16, groups=((2, 1),))
