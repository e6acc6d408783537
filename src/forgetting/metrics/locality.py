"""Locality: how much else changed between images of the same latents, and where."""

import math
from typing import Protocol

import torch

from forgetting.border.checks import check_images
from forgetting.errors import DataError

MIN_IMAGES = 10
"""Images below which a mean over them is left out."""


class Evaluator(Protocol):
    """What locality needs of the classifiers that evaluate a feature.

    Attributes
    ----------
    names : tuple of str
        Names of the A other attributes.
    n_classes : int
        The first so many of the other attributes are classes; each image has one class.
    band : tuple of float or None
        The rows in which the feature lies, as shares of the height from the top; None if the
        feature has no such band.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def band(self) -> tuple[float, float] | None: ...

    def has_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) have the feature, bool (N,)."""
        ...

    def lacks_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) lack the feature, bool (N,)."""
        ...

    def others(self, images: torch.Tensor) -> torch.Tensor:
        """Return which other attributes images have, bool (N, A)."""
        ...

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of images that measure drift, (N, F)."""
        ...


def locality(evaluator: Evaluator, before: torch.Tensor, after: torch.Tensor) -> dict[str, float]:
    """Measure what else changed between images of the same latents.

    A key ends in `_present` where it covers the images whose original has the feature, and in
    `_absent` where it covers those whose original lacks it. A figure with fewer than 10 images to
    average over is left out.

    Parameters
    ----------
    evaluator : Evaluator
        The classifiers that grade the feature and the other attributes.
    before, after : Tensor, (N, C, H, W)
        Images of the original and of the model that forgot, float32 in [0, 1].

    Returns
    -------
    dict
        n_present, n_absent
            Number of images.
        l1_present, l1_absent
            Mean absolute change of a pixel, in [0, 1].
        inside_present, outside_present
            The same inside and outside the feature's band, if it has one.
        class_changed_present, class_changed_absent
            Share of images whose class changed, if images have classes.
        flipped_present, flipped_absent
            Share of the other attributes, without the classes, that changed.
        drift_absent
            Mean change of the features, in units of the mean distance between two originals.
        share_change_NAME
            Change of an attribute's share among all images, after - before.
        share_change
            The largest absolute value of these changes.

    Raises
    ------
    DataError
        The images are no floats in [0, 1], there are none, or the two sets differ in shape. Or
        the evaluator's answers are no booleans for each image, or name several classes for one.
        Or its band covers no row or all of them, or its features do not differ or are not finite
        and (N, F).
    """
    before, after = check_images(before, "The images before"), check_images(after, "Those after")
    if before.shape != after.shape or not len(before):
        raise DataError(
            f"The images before are {tuple(before.shape)}, those after {tuple(after.shape)}: "
            "give at least one pair of images of the same latents."
        )
    metrics: dict[str, float] = {}
    present, absent = evaluator.has_feature(before), evaluator.lacks_feature(before)
    pixel_change = (after - before).abs()
    others_before, others_after = evaluator.others(before), evaluator.others(after)
    _check_answers(evaluator, present, absent, others_before, others_after)
    n_classes = evaluator.n_classes
    changed = (others_before != others_after).float()
    classes_changed, attributes_changed = changed[:, :n_classes], changed[:, n_classes:]
    for suffix, mask in (("present", present), ("absent", absent)):
        metrics[f"n_{suffix}"] = int(mask.sum())
        if metrics[f"n_{suffix}"] >= MIN_IMAGES:
            metrics[f"l1_{suffix}"] = float(pixel_change[mask].mean())
            if attributes_changed.shape[1]:
                metrics[f"flipped_{suffix}"] = float(attributes_changed[mask].mean())
            if n_classes:
                metrics[f"class_changed_{suffix}"] = float(classes_changed[mask].amax(1).mean())
    if evaluator.band is not None and metrics["n_present"] >= MIN_IMAGES:
        top, bottom = evaluator.band
        rows = (torch.arange(before.shape[2]) + 0.5) / before.shape[2]
        inside = (rows >= top) & (rows <= bottom)
        if inside.all() or not inside.any():
            raise DataError(
                f"The band from {top:g} to {bottom:g} covers {int(inside.sum())} of {len(rows)} "
                "rows: give one that covers some and not all, or None."
            )
        metrics["inside_present"] = float(pixel_change[present][:, :, inside].mean())
        metrics["outside_present"] = float(pixel_change[present][:, :, ~inside].mean())
    if metrics["n_absent"] >= MIN_IMAGES:
        original, unlearned = (_features(evaluator, images[absent]) for images in (before, after))
        distance = (original - original.roll(1, 0)).norm(dim=1).mean()
        if not 0 < distance < math.inf:
            raise DataError(
                f"The features of {len(original)} originals have the mean distance "
                f"{float(distance):g}, in which drift is measured: give features that differ."
            )
        metrics["drift_absent"] = float((original - unlearned).norm(dim=1).mean() / distance)
    share_changes = (others_after.float().mean(0) - others_before.float().mean(0)).tolist()
    for name, change in zip(evaluator.names, share_changes, strict=True):
        metrics[f"share_change_{name.lower()}"] = change
    metrics["share_change"] = max(abs(change) for change in share_changes)
    return metrics


def _features(evaluator: Evaluator, images: torch.Tensor) -> torch.Tensor:
    """Return an evaluator's features of images, unless they are not finite and (N, F)."""
    features = evaluator.features(images)
    if features.ndim != 2 or len(features) != len(images) or not features.isfinite().all():
        raise DataError(
            f"`features` returns {tuple(features.shape)} for {len(images)} images: return finite "
            f"features ({len(images)}, F), such as a flattened layer."
        )
    return features


def _check_answers(
    evaluator: Evaluator, present: torch.Tensor, absent: torch.Tensor, *others: torch.Tensor
) -> None:
    """Raise an error unless an evaluator's answers are booleans that do not contradict."""
    n, names = len(present), [name.lower() for name in evaluator.names]
    wanted = {"has_feature": (n,), "lacks_feature": (n,), "others": (n, len(names))}
    for name, answer in (
        ("has_feature", present),
        ("lacks_feature", absent),
        *(("others", answer) for answer in others),
    ):
        if answer.dtype != torch.bool or answer.shape != wanted[name]:
            raise DataError(
                f"`{name}` returns {answer.dtype} {tuple(answer.shape)}: return booleans "
                f"{wanted[name]}, such as scores > 0."
            )
    if (present & absent).any():
        raise DataError(
            f"{int((present & absent).sum())} images both have the feature and lack it: let "
            "`has_feature` and `lacks_feature` exclude each other."
        )
    n_classes = evaluator.n_classes
    if n_classes and any((answer[:, :n_classes].sum(1) > 1).any() for answer in others):
        raise DataError(
            f"`others` returns for some image several of the {n_classes} classes: let each image "
            "have one, such as that of the highest score, or set n_classes to 0."
        )
    if not names or len(set(names)) < len(names):
        raise DataError(f"names = {names}: give the other attributes different names.")
