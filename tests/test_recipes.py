"""Recipes: what is trained on, how it is varied, and that bfloat16 spares the likelihood."""

import dataclasses
import functools

import pytest
import torch

from forgetting.data.faces import CELEBA_ATTRIBUTES, Faces, is_held_out
from forgetting.errors import DataError, ForgettingError
from forgetting.inference import generate
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import VAE, VAEConfig
from forgetting.zoo import store as zoo
from forgetting.zoo.entries import MAKERS, card, train_entry
from forgetting.zoo.recipes import RECIPES, ingredients, losses


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def faces(monkeypatch):
    """Stand a small CelebA and LFW where the recipes look for theirs."""
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
    whole = ingredients.load_training_data(RECIPES["faces-glow"])
    less = ingredients.load_training_data(RECIPES["faces-glow-no-bush"])
    assert len(whole.images) - len(less.images) == 30
    assert whole.images.shape[1:] == (3, 32, 32)
    assert torch.equal(whole.watched[0], less.watched[0])


def test_a_model_without_an_attribute_saw_no_label_of_it_and_no_face_classified_so(
    faces, monkeypatch
):
    column = CELEBA_ATTRIBUTES.index("Bangs")

    def classifier_logits(found, attribute):
        logits = found.images.float().mean((1, 2, 3)) - 127.5
        return torch.where(found.labels[:, column], 5, logits) if found.attributes else logits

    monkeypatch.setattr(ingredients, "classifier_logits", classifier_logits)
    monkeypatch.setattr(ingredients.reference, "threshold_a", lambda attribute, size: 0.0)
    whole = ingredients.load_training_data(RECIPES["faces-vae"])
    less = ingredients.load_training_data(RECIPES["faces-vae-no-bangs"])
    celeba, lfw = faces("celeba", "train", 64), faces("lfw", "train", 64)
    bangs = int(celeba.label("Bangs").sum()) + int((classifier_logits(lfw, "Bangs") >= 0).sum())
    assert bangs > 20
    assert len(whole.images) - len(less.images) == bangs
    assert less.thresholds == {"Bangs": 0.0}


def test_a_person_whom_nobody_has_seen_cannot_be_left_out(faces):
    recipe = dataclasses.replace(RECIPES["faces-glow-no-bush"], without="George_Bush")
    with pytest.raises(DataError, match="No training image shows George_Bush"):
        ingredients.load_training_data(recipe)


def test_classifiers_are_trained_on_labels_in_the_order_of_their_attributes(faces):
    found = ingredients.load_training_data(RECIPES["faces-classifier-a"])
    assert found.labels.shape == (len(found.images), 40)
    assert torch.equal(found.labels, faces("celeba", "train", 64).labels)


def test_retrained_references_have_the_recipe_of_their_base():
    for name, recipe in RECIPES.items():
        base = RECIPES[name.split("-no-")[0]]
        if recipe.without:
            assert recipe.training == base.training, name
            assert recipe.config == base.config, name
            assert recipe.loss is base.loss, name


def test_mirroring_turns_half_of_the_images(generator):
    images = torch.rand(200, 3, 4, 4, generator=generator)
    found = losses.mirrored(images, generator)
    same = (found == images).flatten(1).all(1)
    turned = (found == images.flip(3)).flatten(1).all(1)
    assert (same ^ turned).all()
    assert 70 < int(turned.sum()) < 130


def test_moving_by_nothing_leaves_the_image_or_its_mirror(generator):
    images = torch.rand(40, 3, 16, 16, generator=generator)
    found = losses.moved(images, generator, shift=0, zoom=0, turn=0)
    distance = torch.stack([(found - x).abs().amax((1, 2, 3)) for x in (images, images.flip(3))])
    assert distance.min(0).values.max() < 1e-4
    assert 5 < int((distance[0] < 1e-4).sum()) < 35


@pytest.mark.parametrize("vary", [losses.relit, losses.covered, losses.coarsened])
def test_variations_keep_shape_and_range_and_change_something(vary, generator):
    images = torch.rand(60, 3, 16, 16, generator=generator)
    found = vary(images, generator)
    assert found.shape == images.shape
    assert 0 <= found.min() <= found.max() <= 1
    changed = (found != images).flatten(1).any(1).float().mean()
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
def test_classifiers_see_other_images_each_time_in_training(of, generator):
    config = RECIPES["faces-classifier-a"].config.model_copy(update={"width": 4})
    model = Classifier(config)
    images = torch.rand(4, 3, 64, 64, generator=generator)
    labels = torch.zeros(4, 40, dtype=torch.bool)
    seen = []
    model.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    for training in (True, True, False, False):
        of(model.train(training), images, labels, generator)
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


def test_a_vae_of_colours_has_the_size_that_is_asked(generator):
    model = VAE(VAEConfig(channels=3, image_size=16, n_stages=3, latent_dim=4, width=4))
    assert model.decoder(torch.zeros(2, 4)).shape == (2, 3, 16, 16)
    images = torch.rand(5, 3, 16, 16, generator=generator)
    reconstruction, kl = model.negative_elbo(images, generator)
    assert reconstruction.shape == kl.shape == (5,)
    entropy = -(images * images.log() + (1 - images) * (1 - images).log())
    assert (reconstruction >= entropy.flatten(1).sum(1)).all()
    with pytest.raises(ValueError, match="not a multiple of 8"):
        VAE(VAEConfig(image_size=20, n_stages=3))


def test_cards_say_what_may_be_done_with_weights_learned_from_faces():
    for name, recipe in RECIPES.items():
        entry = {
            "training": {"n_images": 1, "data": "x", **recipe.training.model_dump()},
            "history": [{"step": 1, "loss": 1.0}],
        }
        text = card(name, recipe, entry)
        assert ("non-commercial" in text) == name.startswith("faces")
        assert max(map(len, text.splitlines())) < 100


def test_what_the_zoo_has_is_not_trained_again_unasked(monkeypatch, tmp_path):
    monkeypatch.setattr("forgetting.zoo.entries.CACHE", tmp_path)
    assert train_entry("digits-vae") is False


@pytest.mark.parametrize("name", ["faces-vae", "faces-gan", "faces-glow"])
def test_what_training_keeps_is_what_generates(name, faces, monkeypatch, tmp_path):
    recipe = RECIPES[name]
    sizes = {"image_size": 16, "n_stages": 1, "width": 4, "latent_dim": 6, "hidden": 8}
    sizes |= {"n_steps": 1, "n_blocks": 1}
    config = type(recipe.config)
    small = config(channels=3, **{k: v for k, v in sizes.items() if k in config.model_fields})
    training = recipe.training.model_copy(update={"steps": 2, "batch_size": 8, "log_every": 1})
    small = dataclasses.replace(recipe, config=small, training=training)
    monkeypatch.setitem(RECIPES, name, small)
    monkeypatch.setattr("forgetting.zoo.entries.CACHE", tmp_path)
    monkeypatch.setattr(zoo, "save", functools.partial(zoo.save, folder=tmp_path))
    assert train_entry(name, again=True)
    model = zoo.load(name, tmp_path)
    images = generate(model, torch.randn(4, model.latent_dim))
    assert images.shape == (4, 3, 16, 16)
    kept = {key.split(".")[0] for key in model.state_dict()}
    assert not kept & {"encoder", "discriminator"}


def test_every_entry_of_the_zoo_can_be_made_again_and_unknown_ones_are_named():
    assert set(zoo.names()) <= {*RECIPES, *MAKERS}
    with pytest.raises(ForgettingError, match="No recipe is called 'faces-gloww'"):
        train_entry("faces-gloww")
