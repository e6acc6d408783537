"""An embedding of faces, in which images of one person lie near each other.

It projects a classifier's features of the image and its mirror image by the linear map that best
tells people apart (linear discriminant analysis).
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from forgetting.models import MODELS, ModelKind
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.shared import Sizes


class EmbeddingConfig(Sizes):
    """Sizes of an embedding."""

    classifier: ClassifierConfig = Field(description="the classifier that gives the features")
    n_dims: int = Field(64, ge=1)


class Embedding(nn.Module):
    """A network from faces to unit vectors, whose inner product is the similarity."""

    def __init__(self, config: EmbeddingConfig, seed: int = 0) -> None:
        """Build an embedding with random weights; the seed is that of the classifier."""
        super().__init__()
        self.config = config
        self.classifier = Classifier(config.classifier, seed)
        self.projection = nn.Linear(config.classifier.n_features, config.n_dims)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the sum of the features of images (B, 3, H, W) and mirror images, (B, F)."""
        return self.classifier.features(images) + self.classifier.features(images.flip(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, n_dims), of length 1, of images in [0, 1], (B, 3, H, W)."""
        return F.normalize(self.projection(self.features(images)), dim=1)


MODELS.register("embedding")(ModelKind(Embedding, EmbeddingConfig))
