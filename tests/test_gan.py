"""The GAN: both players learn, the average follows, and a training resumes bit for bit."""

import copy

import pytest
import torch
from small_tasks import train_alone

from forgetting.models.gan import Discriminator, GANConfig, Generator, gan
from forgetting.zoo import training
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import augmentations, learners, losses
from forgetting.zoo.training import TrainingConfig, train

CONFIG = GANConfig(channels=3, image_size=16, n_stages=2, latent_dim=6, width=4)
TRAINING = TrainingConfig(
    steps=12, batch_size=6, lr=1e-3, beta1=0.0, decay=0, log_every=2, checkpoint_every=4
)


def learner():
    return Learner(gan(CONFIG), losses.FACES_GAN, after=learners.follow_generator)


def faces():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (20, 3, 16, 16), generator=generator, dtype=torch.uint8)


def run(checkpoint=None, student=None):
    return train_alone(student or learner(), faces(), TRAINING, checkpoint)


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


def test_scores_of_a_new_discriminator_neither_fade_nor_explode():
    config = CONFIG.model_copy(update={"image_size": 64, "n_stages": 4, "width": 16})
    images = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        size = Discriminator(config)(images).square().mean().sqrt()
    assert 0.1 < size < 10


@pytest.mark.parametrize("minibatch_std", ["mean", "each"])
def test_a_score_depends_on_how_much_the_batch_differs(minibatch_std):
    discriminator = Discriminator(CONFIG.model_copy(update={"minibatch_std": minibatch_std}))
    some, others = (faces()[:6].float() / 255).split(3)
    alone = discriminator(some[:1].expand(3, -1, -1, -1))[0]
    among = discriminator(torch.cat([some[:1], others[:2]]))[0]
    assert not torch.isclose(alone, among)


def test_r1_is_the_squared_slope_of_the_score_at_real_images():
    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((3, 16, 16), 0.1))
            self.seen = []

        def forward(self, images):
            self.seen.append((images * self.weight).sum((1, 2, 3)))
            return self.seen[-1]

    model = gan(CONFIG)
    model.discriminator = Linear()
    images, generator = faces().float() / 255, torch.Generator().manual_seed(0)
    metrics = losses.FACES_GAN["discriminator"](model, images, None, generator)
    assert metrics["slope"].item() == pytest.approx(3 * 16 * 16 * 0.1**2, rel=1e-5)
    real, fake = model.discriminator.seen[:2]
    logistic = torch.nn.functional.softplus(-real) + torch.nn.functional.softplus(fake)
    penalty = losses.R1_GAMMA / 2 * metrics["slope"]
    torch.testing.assert_close(metrics["loss"], logistic.mean() + penalty)
    metrics["slope"].backward()
    assert model.discriminator.weight.grad.abs().min() > 0


def test_a_slower_part_learns_with_its_share_of_the_learning_rate():
    student = learner()
    before = copy.deepcopy(student.model.state_dict())
    config = TRAINING.model_copy(update={"slower": {"generator": 0.0}})
    train(student, faces(), torch.zeros(20), config)
    after = student.model.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in after if k.startswith("generator"))
    assert any(not torch.equal(after[k], before[k]) for k in after if k.startswith("discrim"))


def test_both_players_learn_and_the_average_follows_the_generator():
    student = learner()
    before = copy.deepcopy(student.model.state_dict())
    model, history = run(student=student)
    assert set(history[-1]) == {
        "step", "discriminator_loss", "discriminator_real", "discriminator_fake",
        "discriminator_slope", "generator_loss",
    }  # fmt: skip
    after = model.state_dict()
    shifts = {k: float((after[k] - before[k]).abs().max()) for k in after if k.endswith("weight")}
    assert all(shift > 0 for shift in shifts.values())
    for name, mean in model.average.named_parameters():
        first, last = before[f"generator.{name}"], model.generator.get_parameter(name)
        assert (mean - first).abs().max() < 0.1 * (last - first).abs().max() + 1e-7
        assert not mean.requires_grad
        assert last.requires_grad


def test_a_player_gets_no_gradient_from_the_loss_of_the_other():
    model = gan(CONFIG)
    images, generator = faces().float() / 255, torch.Generator().manual_seed(0)
    losses.FACES_GAN["discriminator"](model, images, None, generator)["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad is not None for p in model.discriminator.parameters())


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, monkeypatch):
    undisturbed, history = run()

    class StopError(Exception):
        pass

    checkpoint = tmp_path / "c.safetensors"
    calls: list[int] = []
    batch = training._batch

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise StopError
        return batch(*arguments)

    monkeypatch.setattr(training, "_batch", failing)
    with pytest.raises(StopError):
        run(checkpoint)
    monkeypatch.setattr(training, "_batch", batch)
    assert checkpoint.is_file()
    resumed, again = run(checkpoint)
    assert again == history
    for name, value in undisturbed.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_shifts_are_whole_pixels_and_differentiable():
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(1)) + 0.1
    images.requires_grad_()
    shifted = augmentations.shifted(images, torch.Generator().manual_seed(0))
    shifted.sum().backward()
    assert images.grad.unique().tolist() == [0, 1]  # inside, or shifted out of the image
    corners = {
        (dy, dx)
        for result, image in zip(shifted, images, strict=True)
        for dy in range(-2, 3)
        for dx in range(-2, 3)
        if torch.equal(result[:, 2 + dy : 14 + dy, 2 + dx : 14 + dx], image[:, 2:14, 2:14])
    }
    assert len(corners) > 12
    assert {x for x, _ in corners} == {y for _, y in corners} == {-2, -1, 0, 1, 2}


def test_the_score_of_an_image_changes_among_copies_of_it():
    discriminator, generator = Discriminator(CONFIG), torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 16, 16, generator=generator)
    among_others = discriminator(images)[0]
    assert discriminator(images[:1].repeat(4, 1, 1, 1))[0] != among_others


@pytest.mark.parametrize("channels", [1, 3])
def test_faces_are_shifted_and_digits_are_not(channels):
    seen = []

    class RecordingDiscriminator(Discriminator):
        def forward(self, images):
            seen.append(images)
            return super().forward(images)

    config = CONFIG.model_copy(update={"channels": channels})
    model = gan(config)
    model.discriminator = RecordingDiscriminator(config)
    images = torch.rand(4, channels, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.1
    players = losses.FACES_GAN if channels == 3 else losses.DIGITS_GAN
    for loss in players.values():
        loss(model, images, None, torch.Generator().manual_seed(0))
    real, generated = seen[0], seen[-1]
    assert torch.equal(real, images) == (channels == 1)
    assert bool((generated == 0).any()) == (channels == 3)  # what comes in from outside
