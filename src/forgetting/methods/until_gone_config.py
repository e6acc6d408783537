"""Settings of unlearning in rounds."""

from pydantic import Field

from forgetting.border.conditions import MAX_SEED
from forgetting.border.feature_score import SURELY_LACKING
from forgetting.foundation.precision import Precision
from forgetting.methods.feature_unlearning import UnlearningConfig
from forgetting.methods.settings import Settings

LEARNING_RATES = (3e-4, 1e-3, 3e-3)
"""What the learning rate is chosen from."""


class UntilGoneConfig(Settings):
    """Settings of unlearning in rounds. None must be set by hand for a model."""

    threshold: float = Field(
        0.0, description="a sample with a higher score has the feature; 0 of logits"
    )
    lacking: float = Field(
        SURELY_LACKING,
        description="a sample with at most this score surely lacks the feature; the default is "
        "the logit of a probability of 0.1",
    )
    n_collected: int = Field(20_000, ge=100, description="samples that are scored at most")
    n_with_feature: int = Field(
        1000, ge=10, description="samples with the feature at which scoring ends"
    )
    rounds: int = Field(6, ge=1, description="rounds at most")
    steps: int = Field(300, ge=1, description="steps of the optimizer in a round")
    batch_size: int = Field(64, ge=2, description="latents per step")
    lr: float | None = Field(
        None,
        gt=0,
        description=f"learning rate; None: one of {LEARNING_RATES}, by trials of a third of a "
        "round",
    )
    precision: Precision = Field(
        "float32", description="number format of the generators' forward passes in tuning"
    )
    log_every: int = Field(10, ge=1, description="steps from one row of the history to the next")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of all random draws")

    def of_round(self, number: int, lr: float) -> UnlearningConfig:
        """Return the settings of the shared loop for one round, counted from 1.

        MS-SSIM is left out. Beside an L1 that is a sum over pixels it is under a thousandth of the
        loss, and it takes a fifth of a step's time.
        """
        return UnlearningConfig(
            steps=self.steps,
            batch_size=self.batch_size,
            lr=lr,
            perceptual=0.0,
            precision=self.precision,
            log_every=self.log_every,
            seed=(self.seed + number) % MAX_SEED,
        )
