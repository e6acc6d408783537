"""Small classifiers that score the attributes of images and describe images by features.

There are two architectures, so that the classifier that grades differs from the one that labels:
`plain` (convolutions, max pooling, a linear layer) and `residual` (residual blocks, batch norm,
average pooling).
"""

import itertools
import warnings
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.border.feature_score import FeatureScore
from forgetting.errors import DataError, DataWarning
from forgetting.foundation.devices import fast_layout, mend_layout
from forgetting.models import MODELS, ModelKind
from forgetting.models.shared import MOST_CHANNELS, MOST_HALVINGS, MOST_PIXELS, Sizes, own_seed

MOST_ENLARGED = 2
"""How far an image is enlarged without a word: classifiers of faces learn from halved ones."""

PADDING = 2
"""Pixels on each side that a crop may cut off: more would be the figure, and no black edge."""


class ClassifierConfig(Sizes):
    """Sizes and attributes of a classifier.

    The first `n_classes` attributes are classes, of which an image has one (a softmax). An image
    has or lacks each of the others (a sigmoid).
    """

    attributes: tuple[str, ...] = Field(min_length=1)
    n_classes: int = Field(0, ge=0)
    architecture: Literal["plain", "residual"] = "plain"
    channels: int = Field(1, ge=1, le=MOST_CHANNELS)
    image_size: int = Field(28, ge=8, le=MOST_PIXELS)
    width: int = Field(32, ge=1)
    n_stages: int = Field(
        2, ge=1, le=MOST_HALVINGS, description="times the image is halved after the stem"
    )
    batch_norm: bool = Field(
        False, description="of a plain classifier; a residual classifier always has it"
    )
    fit: Literal["crop", "resize"] = Field(
        "crop", description="what an image of another size becomes: its middle, or a resized image"
    )
    n_features: int = Field(64, ge=1)


class Classifier(nn.Module):
    """A network from images to attribute logits, with penultimate features.

    Attributes
    ----------
    config : ClassifierConfig
        Its sizes.
    attributes : tuple of str
        Names of the A attributes.
    n_classes : int
        The first so many of them are classes, of which an image has one.
    """

    def __init__(self, config: ClassifierConfig, seed: int = 0) -> None:
        """Build a classifier with random weights from a seed."""
        super().__init__()
        self.config = config
        self.attributes = config.attributes
        self.n_classes = config.n_classes
        with own_seed(seed):
            build = _plain if config.architecture == "plain" else _residual
            self.body = build(config)
            self.head = nn.Linear(config.n_features, len(config.attributes))
        self.to(memory_format=torch.channels_last)

    def to(self, *args: Any, **kwargs: Any) -> "Classifier":
        """Move the network, and give it a layout with right gradients where it goes.

        Of a classifier no copy is made, although its gradient is followed.
        """
        super().to(*args, **kwargs)
        mend_layout(self)
        return self

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the penultimate features (B, n_features) of images in [0, 1], (B, C, H, W).

        An image with up to 2 px more on each side is cropped to its middle if the configuration's
        `fit` is "crop": of a digit padded to 32 px the middle 28 px count. With "resize" an image
        of another size is resized. A grey image becomes one of as many equal channels as the
        classifier takes.

        Raises
        ------
        DataError
            The images are no (B, C, H, W), not square, have other channels, or cannot be
            cropped to the classifier's size.
        """
        if images.ndim != 4:
            raise DataError(f"Images of the shape {tuple(images.shape)}: give (B, C, H, W).")
        channels, height, width = images.shape[1:]
        if channels == 1:
            images = images.expand(-1, self.config.channels, -1, -1)
        elif channels != self.config.channels:
            raise DataError(
                f"This classifier takes images of {self.config.channels} channels, not of "
                f"{channels}, in the shape (B, C, H, W): bring them to it."
            )
        if height != width:
            raise DataError(
                f"A classifier takes square images, not of {height} x {width} px: crop them."
            )
        fit = _centre if self.config.fit == "crop" else _resize
        images = fit(images, self.config.image_size) * 2 - 1
        return self.body(fast_layout(images))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return attribute logits (B, A) of images in [0, 1], (B, C, H, W)."""
        return self.head(F.relu(self.features(images)))

    def logit(self, images: torch.Tensor, attribute: str) -> torch.Tensor:
        """Return the log-odds (B,) of one attribute of images in [0, 1], (B, C, H, W)."""
        return self[attribute](images)

    def __getitem__(self, attribute: str) -> FeatureScore:
        """Return one attribute as a score of images."""
        return FeatureScore(self, attribute)

    def classes(self, images: torch.Tensor) -> torch.Tensor:
        """Return the class probabilities (B, n_classes) of images in [0, 1], (B, C, H, W)."""
        return torch.softmax(self.logits(images)[:, : self.config.n_classes], dim=1)

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of images (B, C, H, W) with labels (B, A) in {0, 1}.

        Returns
        -------
        Tensor, scalar
            The cross-entropy of the classes plus the mean binary cross-entropy of the others.
        """
        n = self.config.n_classes
        logits = self.logits(images)
        loss = logits.new_zeros(())
        if n:
            loss = loss + F.cross_entropy(logits[:, :n], labels[:, :n].argmax(1))
        if n < len(self.attributes):
            loss = loss + F.binary_cross_entropy_with_logits(logits[:, n:], labels[:, n:].float())
        return loss


def _centre(images: torch.Tensor, size: int) -> torch.Tensor:
    margin, rest = divmod(images.shape[-1] - size, 2)
    if not 0 <= margin <= PADDING or rest:
        raise DataError(
            f"This classifier takes images of {size} px, or with up to {PADDING} px more on each "
            f"side, not of {images.shape[-1]} px: resize or crop them."
        )
    return images[..., margin : margin + size, margin : margin + size]


def _resize(images: torch.Tensor, size: int) -> torch.Tensor:
    own = images.shape[-1]
    if own == size:
        return images
    if own * MOST_ENLARGED < size:
        warnings.warn(
            f"Images of {own} px are enlarged more than {MOST_ENLARGED} times for a classifier of "
            f"images of {size} px: what it says of such images is untested.",
            DataWarning,
            stacklevel=2,
        )
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def _plain(config: ClassifierConfig) -> nn.Module:
    layers: list[nn.Module] = []
    channels, width = config.channels, config.width
    for _ in range(config.n_stages):
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        if config.batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        channels, width = width, 2 * width
    small = config.image_size // 2**config.n_stages
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(channels * small**2, config.n_features),
    )


def _residual(config: ClassifierConfig) -> nn.Module:
    widths = [config.width * 2**stage for stage in range(config.n_stages + 1)]
    return nn.Sequential(
        nn.Conv2d(config.channels, config.width, 3, stride=2, padding=1, bias=False),
        _Residual(config.width, config.width, 1),
        *(_Residual(a, b, 2) for a, b in itertools.pairwise(widths)),
        nn.BatchNorm2d(widths[-1]),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(widths[-1], config.n_features),
    )


class _Residual(nn.Module):
    """Norm, ReLU, convolution, twice, beside a 1x1 shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.branch(x)


MODELS.register("classifier")(ModelKind(Classifier, ClassifierConfig))
