"""The kinds of models by name, until each module registers its own."""

from forgetting.models import MODELS, ModelKind
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.embedding import Embedding, EmbeddingConfig
from forgetting.models.gan import GANConfig, Generator
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.vae import Decoder, VAEConfig

MODELS.register("glow")(ModelKind(Glow, GlowConfig))
MODELS.register("vae")(ModelKind(Decoder, VAEConfig))
MODELS.register("gan")(ModelKind(Generator, GANConfig))
MODELS.register("classifier")(ModelKind(Classifier, ClassifierConfig))
MODELS.register("embedding")(ModelKind(Embedding, EmbeddingConfig))
