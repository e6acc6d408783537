"""The style-based GAN: z and w, scores of groups, and a step of both players."""

import pytest
import torch
from small_tasks import train_alone

from forgetting.models.style_gan import StyleDiscriminator, StyleGANConfig, StyleGenerator
from forgetting.models.style_gan import style_gan as build
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import augmentations, learners, losses
from forgetting.zoo.training import TrainingConfig

CONFIG = StyleGANConfig(
    image_size=16, latent_dim=6, style_dim=8, n_mapping=2, width=4, discriminator_width=4
)


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


def test_an_image_depends_on_its_own_latent_through_its_style():
    generator = StyleGenerator(CONFIG, seed=3)
    latents = torch.randn(5, 6, generator=generator_of(0))
    images = generator(latents)
    assert images.shape == (5, 3, 16, 16)
    assert 0 <= images.min() < images.max() <= 1
    torch.testing.assert_close(generator(latents[2:3]), images[2:3])
    styles = generator.styles(latents)
    assert styles.shape == (5, 8)
    assert torch.equal(generator.synthesise(styles), images)
    assert not torch.equal(images[0], images[1])


def test_the_mapping_sees_the_direction_of_a_latent_and_not_its_length():
    generator = StyleGenerator(CONFIG)
    latents = torch.randn(3, 6, generator=generator_of(0))
    torch.testing.assert_close(generator.styles(3 * latents), generator.styles(latents))


def test_a_demodulated_convolution_keeps_the_scale_of_its_input():
    stage = StyleGenerator(StyleGANConfig()).stages[2].convs[1]
    x = torch.randn(16, 128, 16, 16, generator=generator_of(0))
    with torch.no_grad():
        y = stage(x, 20 * torch.randn(16, 256, generator=generator_of(1)))
    assert y[:, :, 2:-2, 2:-2].std().item() == pytest.approx(1, abs=0.1)


def test_a_side_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match="24 is not a power of 2"):
        StyleGenerator(CONFIG.model_copy(update={"image_size": 24}))


def test_a_score_depends_on_its_group_of_images():
    discriminator = StyleDiscriminator(CONFIG)
    images = torch.rand(8, 3, 16, 16, generator=generator_of(0))
    scores = discriminator(images)
    changed = images.clone()
    changed[2] = 1  # images 0, 2, 4 and 6 are a group
    others = discriminator(changed)
    moved = ~torch.isclose(scores, others)
    assert moved[[0, 4, 6]].all()
    assert not moved[[1, 3, 5, 7]].any()


def test_both_players_learn_and_the_average_follows():
    student = Learner(build(CONFIG), losses.FACES_STYLE_GAN, after=learners.follow_generator)
    before = {k: v.clone() for k, v in student.model.state_dict().items()}
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=generator_of(0), dtype=torch.uint8)
    config = TrainingConfig(steps=4, batch_size=8, lr=1e-3, log_every=2, checkpoint_every=2)
    model, history = train_alone(student, images, config, None)
    assert {"discriminator_loss", "generator_loss"} <= set(history[-1])
    after = model.state_dict()
    still = {k for k in after if torch.equal(after[k], before[k])}
    assert not still


def test_colours_vary_by_image_and_leave_a_gradient_everywhere():
    images = torch.rand(6, 3, 16, 16, generator=generator_of(0), requires_grad=True)
    varied = augmentations.recoloured_and_shifted(images, generator_of(1))
    means = varied.detach().mean((1, 2, 3))
    assert means.unique().numel() == 6
    varied.square().sum().backward()
    assert (images.grad != 0).flatten(1).float().mean(1).min() > 0.5
