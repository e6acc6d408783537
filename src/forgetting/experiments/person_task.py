"""Taming a flow on one person: parameters, models, and the images around the person."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from pydantic import Field
from torch import nn

from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.flow_task import FlowTask, load_flow
from forgetting.experiments.people import N_RETAIN, Source, load_person_splits
from forgetting.experiments.person_splits import PersonSplits, choose_forget_images, quantiles
from forgetting.methods.taming import TamingConfig
from forgetting.models.classifier import Classifier

PRESETS = {
    "smoke": {"max_steps": 2, "n_likelihood_reference": 40, "n_samples": 260},
    "default": {"max_steps": 1000, "n_likelihood_reference": 400, "n_samples": 500},
}
"""Presets of every template on a person; a template adds those of its own parameters."""


class PeopleTamingParameters(TamingConfig, Parameters):
    """The parameters of every template that tames a flow on a person, or on several."""

    n_forget: int = Field(ge=1, le=15)
    model: str
    n_likelihood_reference: int = Field(ge=20, le=5000)
    n_samples: int = Field(ge=256, le=50_000)


class PersonTamingParameters(PeopleTamingParameters):
    """The parameters of every template that tames a flow on a person."""

    source: Literal["auto", "lfw", "latent", "photograph"]
    person: str


class PersonChoice(Protocol):
    """Which flow shall forget whom, and of how many images."""

    @property
    def model(self) -> str:
        """A flow of the zoo."""

    @property
    def source(self) -> Source:
        """Where the person is from."""

    @property
    def person(self) -> str:
        """A name of LFW, or the number of a latent."""

    @property
    def n_forget(self) -> int:
        """Images to forget."""

    @property
    def n_likelihood_reference(self) -> int:
        """Images of the likelihood reference."""


@dataclass(frozen=True)
class PersonTask(FlowTask):
    """A flow, the person to forget, and the models that grade.

    Attributes
    ----------
    person : PersonSplits
        The images around the person.
    forget : Tensor
        (N, 3, H, W) in [0, 1], the images to forget.
    embedding : Module
        Measures which faces are similar to the person.
    classifier_a : Classifier
        Gives the features of FID.
    """

    person: PersonSplits
    forget: torch.Tensor
    embedding: nn.Module
    classifier_a: Classifier


def load_person_task(
    experiment: Experiment,
    parameters: PersonChoice,
    *,
    radius: float = 0.3,
    temperature: float = 0.7,
) -> PersonTask:
    """Load the flow, the person and the graders that an experiment's parameters name.

    The preset `smoke` retains fewer images.

    Parameters
    ----------
    experiment : Experiment
        Its stream "sets" draws photographs.
    radius, temperature : float
        Of a person that the flow draws, see `latent_person`.

    Raises
    ------
    DataError
        The person does not exist or has too few images to forget, or the data are not at hand.
    ParameterError
        The model is no Glow.
    WeightsError
        A model's weights are not what they should be.
    """
    base = load_flow(experiment, parameters.model)
    embedding = experiment.load("faces-embedding")
    n_reference = parameters.n_likelihood_reference
    person = load_person_splits(
        parameters.source,
        parameters.person,
        base,
        embedding,
        n_reference,
        experiment.generator("sets"),
        radius=radius,
        temperature=temperature,
        n_retain=2 * n_reference if experiment.parameters.preset == "smoke" else N_RETAIN,
    )
    forget = choose_forget_images(person, parameters.n_forget, quantiles(person, base))
    return PersonTask(base, person, forget, embedding, experiment.load("faces-classifier-a"))
