"""The flow: invertible, with the right density, one image at a time."""

import math

import pytest
import torch

from forgetting.models.glow import Glow, GlowConfig


def images(n=4, seed=0, shape=(3, 8, 8)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


def at_levels(glow, x):
    """Return images of 8 bits at the flow's levels."""
    return glow._levels(x) / (2**glow.n_bits - 1)


def test_decoding_inverts_encoding(glow):
    x = images()
    latents = glow.encode(x)
    assert latents.shape == (4, glow.latent_dim)
    torch.testing.assert_close(glow(latents), at_levels(glow, x), atol=1e-4, rtol=0)


def test_a_value_is_decoded_to_its_level_from_any_place_in_its_bin(glow):
    x = images()
    for seed in range(3):
        noise = 0.01 + 0.98 * images(seed=10 + seed)
        decoded = glow(glow.encode(x, noise))
        torch.testing.assert_close(glow.quantise(decoded), at_levels(glow, x))


def test_a_sample_is_in_the_bins_that_its_latents_decode_to(glow):
    z = 0.5 * torch.randn(3, glow.latent_dim, generator=torch.Generator().manual_seed(0))
    drawn = glow.sample(3, 0.5, torch.Generator().manual_seed(0))
    bins = torch.floor((glow._decode(z) + 0.5) * 2**glow.n_bits).clamp(0, 2**glow.n_bits - 1)
    assert torch.equal(glow._levels(drawn), bins)


def test_encoding_inverts_decoding(glow):
    latents = 0.3 * torch.randn(4, glow.latent_dim, generator=torch.Generator().manual_seed(3))
    y = glow._decode(latents)
    parts, _ = glow._encode(y)
    again = torch.cat([((z - m) * torch.exp(-s)).flatten(1) for z, m, s in parts], 1)
    torch.testing.assert_close(again, latents, atol=1e-4, rtol=1e-4)


def test_log_prob_is_that_of_the_autograd_jacobian(glow):
    """The density by change of variables from encode alone, differentiated by autograd."""
    glow = glow.double()
    x = images(1).double()
    y = glow._dequantise(x, None)

    def encode(values):
        parts, _ = glow._encode(values.reshape(1, 3, 8, 8))
        return torch.cat([((z - m) * torch.exp(-s)).flatten() for z, m, s in parts])

    jacobian = torch.autograd.functional.jacobian(encode, y.flatten())
    eps = encode(y.flatten())
    expected = -0.5 * (eps**2 + math.log(2 * math.pi)).sum() + torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(glow.log_prob(x)[0], expected, rtol=1e-8, atol=1e-6)


def test_likelihood_does_not_depend_on_the_rest_of_the_batch(glow):
    x, others = images(3), images(5, seed=9)
    alone = torch.cat([glow.log_prob(image[None]) for image in x])
    together = glow.log_prob(torch.cat([others, x]))[5:]
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-3)


def test_a_likelihood_is_repeatable_for_images_and_seed(glow):
    x = images()
    assert torch.equal(glow.log_prob(x), glow.log_prob(x))
    first = glow.log_prob(x, torch.Generator().manual_seed(1))
    assert torch.equal(first, glow.log_prob(x, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, glow.log_prob(x, torch.Generator().manual_seed(2)))
    noise = torch.full_like(x, 0.5)
    torch.testing.assert_close(glow.log_prob(x, noise), glow.log_prob(x))


def test_density_integrates_to_one():
    """Four dimensions, integrated over [-4, 4]^4 by a million random points."""
    model = Glow(GlowConfig(image_size=2, n_steps=2, n_blocks=1, width=4, n_bits=8))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        last = model.blocks[-1].prior
        last.conv.bias[4:] = -0.4
        y = torch.rand(1_000_000, 1, 2, 2, generator=generator) * 8 - 4
        parts, log_det = model._encode(y)
        z, mean, log_sd = parts[0]
        log_p = -0.5 * (((z - mean) / log_sd.exp()) ** 2 + math.log(2 * math.pi)) - log_sd
        mass = torch.exp(log_p.flatten(1).sum(1) + log_det).mean() * 8**4
    assert float(mass) == pytest.approx(1, abs=0.06)


def test_samples_are_images_and_depend_on_seed_and_temperature(glow):
    def draw(seed, temperature=1.0):
        return glow.sample(3, temperature, torch.Generator().manual_seed(seed))

    assert draw(0).shape == (3, 3, 8, 8)
    assert draw(0).min() >= 0
    assert draw(0).max() <= 1
    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert torch.equal(draw(0, 0.5), at_levels(glow, draw(0, 0.5)))


def test_actnorm_gives_unit_statistics(glow):
    x = images(64)
    glow.initialise(x)
    y = torch.nn.functional.pixel_unshuffle(glow._dequantise(x, None), 2)
    mixing = glow.blocks[0].steps[0].mixing
    normalised = (y + mixing.bias[:, None, None]) * mixing.log_scale.exp()[:, None, None]
    std, mean = torch.std_mean(normalised, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(12), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.ones(12), atol=1e-3, rtol=0)


@pytest.mark.parametrize("wrong", [255 * images(), 2 * images() - 1, (255 * images()).byte()])
def test_values_that_are_not_an_image_are_refused(glow, wrong):
    with pytest.raises(ValueError, match=r"takes float images in \[0, 1\]"):
        glow.log_prob(wrong)


def test_images_of_another_shape_are_refused(glow):
    with pytest.raises(ValueError, match=r"takes images of shape \(B, 3, 8, 8\)"):
        glow.log_prob(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="not a multiple"):
        Glow(GlowConfig(image_size=30))
