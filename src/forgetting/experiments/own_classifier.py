"""Classifiers of a feature that none of the zoo's knows, from images with it and without."""

from dataclasses import dataclass
from pathlib import Path

import torch

from forgetting.border.checks import check_images, has_channels_last
from forgetting.border.feature_score import FeatureScore
from forgetting.border.inference import logits
from forgetting.border.options import check_counts, check_seed
from forgetting.data.own_images import load_images
from forgetting.data.selection import hold_out
from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes.losses import faces_classifier_a, faces_classifier_b
from forgetting.zoo.training import TrainingConfig, train


@dataclass(frozen=True)
class TrainedPair:
    """Two classifiers of different architecture: one steers, the other grades.

    Attributes
    ----------
    steering, grader : FeatureScore
        The feature by either classifier.
    steering_auc, grader_auc : Auc
        On held-out images.
    """

    steering: FeatureScore
    grader: FeatureScore
    steering_auc: Auc
    grader_auc: Auc

    def __str__(self) -> str:
        lines = []
        for title, auc in (("steers", self.steering_auc), ("grades", self.grader_auc)):
            line = f"{title}: AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
            poor = " on held-out images, which is poor: give more images, or clearer ones."
            lines.append(line + (poor if auc.low < DISTINCT else " on held-out images"))
        return "\n".join(lines)


DISTINCT = 0.95
"""AUC below which a classifier is said to tell the feature poorly."""

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
    mirrored at random, so that a feature must not lie on one side.

    Parameters
    ----------
    with_feature, without_feature : Path, str or Tensor
        Folders of images, or images (N, 3, H, W) in [0, 1]; at least 60 of either kind. They
        should be of the kind that the generator makes, and differ in nothing but the feature.
    name : str
        Of the feature.
    size : int
        Side of the images of folders, in pixels: that of the generator's images.
    steps : int
        Of the optimizer, for each classifier.
    seed : int
        Of the split, the weights and the order of the images.

    Returns
    -------
    TrainedPair
        What steers, what grades, and how well both tell held-out images.

    Raises
    ------
    DataError
        There are too few images, they differ in shape, or an image is in both sets.
    ParameterError
        An option is no whole number in its range.

    Examples
    --------
    >>> import forgetting as fg
    >>> import torch
    >>> dark, light = 0.5 * torch.rand(60, 3, 32, 32), 0.5 + 0.5 * torch.rand(60, 3, 32, 32)
    >>> pair = fg.train_classifier(light, dark, name="light", steps=20)
    >>> pair.steering.attribute
    'light'
    """
    check_counts(steps=steps, size=size)
    check_seed(seed)
    sets = [_images(images, size) for images in (with_feature, without_feature)]
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise DataError(
            f"The images with {name} are {tuple(sets[0].shape[1:])}, those without "
            f"{tuple(sets[1].shape[1:])}: bring them to one shape."
        )
    _check_disjoint(sets[0], sets[1], name)
    random = torch.Generator().manual_seed(seed)
    trained, held_out = zip(*(hold_out(images, random) for images in sets), strict=True)
    n = max(map(len, trained))
    images = torch.cat([part[torch.arange(n) % len(part)] for part in trained])
    labels = (torch.arange(2 * n) < n)[:, None]
    tests = torch.cat(held_out), torch.arange(sum(map(len, held_out))) < len(held_out[0])
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
        There are fewer than 60, or their channels are last.
    """
    if isinstance(given, torch.Tensor):
        images = check_images(given, "The images")
    else:
        images = load_images(given, size=size)
    if has_channels_last(images):
        raise DataError(
            f"The images have the shape {tuple(images.shape)}, whose channels are last: give "
            "images.permute(0, 3, 1, 2)."
        )
    images = (images * 255).round().to(torch.uint8).unique(dim=0)
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
