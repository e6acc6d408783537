"""Networks that the study trains: a flow, a VAE, a GAN, classifiers and an embedding of faces.

A kind of model is one file (the layers of `glow` are in `glow_layers`; `players` and `shared` hold
what several kinds have in common), which registers it in `MODELS` under the name in the zoo's
records. Images are float32 in [0, 1], (B, C, H, W); a model scales and quantises them itself. This
wing may import `border`, `foundation` and `errors`. Another package adds a kind through an entry
point in the group `forgetting.models`.
"""

from dataclasses import dataclass

from pydantic import BaseModel
from torch import nn

from forgetting.foundation.registry import Registry


@dataclass(frozen=True)
class ModelKind:
    """A kind of model, as the zoo builds it from a record.

    Attributes
    ----------
    model_class : type
        The module, built by `model_class(config)`. It holds what the zoo keeps: of a VAE the
        decoder, of a GAN the generator.
    config_class : type
        The module's configuration.
    loss_unit : str
        Of the loss that the module is trained with, for figures.
    """

    model_class: type[nn.Module]
    config_class: type[BaseModel]
    loss_unit: str = "nats"


MODELS: Registry[ModelKind] = Registry("kind of model", "forgetting.models")
