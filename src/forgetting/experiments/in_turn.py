"""Several people whom one flow forgets, one after another or all at once."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import field_validator

from forgetting.experiments.context import Experiment
from forgetting.experiments.flow_task import FlowTask, load_flow
from forgetting.experiments.likelihoods import shift_metrics
from forgetting.experiments.people import N_RETAIN, load_person_splits
from forgetting.experiments.person_splits import PersonSplits, choose_forget_images, quantiles
from forgetting.experiments.person_task import PeopleTamingParameters
from forgetting.metrics.likelihood import Comparison
from forgetting.models.classifier import Classifier

AT_ONCE = "at_once"
"""The flow that forgets everybody in one taming; that after the k-th person is `turn_k`."""


class InTurnParameters(PeopleTamingParameters):
    """The parameters of the template: people in the order in which they are forgotten."""

    source: Literal["auto", "lfw", "latent"]
    people: str

    @field_validator("people")
    @classmethod
    def _are_several(cls, people: str) -> str:
        names = people.split(",")
        if len(names) < 2 or len({*names}) < len(names) or not all(names):
            raise ValueError(f"{people!r} are to be two people or more, with a comma between them")
        return people


@dataclass(frozen=True)
class PeopleTask(FlowTask):
    """A flow, and the people whom it is to forget.

    Attributes
    ----------
    names : tuple of str
        In the order in which they are forgotten.
    forget, reference : tuple of Tensor
        (N, 3, H, W) of each person: images to forget, and others of the same person.
    retain : Tensor
        (N, 3, H, W), images of which none shows one of these people.
    sets : dict of str to Tensor
        `neutral`, people whom the flow never saw, and `held_out`, faces of others.
    likelihood_reference : Tensor
        (N, 3, H, W), images that give each flow its mean and deviation.
    classifier_a : Classifier
        Gives the features of FID.
    """

    names: tuple[str, ...]
    forget: tuple[torch.Tensor, ...]
    reference: tuple[torch.Tensor, ...]
    retain: torch.Tensor
    sets: dict[str, torch.Tensor]
    likelihood_reference: torch.Tensor
    classifier_a: Classifier

    @property
    def measured(self) -> dict[str, torch.Tensor]:
        """All images whose likelihood is measured: `forget_K`, `reference_K`, and `sets`."""
        measured = dict(self.sets)
        pairs = zip(self.forget, self.reference, strict=True)
        for number, (forget, reference) in enumerate(pairs, 1):
            measured |= {f"forget_{number}": forget, f"reference_{number}": reference}
        return measured


def load_people_task(run: Experiment, parameters: InTurnParameters) -> PeopleTask:
    """Load the flow and the people that an experiment's parameters name.

    Whoever is to be forgotten, sooner or later, is never among the images to retain: who forgets
    one person after another does not bring the earlier ones back by hand.

    Raises
    ------
    DataError, ParameterError, WeightsError
        As `load_person_task` raises them.
    """
    base = load_flow(run, parameters.model)
    embedding = run.load("faces-embedding")
    n = parameters.n_likelihood_reference
    n_retain = 2 * n if parameters.preset == "smoke" else N_RETAIN
    people = [
        load_person_splits(
            parameters.source,
            name,
            base,
            embedding,
            n,
            run.generator("sets"),
            n_retain=n_retain,
        )
        for name in parameters.people.split(",")
    ]
    first, *others = people
    return PeopleTask(
        base,
        tuple(person.name for person in people),
        tuple(
            choose_forget_images(person, parameters.n_forget, quantiles(person, base))
            for person in people
        ),
        tuple(person.sets["reference"] for person in people),
        retained_by_all(first.retain, others),
        {name: first.sets[name] for name in ("neutral", "held_out")},
        retained_by_all(first.likelihood_reference, others),
        run.load("faces-classifier-a"),
    )


def retained_by_all(images: torch.Tensor, people: Iterable[PersonSplits]) -> torch.Tensor:
    """Return those of images (N, C, H, W) that every other person's splits retain, too.

    Faces that a flow draws are other ones for each person. Nothing is left out of them.

    Parameters
    ----------
    people : iterable of PersonSplits
        Of people among the same real faces.
    """
    keys = _keys(images)
    for person in people:
        retained = {*_keys(person.retain)}
        if retained.isdisjoint(keys):
            continue
        kept = torch.tensor([key in retained for key in keys])
        images, keys = images[kept], [key for key in keys if key in retained]
    return images


def in_turn_metrics(
    comparisons: Mapping[str, Comparison], n_people: int, delta: float, stop_within: float
) -> dict[str, float]:
    """Return where everybody's images lie under each flow, and how far other faces moved.

    Parameters
    ----------
    comparisons : mapping of str to Comparison
        Of the base with each flow, by `turn_K` and `at_once`.
    delta, stop_within : float
        Of the stopping rule.

    Returns
    -------
    quantile_SET_STAGE : the mean quantile of `forget_K`, `reference_K`, `neutral` and `held_out`;
        STAGE is also `before`
    above_K_STAGE : of person K, how far the likeliest image to forget lies above the flow's mean,
        in sigma of the flow; STAGE is also `before`
    returned_K : 1 where it lies below what the rule allows after the last turn, else 0
    shift_random_sigma_STAGE : how far held-out faces moved, in sigma of the base, with interval
    """
    metrics: dict[str, float] = {}
    for stage, comparison in comparisons.items():
        metrics |= _quantiles(comparison, stage)
        for number in range(1, n_people + 1):
            images = f"forget_{number}"
            before = (comparison.before[images] - comparison.base.mean) / comparison.base.std
            metrics[f"above_{number}_before"] = float(before.min())
            metrics[f"above_{number}_{stage}"] = float(comparison.above(images).min())
        metrics |= shift_metrics(comparison, {"held_out": f"shift_random_sigma_{stage}"})
    for number in range(1, n_people + 1):
        least = metrics[f"above_{number}_turn_{n_people}"]
        metrics[f"returned_{number}"] = float(least < delta * (1 - stop_within))
    return metrics


def _quantiles(comparison: Comparison, stage: str) -> dict[str, float]:
    """Return `quantile_SET_before` and `quantile_SET_STAGE`, each with its interval."""
    metrics = {}
    for key, value in comparison.quantiles().items():
        name, end = key.removeprefix("quantile_"), ""
        for each in ("_low", "_high"):
            if name.endswith(each):
                name, end = name.removesuffix(each), each
        when, _, name = name.partition("_")
        if when != "drop":
            metrics[f"quantile_{name}_{'before' if when == 'before' else stage}{end}"] = value
    return metrics


def stages(n_people: int) -> list[str]:
    """Return the names of the flows: one after each person, and the one of all at once."""
    return [*(f"turn_{number}" for number in range(1, n_people + 1)), AT_ONCE]


def _keys(images: torch.Tensor) -> list[bytes]:
    """Return a hash for each image."""
    rows = images.contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in rows]
