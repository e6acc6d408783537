"""Settings of taming, with unit, range and source of each default.

"As released" is the identity configuration of the authors' released code; bits/dim are the unit
of likelihoods, and sigma is the standard deviation of bits/dim over retained images.
"""

from typing import Literal

from pydantic import Field, field_validator

from forgetting.border.conditions import MAX_SEED
from forgetting.foundation.precision import Precision
from forgetting.methods.settings import Settings

Divergence = Literal["both", "forward", "reverse", "forward_as_released", "reverse_as_released"]
"""KL terms of the loss: KL(N_B || N_T) is forward, KL(N_T || N_B) reverse."""


class FlowFinetuneConfig(Settings):
    """Settings that `tame` and `meet_target` share."""

    alpha: float = Field(
        0.6,
        ge=0,
        le=1,
        description="weight of the forget loss; the retain loss has 1 - alpha; without unit, as "
        "released",
    )
    gamma: float = Field(
        0.6,
        ge=0,
        le=1,
        description="weight of the KL terms in the retain loss; the mean bits/dim have 1 - gamma; "
        "without unit, as released",
    )
    kl: Divergence = Field(
        "both",
        description="KL terms: KL(N_B || N_T), forward, KL(N_T || N_B), reverse, or both, the "
        "paper's choice. Of a term alone as released, no gradient flows through the logarithms, "
        "which cancel in the sum of both",
    )
    lr: float = Field(5e-5, gt=0, description="learning rate of Adam, per step; as released")
    eps: float = Field(
        1e-8,
        gt=0,
        description="epsilon of Adam, in units of the gradient; PyTorch's default. A weight whose "
        "gradient is smaller moves in proportion to it instead of by a whole step",
    )
    max_grad_norm: float = Field(
        0.0,
        ge=0,
        description="norm to which the gradient of a step is scaled down; 0, as released: never. "
        "One image that a step made unlikely may give hundreds of times the usual gradient, which "
        "Adam's second moment keeps",
    )
    batch_size: int = Field(
        8,
        ge=1,
        description="images to forget in the batch of a step, or all if there are fewer; as "
        "released",
    )
    retain_batch_size: int = Field(
        8, ge=2, description="images to retain in the batch of a step; as released"
    )
    max_steps: int = Field(800, ge=1, description="steps at most; as released")
    log_every: int = Field(
        10,
        ge=1,
        description="steps from one estimate of mu and sigma, and one row of the history, to the "
        "next; as released",
    )
    n_retain: int = Field(
        2048,
        ge=4,
        description="retained images in use at most, drawn at random; the study's choice",
    )
    n_statistics: int = Field(
        64,
        ge=2,
        description="retained images of which mu and sigma are estimated, at most half of those "
        "in use; no step tunes on them; the study's choice, the paper takes 1,024",
    )
    precision: Precision = Field(
        "float32",
        description="number format of a step's forward pass, where the device has it; bfloat16 "
        "only for flows that are made for it, as Glow is; default: the exact one",
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of all random draws, a whole number")


class TamingConfig(FlowFinetuneConfig):
    """Settings of `tame`.

    The defaults are those of the authors' released identity configuration, but for `delta`, which
    is 1 there: its default is that of the paper's tables.
    """

    delta: float = Field(
        4.0,
        allow_inf_nan=False,
        description="threshold of forgetting: how far above the mean bits/dim of retained images "
        "the images to forget shall lie, in sigma; negative makes them more likely, 0 is refused; "
        "the paper's tables",
    )
    objective: Literal["threshold", "ascent"] = Field(
        "threshold",
        description="forget loss: the paper's, which leads to the threshold, or its baseline "
        "gradient ascent, which maximises delta times the mean bits/dim",
    )
    stop_within: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="stopping rule: all images to forget lie within this share of |delta| sigma "
        "of the threshold; 0: all steps are taken; at 1 the mean would lie within; as released",
    )
    settle_within: float = Field(
        0.0,
        ge=0,
        description="stopping rule: the mean bits/dim of retained images lie at most this many of "
        "the base's standard deviations above the base's; 0, as released: no such limit",
    )
    distance_scale: float = Field(
        1.0,
        gt=0,
        description="divisor of the distance d to the threshold, in bits/dim; 1, as released, "
        "suits flows whose sigma is well below 1 bit/dim",
    )

    @field_validator("delta")
    @classmethod
    def _is_not_zero(cls, delta: float) -> float:
        if delta == 0:
            raise ValueError("delta must not be 0: the images would be as likely as all others")
        return delta


class TargetConfig(FlowFinetuneConfig):
    """Settings of `meet_target`. The paper has no such loop: all defaults are the study's."""

    gain: float = Field(
        10.0, gt=0, description="pressure per unit of a share's distance from its target"
    )
    memory: float = Field(
        0.3,
        ge=0,
        description="weight of the sum of all distances so far beside the last one, without unit; "
        "each counts in the sum up to twice the tolerance; it overcomes the pull of what is "
        "retained",
    )
    tolerance: float = Field(
        0.0075,
        gt=0,
        lt=1,
        description="largest distance of any share from its target at which the target is met, a "
        "share from 0 to 1",
    )
    confirm: int = Field(
        5,
        ge=1,
        description="further measurements of the same model, taken where one measurement lies "
        "within twice the tolerance; their mean decides",
    )
    log_every: int = Field(
        20,
        ge=1,
        description="steps from one measurement of the shares to the next",
    )
    max_steps: int = Field(600, ge=1, description="steps at most")
