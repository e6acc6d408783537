"""A user's models and classifiers, named on the command line."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from forgetting.border.copies import device_of
from forgetting.border.feature_score import FeatureScore
from forgetting.border.sampling import first_samples
from forgetting.errors import DataError, ModelError, ParameterError
from forgetting.experiments.context import Experiment
from forgetting.experiments.own_files import function_of
from forgetting.experiments.own_sources import SOURCES, check_feature, networks_of, score_of
from forgetting.zoo import store
from forgetting.zoo.classifier_pair import TrainedPair, load_pair
from forgetting.zoo.face_api import has_face_api
from forgetting.zoo.graders import GRADERS, OUTSIDE, load_outside_classifier, load_thresholds
from forgetting.zoo.references import FACE_FEATURES, FACE_SIZES
from forgetting.zoo.saved import recorded, restore, state_digest


def call_function(place: str, kinds: tuple[type, ...] = (nn.Module,)) -> Any:
    """Return what a function of a Python file returns.

    Parameters
    ----------
    place : str
        FILE.py:FUNCTION; the function takes no argument. The file is executed, and modules beside
        it can be imported, also where another file has imported ones of the same names.
    kinds : tuple of type
        Of which classes what it returns may be.

    Raises
    ------
    ParameterError
        The text is of another form, or there is no such file or function.
    ModelError
        The file or the function fails, or returns something else.
    """
    with function_of(place) as function:
        made = function()
        if not isinstance(made, kinds):
            wanted, makers = "module", "as_generator, as_flow or as_classifier makes"
            if FeatureScore in kinds:
                wanted = "classifier"
                makers = 'as_classifier or train_classifier makes, or classifier["NAME"]'
            raise ModelError(
                f"{place} returns a {type(made).__name__}, not a {wanted}: return what forgetting."
                f"{makers}."
            )
        return made


def load_model(place: str, run: Experiment | None = None) -> Any:
    """Return a model of the zoo or of a user's file.

    Parameters
    ----------
    place : str
        A name of the zoo, or FILE.py:FUNCTION.
    run : Experiment, optional
        The model is brought to its device, and noted in its record.

    Raises
    ------
    ParameterError, ModelError, WeightsError
        There is no such model, or the function fails.
    """
    if run is None:
        return call_function(place) if ":" in place else store.load(place)
    if ":" not in place:
        return run.load(place)
    model = call_function(place).to(run.device)
    _note(run, Path(place).name, place, model)
    return model


def load_tuned(place: str, original: str, run: Experiment | None = None) -> Any:
    """Return a tuned model: from the folder that holds its weights, or as `load_model` does.

    Parameters
    ----------
    place : str
        A folder that `forgetting unlearn` or `save` left; or as `load_model` takes it.
    original : str
        The model before, as `load_model` takes it; the weights of a folder go into a second one.
    run : Experiment, optional
        As `load_model` takes it.

    Raises
    ------
    ParameterError, ModelError, WeightsError
        As `load_model` raises them, or the weights of the folder do not fit, or are those of
        another model that was tuned.
    """
    if not os.path.isdir(place):
        return load_model(place, run)
    base = load_model(original)
    if recorded(Path(place), "base_sha256") not in (None, state_digest(base)):
        raise ModelError(
            f"{place} was tuned from other weights than {original} has: name the model that it "
            "was made of, and see that its function loads its weights."
        )
    model = restore(place, into=base)
    if run is not None:
        model = model.to(run.device)
        _note(run, Path(place).name, place, model)
    return model


def _note(run: Experiment, name: str, place: str, model: nn.Module) -> None:
    """Note the sha256 of a user's model for the record, by a name or, if it is taken, a place."""
    digest = state_digest(model)
    is_of_another = run.weights.get(name, digest) != digest  # in another folder
    run.weights[place if is_of_another else name] = digest


def load_scores(
    generator: nn.Module,
    feature: str,
    classifier: str | None,
    graders: Sequence[str],
    run: Experiment | None = None,
) -> tuple[FeatureScore, list[FeatureScore]]:
    """Return the scores of a feature by what steers and by what grades.

    Parameters
    ----------
    generator : nn.Module
        Its images tell digits (one channel) from faces.
    feature : str
        An attribute of all classifiers.
    classifier : str or None
        A name of the zoo, the folder of a pair of classifiers, or FILE.py:FUNCTION; without it
        classifier A.
    graders : sequence of str
        As `classifier`, or `face-api`; without them, where classifier A steers, classifier B and,
        of faces, face-api where it is at hand. Where a pair steers, its other classifier.
    run : Experiment, optional
        The classifiers are noted in its record.

    Raises
    ------
    ParameterError
        A classifier has no such attribute, or one that steers is to grade as well.
    ModelError
        What is named is no classifier.
    """
    images = first_samples(generator)
    kind = "digits" if images.shape[1] == 1 else "faces"
    if not graders and classifier is None:
        graders = [f"{kind}-classifier-b"]
        if kind == "faces" and has_face_api() and feature in FACE_FEATURES:
            graders.append(OUTSIDE)
    classifier = classifier or f"{kind}-classifier-a"
    size = int(images.shape[-1])
    first = _load_source(classifier, size, run)
    is_pair = isinstance(first, TrainedPair)
    if classifier in graders and not is_pair:
        raise ParameterError(f"{classifier} steers, and so cannot grade: name another grader.")
    graders = graders or [classifier] * is_pair
    grading = [
        (name, first if name == classifier else _load_source(name, size, run)) for name in graders
    ]
    check_feature(feature, (classifier, first), grading)
    for name, source in ((classifier, first), *grading):
        for network in networks_of(source, name).values():
            network.to(device_of(generator))
    steering = score_of(first, feature, "steering", classifier)
    scores = [(name, score_of(source, feature, "grader", name)) for name, source in grading]
    return steering, [_at_its_threshold(score, name, size) for name, score in scores]


def load_audit_scores(
    generator: nn.Module,
    feature: str,
    classifier: str | None,
    grader: str | None,
    run: Experiment | None = None,
) -> tuple[FeatureScore, FeatureScore | None]:
    """Return the score that the attacks of an audit follow, and the one that grades.

    Parameters
    ----------
    generator, feature, classifier
        As `load_scores` takes them.
    grader : str or None
        As `classifier`; without it the first grader of `load_scores`, or None where there is none:
        then the score that attacks follow grades.
    run : Experiment, optional
        As `load_scores` takes it.

    Raises
    ------
    ParameterError, ModelError
        As `load_scores` raises them.
    """
    followed, graders = load_scores(
        generator, feature, classifier, [grader] if grader else [], run
    )
    return followed, graders[0] if graders else None


def _load_source(place: str, size: int, run: Experiment | None) -> Any:
    """Return what scores features: of the zoo, in a folder, in a user's file, or from outside.

    Parameters
    ----------
    size : int
        Side of the images. The outside classifier was fitted to faces of two sizes; the nearest
        is taken.
    """
    if place == OUTSIDE:
        if run is not None:
            run.record(GRADERS)
        return load_outside_classifier(min(FACE_SIZES, key=lambda each: abs(each - size)))
    is_folder = os.path.isdir(place)
    if not is_folder and ":" not in place:
        return load_model(place, run)
    source = load_pair(place) if is_folder else call_function(place, SOURCES)
    if run is not None:
        name = Path(place).resolve().name if is_folder else Path(place).name
        for key, network in networks_of(source, name).items():
            _note(run, key, f"{place}/{key}", network)
    return source


def _at_its_threshold(score: FeatureScore, name: str, size: int) -> FeatureScore:
    """Return a grader's score of a feature, at its balanced threshold where the zoo has one."""
    try:
        balanced = load_thresholds(name, score.attribute, size).balanced
        return replace(score, threshold=balanced, is_default=True)
    except DataError:
        return score
