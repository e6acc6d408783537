"""Which samples of anyone's generator have a feature."""

from collections.abc import Iterator

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.feature_score import Score, threshold_of
from forgetting.border.scores import check_scores
from forgetting.errors import DataError
from forgetting.experiments.own_graders import check_found, check_other, check_sight
from forgetting.foundation.progress import tracked


def images_with_feature(
    generator: nn.Module, score: Score, latents: torch.Tensor, n: int
) -> torch.Tensor:
    """Return the first n images of latents (N, latent_dim) that have a feature.

    Raises
    ------
    DataError
        There are fewer.
    """
    shown: list[torch.Tensor] = []
    for images, scores in _graded(generator, score, latents):
        shown += images[scores > threshold_of(score)].cpu()
        if len(shown) >= n:
            return torch.stack(shown[:n])
    raise DataError(
        f"{len(shown)} of {len(latents)} samples of the generator before show the feature, "
        f"and {n} are needed to relearn it from: raise `n`, or look at the feature."
    )


def has_feature(generator: nn.Module, score: Score, latents: torch.Tensor) -> torch.Tensor:
    """Return which images of latents have the feature by a score, bool (N,)."""
    return scores_of(generator, score, latents) > threshold_of(score)


def had_feature(
    before: nn.Module, feature: Score, grader: Score, latents: torch.Tensor
) -> torch.Tensor:
    """Return which samples have the feature, bool (N,), by a grader that sees what is attacked.

    Raises
    ------
    DataError, ModelError
        The grader finds it in none or in all, does not see it or scores as `feature` does, or the
        scores are no logits.
    """
    grades = scores_of(before, grader, latents)
    check_scores(grades, len(latents), is_logit=True)
    title = "what steers" if grader is feature else "the grader"
    check_found(title, grades, threshold_of(grader))
    if grader is not feature:
        followed = scores_of(before, feature, latents)
        check_scores(followed, len(latents), is_logit=True)
        check_other("the grader", grades, "what steers", followed)
        check_sight("The grader", grades, followed > threshold_of(feature))
    return grades > threshold_of(grader)


def scores_of(generator: nn.Module, score: Score, latents: torch.Tensor) -> torch.Tensor:
    """Return the scores (N,) of a generator's images of latents (N, latent_dim), on the CPU.

    Raises
    ------
    ModelError
        A score is not finite.
    """
    scores = torch.cat([part.cpu() for _, part in _graded(generator, score, latents)])
    check_scores(scores, len(latents))
    return scores


def _graded(
    generator: nn.Module, score: Score, latents: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of images of latents, and their scores.

    A generator that draws random numbers, such as a class, draws the same ones at every call.
    """
    model = frozen_copy(generator)
    device = device_of(model)
    for seed, part in enumerate(tracked(latents.split(BATCH), "grading")):
        with own_conditions(seed, gradients=False):
            images = model(part.to(device))
            scores = score(images)
        yield images, scores
