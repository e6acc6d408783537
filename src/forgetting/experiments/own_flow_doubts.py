"""What speaks against the images, or against the likelihoods, with which a flow is to be tamed."""

import math
import warnings
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import check_images, check_scale
from forgetting.border.copies import name_of
from forgetting.border.forms import other_forms
from forgetting.data.near_copies import near_copies
from forgetting.errors import DataWarning
from forgetting.experiments.own_flow_samples import log_probs
from forgetting.methods.image_sets import distinct
from forgetting.methods.results import TamingResult

N_COMPARED = 16
"""Images, and images of noise, whose likelihoods are compared."""

NOISE, FAR_AWAY = 0.5, 10.0
"""Deviation of the noise that is added to an image, and to a point in deviations of all points."""

MIN_TELLING = 4
"""Images below which it may be chance that all are likelier in another form, or as noise."""

PER_VALUE = 0.05
"""Nats for each value of an image that hardly a log-likelihood exceeds which was divided by the
number of values. Of images of fewer than 100 values some may exceed them.

Bits/dim of images of 8 bits are all of 7.93 to 8.07 then: those of noise, whatever the image.
"""

APART = 0.5
"""Part of the place that taming reached, or of delta, by which images held out may differ."""

RANGES = {
    "[-0.5, 0.5]": (1, -0.5, "images - 0.5"),
    "[-1, 1]": (2, -1, "2 * images - 1"),
    "[0, 255]": (255, 0, "255 * images"),
}
"""Ranges of values that flows are trained on: how those of [0, 1] become theirs, and its text."""


def once_each(images: Any, name: str) -> torch.Tensor:
    """Return images (N, ...), each once; a warning says of how many there are several.

    An image that comes twice would be tuned on and held out, or count twice in an interval.

    Raises
    ------
    DataError
        They are no images in [0, 1], or seem to have been divided by 255 twice.
    """
    checked = check_images(images, name)
    check_scale(checked, name)
    kept = checked[distinct(checked)]
    if n_left_out := len(checked) - len(kept):
        warnings.warn(
            f"{name}: {n_left_out} of {len(checked)} equal another and are left out.",
            DataWarning,
            stacklevel=4,
        )
    return kept


def warn_of_copies(forget: torch.Tensor, retain: torch.Tensor) -> None:
    """Warn if images to forget (N, ...) are nearly equal to some to retain (M, ...)."""
    if forget.ndim < 4:
        return
    if n_near := int(near_copies(forget, retain).sum()):
        warnings.warn(
            f"{n_near} of {len(forget)} images to forget nearly equal one to retain, as copies of "
            "a photograph do: what is forgotten would be retained. Take them out of one set.",
            DataWarning,
            stacklevel=4,
        )


def warn_of_likelihoods(flow: nn.Module, images: torch.Tensor) -> None:
    """Warn if a flow seems to return no log-likelihood, one of a value, or of another range.

    Noise is less likely than images under every flow that has learned from images, and an image
    with strong noise less than the image itself, unless its `log_prob` has the other sign or is
    given values that it does not know. Smooth images say nothing: a flow of faces finds each less
    likely than plain grey.

    Parameters
    ----------
    flow : nn.Module
        It passed the preflight.
    images : Tensor, (N, ...)
        Of points, which may have any values, only the sign is looked at.
    """
    name, some = name_of(flow), images[:N_COMPARED]
    kind = "points" if images.ndim < 4 else "images"
    given = log_probs(flow, some)
    for what, noisy in _noisy(some, images).items():
        try:
            other = log_probs(flow, noisy)
        except Exception:  # whatever a stranger's flow raises of noise, it says nothing
            continue
        is_likelier = other > given
        may_be = is_likelier | other.isnan()  # such as a difference of two that are infinite
        if may_be.all() and int(is_likelier.sum()) >= MIN_TELLING:
            warnings.warn(
                f"{name} finds {what} more likely than each of {len(some)} {kind} to retain: is "
                "its `log_prob` a loss, with the other sign, or of values in another range than "
                "theirs?",
                DataWarning,
                stacklevel=4,
            )
            break
    if images.ndim < 4:
        return
    n_values, most = some[0].numel(), float(given.abs().max())
    if most <= PER_VALUE * n_values:
        warnings.warn(
            f"{name} gives each of {len(some)} images of {n_values} values a log-likelihood of at "
            f"most {most:.3g} in size: is it divided by their number? Return the sum over all "
            "values, in nats, or bits/dim are wrong.",
            DataWarning,
            stacklevel=4,
        )


def _noisy(some: torch.Tensor, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return noise in place of some of the images, and these with strong noise."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(some.shape, generator=random)
    if images.ndim < 4:
        return {"points far away": some + FAR_AWAY * images.std(0) * noise}
    return {
        "noise": torch.rand(some.shape, generator=random),
        "images under strong noise": (some + NOISE * noise).clamp(0, 1),
    }


def warn_of_forms(flow: nn.Module, forget: torch.Tensor, retain: torch.Tensor) -> None:
    """Warn if a flow finds every image likelier in another form: channels exchanged, inverted.

    A flow of faces found each of 64 photographs less likely in either form.

    Parameters
    ----------
    flow : nn.Module
        It passed the preflight.
    forget, retain : Tensor, (N, ...) and (M, ...)
        Of points, and of fewer than four images, nothing is said.
    """
    if retain.ndim < 4:
        return
    for images, purpose in ((forget, "forget"), (retain, "retain")):
        some = images[:N_COMPARED]
        given = log_probs(flow, some)
        for form, others in other_forms(some).items():
            other = log_probs(flow, others)
            if len(some) >= MIN_TELLING and (other > given).all():
                warnings.warn(
                    f"{name_of(flow)} finds each of {len(some)} images to {purpose} more likely "
                    f"{form}: are they in the form of the images that it learned from?",
                    DataWarning,
                    stacklevel=4,
                )


def warn_of_ranges(flow: nn.Module, images: torch.Tensor) -> None:
    """Warn if a flow finds every image likelier with values in another range than [0, 1].

    Densities are compared in the units of [0, 1]. Nothing is said of a flow that cuts values at
    the ends of [0, 1], nor of one that finds noise in that range likelier still, as a loss does.

    Parameters
    ----------
    flow : nn.Module
        It passed the preflight.
    images : Tensor, (N, ...)
        Of points, and of fewer than four images, nothing is said.
    """
    some = images[:N_COMPARED]
    if images.ndim < 4 or len(some) < MIN_TELLING:
        return
    likeliest, found, n_values = log_probs(flow, some), None, some[0].numel()
    if float(likeliest.abs().max()) <= PER_VALUE * n_values:
        return  # it is no log-likelihood of whole images, of which `warn_of_likelihoods` tells
    noise = _noisy(some, images)["noise"]
    for name, (factor, offset, text) in RANGES.items():
        scaled = factor * some + offset
        try:
            inside = log_probs(flow, scaled)
            cut = log_probs(flow, scaled.clamp(0, 1))
            of_noise = log_probs(flow, factor * noise + offset)
        except Exception:  # whatever a stranger's flow raises of values that it does not take
            continue
        other = inside + n_values * math.log(factor)
        is_loss, is_cut = (of_noise > inside).all(), (inside == cut).all()
        if (other > likeliest).all() and not is_loss and not is_cut:
            likeliest, found = other, (name, text)
    if found:
        warnings.warn(
            f"{name_of(flow)} finds each of {len(some)} images to retain more likely with values "
            f"in {found[0]}, so that its `log_prob` seems to be of that range, and not of [0, 1]. "
            "Then give as_flow(flow, log_prob=lambda flow, images: ...), which scales them, as by "
            f"{found[1]}.",
            DataWarning,
            stacklevel=4,
        )


def doubts_of_place(result: TamingResult, above: float) -> list[str]:
    """Return what a report says where images held out contradict the place that taming reached.

    Parameters
    ----------
    result : TamingResult
        Its place is in mean and sigma of some of the retained images.
    above : float
        Where the images to forget lie by mean and sigma of images held out.
    """
    size = max(abs(result.position), abs(result.delta or 0.0))
    if abs(result.position - above) <= APART * size:
        return []
    return [
        f"By images held out they lie at {above:+.2f} sigma: the mean and sigma of taming were of "
        "too few images to retain. Raise `n_retain` and `n_statistics`, or give more images."
    ]
