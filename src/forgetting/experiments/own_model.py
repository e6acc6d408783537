"""Unlearn a feature of anyone's generator until it is gone, or say why it is not."""

import time
from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.conditions import MAX_SEED, own_conditions
from forgetting.border.copies import name_of
from forgetting.border.feature_score import Score, check_without_threshold
from forgetting.border.options import (
    as_items,
    check_counts,
    check_number,
    check_ordered,
    check_seed,
)
from forgetting.border.preflight import check_generator
from forgetting.errors import ParameterError, check_option, quoted, validated
from forgetting.experiments.own_feature import OwnFeature
from forgetting.experiments.own_report import UnlearningReport, measure
from forgetting.experiments.own_sources import classifiers_used, warn_of_changed
from forgetting.experiments.unlearning_methods import MethodName
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.latent_pool import LatentPool
from forgetting.methods.problem import Trainable, all_weights
from forgetting.methods.results import UnlearningResult
from forgetting.methods.settings import checked_settings
from forgetting.methods.until_gone import until_gone
from forgetting.methods.until_gone_config import UntilGoneConfig
from forgetting.zoo.same_answers import answers_of
from forgetting.zoo.saved import state_digest

MIN_GRADED = 200
"""Least number of samples in every measure."""

OF_THE_SCORE = ("threshold", "lacking")
"""Fields of `UntilGoneConfig` that follow from the score, by which the samples are graded, too."""

CONFIGURATIONS: dict[str, type[UntilGoneConfig | UnlearningConfig]] = {
    "until_gone": UntilGoneConfig,
    "moon2024": UnlearningConfig,
}


def unlearn(
    generator: nn.Module,
    feature: Score,
    grader: Score | Sequence[Score] | None = None,
    *,
    method: MethodName = "until_gone",
    share: float | None = None,
    n: int = 5000,
    trainable: Trainable = all_weights,
    seed: int = 0,
    **settings: Any,
) -> UnlearningReport:
    """Make a copy of a generator unlearn a feature, and measure whether it did.

    Parameters
    ----------
    generator : nn.Module
        As `as_generator` returns it; it is not changed.
    feature : callable
        What steers: `classifier["Eyeglasses"]`, or a function from images (B, C, H, W) to logits
        (B,), positive where an image has the feature.
    grader : callable or sequence of callable
        What grades and has no part in tuning: the feature by another classifier, or by several.
        Without one, what steers grades, and the verdict says so.
    method : {"until_gone", "moon2024"}
        Rounds until the graders find the feature gone, or the single pass of the paper.
    share : float, optional
        Of a feature of degree, such as thickness: the part of the samples that has it, those with
        the highest scores.
    n : int
        Samples in every measure; `--samples` on the command line.
    trainable : callable
        From a copy of the generator to the part that is tuned; all of it by default.
    seed : int
        Of all random draws.
    **settings
        Fields of `UntilGoneConfig` or of `UnlearningConfig`.

    Returns
    -------
    UnlearningReport
        The tuned copy and what was measured; `print` shows it, `save` writes it.

    Raises
    ------
    DataError
        Too few samples have the feature, or lack it.
    ModelError
        The generator or a score does not keep its contract.
    ParameterError
        A setting is unknown or not allowed. Or a grader is another attribute than its classifier
        could grade, or of what steers; or a score has a threshold beside `share`.
    TrainingError
        The loss is not finite.

    Examples
    --------
    >>> import forgetting as fg
    >>> generator = fg.load("digits-vae")
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> result = fg.unlearn(generator, ink, share=0.1, method="moon2024", n=400, steps=2)
    >>> result.verdict.word
    'unchanged'
    """
    settings = checked_options(method=method, share=share, n=n, seed=seed, **settings)
    n, seed, share = int(n), int(seed), share if share is None else float(share)
    check_generator(generator, trainable, is_tuned=True)
    graders = _as_graders(grader)
    for score in (feature, *graders) if share is not None else ():
        check_without_threshold(score)
    forget = _in_rounds if method == "until_gone" else _in_one_pass
    used = classifiers_used(feature, graders)
    with own_conditions(seed):
        random = torch.Generator().manual_seed(seed)
        looked = OwnFeature(generator, feature, graders, n=n, share=share, random=random)
        started = time.perf_counter()
        result, direction, figures = forget(
            generator, looked, trainable, {"seed": seed} | settings
        )
        figures["seconds"] = time.perf_counter() - started
        graded = looked.on_fresh_latents(generator, random)
        measured = measure(graded, generator, result.model, direction)
    warn_of_changed(used, classifiers_used(feature, graders))
    parameters = {
        "model": name_of(generator),
        "base_sha256": state_digest(generator),
        "tuned_sha256": state_digest(result.model),
        "tuned_answers": answers_of(result.model, "generator", [check_latent_dim(generator)]),
        "method": method,
        "share": share,
        "n": n,
        "seed": seed,
        "graders": [grader.title for grader in looked.graders],
        "thresholds": [scorer.threshold for scorer in (looked.steering, *looked.graders)],
        "classifiers": used,
        **settings,
    }
    return UnlearningReport(
        result.model, result.history, looked.name, figures, measured, parameters
    )


def _as_graders(given: Any) -> list[Score]:
    """Return what grades as a list, empty for None.

    Raises
    ------
    ParameterError
        It is neither a function nor a sequence of functions.
    """
    if given is None or callable(given):
        return [] if given is None else [given]
    check_ordered(grader=given)
    graders = as_items(given)
    if graders is None:
        raise ParameterError(
            f"grader = {quoted(given)}: give a score, such as classifier['Smiling'], or a list of "
            "them."
        )
    for place, each in enumerate(graders):
        if not callable(each):
            raise ParameterError(
                f"grader[{place}] = {quoted(each)}: give a score, such as classifier['Smiling'], "
                "or leave it out."
            )
    return graders


def checked_options(
    *, method: str, share: float | None, n: int, seed: int, **settings: Any
) -> dict[str, Any]:
    """Return the settings that `unlearn` is given as their types, if all its options are allowed.

    Raises
    ------
    ParameterError
        There is no such method, or an option is unknown or not allowed.
    """
    method = check_option("method", method, get_args(MethodName))
    for name in settings:
        if name in OF_THE_SCORE:
            raise ParameterError(
                f"{name} belongs to the feature, by which samples are graded, too: give "
                'classifier["..."].at(threshold), or `share`.'
            )
    settings = checked_settings(CONFIGURATIONS[method], settings, f"The method {method}")
    check_counts(n=n, least=MIN_GRADED)
    check_seed(seed)
    if share is not None:
        check_number(share=share)
    if share is not None and not 0 < share < 1:
        raise ParameterError(f"share = {quoted(share)}: give a number between 0 and 1.")
    return settings


Outcome = tuple[UnlearningResult, Direction, dict[str, float]]
"""What a method returns, the direction that it took, and further figures."""


def _in_rounds(
    generator: nn.Module, looked: OwnFeature, trainable: Trainable, settings: dict[str, Any]
) -> Outcome:
    """Unlearn in rounds until the look finds the feature gone."""
    steering = looked.steering
    limits = {"threshold": steering.threshold, "lacking": steering.lacking}
    config = validated(UntilGoneConfig, limits | settings)
    result = until_gone(generator, steering.score, looked.look, config, trainable=trainable)
    rounds = len({row["round"] for row in result.history})
    figures = {"rounds": rounds, "lr": result.lr, "unsolved": result.unsolved}
    return result, result.direction, figures


def _in_one_pass(
    generator: nn.Module, looked: OwnFeature, trainable: Trainable, settings: dict[str, Any]
) -> Outcome:
    """Unlearn in the single pass of the paper."""
    steering = looked.steering
    scores = looked.before.scores[0]
    pool = LatentPool(looked.latents, scores, steering.threshold, steering.lacking)
    direction = pool.direction("raw")
    # of the seed itself the same latents would follow as those that are graded
    config = validated(UnlearningConfig, settings | {"seed": (settings["seed"] + 1) % MAX_SEED})
    result = unlearn_feature(generator, direction, config, trainable=trainable)
    return result, direction, {"rounds": 1, "lr": config.lr}
