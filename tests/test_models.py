"""Classifiers and the VAE: their losses and outputs are those of the textbook."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Normal, kl_divergence

import forgetting as fg
from forgetting.errors import DataError, DataWarning
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.vae import VAE, Decoder, VAEConfig

CONFIG = ClassifierConfig(
    attributes=("0", "1", "2", "thick", "left_slant"), n_classes=3, image_size=8, width=2
)
VAE_CONFIG = VAEConfig(image_size=8, latent_dim=4, width=2, hidden=8)


def images(n=6, size=8):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_the_loss_of_a_classifier_adds_that_of_classes_and_of_other_attributes():
    classifier = Classifier(CONFIG, 1).eval()
    labels = torch.tensor([[1, 0, 0, 1, 1], [0, 0, 1, 0, 1], [0, 1, 0, 0, 0]]).repeat(2, 1)
    logits = classifier.logits(images())
    of_classes = F.cross_entropy(logits[:, :3], torch.tensor([0, 2, 1, 0, 2, 1]))
    of_others = F.binary_cross_entropy_with_logits(logits[:, 3:], labels[:, 3:].float())
    torch.testing.assert_close(classifier.loss(images(), labels), of_classes + of_others)
    without = Classifier(CONFIG.model_copy(update={"n_classes": 0}), 1).eval()
    of_all = F.binary_cross_entropy_with_logits(logits, labels.float())
    torch.testing.assert_close(without.loss(images(), labels), of_all)


def test_class_probabilities_add_up_and_a_logit_is_a_column():
    classifier = Classifier(CONFIG, 1).eval()
    logits = classifier.logits(images())
    torch.testing.assert_close(classifier.classes(images()), logits[:, :3].softmax(1))
    assert torch.equal(classifier.logit(images(), "left_slant"), logits[:, 4])


def test_a_larger_digit_is_classified_by_its_middle():
    classifier = Classifier(CONFIG, 1).eval()
    padded = F.pad(images(), (2, 2, 2, 2), value=0.5)
    assert torch.equal(classifier.logits(padded), classifier.logits(images()))
    for size in (9, 6, 14, 32):  # of a digit of that size the middle is another figure
        with pytest.raises(DataError, match=rf"takes images of 8 px, .* not of {size} px"):
            classifier.logits(images(size=size))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 8, 8), (8, 8)])
def test_images_of_a_wrong_shape_are_refused_in_a_sentence(shape):
    classifier = Classifier(CONFIG, 1).eval()
    with pytest.raises(DataError, match=r"\(B, C, H, W\)"):
        classifier["left_slant"](torch.rand(shape))


@pytest.mark.parametrize("fit", ["crop", "resize"])
def test_an_image_that_is_not_square_is_not_cut_or_squeezed(fit):
    config = CONFIG.model_copy(update={"fit": fit, "architecture": "residual"})
    with pytest.raises(DataError, match="square images, not of 12 x 8 px"):
        Classifier(config, 1).eval().logits(F.pad(images(), (0, 0, 2, 2)))


def test_images_far_smaller_than_a_classifiers_are_told(recwarn):
    config = CONFIG.model_copy(update={"fit": "resize"})
    classifier = Classifier(config, 1).eval()
    for size in (4, 5, 8, 40):
        classifier.logits(images(size=size))
    assert not recwarn.list
    with pytest.warns(
        DataWarning, match="Images of 3 px are enlarged more than 2 times .* of 8 px"
    ):
        classifier.logits(images(size=3))


def test_the_terms_of_the_elbo_are_those_of_its_distributions():
    vae = VAE(VAE_CONFIG, 1).eval()
    reconstruction, kl = vae.negative_elbo(images(), torch.Generator().manual_seed(3))
    mean, log_variance = vae.encode(images())
    posterior = Normal(mean, (0.5 * log_variance).exp())
    torch.testing.assert_close(kl, kl_divergence(posterior, Normal(0.0, 1.0)).sum(1))
    eps = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    decoded = vae.decoder(mean + posterior.scale * eps)
    log_p = Bernoulli(decoded, validate_args=False).log_prob(images()).sum((1, 2, 3))
    torch.testing.assert_close(reconstruction, -log_p, rtol=1e-4, atol=1e-4)
    again, _ = vae.negative_elbo(images(), torch.Generator().manual_seed(4))
    assert not torch.equal(again, reconstruction)


def test_a_decoder_makes_images_between_black_and_white():
    decoder = Decoder(VAE_CONFIG)
    z = torch.randn(5, decoder.latent_dim, generator=torch.Generator().manual_seed(0))
    decoded = decoder(z)
    assert decoded.shape == (5, 1, 8, 8)
    torch.testing.assert_close(decoded, torch.sigmoid(decoder.logits(z)))
    with pytest.raises(ValueError, match="not a multiple of 8"):
        Decoder(VAE_CONFIG.model_copy(update={"n_stages": 3, "image_size": 20}))


@pytest.mark.parametrize("name", ["digits-vae", "digits-gan", "faces-style-gan"])
def test_a_generator_of_the_zoo_samples_like_the_glow(name):
    model = fg.load(name)
    random = torch.Generator().manual_seed(3)
    images = model.sample(3, random)
    latents = torch.randn(3, model.latent_dim, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(images, model(latents))
    assert not images.requires_grad
