"""The digits by which forgetting a class is judged: the class stands in the place of a person."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from forgetting.border.contracts import mean_bits_per_dim
from forgetting.border.inference import classes
from forgetting.border.options import check_counts
from forgetting.data.digits import Digits, Source, load_digits
from forgetting.errors import DataError, warn_if_fewer
from forgetting.experiments.context import Experiment
from forgetting.experiments.ordinary import N_CANDIDATES, first_ordinary
from forgetting.metrics.likelihood import LikelihoodReference
from forgetting.models.classifier import Classifier
from forgetting.models.glow import Glow

N_EACH = 100
"""Digits in each measured set but `forget` and `held_out`."""


@dataclass(frozen=True)
class DigitSplits:
    """Digits around one class.

    Attributes
    ----------
    digit : int, 0 to 9
        The class.
    size : int
        Side of the images that a flow takes, in pixels.
    train, held_out : Digits
        Digits of all classes; no model of the zoo saw those held out.
    likelihood_reference : Tensor
        (M, 1, size, size) in [0, 1], training digits of other classes that give each flow its mean
        and deviation of bits/dim.
    """

    digit: int
    size: int
    train: Digits
    held_out: Digits
    likelihood_reference: torch.Tensor

    @property
    def of_class(self) -> torch.Tensor:
        """Indices (N,) of the training digits of the class."""
        return torch.nonzero(self.train.labels == self.digit).flatten()

    @property
    def retain(self) -> Digits:
        """Training digits of all other classes."""
        return self.train.where(self.train.labels != self.digit)


def load_digit_splits(
    experiment: Experiment, source: Source, digit: int, size: int, n_likelihood_reference: int
) -> DigitSplits:
    """Load the digits around one class.

    Parameters
    ----------
    experiment : Experiment
        Its stream "yardstick" draws that set.
    source, digit, size : Source
        See `load_digits` and `DigitSplits`.
    n_likelihood_reference : int
        Digits of the likelihood reference; all others, with a warning, if there are fewer.

    Raises
    ------
    DataError
        The digits are not at hand.
    """
    train, held_out = load_digits("train", source), load_digits("held_out", source)
    retain = train.where(train.labels != digit)
    warn_if_fewer(n_likelihood_reference, len(retain), "digits of the likelihood reference")
    # the stream keeps the name that it had when the pages were made: another draws other digits
    order = torch.randperm(len(retain), generator=experiment.generator("yardstick"))
    reference = retain.floats(size)[order[:n_likelihood_reference]]
    return DigitSplits(digit, size, train, held_out, reference)


def choose_forget_digits(
    splits: DigitSplits, n: int, flow: Glow, draws: int, seed: int
) -> torch.Tensor:
    """Return indices (n,) of the training digits to forget: the first n of the class.

    A single digit is the first of `N_CANDIDATES` that is ordinary (`first_ordinary`).

    Parameters
    ----------
    flow : Glow
        The base, under which the quantiles of a single digit are taken.
    draws, seed : int
        Of the dequantisation noise of those quantiles.

    Raises
    ------
    DataError
        The class has fewer than n training digits.
    ParameterError
        n is no whole number of at least 1.
    """
    check_counts(n=n)
    indices = splits.of_class
    if n > len(indices):
        raise DataError(
            f"{n} digits to forget, but class {splits.digit} has {len(indices)} training digits."
        )
    if n > 1:
        return indices[:n]
    candidates = indices[:N_CANDIDATES]
    images = splits.train.where(candidates).floats(splits.size)
    reference = LikelihoodReference.of(
        mean_bits_per_dim(flow, splits.likelihood_reference, draws, seed)
    )
    quantiles = reference.quantile(mean_bits_per_dim(flow, images, draws, seed))
    return candidates[first_ordinary(quantiles)]


def nearest_class(splits: DigitSplits, classifier: Classifier) -> int:
    """Return the class for which a classifier most easily takes held-out digits of this one.

    Parameters
    ----------
    classifier : Classifier
        Has the method `classes`, images (N, 1, 28, 28) to probabilities (N, 10).
    """
    images = splits.held_out.where(splits.held_out.labels == splits.digit).floats()
    probabilities = classes(classifier, images).mean(0)
    probabilities[splits.digit] = 0
    return int(probabilities.argmax())


def measured_digits(
    experiment: Experiment, splits: DigitSplits, forget: torch.Tensor, nearest: int
) -> dict[str, torch.Tensor]:
    """Return the sets of images (N, 1, size, size) on which forgetting a class is measured.

    Parameters
    ----------
    experiment : Experiment
        Its streams "sets" and "random" draw the sets.
    forget : Tensor
        Indices of training digits.
    nearest : int
        Another class, from `nearest_class`.

    Returns
    -------
    The sets of `five_sets`, and `held_out`, half as many held-out digits of other classes as the
    likelihood reference has images.
    """
    sets = five_sets(
        splits.train,
        splits.held_out,
        forget,
        splits.digit,
        nearest,
        N_EACH,
        experiment.generator("sets"),
    )
    others = splits.held_out.where(splits.held_out.labels != splits.digit)
    order = torch.randperm(len(others), generator=experiment.generator("random"))
    held_out = others.floats(splits.size)[order[: len(splits.likelihood_reference) // 2]]
    return {name: digits.floats(splits.size) for name, digits in sets.items()} | {
        "held_out": held_out
    }


def five_sets(
    train: Digits,
    held_out: Digits,
    forget: torch.Tensor,
    digit: int,
    nearest: int,
    n: int,
    generator: torch.Generator,
) -> dict[str, Digits]:
    """Return the five sets on which the paper judges taming, for a class of digits.

    Parameters
    ----------
    forget : Tensor
        Indices of training digits.
    digit, nearest : int
        The class, and the class for which it is most easily taken.
    n : int
        Digits in each set, at most.
    generator : torch.Generator
        Of the random draws.

    Returns
    -------
    `forget`, the first n of those to forget; `reference`, held-out digits of the class; `random`,
    training digits of other classes; `neutral`, held-out digits of classes that are neither
    `digit` nor `nearest`; `nearest`, held-out digits of the nearest class.
    """

    def draw(digits: Digits, mask: torch.Tensor) -> Digits:
        indices = torch.nonzero(mask).flatten()
        return digits.where(indices[torch.randperm(len(indices), generator=generator)[:n]])

    is_neutral = (held_out.labels != digit) & (held_out.labels != nearest)
    return {
        "forget": train.where(forget[:n]),
        "reference": draw(held_out, held_out.labels == digit),
        "random": draw(train, train.labels != digit),
        "neutral": draw(held_out, is_neutral),
        "nearest": draw(held_out, held_out.labels == nearest),
    }


def class_filter(classifier: Classifier, digit: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that marks the images (N, 1, H, W) which a classifier takes for a digit.

    Parameters
    ----------
    classifier : Classifier
        Has the method `classes`, images to probabilities (N, 10).

    Returns
    -------
    A function from images to bool (N,).
    """
    return lambda images: classes(classifier, images).argmax(1) == digit
