"""Classifiers of a feature that none of the zoo's knows, from images with it and without."""

from pathlib import Path

import torch

from forgetting.border.checks import check_images, check_scale, has_channels_last
from forgetting.border.conditions import own_conditions
from forgetting.border.feature_score import FeatureScore
from forgetting.border.inference import logits
from forgetting.border.options import check_counts, check_seed
from forgetting.data.own_images import load_images
from forgetting.data.selection import hold_out
from forgetting.errors import DataError, ParameterError, quoted
from forgetting.experiments.own_classifier_doubts import (
    warn_of_borders,
    warn_of_colours,
    warn_of_copies,
    warn_of_files,
    warn_of_grey,
)
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo.classifier_pair import TrainedPair
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes.losses import faces_classifier_a, faces_classifier_b
from forgetting.zoo.training import TrainingConfig, train

MIN_IMAGES = 60
"""Least number of images of either kind."""


def train_classifier(
    with_feature: Path | str | torch.Tensor,
    without_feature: Path | str | torch.Tensor,
    *,
    name: str = "feature",
    size: int = 64,
    steps: int = 400,
    seed: int = 0,
) -> TrainedPair:
    """Train two classifiers of a feature on images with it and without.

    Three quarters of the images are trained on, the rarer kind as often as the other. They are
    mirrored at random, so that a feature must not lie on one side. With the defaults training
    takes from two minutes on a fast core to ten on a slow one. Grey images become three equal
    channels, and so do those of a generator that the classifiers grade.

    Parameters
    ----------
    with_feature, without_feature : Path, str or Tensor
        Folders of images, or images (N, 3, H, W) or (N, 1, H, W) in [0, 1]; at least 60 of either
        kind. They should be of the kind that the generator makes, and differ in nothing but the
        feature.
    name : str
        Of the feature.
    size : int
        Side of the images of folders, in pixels: that of the generator's images. Smaller images
        are enlarged to it, with a warning.
    steps : int
        Of the optimizer, for each classifier; the duration grows with them.
    seed : int
        Of the split, the weights and the order of the images.

    Returns
    -------
    TrainedPair
        What steers, what grades, and how well both tell held-out images. `pair.save("loop")`
        writes it to a folder, and `fg.load("loop")` loads it.

    Raises
    ------
    DataError
        There are too few images, they differ in shape, or an image is in both sets.
    ParameterError
        An option is no whole number in its range, or the name no text.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> dark, light = 0.5 * torch.rand(60, 3, 32, 32), 0.5 + 0.5 * torch.rand(60, 3, 32, 32)
    >>> pair = fg.train_classifier(light, dark, name="light", steps=20)
    >>> pair.steering.attribute
    'light'
    """
    steps, size = check_counts(steps=steps, size=size)
    seed = check_seed(seed)
    if not isinstance(name, str) or not name.strip():
        raise ParameterError(f"name = {quoted(name)}: give the name of the feature as a text.")
    with own_conditions(seed):
        sets = _images(with_feature, size), _images(without_feature, size)
        warn_of_files((with_feature, without_feature), size, name)
        return _trained(sets, name, steps, seed)


def _trained(
    sets: tuple[torch.Tensor, torch.Tensor], name: str, steps: int, seed: int
) -> TrainedPair:
    """Return classifiers trained on images with a feature and without, (N, 3, H, W) of uint8."""
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise DataError(
            f"The images with {name} are {tuple(sets[0].shape[1:])}, those without "
            f"{tuple(sets[1].shape[1:])}: bring them to one shape."
        )
    _check_disjoint(sets[0], sets[1], name)
    warn_of_grey(*sets, name)
    warn_of_borders(*sets, name)
    warn_of_colours(*sets, name)
    random = torch.Generator().manual_seed(seed)
    trained, held_out = zip(*(hold_out(images, random) for images in sets), strict=True)
    n = max(map(len, trained))
    images = torch.cat([part[torch.arange(n) % len(part)] for part in trained])
    labels = (torch.arange(2 * n) < n)[:, None]
    tests = torch.cat(held_out), torch.arange(sum(map(len, held_out))) < len(held_out[0])
    warn_of_copies(tests[0], torch.cat(trained))
    config = ClassifierConfig(
        attributes=(name,),
        channels=images.shape[1],
        image_size=images.shape[2],
        width=16,
        n_stages=3,
        batch_norm=True,
        fit="resize",
    )
    residual = config.model_copy(update={"architecture": "residual", "batch_norm": False})
    kinds = ((config, faces_classifier_a), (residual, faces_classifier_b))
    scores, aucs = [], []
    for place, (sizes, loss) in enumerate(kinds):
        model = Classifier(sizes, seed=seed + place)
        every = min(steps, 10)
        settings = TrainingConfig(
            steps=steps, batch_size=32, log_every=every, checkpoint_every=every, seed=seed + place
        )
        title = ("what steers", "what grades")[place]
        train(Learner(model, loss), images, labels, settings, name=title)
        model.requires_grad_(False)
        scores.append(FeatureScore(model, name))
        aucs.append(Auc.of(logits(model, tests[0])[:, 0], tests[1]))
    return TrainedPair(scores[0], scores[1], aucs[0], aucs[1])


def _images(given: Path | str | torch.Tensor, size: int) -> torch.Tensor:
    """Return images as uint8, each once, from a folder or as they are.

    Raises
    ------
    DataError
        There are fewer than 60, they have neither one channel nor three, or these are last.
    """
    if isinstance(given, torch.Tensor):
        images = check_images(given, "The images")
        check_scale(images, "The images")
    else:
        images = load_images(given, size=size)
    if images.ndim == 4 and has_channels_last(images):
        raise DataError(
            f"The images have the shape {tuple(images.shape)}, whose channels are last: give "
            "images.permute(0, 3, 1, 2)."
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"The images have the shape {tuple(images.shape)}: give (N, 3, H, W) or, of grey "
            "images, (N, 1, H, W)."
        )
    images = images.expand(-1, 3, -1, -1)
    # a value a little beyond the range, as resizing leaves some, would come round to its other end
    images = (images.clamp(0, 1) * 255).round().to(torch.uint8).unique(dim=0)
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"{len(images)} different images of one kind are too few to train a classifier and to "
            f"test it: give at least {MIN_IMAGES} with the feature and as many without."
        )
    return images


def _check_disjoint(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Raise an error if an image is in both sets."""
    seen = {image.numpy().tobytes() for image in first}
    n_both = sum(image.numpy().tobytes() in seen for image in second)
    if n_both:
        raise DataError(
            f"{n_both} images are both with {name} and without: take them out of one of the sets."
        )
