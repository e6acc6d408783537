"""Samples of generators that pass the preflight, and the scores of these samples."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import are_equal, check_decoded, check_latent_dim, first_latents
from forgetting.border.classes import may_be_classes, warn_of_classes
from forgetting.border.conditions import own_conditions
from forgetting.border.copies import device_of, frozen_copy, name_of
from forgetting.border.feature_score import FeatureScore
from forgetting.border.forms import N_COMPARED, tells_forms, warn_of_forms
from forgetting.border.options import check_counts, check_seed, finite_number
from forgetting.border.preflight import check_generator, warn_of_statistics
from forgetting.border.scores import N_SCORED, check_score, check_scores, warn_of_probability
from forgetting.errors import DataError, ModelError
from forgetting.foundation.progress import tracked


def first_samples(generator: nn.Module) -> torch.Tensor:
    """Return a few images (N_SCORED, C, H, W) of a generator, on which a score is tried."""
    return next(_batches(generator, N_SCORED))


def first_images(generator: nn.Module, n: int) -> torch.Tensor:
    """Return n images (n, C, H, W) of a generator on the CPU, of the latents that all share."""
    return torch.cat([images.cpu() for images in _batches(generator, n)])


def draws_at_random(generator: nn.Module) -> bool:
    """Return whether a generator's images of equal latents differ from seed to seed."""
    duplicate, latents = frozen_copy(generator), first_latents(generator, N_SCORED)
    answers = []
    for seed in (0, 1):
        with own_conditions(seed, gradients=False):
            answers.append(duplicate(latents.to(device_of(duplicate))).cpu())
    return not are_equal(*answers)


def _batches(generator: nn.Module, n: int) -> Iterator[torch.Tensor]:
    """Yield the first n images of a generator, N_SCORED at a time: large ones fill no memory."""
    duplicate = frozen_copy(generator)
    for part in first_latents(generator, n).split(N_SCORED):
        with own_conditions(gradients=False):
            images: torch.Tensor = duplicate(part.to(device_of(duplicate)))
        check_decoded(images, len(part), name_of(generator))
        yield images


def check_scores_on(
    generator: nn.Module, scores: Sequence[Callable[..., Any]], *, is_logit: bool
) -> torch.Tensor:
    """Return a few images of a generator, unless one of several scores fails on them.

    A `DataWarning` says where a score's classifier is surer of them in another form, or where its
    attributes seem to be classes.

    Parameters
    ----------
    generator, scores
        As the contracts describe them.
    is_logit : bool
        Whether scores above 0 mean that an image has the feature.

    Raises
    ------
    ModelError
        A score does not keep its contract.
    """
    images = first_samples(generator)
    for score in scores:
        check_score(score, images, is_logit=is_logit)
        if isinstance(score, FeatureScore) and isinstance(score.classifier, nn.Module):
            warn_of_statistics(score.classifier)
        if tells_forms(score):
            warn_of_forms(score, _batches(generator, N_COMPARED), name_of(generator))
        if may_be_classes(score):
            warn_of_classes(score, _batches(generator, N_COMPARED))
    return images


def check_same_shape(generator: nn.Module, images: torch.Tensor, name: str) -> None:
    """Raise an error unless images (N, C, H, W) have the shape of a generator's own.

    Raises
    ------
    DataError
        They have another: torch would repeat them, or the generator's, until they fit.
    """
    shape = first_samples(generator).shape[1:]
    if images.shape[1:] != shape:
        raise DataError(
            f"{name} have the shape {tuple(images.shape)}, where the generator's images are "
            f"(N, {', '.join(map(str, shape))}): bring them to that shape."
        )


def scored_samples(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    seed: int,
    batch_size: int,
    threshold: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample a generator that passes the preflight, and score the samples.

    Parameters
    ----------
    generator, score
        As the contracts describe them. A copy of the generator is sampled.
    n, seed, batch_size : int
        Number of samples, seed of the latents, samples that are decoded at a time.
    threshold : float, optional
        Score beyond which a sample has the feature; None where scores are only ranked.

    Returns
    -------
    latents, scores : Tensor, (n, latent_dim) and (n,)
        On the CPU.

    Raises
    ------
    ModelError
        The generator or the score does not keep its contract, or the score changes meanwhile.
    ParameterError
        An option is no whole number in its range, or the threshold no finite number.
    """
    n, batch_size = check_counts(n=n, batch_size=batch_size)
    seed = check_seed(seed)
    if threshold is not None:
        threshold = finite_number(threshold=threshold)
    is_logit = threshold is not None and threshold <= 0
    check_generator(generator)
    check_scores_on(generator, [score], is_logit=is_logit)
    model = frozen_copy(generator)
    random = torch.Generator().manual_seed(seed)
    with own_conditions(seed, gradients=False):
        latents = torch.randn(n, check_latent_dim(generator), generator=random)
        parts: list[torch.Tensor] = []
        first = torch.empty(0)
        for part in tracked(latents.split(batch_size), "collecting"):
            images = model(part.to(device_of(model)))
            check_decoded(images, len(part), name_of(generator))
            answer = score(images)
            check_scores(answer, len(part))
            first = first if parts else images
            parts.append(answer.cpu().as_subclass(torch.Tensor))
        if len(parts) > 1 and not are_equal(score(first).cpu(), parts[0]):
            raise ModelError(
                "The score gives other scores of the same images after all samples than before: "
                "its model is changed meanwhile. Score with one that nothing changes."
            )
        scores = torch.cat(parts)
    check_scores(scores, n, is_logit=is_logit)
    if threshold is not None:
        warn_of_probability(scores, threshold)
    return latents, scores
