"""Taming, as the bench and callers of other methods find it by name."""

import torch
from pydantic import Field
from torch import nn

from forgetting.methods.results import UnlearningResult
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.methods.taming_registry import taming_method


class TamingSettings(TamingConfig):
    """Settings of taming as the pages on people have them, where they differ from the paper's."""

    lr: float = Field(1e-4, gt=0, description="learning rate of Adam; the study's choice")
    eps: float = Field(1e-5, gt=0, description="epsilon of Adam; the study's choice")
    max_grad_norm: float = Field(2.0, ge=0, description="norm of a step's gradient, at most")
    retain_batch_size: int = Field(16, ge=2, description="images to retain in a step")
    settle_within: float = Field(0.06, ge=0, description="as `TamingConfig` has it")


@taming_method("taming", TamingSettings, source="Malnick et al., WACV 2024")
def taming(
    flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor, config: TamingSettings
) -> UnlearningResult:
    """Lead images to a threshold of likelihood, and keep the distribution of the others."""
    return tame(flow, forget, retain, config)
