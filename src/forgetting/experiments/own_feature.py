"""A feature of anyone's generator: what steers, what grades, and what they say of a model."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.feature_score import FeatureScore, Score, log_odds
from forgetting.border.features import features_of, has_features
from forgetting.border.sampling import check_scores_on
from forgetting.border.scores import check_scores
from forgetting.errors import DataError
from forgetting.experiments.grading import MIN_LACKING, auc_against
from forgetting.experiments.looking import N_FIRST, look_at, plainly_short
from forgetting.experiments.own_graders import Scorer, check_graders
from forgetting.experiments.own_independence import check_independent
from forgetting.experiments.own_sources import feature_name
from forgetting.foundation.progress import tracked
from forgetting.methods.latent_pool import CHUNK
from forgetting.methods.results import Look
from forgetting.metrics.fidelity import MIN_SAMPLES, SAMPLES_PER_FEATURE, carries_fid, fid
from forgetting.metrics.prevalence import Prevalence
from forgetting.metrics.verdict import Evidence, Verdict, decide

NO_FEATURES = (
    "There is no FID: no classifier describes these images by features, which `as_classifier` "
    "takes as features=lambda module, images: ..."
)
"""Why a report has no FID where neither what steers nor a grader has features."""


@dataclass(frozen=True)
class Graded:
    """What is said of a model's samples.

    Attributes
    ----------
    scores : tuple of Tensor
        (N,) each, first by what steers, then by every grader.
    features : Tensor or None
        (N, F), where a classifier has features.
    others : Tensor or None
        Bool (N, A), the attributes that the classifier finds.
    """

    scores: tuple[torch.Tensor, ...]
    features: torch.Tensor | None
    others: torch.Tensor | None


class OwnFeature:
    """A feature of a generator, graded on one set of latents.

    Attributes
    ----------
    steering : Scorer
        Steers unlearning.
    graders : tuple of Scorer
        Had no part in it. Where there are none, what steers grades.
    latents : Tensor
        (N, latent_dim), of which all models' samples are graded.
    before : Graded
        The original's samples.
    names : tuple of str
        Names of the attributes in `Graded.others`.
    without_fid : str
        A sentence: why there is no FID, and what gives one; empty where there is one.
    """

    def __init__(
        self,
        generator: nn.Module,
        steering: Score,
        graders: Sequence[Score],
        *,
        n: int,
        share: float | None,
        random: torch.Generator,
    ) -> None:
        """Sample a generator, and grade the samples.

        Two sets of samples are drawn: `n` that are graded, and `n` others that give the thresholds
        of a feature of degree, and to which FID is taken.

        Raises
        ------
        ModelError
            A score does not keep its contract, or the features of its classifier do not.
        ParameterError
            A grader has weights of what steers, or is of another attribute.
        DataError
            A grader is what steers, does not see the feature, finds it in no sample or in all, or
            has no threshold of the share. Or fewer than a hundred surely lack the feature.
        """
        scores = (steering, *graders)
        check_independent(steering, graders)
        images = check_scores_on(generator, scores, is_logit=share is None)
        latent_dim = check_latent_dim(generator)
        named = [s for s in (*graders, steering) if isinstance(s, FeatureScore)]
        described = [score for score in named if has_features(score.classifier, images)]
        self._describing = next(iter(described or named), None)
        self._scores = scores
        self._has_features = bool(described)
        own, self.latents = _drawn(2, n, latent_dim, random)
        reference = self.grade(generator, own)
        scorers = [
            Scorer.of(_title(place, score), score, values, share)
            for place, (score, values) in enumerate(zip(scores, reference.scores, strict=True))
        ]
        check_graders(scorers, reference.scores)
        self._scorers = scorers
        self.steering, self.graders = scorers[0], tuple(scorers[1:])
        self.before = self.grade(generator, self.latents)
        self.floors()  # raises what would be raised only after a round
        self.without_fid = ""
        self._target, self._other = self._halves(reference)

    def on_fresh_latents(self, generator: nn.Module, random: torch.Generator) -> "OwnFeature":
        """Return the feature graded on as many other latents, with the same thresholds."""
        other = copy.copy(self)
        n, dim = self.latents.shape
        (other.latents,) = _drawn(1, n, dim, random)
        other.before = other.grade(generator, other.latents)
        return other

    def has_feature(self, graded: Graded, place: int) -> torch.Tensor:
        """Return which samples have the feature by the scorer at a place, bool (N,)."""
        return graded.scores[place] > self._scorers[place].threshold

    @property
    def name(self) -> str:
        """What the feature is called."""
        return feature_name(*self._scores)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes in `Graded.others`."""
        return self._describing.classifier.attributes if self._describing else ()

    def grade(self, model: nn.Module, latents: torch.Tensor) -> Graded:
        """Decode latents (N, latent_dim) with a model, and grade the samples.

        A model that draws random numbers, such as a class, draws the same ones at every call.
        """
        model = frozen_copy(model)
        device = device_of(model)
        describing = self._describing
        rows: list[list[torch.Tensor]] = []
        with own_conditions(gradients=False):
            for batch in tracked(latents.split(BATCH), "grading"):
                images = model(batch.to(device))
                row = [score(images).cpu() for score in self._scores]
                if describing is not None:
                    row.append((log_odds(describing.classifier, images) > 0).cpu())
                if describing is not None and self._has_features:
                    row.append(features_of(describing.classifier, images).cpu())
                rows.append(row)
        columns = [torch.cat(parts) for parts in zip(*rows, strict=True)]
        n = len(self._scores)
        for column in columns[:n]:
            check_scores(column, len(latents))
        others, features = [*columns[n:], None, None][:2]
        return Graded(tuple(columns[:n]), features, others)

    def _halves(self, reference: Graded) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return two halves of the features of samples that lack the feature, if FID can be."""
        if reference.features is None:
            self.without_fid = NO_FEATURES
            return None, None
        lacks = reference.scores[0] <= self.steering.threshold
        n, half = len(lacks), int(lacks.sum()) // 2
        n_features = reference.features.shape[1]
        if half >= MIN_SAMPLES and carries_fid(half, n_features):
            target, other = reference.features[lacks][: 2 * half].split(half)
            return target, other
        needed = 2 * max(MIN_SAMPLES, SAMPLES_PER_FEATURE * n_features)
        enough = math.ceil(1.1 * needed * n / max(2 * half, 1) / 100) * 100
        self.without_fid = (
            f"There is no FID: {n_features} features need {needed} samples without the feature, "
            f"and {int(lacks.sum())} of n = {n} lack it. fg.unlearn(..., n={enough}), or "
            f"--samples {enough}, would give one."
        )
        return None, None

    def prevalences(self, graded: Graded) -> list[Prevalence]:
        """Return the prevalence by what steers, and by every grader."""
        return [Prevalence.of(self.has_feature(graded, i)) for i in range(len(self._scorers))]

    def surely_lacking(self, place: int) -> torch.Tensor:
        """Return which of the original's samples all other scorers are sure lack the feature.

        Parameters
        ----------
        place : int
            Of the scorer that is left out; if it is the only one, it decides itself.

        Raises
        ------
        DataError
            There are fewer than a hundred.
        """
        pairs = list(zip(self._scorers, self.before.scores, strict=True))
        others = [pair for i, pair in enumerate(pairs) if i != place] or pairs
        lacking = torch.stack([scores <= scorer.lacking for scorer, scores in others]).all(0)
        if int(lacking.sum()) < MIN_LACKING:
            raise DataError(
                f"Of {len(lacking)} samples {int(lacking.sum())} surely lack the feature by "
                f"{', '.join(scorer.title for scorer, _ in others)}; {MIN_LACKING} are needed to "
                "tell what none is: grade more samples, or look at the scores."
            )
        return lacking

    def floors(self) -> list[Prevalence]:
        """Return the share that each scorer finds where there should be none, in their order."""
        return [
            Prevalence.of(self.has_feature(self.before, i)[self.surely_lacking(i)])
            for i in range(len(self._scorers))
        ]

    def evidence(self, graded: Graded) -> list[Evidence]:
        """Return what every grader says of a model; without graders, what steers."""
        before, after, floors = (
            self.prevalences(self.before),
            self.prevalences(graded),
            self.floors(),
        )
        evidence = []
        for i in range(1, len(self._scorers)) if self.graders else [0]:
            auc = auc_against(graded.scores[i], self.before.scores[i][self.surely_lacking(i)])
            title = self._scorers[i].title
            evidence.append(Evidence(title, False, before[i], after[i], floors[i].share, auc))
        return evidence

    @property
    def fid_floor(self) -> float | None:
        """FID of two halves of the original's samples that lack the feature; None without it."""
        if self._target is None or self._other is None:
            return None
        return fid(self._other, self._target)

    def fid(self, graded: Graded) -> float | None:
        """Return the FID of a model's samples to the original's that lack the feature."""
        if self._target is None or graded.features is None:
            return None
        return fid(graded.features[: len(self._target)], self._target)

    def verdict(self, graded: Graded) -> Verdict:
        """Return the verdict on a model."""
        return decide(
            self.evidence(graded),
            self.fid(graded),
            self.fid_floor,
            is_independent=bool(self.graders),
        )

    def look(self, model: nn.Module) -> Look:
        """Return whether a tuned model is short of gone, there, or past it."""
        first = self.evidence(self.grade(model, self.latents[:N_FIRST]))
        if (short := plainly_short(first)) is not None:
            return short
        graded = self.grade(model, self.latents)
        return look_at(self.verdict(graded), self.fid(graded), self.fid(self.before))


def _drawn(n_sets: int, n: int, dim: int, random: torch.Generator) -> torch.Tensor:
    """Return sets of latents (n_sets, n, dim).

    Each set takes at least as many from the random stream as the samples that are tuned on, whose
    first chunk has the same seed: else of a small n they would be graded as well.
    """
    return torch.randn(n_sets, max(n, CHUNK), dim, generator=random)[:, :n]


def _title(place: int, score: Score) -> str:
    """Return how reports name a score: the first steers, the others grade."""
    if place and isinstance(score, FeatureScore) and score.title:
        return score.title
    return "what steers" if place == 0 else "grader" if place == 1 else f"grader {place}"
