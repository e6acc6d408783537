"""An embedding of faces: images of one person lie near each other, whatever they show.

A classifier's features, of the image and of its mirror image, seen through the linear map that best
tells people apart (linear discriminant analysis).
"""

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from forgetting.models import MODELS, ModelKind
from forgetting.models.classifier import Classifier, ClassifierConfig


class EmbeddingConfig(BaseModel):
    """Sizes of an embedding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classifier: ClassifierConfig = Field(description="whose features are taken")
    n_dims: int = Field(64, ge=1)


class Embedding(nn.Module):
    """Unit vectors of face images; their inner product is the similarity."""

    def __init__(self, config: EmbeddingConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.classifier = Classifier(config.classifier, seed)
        self.projection = nn.Linear(config.classifier.n_features, config.n_dims)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what is projected, (B, n_features): features of both mirror images, summed."""
        return self.classifier.features(images) + self.classifier.features(images.flip(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (B, n_dims), of length 1, of images in [0, 1], (B, 3, H, W)."""
        return F.normalize(self.projection(self.features(images)), dim=1)


MODELS.register("embedding")(ModelKind(Embedding, EmbeddingConfig))
