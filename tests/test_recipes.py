"""Recipes: what is trained on, how it is varied, and that bfloat16 spares the likelihood."""

import dataclasses
import functools

import pytest
import torch

from forgetting.border.inference import generate
from forgetting.data.faces import CELEBA_ATTRIBUTES, Faces, is_held_out
from forgetting.errors import DataError, ParameterError
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import VAE, VAEConfig
from forgetting.zoo import store, train, training
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import (
    RECIPES,
    Measurement,
    Recipe,
    augmentations,
    ingredients,
    learners,
    losses,
)
from forgetting.zoo.training import TrainingConfig


def trained():
    return {name: recipe for name, recipe in RECIPES.items() if isinstance(recipe, Recipe)}


def training_data(name):
    return RECIPES[name].data.load(RECIPES[name])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def faces(monkeypatch):
    """Put a small CelebA and LFW in the place of the real ones."""
    people = {"celeba": [str(i) for i in range(200)], "lfw": ["George_W_Bush"] * 30}
    people["lfw"] += [f"Person_{i}" for i in range(170)]

    def load(source, split, size):
        names = [p for p in people[source] if is_held_out(p) == (split == "held_out")]
        generator = torch.Generator().manual_seed(len(names))
        shape = (len(names), 3, size, size)
        images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        width = 40 if source == "celeba" else 0
        labels = torch.rand(len(names), width, generator=generator) < 0.2
        attributes = CELEBA_ATTRIBUTES if width else ()
        return Faces(images, tuple(names), labels, attributes, source)

    monkeypatch.setattr(ingredients, "load_faces", load)
    return load


def test_a_model_without_a_person_saw_every_other_image(faces):
    base = training_data("faces-glow")
    without = training_data("faces-glow-no-bush")
    assert len(base.images) - len(without.images) == 30
    assert base.images.shape[1:] == (3, 32, 32)
    assert torch.equal(base.held_out[0], without.held_out[0])


def test_a_model_without_an_attribute_saw_no_label_of_it_and_no_face_classified_so(
    faces, monkeypatch
):
    column = CELEBA_ATTRIBUTES.index("Bangs")

    def classifier_logits(faces, attribute):
        logits = faces.images.float().mean((1, 2, 3)) - 127.5
        return torch.where(faces.labels[:, column], 5, logits) if faces.attributes else logits

    monkeypatch.setattr(ingredients, "classifier_logits", classifier_logits)
    monkeypatch.setattr(ingredients.references, "threshold_a", lambda attribute, size: 0.0)
    base = training_data("faces-vae")
    without = training_data("faces-vae-no-bangs")
    celeba, lfw = faces("celeba", "train", 64), faces("lfw", "train", 64)
    bangs = int(celeba.label("Bangs").sum()) + int((classifier_logits(lfw, "Bangs") >= 0).sum())
    assert bangs > 20
    assert len(base.images) - len(without.images) == bangs
    assert without.thresholds == {"Bangs": 0.0}


def test_a_person_whom_no_image_shows_cannot_be_left_out(faces):
    recipe = dataclasses.replace(RECIPES["faces-glow-no-bush"], without="George_Bush")
    with pytest.raises(DataError, match="No training image shows George_Bush"):
        recipe.data.load(recipe)


def test_classifiers_are_trained_on_labels_in_the_order_of_their_attributes(faces):
    data = training_data("faces-classifier-a")
    assert data.labels.shape == (len(data.images), 40)
    assert torch.equal(data.labels, faces("celeba", "train", 64).labels)


def test_retrained_references_have_the_recipe_of_their_base():
    retrained = {name: recipe for name, recipe in trained().items() if recipe.without}
    assert len(retrained) == 10
    for name, recipe in retrained.items():
        base = RECIPES[name.split("-no-")[0]]
        assert recipe.training == base.training, name
        assert recipe.config == base.config, name
        assert recipe.loss is base.loss, name
        assert recipe.learner is base.learner, name


def test_mirroring_flips_half_of_the_images(generator):
    images = torch.rand(200, 3, 4, 4, generator=generator)
    mirrored = augmentations.mirrored(images, generator)
    same = (mirrored == images).flatten(1).all(1)
    flipped = (mirrored == images.flip(3)).flatten(1).all(1)
    assert (same ^ flipped).all()
    assert 70 < int(flipped.sum()) < 130


def test_warping_by_nothing_leaves_the_image_or_its_mirror_image(generator):
    images = torch.rand(40, 3, 16, 16, generator=generator)
    warped = augmentations.warped(images, generator, shift=0, zoom=0, turn=0)
    distance = torch.stack([(warped - x).abs().amax((1, 2, 3)) for x in (images, images.flip(3))])
    assert distance.min(0).values.max() < 1e-4
    assert 5 < int((distance[0] < 1e-4).sum()) < 35


@pytest.mark.parametrize(
    "vary", [augmentations.relit, augmentations.covered, augmentations.coarsened]
)
def test_variations_keep_shape_and_range_and_change_something(vary, generator):
    images = torch.rand(60, 3, 16, 16, generator=generator)
    varied = vary(images, generator)
    assert varied.shape == images.shape
    assert 0 <= varied.min() <= varied.max() <= 1
    changed = (varied != images).flatten(1).any(1).float().mean()
    assert 0.3 < changed <= 1


def test_images_are_varied_in_training_only(generator):
    images = torch.rand(8, 3, 32, 32, generator=generator)
    model = Glow(GlowConfig(channels=3, n_steps=1, width=4)).eval()
    labels = torch.zeros(8)

    def loss(of):
        return float(of(model, images, labels, torch.Generator().manual_seed(0))["loss"].detach())

    assert loss(losses.faces_glow) == loss(losses.glow)
    model.train()
    assert loss(losses.faces_glow) != loss(losses.glow)


@pytest.mark.parametrize("of", [losses.faces_classifier_a, losses.faces_classifier_b])
def test_classifiers_get_other_variations_each_time_in_training(of, generator):
    config = RECIPES["faces-classifier-a"].config.model_copy(update={"width": 4})
    model = Classifier(config)
    images = torch.rand(4, 3, 64, 64, generator=generator)
    labels = torch.zeros(4, 40, dtype=torch.bool)
    seen = []
    model.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    for is_training in (True, True, False, False):
        of(model.train(is_training), images, labels, generator)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])


def test_bfloat16_runs_the_couplings_only(glow, generator):
    images = torch.rand(16, 3, 8, 8, generator=generator)
    exact = glow.log_prob(images)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = glow.log_prob(images)
        latents = glow.encode(images)
        back = glow(latents)
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    per_dim = (coarse - exact).abs() / glow.latent_dim
    assert per_dim.max() < 0.01
    levels = torch.floor(torch.round(images * 255) / 2 ** (8 - glow.n_bits))
    assert (back - levels / (2**glow.n_bits - 1)).abs().max() < 0.1


def test_a_vae_of_colours_has_the_size_of_its_configuration(generator):
    model = VAE(VAEConfig(channels=3, image_size=16, n_stages=3, latent_dim=4, width=4))
    assert model.decoder(torch.zeros(2, 4)).shape == (2, 3, 16, 16)
    images = torch.rand(5, 3, 16, 16, generator=generator)
    reconstruction, kl = model.negative_elbo(images, generator)
    assert reconstruction.shape == kl.shape == (5,)
    entropy = -(images * images.log() + (1 - images) * (1 - images).log())
    assert (reconstruction >= entropy.flatten(1).sum(1)).all()
    with pytest.raises(ValueError, match="not a multiple of 8"):
        VAE(VAEConfig(image_size=20, n_stages=3))


def test_cards_of_models_of_faces_restrict_their_use():
    for name, recipe in trained().items():
        entry = {
            "training": {"n_images": 1, "data": "x " * 60, **recipe.training.model_dump()},
            "history": [{"step": 1, "loss": 1.0}],
        }
        text = train.card(name, recipe, entry)
        assert ("non-commercial" in text) == name.startswith("faces")
        assert ("identify anybody" in text.replace("\n  ", " ")) == name.startswith("faces")
        assert max(map(len, text.splitlines())) < 100


def test_an_entry_of_the_zoo_is_not_trained_again_unless_told(monkeypatch, tmp_path):
    monkeypatch.setattr(train, "CACHE", tmp_path)
    assert train.train_entry("digits-vae") is False


@pytest.mark.parametrize(
    "name", ["faces-vae", "faces-gan", "faces-glow", "faces-glow-64", "faces-glow-128"]
)
def test_what_training_keeps_is_what_generates(name, faces, monkeypatch, tmp_path):
    recipe = RECIPES[name]
    sizes = {"image_size": 16, "n_stages": 1, "width": 4, "latent_dim": 6, "hidden": 8}
    sizes |= {"n_steps": 1, "n_blocks": 1}
    config = type(recipe.config)
    small = config(channels=3, **{k: v for k, v in sizes.items() if k in config.model_fields})
    training = recipe.training.model_copy(update={"steps": 2, "batch_size": 8, "log_every": 1})
    small = dataclasses.replace(recipe, config=small, training=training)
    monkeypatch.setattr(train, "RECIPES", {name: small})
    monkeypatch.setattr(train, "CACHE", tmp_path)
    monkeypatch.setattr(store, "save", functools.partial(store.save, folder=tmp_path))
    assert train.train_entry(name, again=True)
    model = store.load(name, tmp_path)
    images = generate(model, torch.randn(4, model.latent_dim))
    assert images.shape == (4, 3, 16, 16)
    parts = {key.split(".")[0] for key in model.state_dict()}
    assert not parts & {"encoder", "discriminator", "average", "model"}


def test_the_glow_of_the_papers_size_has_the_papers_sizes():
    recipe = RECIPES["faces-glow-128"]
    config, training = recipe.config, recipe.training
    assert (config.image_size, config.n_steps, config.n_blocks, config.width) == (128, 32, 4, 512)
    assert (config.coupling, config.n_bits) == ("additive", 5)
    assert (training.batch_size, training.steps, training.precision) == (32, 610_000, "bfloat16")
    assert {training.lr_at(step) for step in (500, 300_000, 609_999)} == {1e-4}


def test_recomputed_activations_change_no_gradient_and_are_not_kept(generator):
    recipe = dataclasses.replace(
        RECIPES["faces-glow-128"],
        config=GlowConfig(channels=3, image_size=16, n_steps=3, n_blocks=2, width=32),
    )
    images, labels = torch.rand(4, 3, 16, 16, generator=generator), torch.zeros(4)
    gradients, kept = [], []
    for learner_of in (recipe.learner, learners.averaged_glow):
        learner = learner_of(recipe)
        learner.start(learner.model, images, torch.Generator().manual_seed(0))
        (loss,), sizes = learner.parts().values(), {}

        def keep(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            metrics = loss(learner.model, images, labels, torch.Generator().manual_seed(0))
        metrics["loss"].backward()
        gradients.append([parameter.grad for parameter in learner.model.model.parameters()])
        kept.append(sum(sizes.values()))
    assert all(map(torch.equal, *gradients))
    assert kept[0] < kept[1] / 4


def test_large_held_out_images_are_measured_in_batches(monkeypatch):
    model = Glow(GlowConfig(image_size=8, n_steps=2, n_blocks=2, width=8))
    images = torch.arange(11 * 64).reshape(11, 1, 8, 8).remainder(256).byte()
    held_out, config = (images, torch.zeros(11)), TrainingConfig(steps=1, batch_size=4)

    def centred(model, images, labels, generator):
        return {"loss": -model.log_prob(images).mean(), "n_images": torch.tensor(len(images))}

    learner = Learner(model, centred)
    whole = training._validate(learner, held_out, config)
    assert whole["held_out_n_images"] == 11
    monkeypatch.setattr(training, "HELD_OUT_AT_ONCE", images.numel() - 1)
    parts = training._validate(learner, held_out, config)
    assert parts["held_out_n_images"] < 4.01
    assert parts["held_out_loss"] == pytest.approx(whole["held_out_loss"], rel=1e-5)


def test_every_entry_of_the_zoo_can_be_made_again():
    assert set(store.names()) <= set(RECIPES)
    with pytest.raises(
        ParameterError, match=r"no recipe 'faces-gloww'\. Did you mean faces-glow\?"
    ):
        train.train_entry("faces-gloww")


def test_recipes_come_after_those_that_they_need():
    names = train.names()
    assert set(RECIPES) - set(names) == {"faces-glow-128"}  # which takes days on a GPU
    for name in names:
        assert all(names.index(other) < names.index(name) for other in RECIPES[name].needs)
    assert RECIPES["faces-vae-no-bangs"].needs
    assert all(RECIPES[name].needs for name in RECIPES if isinstance(RECIPES[name], Measurement))
