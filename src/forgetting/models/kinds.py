"""The kinds of models by name, until each module registers its own."""

from forgetting.models import MODELS
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.embedding import Embedding, EmbeddingConfig
from forgetting.models.gan import GANConfig, Generator
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import Decoder, VAEConfig

MODELS.register("glow")((Glow, GlowConfig))
MODELS.register("vae")((Decoder, VAEConfig))
MODELS.register("gan")((Generator, GANConfig))
MODELS.register("classifier")((Classifier, ClassifierConfig))
MODELS.register("embedding")((Embedding, EmbeddingConfig))
