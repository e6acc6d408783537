"""Who labels a generator's samples, who grades them, and what else they show.

Digits and faces differ in who that is; a template asks a `FeatureEvaluator` and does not care.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from forgetting.data.morphology import Morphology, measure
from forgetting.inference import classes, features, logits

T = TypeVar("T")

BANDS = {
    "Bangs": (0.0, 0.35),
    "Wearing_Hat": (0.0, 0.35),
    "Eyeglasses": (0.33, 0.55),
    "Smiling": (0.58, 0.88),
}
"""Rows of the crop, as shares from the top, in which a feature of faces lies. The crop puts the
eyes of CelebA at 0.44, the brows at 0.35 and the mouth at 0.70."""


SURE = 0.9
"""The probability of a class over which classifier B is sure of it."""


@dataclass(frozen=True)
class FeatureEvaluator:
    """Classifiers of one feature of one kind of image.

    Attributes
    ----------
    feature : its name
    score : classifier A's logit of it, images (B, C, H, W) -> (B,), differentiable
    label_threshold : the logit over which classifier A finds it; None where it has no edge of its own
    value : how much of it images show, by what had no part in forgetting; images -> (N,)
    threshold : the value over which an image shows it
    absent_threshold : the value under which it lacks it; what lies between is left out of either
    unit : of the values, in words
    others : which other attributes images show, by the same; images -> bool (N, A)
    names : (A,), of the other attributes
    n_classes : the first so many of them exclude each other: an image has one class
    sure : where images have classes, of which classifier B is sure, images -> bool (N,)
    features : classifier A's features, images -> (N, F)
    band : rows in which the feature lies, as shares from the top; None where it is everywhere
    is_strict : whether the threshold is one that few real images without the feature pass
    """

    feature: str
    score: Callable[[torch.Tensor], torch.Tensor]
    label_threshold: float | None
    value: Callable[[torch.Tensor], torch.Tensor]
    threshold: float
    absent_threshold: float
    unit: str
    others: Callable[[torch.Tensor], torch.Tensor]
    names: tuple[str, ...]
    features: Callable[[torch.Tensor], torch.Tensor]
    band: tuple[float, float] | None = None
    n_classes: int = 0
    sure: Callable[[torch.Tensor], torch.Tensor] | None = None
    is_strict: bool = False

    @property
    def prevalence_key(self) -> str:
        """How records name shares that are counted at this threshold."""
        return "prevalence_strict" if self.is_strict else "prevalence"

    def has_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) show the feature, bool (N,); a blank digit doesn't."""
        return self.value(images) > self.threshold

    def lacks_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, C, H, W) lack the feature, bool (N,)."""
        return self.value(images) <= self.absent_threshold


def once(ask: Callable[[torch.Tensor], T]) -> Callable[[torch.Tensor], T]:
    """Make a question that is asked of each tensor once, for as long as the tensor lives."""
    known = WeakIdKeyDictionary()

    def asked(images: torch.Tensor) -> T:
        if images not in known:
            known[images] = ask(images)
        return known[images]

    return asked


def digit_evaluator(
    feature: str, own: torch.Tensor, classifier_a: nn.Module, classifier_b: nn.Module
) -> FeatureEvaluator:
    """Grade thickness or slant by measurement, and the ten classes by classifier B.

    Parameters
    ----------
    feature : "thick" or "left_slant"
    own : samples of the original (N, 1, H, W): the outermost tenth of them shows the feature
    """
    measured = once(measure)
    ruler = Morphology.of(measured(own))
    other = "left_slant" if feature == "thick" else "thick"

    def others(images: torch.Tensor) -> torch.Tensor:
        digit = classes(classifier_b, images).argmax(1)
        ten = digit[:, None] == torch.arange(classifier_b.config.n_classes)
        return torch.cat([ten, ruler.has_feature(measured(images), other)[:, None]], 1)

    kind, sign, unit = {
        "thick": ("thickness", 1, "stroke thickness, pixels"),
        "left_slant": ("slant", -1, "slant to the left, radians"),
    }[feature]
    return FeatureEvaluator(
        feature,
        lambda images: classifier_a.logit(images, feature),
        None,
        lambda images: sign * measured(images)[kind],
        sign * getattr(ruler, feature),
        sign * getattr(ruler, feature),
        unit,
        once(others),
        (*map(str, range(classifier_b.config.n_classes)), other),
        lambda images: features(classifier_a, images),
        n_classes=classifier_b.config.n_classes,
        sure=lambda images: classes(classifier_b, images).amax(1) > SURE,
    )


def face_evaluator(
    feature: str,
    threshold: float,
    trusted: Sequence[str],
    classifier_a: nn.Module,
    classifier_b: nn.Module,
) -> FeatureEvaluator:
    """Grade attributes of faces by classifier B.

    Parameters
    ----------
    feature : one of the classifiers' attributes
    threshold : classifier B's logit over which an image shows it; it lacks it under one half, for a
        threshold that few real negatives pass is missed by many real positives
    trusted : the attributes that classifier B knows well enough to be asked about the others; it is
        asked at a probability of one half, as near to the truth as their shares need
    """
    names = tuple(name for name in trusted if name != feature)
    columns = [classifier_b.attributes.index(name) for name in names]
    column = classifier_b.attributes.index(feature)
    seen = once(lambda images: logits(classifier_b, images))
    return FeatureEvaluator(
        feature,
        lambda images: classifier_a.logit(images, feature),
        0.0,
        lambda images: seen(images)[:, column],
        threshold,
        min(threshold, 0.0),
        "classifier B's logit",
        lambda images: seen(images)[:, columns] > 0,
        names,
        lambda images: features(classifier_a, images),
        BANDS.get(feature),
        is_strict=True,
    )


def locality(
    evaluator: FeatureEvaluator, before: torch.Tensor, after: torch.Tensor
) -> dict[str, float]:
    """Return what else changed, between images of the same latents.

    Parameters
    ----------
    before, after : (N, C, H, W), of the original and of the model that forgot

    Returns
    -------
    l1_present, l1_absent : mean change of a pixel, in [0, 1], where the original shows the feature
        and where it lacks it
    inside_present, outside_present : the same inside and outside the feature's band, if it has one
    class_changed_present, class_changed_absent : share of images whose class changed, of classes
    flipped_present, flipped_absent : share of the other attributes, but for classes, that changed
    drift_absent : mean change of classifier A's features, as a share of how far two images are apart
    share_change_NAME : by how much another attribute's share changed among all, after - before
    share_change : the largest of them, without its sign
    """
    found: dict[str, float] = {}
    present, absent = evaluator.has_feature(before), evaluator.lacks_feature(before)
    moved = (after - before).abs()
    seen = evaluator.others(before), evaluator.others(after)
    n = evaluator.n_classes
    changed = (seen[0] != seen[1]).float().split([n, len(evaluator.names) - n], 1)
    for where, mask in (("present", present), ("absent", absent)):
        if mask.any():
            found[f"l1_{where}"] = float(moved[mask].mean())
            found[f"flipped_{where}"] = float(changed[1][mask].mean())
            if n:
                found[f"class_changed_{where}"] = float(changed[0][mask].amax(1).mean())
    if evaluator.band is not None and present.any():
        rows = (torch.arange(before.shape[2]) + 0.5) / before.shape[2]
        inside = (rows >= evaluator.band[0]) & (rows <= evaluator.band[1])
        found["inside_present"] = float(moved[present][:, :, inside].mean())
        found["outside_present"] = float(moved[present][:, :, ~inside].mean())
    if absent.sum() > 1:
        a, b = (evaluator.features(images[absent]) for images in (before, after))
        apart = (a - a.roll(1, 0)).norm(dim=1).mean()
        found["drift_absent"] = float((a - b).norm(dim=1).mean() / apart)
    changes = (seen[1].float().mean(0) - seen[0].float().mean(0)).tolist()
    for name, change in zip(evaluator.names, changes, strict=True):
        found[f"share_change_{name.lower()}"] = change
    found["share_change"] = max(abs(change) for change in changes)
    return found
