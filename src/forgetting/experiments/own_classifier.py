"""Classifiers of a feature that none of the zoo's knows, from images with it and without."""

import statistics
import warnings
from pathlib import Path

import torch
from PIL import Image

from forgetting.border.checks import check_images, check_scale, has_channels_last
from forgetting.border.conditions import own_conditions
from forgetting.border.feature_score import FeatureScore
from forgetting.border.inference import logits
from forgetting.border.options import check_counts, check_seed
from forgetting.data.images import image_files
from forgetting.data.near_copies import near_copies
from forgetting.data.own_images import load_images
from forgetting.data.selection import hold_out
from forgetting.errors import DataError, DataWarning, ParameterError, quoted
from forgetting.foundation.files import expanded
from forgetting.metrics.calibration import Auc
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.zoo.classifier_pair import TrainedPair
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes.losses import faces_classifier_a, faces_classifier_b
from forgetting.zoo.training import TrainingConfig, train

MIN_IMAGES = 60
"""Least number of images of either kind."""

RARE = 0.1
"""Share of a set below which images of one kind are hardly any."""

LOSSY = ("JPEG", "MPO", "WEBP")
"""Formats, as PIL names them, that leave traces in an image."""

FLAT = 2
"""Of 255, by which the values along a side of one colour differ at most."""

MUCH_SHARPER = 2
"""Ratio of the sides of two folders' images beyond which their sharpness tells them apart."""


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
        _warn_of_files((with_feature, without_feature), size, name)
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
    _warn_of_grey(*sets, name)
    _warn_of_borders(*sets, name)
    random = torch.Generator().manual_seed(seed)
    trained, held_out = zip(*(hold_out(images, random) for images in sets), strict=True)
    n = max(map(len, trained))
    images = torch.cat([part[torch.arange(n) % len(part)] for part in trained])
    labels = (torch.arange(2 * n) < n)[:, None]
    tests = torch.cat(held_out), torch.arange(sum(map(len, held_out))) < len(held_out[0])
    _warn_of_copies(tests[0], torch.cat(trained))
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


def _formats_and_sides(folder: Path) -> tuple[list[str], list[int]]:
    """Return the format of every image of a folder, and its shorter side in pixels."""
    with warnings.catch_warnings(action="ignore"):  # `load_images` has warned
        files = image_files(folder, least=1)
    formats, sides = [], []
    for path in files:
        with Image.open(path) as image:
            formats.append(image.format or "")
            sides.append(min(image.size))
    return formats, sides


def _warn_of_files(
    given: tuple[Path | str | torch.Tensor, Path | str | torch.Tensor], size: int, name: str
) -> None:
    """Warn if folders hold only small images, or two differ in the format or the sharpness."""
    folders = [expanded(each) for each in given if not isinstance(each, torch.Tensor)]
    found = [_formats_and_sides(folder) for folder in folders]
    for folder, (_, sides) in zip(folders, found, strict=True):
        if max(sides) < size:
            warnings.warn(
                f"The images of {folder} have at most {max(sides)} px and are enlarged to {size}: "
                f"give size={max(sides)}, if those of the generator have it.",
                DataWarning,
                stacklevel=3,
            )
    if len(found) < len(given):
        return
    lossy = [sum(kind in LOSSY for kind in formats) / len(formats) for formats, _ in found]
    if max(lossy) > 1 - RARE and min(lossy) < RARE:
        warnings.warn(
            f"Of the files with {name} {lossy[0]:.0%} are JPEG or WebP, of those without "
            f"{lossy[1]:.0%}: the classifiers may learn the traces of compression. Give both in "
            "one format from the start.",
            DataWarning,
            stacklevel=3,
        )
    medians = [statistics.median(sides) for _, sides in found]
    sharp = [min(median, size) for median in medians]  # beyond `size` images are made smaller
    if max(sharp) > MUCH_SHARPER * min(sharp):
        warnings.warn(
            f"Half of the images with {name} have at least {medians[0]:g} px, half of those "
            f"without at least {medians[1]:g}: the classifiers may learn to tell sharp from "
            "blurred. Give both in one size.",
            DataWarning,
            stacklevel=3,
        )


def _warn_of_copies(held_out: torch.Tensor, trained: torch.Tensor) -> None:
    """Warn if images that are held out are nearly equal to ones that are trained on."""
    if n_near := int(near_copies(held_out, trained).sum()):
        warnings.warn(
            f"{n_near} of {len(held_out)} images that are held out nearly equal one that is "
            "trained on, as copies of a photograph do, or the frames of a film: the AUC is "
            "higher than that of new images. Give each photograph once.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_grey(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Warn if nearly all images of one set are grey, and of the other hardly any."""
    grey = [float((x == x[:, :1]).flatten(1).all(1).float().mean()) for x in (first, second)]
    if max(grey) > 1 - RARE and min(grey) < RARE:
        warnings.warn(
            f"Of the images with {name} {grey[0]:.0%} are grey, of those without {grey[1]:.0%}: "
            "the classifiers would learn to tell grey from colour. Give both in one kind.",
            DataWarning,
            stacklevel=4,
        )


def _warn_of_borders(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Warn if nearly all images of one set have a side of one colour, and hardly any other has."""
    sides = {"upper": (2, 0), "lower": (2, -1), "left": (3, 0), "right": (3, -1)}
    for side, (dim, place) in sides.items():
        edges = [images.select(dim, place) for images in (first, second)]  # (N, 3, pixels)
        flat = [float((e.amax(2) - e.amin(2) <= FLAT).all(1).float().mean()) for e in edges]
        if max(flat) > 1 - RARE and min(flat) < RARE:
            warnings.warn(
                f"Of the images with {name} {flat[0]:.0%} have one colour along their {side} "
                f"side, of those without {flat[1]:.0%}: the classifiers may learn a border or a "
                "plain ground. Cut it off, or give both alike.",
                DataWarning,
                stacklevel=4,
            )
            return


def _check_disjoint(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    """Raise an error if an image is in both sets."""
    seen = {image.numpy().tobytes() for image in first}
    n_both = sum(image.numpy().tobytes() in seen for image in second)
    if n_both:
        raise DataError(
            f"{n_both} images are both with {name} and without: take them out of one of the sets."
        )
