"""What becomes of unlearning with few labels, or with wrong ones: a simulated labeller.

Classifier A stands in a person's place. It looks at samples in their order and marks those with
the feature; some of its labels are turned round. A person may err otherwise, and more often on the
same samples.
"""

from dataclasses import dataclass

import torch

from forgetting.border.inference import generate
from forgetting.errors import DataError
from forgetting.experiments.context import Experiment
from forgetting.experiments.feature_task import FeatureTask
from forgetting.methods.direction import MIN_POSITIVES, LabelledLatents

NUMBERS = (100, 200, 500, 1000, 5000)
"""Samples that a labeller looks at, without an error."""

WRONG = (0.1, 0.2, 0.3)
"""Shares of labels that are turned round."""

WITH_ERRORS = 500
"""Samples of which some labels are wrong: as many as each person labelled in the paper."""


@dataclass(frozen=True)
class Case:
    """How many samples a labeller looks at, and how many labels are wrong.

    Attributes
    ----------
    n : int
        Samples, at least.
    wrong : float
        The probability that a label is turned round.
    """

    n: int
    wrong: float = 0.0

    @property
    def key(self) -> str:
        """What names of metrics hold."""
        return f"{self.n}" + (f"_wrong_{round(100 * self.wrong)}" if self.wrong else "")


CASES = (*map(Case, NUMBERS), *(Case(WITH_ERRORS, wrong) for wrong in WRONG))
"""What is tried: more samples without errors, and more errors in as many samples."""


@dataclass(frozen=True)
class Labeller:
    """Samples in the order in which one labeller sees them.

    Attributes
    ----------
    latents : Tensor
        (N, latent_dim).
    has_feature : Tensor
        Bool (N,), by classifier A.
    luck : Tensor
        (N,), uniform in [0, 1): a label is turned round where it is below the share of errors, so
        that more errors include those of fewer.
    """

    latents: torch.Tensor
    has_feature: torch.Tensor
    luck: torch.Tensor

    @classmethod
    def of(cls, run: Experiment, task: FeatureTask, number: int) -> "Labeller":
        """Draw the samples of one labeller of a task.

        Parameters
        ----------
        number : int
            Of the labeller, who has samples of its own.
        """
        n = 2 * max(NUMBERS)
        latents = run.latents(f"labeller {number}", n, task.original.latent_dim)
        scores = task.classifier_a_logits(generate(task.original, latents))
        luck = torch.rand(n, generator=run.generator(f"luck {number}"))
        return cls(latents, scores > task.score_threshold(), luck)

    def labelled(self, case: Case) -> LabelledLatents:
        """Return the latents of the samples that the labeller looked at, as it labelled them.

        It goes on after the last sample of the case until it has ten of each kind: a direction
        needs as many.

        Raises
        ------
        DataError
            There are not ten of each kind among all samples.
        """
        marked = self.has_feature ^ (self.luck < case.wrong)
        rarer = torch.minimum(marked.cumsum(0), (~marked).cumsum(0))
        enough = torch.nonzero(rarer >= MIN_POSITIVES).flatten()
        if not len(enough):
            raise DataError(
                f"Of {len(marked)} samples fewer than {MIN_POSITIVES} are of a kind: choose "
                "another feature, or another model."
            )
        n = max(case.n, int(enough[0]) + 1)
        latents, marked = self.latents[:n], marked[:n]
        return LabelledLatents(latents[marked], latents[~marked])
