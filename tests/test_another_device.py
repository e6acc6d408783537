"""Methods, probes, measures and trainings compute alike on a second device."""

import pytest
import torch
from bars import Bars, BendingBars, Eyes, width
from elsewhere import DEVICE
from points import POINTS, Gaussian
from torch import nn

import forgetting as fg
from forgetting.border.copies import device_of, frozen_copy
from forgetting.data.morphology import measure
from forgetting.foundation.devices import as_float64, fast_layout
from forgetting.methods import METHODS
from forgetting.methods.direction import Direction
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.methods.target import Target
from forgetting.metrics.identity import nearest_people, pairs
from forgetting.metrics.likelihood import LikelihoodReference
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.shared import own_seed, standard_normal
from forgetting.models.style_gan import StyleGANConfig, style_gan
from forgetting.models.vae import VAE, VAEConfig
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import losses
from forgetting.zoo.recipes.learners import start_glow
from forgetting.zoo.training import TrainingConfig, train

ALONG = Direction(torch.eye(6)[0], 0.5)


def weights(model):
    return torch.cat([weight.detach().cpu().flatten() for weight in model.parameters()])


def test_the_second_device_of_these_tests_is_narrow(elsewhere):
    there = torch.ones(2, 2).to(elsewhere)
    with pytest.raises(TypeError, match="float64"):
        there.double()
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(2, 2)
    with pytest.raises(AssertionError, match="draws on the device"):
        torch.randn(2, device=elsewhere)
    weight = nn.Parameter(there)
    weight.sum().backward()
    with pytest.raises(RuntimeError, match="fused"):
        torch.optim.Adam([weight], fused=True).step()
    assert as_float64(there).device.type == "cpu"
    assert as_float64(torch.ones(2)).dtype == torch.float64


@pytest.mark.parametrize("name", list(METHODS))
def test_a_method_tunes_alike_on_another_device(name, elsewhere):
    method = METHODS[name]
    config = method.configure({"steps": 2, "batch_size": 8, "fisher_batches": 2})
    arguments = ALONG, lambda images: width(images) - 10, config
    here, there = method(Bars(), *arguments), method(Bars().to(elsewhere), *arguments)
    assert next(there.model.parameters()).device == elsewhere
    assert torch.allclose(weights(there.model), weights(here.model), atol=1e-5)


def eyes(sharpness, place, squint=0.0):
    classifier = fg.as_classifier(
        Eyes(sharpness, squint),
        ("wide", "right"),
        logits=lambda module, images: module.logits(images),
        features=lambda module, images: module.sharpness * images[:, 0, 0, ::4],
    )
    return classifier.to(place)["wide"]


def unlearned(place, other):
    """Return figures of unlearning with the classifiers on another device than the generator."""
    sizes = {"n": 300, "n_collected": 1000, "n_with_feature": 60}
    wide, grader = eyes(4.0, other), eyes(2.0, other, 0.5)
    bars = BendingBars().to(place)
    result = fg.unlearn(bars, wide, grader, lr=0.05, rounds=1, steps=2, **sizes)
    direction = fg.find_direction(fg.collect_latents(bars, wide, 200))
    return {
        **{key: value for key, value in result.metrics.items() if key != "seconds"},
        "prevalence": fg.prevalence(bars, wide, n=200).share,
        "direction": float(direction.vector.sum()),
    }


def audited(place, other):
    """Return what an audit finds with the classifiers on another device than the generator."""
    bars = BendingBars().to(place)
    sizes = {"n": 120, "n_attacked": 2, "steps": 2}
    return fg.audit(bars, bars, eyes(4.0, other), eyes(2.0, other, 0.5), **sizes).metrics


def tamed(place, other):
    """Return what taming does with images to forget on another device than all else."""
    config = TamingConfig(max_steps=2, n_statistics=4)
    result = tame(Gaussian().to(place), POINTS[:2].to(other), POINTS[2:].to(place), config)
    assert device_of(result.model) == torch.device(place)
    return result.history[-1]


@pytest.mark.parametrize("function", [unlearned, audited, tamed])
def test_models_and_images_may_lie_on_different_devices(function, elsewhere):
    expected = pytest.approx(function("cpu", "cpu"), rel=1e-4, abs=1e-4)
    assert function(elsewhere, "cpu") == expected
    assert function("cpu", elsewhere) == expected


def test_a_score_answers_where_its_images_are(elsewhere):
    images = torch.rand(3, 1, 32, 32).requires_grad_()
    expected = eyes(4.0, "cpu")(images)
    for place, other in (("cpu", elsewhere), (elsewhere, "cpu")):
        scores = eyes(4.0, other)(images.to(place))
        assert scores.device == torch.device(place)
        assert torch.allclose(scores.cpu(), expected)
        (gradient,) = torch.autograd.grad(scores.cpu().sum(), images)
        assert gradient.any()


def test_probes_take_images_and_latents_of_any_device(elsewhere):
    bars, features = BendingBars(), lambda images: images.flatten(1)
    latents = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    images = bars(latents[:2]).detach()

    def found(place):
        inverted = inversion_attack(bars, images.to(place), features, steps=2, restarts=1)
        relearned = relearn(bars, images.to(place), latents[:2].to(place), [2], weights)
        has_feature = (latents[:, 0] > 0).to(place)
        last = linear_probe(bars, bars, latents.to(place), has_feature)
        return [inverted.errors.sum(), relearned[2].sum(), last]

    assert torch.allclose(torch.tensor(found(elsewhere)), torch.tensor(found("cpu")))


def figures(place):
    """Return figures of what is measured of tensors on a device."""
    latents = torch.randn(30, 6, generator=torch.Generator().manual_seed(0)).to(place)
    digits = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)).to(place) / 4
    embeddings, people = nn.functional.normalize(latents.cpu()).to(place), list("aabbc") * 6
    has_feature = latents[:, :1] > 0
    target = Target(("a",), torch.tensor([0.3, 0.7]).to(place))
    direction = Direction(latents[0], 0.1)
    return [
        *measure(digits).values(),
        direction.erase(latents).cpu(),
        direction.selects(latents).cpu(),
        LikelihoodReference(0.0, 1.0).quantile(latents[:, 0]),
        pairs(embeddings, people, n_different=3)[0],
        torch.tensor([ord(name) for name in nearest_people(embeddings, people, "a", 2)]),
        target.measure(has_feature) - target.shares,
    ]


def test_what_is_measured_of_tensors_does_not_depend_on_their_device(elsewhere):
    for here, there in zip(figures("cpu"), figures(elsewhere), strict=True):
        assert torch.allclose(here, there, equal_nan=True)


def test_the_latent_filter_is_applied_where_the_generator_is(elsewhere):
    latents = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    images = []
    for place in ("cpu", elsewhere):
        result = METHODS["latent_filter"](Bars().to(place), ALONG, width)
        images.append(result.model(latents.to(place)).cpu())
    assert torch.allclose(*images, atol=1e-6)


def test_noise_without_a_generator_is_drawn_on_the_cpu(elsewhere):
    like = torch.zeros(3)
    torch.manual_seed(0)
    expected = standard_normal(like, None)
    torch.manual_seed(0)
    noise = standard_normal(like.to(elsewhere), None)
    assert noise.device == elsewhere
    assert torch.equal(noise.cpu(), expected)


def test_a_model_that_is_made_leaves_the_random_numbers_of_other_devices(monkeypatch):
    calls = []
    for module in (torch.cuda, torch.mps):
        name = "manual_seed_all" if module is torch.cuda else "manual_seed"
        monkeypatch.setattr(module, name, calls.append)
    with own_seed(3):
        expected = torch.rand(2)
    assert not calls
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), expected)


def test_a_flow_has_the_same_likelihood_and_samples_on_another_device(glow, elsewhere):
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def answers(place):
        flow = frozen_copy(glow).to(place)
        random = torch.Generator().manual_seed(1)
        return flow.log_prob(images.to(place), random).cpu(), flow.sample(3, 0.7, random).cpu()

    for here, there in zip(answers("cpu"), answers(elsewhere), strict=True):
        assert torch.allclose(here, there, atol=1e-3)


def test_weights_lie_as_their_device_can_compute(elsewhere):
    model = Classifier(ClassifierConfig(attributes=("a",), n_classes=0, image_size=8, width=2))
    last = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    here = frozen_copy(nn.ModuleList([model, last]))
    there = [model.to(elsewhere), frozen_copy(last.to(elsewhere))]
    is_last = {"memory_format": torch.channels_last}
    for name, weight in nn.ModuleList(there).named_parameters():
        if weight.ndim == 4 and min(weight.shape[1:]) > 1:
            assert here.get_parameter(name).is_contiguous(**is_last)
            assert weight.is_contiguous()
            assert torch.equal(weight.cpu(), here.get_parameter(name))
    images = torch.rand(2, 3, 4, 4)
    assert fast_layout(images).is_contiguous(**is_last)
    assert fast_layout(images.to(elsewhere)).is_contiguous()


def glow_learner():
    model = Glow(GlowConfig(channels=3, image_size=16, n_steps=1, n_blocks=2, width=8), seed=0)
    return Learner(model, losses.glow, start_glow)


def style_gan_learner():
    sizes = {"image_size": 16, "latent_dim": 6, "style_dim": 8, "n_mapping": 2}
    config = StyleGANConfig(**sizes, width=4, discriminator_width=4)
    return Learner(style_gan(config, seed=0), losses.FACES_STYLE_GAN)


def vae_learner():
    sizes = {"image_size": 16, "latent_dim": 4, "width": 2, "hidden": 8}
    return Learner(VAE(VAEConfig(channels=3, **sizes), seed=0), losses.vae)


@pytest.mark.parametrize("learner", [glow_learner, style_gan_learner, vae_learner])
def test_a_training_draws_the_same_on_another_device(learner, elsewhere):
    images = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    config = TrainingConfig(steps=2, batch_size=4, lr=1e-3, log_every=2, checkpoint_every=2)

    def history(place):
        student = learner()
        return train(student, images.byte(), torch.zeros(8), config, device=torch.device(place))

    (here,), (there,) = history("cpu"), history(elsewhere)
    assert there == pytest.approx(here, rel=1e-3, abs=1e-4)


def test_a_model_of_the_zoo_is_made_on_the_cpu_whatever_the_default_device():
    expected = fg.load("digits-vae").sample(2, torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    with torch.device(DEVICE):
        model = fg.load("digits-vae")
        assert torch.equal(model.sample(2, torch.Generator().manual_seed(0)), expected)
    assert torch.equal(torch.get_rng_state(), state)
