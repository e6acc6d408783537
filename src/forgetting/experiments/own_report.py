"""What was measured of a generator that unlearned a feature: numbers, a text and a picture."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.inference import generate
from forgetting.experiments.own_feature import OwnFeature
from forgetting.experiments.own_picture import picture
from forgetting.experiments.own_table import share_text, text_table, threshold_sentences
from forgetting.foundation.progress import tracked
from forgetting.methods.direction import Direction
from forgetting.methods.latent_filter import LatentFilter
from forgetting.methods.results import UnlearningResult
from forgetting.metrics.prevalence import Prevalence
from forgetting.metrics.verdict import Verdict
from forgetting.zoo.saved import check_unchanged, save_model

NOTABLE = 0.02
"""Change of another attribute's share that a report names."""

LINE = 80
"""Characters of a line of a report at most."""

N_SHOWN = 12
"""Samples that a picture shows before and after."""

MODELS = ("before", "after", "filter", "floor")
"""Rows of a report: the original, the tuned copy, the latent filter, and what none is."""

LEGEND = (
    "filter: the original with edited latents; floor: what is found where the feature is absent; "
    "AUC: 0.5 where scores are those of samples without it; FID: to samples without it."
)
"""What a report says of its words."""


@dataclass(frozen=True)
class Measured:
    """What was measured of an original and of a tuned copy.

    Attributes
    ----------
    verdict : Verdict
        One word by rule, and what it stands on.
    metrics : dict
        By name. `prevalence_before`, `_after`, `_filter` (the latent filter) and `_floor` by the
        first grader, with intervals; `_steering_` before the ending by what steers, `_2_` by the
        second grader; `still_shown_after`; `fid_...`; `l1_absent` and `l1_present`, the change of
        a pixel where the feature was absent and where it was present.
    changed : dict
        Shares before and after of other attributes that changed by over two points.
    shown : torch.Tensor
        (2, 12, C, H, W), samples before and after of the same latents. Of these the first six had
        the feature, or as many as there are.
    without_fid : str
        A sentence: why there is no FID; empty where there is one.
    """

    verdict: Verdict
    metrics: dict[str, float]
    changed: dict[str, tuple[float, float]]
    shown: torch.Tensor
    without_fid: str


@dataclass(frozen=True)
class UnlearningReport(UnlearningResult):
    """A generator that unlearned a feature, and what was measured of it.

    Attributes
    ----------
    feature : str
        What was unlearned.
    figures : dict
        Of the method: `rounds`, `lr`, `seconds` and more.
    measured : Measured
        What was measured.
    parameters : dict
        Settings, with the sha256 of the weights of the original and of the classifiers.
    """

    feature: str
    figures: dict[str, float]
    measured: Measured
    parameters: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """One word by rule, and what it stands on."""
        return self.measured.verdict

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers, by name."""
        return {**self.measured.metrics, **self.figures}

    def __str__(self) -> str:
        return self.report()

    def report(self) -> str:
        """Return the verdict, a small table, and what else changed, as a text."""
        metrics = self.metrics
        graders = self.parameters["graders"]
        steering, *places = (names[0] for names in _record_names(len(graders)))
        titles = dict(zip(places, graders, strict=True)) | {steering: "what steers"}
        with_fid = "fid_before" in metrics
        rows = [("", *titles.values(), *(["FID"] if with_fid else []))]
        for key in MODELS:
            shares = (share_text(metrics, f"prevalence_{kind}{key}") for kind in titles)
            rows.append((key, *shares, *([f"{metrics[f'fid_{key}']:.2f}"] if with_fid else [])))
        head = f"{self.feature} in {self.parameters['model']}"
        sentences = "\n".join(fill(sentence, LINE) for sentence in self._sentences())
        return "\n\n".join((head, fill(str(self.verdict), LINE), text_table(rows), sentences))

    def _sentences(self) -> list[str]:
        """Return what the table does not say."""
        metrics = self.metrics
        sentences = [self.verdict.rule]
        sentences += [
            f"By {each.grader} the original shows it no more than what lacks it: this grader "
            "cannot tell whether it is gone."
            for each in self.verdict.evidence
            if each.was_down
        ]
        if self.measured.without_fid:
            sentences.append(self.measured.without_fid)
        if "still_shown_after" in metrics:
            sentences.append(
                f"Of the samples that had it, {metrics['still_shown_after']:.1%} still do."
            )
        if "l1_absent" in metrics:
            sentences.append(
                f"A pixel changed by {metrics['l1_absent']:.3f} where the feature was absent."
            )
        titles = ["what steers", *self.parameters["graders"]]
        sentences += threshold_sentences(titles, self.parameters["thresholds"])
        changes = [
            f"{name} {before:.1%} -> {after:.1%}"
            for name, (before, after) in self.measured.changed.items()
        ]
        if changes:
            sentences.append(f"Other shares that changed: {', '.join(changes)}.")
        if any(each.has_risen for each in self.verdict.evidence):
            sentences.append("Does what steers score its lack?")
        elif self.verdict.word in ("rarer", "unchanged"):
            sentences.append("To go on, raise `rounds`, `steps` or `n_collected`.")
        sentences.append(LEGEND)
        sentences.append(
            f"{metrics['rounds']:.0f} rounds at a learning rate of {metrics['lr']:g} took "
            f"{metrics['seconds']:.0f} s."
        )
        return sentences

    def save(self, folder: Path | str) -> None:
        """Write weights, record, card and picture to a folder; `fg.restore` loads them.

        Parameters
        ----------
        folder : Path or str
            It must not hold a model.

        Raises
        ------
        ForgettingError
            The folder holds a model, or cannot be written to, or the copy was changed since.
        """
        check_unchanged(self.model, self.parameters)
        record = {
            "feature": self.feature,
            "report": self.report(),
            "verdict": self.verdict.word,
            "is_damaged": self.verdict.is_damaged,
            "parameters": self.parameters,
            "metrics": self.metrics,
            "changed": self.measured.changed,
            "history": self.history,
        }
        used = (
            f"- {row['part']}: {row['classifier']}"
            + (f", {row['attribute']}" if "attribute" in row else "")
            + (f", sha256 of its state {row['sha256']}" if "sha256" in row else "")
            for row in self.parameters["classifiers"]
        )
        card = (
            f"# {self.parameters['model']} without {self.feature}\n\n"
            f"```\n{self.report()}\n```\n\n"
            "What scored the feature:\n\n" + "\n".join(used) + "\n\n"
            "![Samples before, above, and after, below.](samples.png)\n\n"
            "`fg.restore(FOLDER, into=module)` loads the weights into a module of its class.\n"
        )
        save_model(folder, self.model, record, card, picture(self.measured.shown))


def measure(
    feature: OwnFeature, original: nn.Module, tuned: nn.Module, direction: Direction
) -> Measured:
    """Measure a tuned copy on the latents of a feature.

    Parameters
    ----------
    feature : OwnFeature
        Graded on latents that had no part in tuning or looking.
    original, tuned : nn.Module
        The generator before and after.
    direction : Direction
        Along which the latent filter erases.
    """
    filtered = feature.grade(LatentFilter(original, direction), feature.latents)
    graded = {"before": feature.before, "after": feature.grade(tuned, feature.latents)}
    graded["filter"] = filtered
    places = _record_names(len(feature.graders))
    metrics: dict[str, float] = {}
    floors = feature.floors()
    for key, samples in graded.items():
        for place, prevalence in zip(places, feature.prevalences(samples), strict=True):
            for name in place:
                metrics |= prevalence.metrics(f"prevalence_{name}{key}")
        if (distance := feature.fid(samples)) is not None:
            metrics[f"fid_{key}"] = distance
    for place, floor in zip(places, floors, strict=True):
        for name in place:
            metrics |= floor.metrics(f"prevalence_{name}floor")
    if (floor_distance := feature.fid_floor) is not None:
        metrics["fid_floor"] = floor_distance
    grading = 1 if feature.graders else 0
    had, has = (feature.has_feature(graded[key], grading) for key in ("before", "after"))
    if had.any():
        metrics |= Prevalence.of(has[had]).metrics("still_shown_after")
    change = _pixel_change(original, tuned, feature.latents)
    for name, mask in (("present", had), ("absent", ~had)):
        if mask.any():
            metrics[f"l1_{name}"] = float(change[mask].mean())
    verdict = feature.verdict(graded["after"])
    for i, evidence in enumerate(verdict.evidence, 1):
        metrics |= evidence.auc.metrics("auc_after" if i == 1 else f"auc_{i}_after")
    metrics["n"] = len(feature.latents)
    shown = _chosen(had)
    pair: tuple[Any, Any] = original, tuned
    pictures = torch.stack([generate(model, feature.latents[shown]).float() for model in pair])
    changed = _changed(feature, graded["after"].others)
    return Measured(verdict, metrics, changed, pictures, feature.without_fid)


def _record_names(n_graders: int) -> list[tuple[str, ...]]:
    """Return under which names records hold what steers, and each grader."""
    graders = [("",), *((f"{i}_",) for i in range(2, n_graders + 1))][:n_graders]
    return [("steering_",) if n_graders else ("steering_", ""), *graders]


def _decode(model: nn.Module, latents: torch.Tensor, seed: int) -> torch.Tensor:
    """Return a model's images of latents, on the CPU; what it draws follows from the seed."""
    with own_conditions(seed, gradients=False):
        images: torch.Tensor = model(latents.to(device_of(model)))
        return images.float().cpu()


def _pixel_change(original: nn.Module, tuned: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference (N,) of two models' images of each latent."""
    original, tuned = frozen_copy(original), frozen_copy(tuned)
    parts = []
    for seed, batch in enumerate(tracked(latents.split(BATCH), "comparing")):
        difference = _decode(original, batch, seed) - _decode(tuned, batch, seed)
        parts.append(difference.abs().flatten(1).mean(1))
    return torch.cat(parts)


def _chosen(had: torch.Tensor) -> torch.Tensor:
    """Return the places of samples to show: six that had the feature, then others."""
    half = N_SHOWN // 2
    first = had.nonzero()[:, 0][:half]
    return torch.cat([first, (~had).nonzero()[:, 0]])[:N_SHOWN]


def _changed(feature: OwnFeature, after: torch.Tensor | None) -> dict[str, tuple[float, float]]:
    """Return the shares of other attributes that changed notably, before and after."""
    before = feature.before.others
    if before is None or after is None:
        return {}
    shares = zip(feature.names, before.float().mean(0), after.float().mean(0), strict=True)
    return {
        name: (float(first), float(second))
        for name, first, second in shares
        if name != feature.name and abs(float(second - first)) > NOTABLE
    }
