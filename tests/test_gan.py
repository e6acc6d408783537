"""The GAN: its players learn from each other, its average follows, and it resumes bit for bit."""

import copy

import pytest
import torch

from forgetting.models.gan import GAN, Discriminator, GANConfig, Generator
from forgetting.recipes import losses
from forgetting.training import Learner, TrainingConfig, train

CONFIG = GANConfig(channels=3, image_size=16, n_stages=2, latent_dim=6, width=4)
TRAINING = TrainingConfig(
    steps=12, batch_size=6, lr=1e-3, beta1=0.0, decay=0, log_every=2, checkpoint_every=4
)


def learner():
    parts = {"discriminator": losses.discriminate, "generator": losses.deceive}
    return Learner(GAN(CONFIG), parts, after=losses.follow)


def faces():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (20, 3, 16, 16), generator=generator, dtype=torch.uint8)


def run(checkpoint=None, student=None):
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    student = student or learner()
    history = train(student, faces(), torch.zeros(20), TRAINING, checkpoint=checkpoint)
    return student.model, history


def test_an_image_depends_on_its_own_latent_and_lies_in_range():
    generator = Generator(CONFIG, seed=3)
    latents = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    images = generator(latents)
    assert images.shape == (5, 3, 16, 16)
    assert 0 <= images.min() < images.max() <= 1
    torch.testing.assert_close(generator(latents[2:3]), images[2:3])
    assert not torch.equal(images[0], images[1])
    with pytest.raises(ValueError, match="not a multiple of 8"):
        Generator(CONFIG.model_copy(update={"n_stages": 3, "image_size": 20}))


def test_the_discriminator_is_nearly_one_lipschitz_in_each_layer():
    discriminator = Discriminator(CONFIG)
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for _ in range(30):  # the power iteration settles
        discriminator(images)
    for layer in discriminator.body:
        if hasattr(layer, "weight"):
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=0.05)


def test_both_players_learn_and_the_average_follows_the_generator():
    student = learner()
    before = copy.deepcopy(student.model.state_dict())
    model, history = run(student=student)
    assert set(history[-1]) == {
        "step", "discriminator_loss", "discriminator_real", "discriminator_fake", "generator_loss"
    }  # fmt: skip
    after = model.state_dict()
    moved = {k: float((after[k] - before[k]).abs().max()) for k in after if k.endswith("weight")}
    assert all(value > 0 for value in moved.values())
    for name, value in model.average.named_parameters():
        now = model.generator.get_parameter(name)
        assert (value - before[f"generator.{name}"]).abs().max() < 0.1 * (
            now - before[f"generator.{name}"]
        ).abs().max() + 1e-7


def test_a_player_is_not_moved_by_the_other_ones_loss():
    model = GAN(CONFIG)
    images, generator = faces().float() / 255, torch.Generator().manual_seed(0)
    losses.discriminate(model, images, None, generator)["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad is not None for p in model.discriminator.parameters())


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    undisturbed, history = run()

    class StopError(Exception):
        pass

    student, checkpoint = learner(), tmp_path / "c.safetensors"
    deceive, calls = losses.deceive, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise StopError
        return deceive(*arguments)

    student.loss["generator"] = failing
    with pytest.raises(StopError):
        run(checkpoint, student)
    resumed, again = run(checkpoint)
    assert again == history
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_variation_is_differentiable_and_cuts_a_square_out():
    images = torch.full((40, 3, 16, 16), 0.5, requires_grad=True)
    found = losses.varied(images, torch.Generator().manual_seed(0))
    found.sum().backward()
    assert images.grad.abs().sum() > 0
    dark = (found == 0).all(1).float().mean((1, 2))
    assert 0.05 < dark.mean() < 0.5
