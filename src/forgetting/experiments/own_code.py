"""A user's models and classifiers, named on the command line."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from forgetting.border.copies import device_of
from forgetting.border.feature_score import FeatureScore
from forgetting.border.sampling import first_samples
from forgetting.errors import DataError, ModelError, ParameterError, did_you_mean
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.own_model import MIN_GRADED
from forgetting.experiments.unlearning_methods import MethodName
from forgetting.foundation.pairs import read_pairs
from forgetting.zoo import store
from forgetting.zoo.face_api import has_face_api
from forgetting.zoo.graders import OUTSIDE, load_outside_classifier, load_thresholds
from forgetting.zoo.references import FACE_FEATURES, FACE_SIZES
from forgetting.zoo.saved import state_digest


def call_function(place: str) -> Any:
    """Return what a function of a Python file returns.

    Parameters
    ----------
    place : str
        FILE.py:FUNCTION; the function takes no argument. The file is executed, and modules beside
        it can be imported.

    Raises
    ------
    ParameterError
        The text is of another form, or there is no such file or function.
    ModelError
        The file or the function fails.
    """
    file, _, name = place.rpartition(":")
    path = Path(file).expanduser()
    if not file.endswith(".py") or not name:
        raise ParameterError(f"{place!r} is not of the form FILE.py:FUNCTION.")
    if not path.is_file():
        raise ParameterError(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look a class's module up
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if not callable(function):
            functions = [key for key, value in vars(module).items() if callable(value)]
            hint = did_you_mean(name, functions) if functions else "It has no function."
            raise ParameterError(f"{path} has no function {name!r}. {hint}")
        made = function()
        if not isinstance(made, nn.Module):
            raise ModelError(
                f"{place} returns a {type(made).__name__}, not a module: return what "
                "forgetting.as_generator, as_flow or as_classifier makes."
            )
        return made
    except (ParameterError, ModelError):
        raise
    except Exception as error:
        raise ModelError(f"{place} fails ({type(error).__name__}: {error}).") from error
    finally:
        sys.path.remove(str(path.resolve().parent))


class OwnParameters(Parameters):
    """The parameters of the template that unlearns a feature of anyone's generator."""

    feature: str
    model: str
    classifier: str
    graders: str
    method: MethodName
    share: float = Field(ge=0, lt=1)
    settings: str
    folder: str
    n_collected: int = Field(ge=100)
    steps: int = Field(ge=1)
    rounds: int = Field(ge=1)
    n_samples: int = Field(ge=MIN_GRADED, le=1_000_000)

    def all_settings(self) -> dict[str, Any]:
        """Return the settings of the method, those that are parameters of their own among them.

        Raises
        ------
        ParameterError
            `settings` has one of these again, so that the record would tell two values.
        """
        pairs = read_pairs(pair for pair in self.settings.split(",") if pair)
        own = {"steps": self.steps}
        if self.method == "until_gone":
            own |= {"rounds": self.rounds, "n_collected": self.n_collected}
        if twice := sorted(pairs.keys() & own.keys()):
            raise ParameterError(f"settings: {twice[0]} is a parameter of its own, so give it so.")
        return own | pairs


def load_generator(run: Experiment, name: str) -> Any:
    """Return a generator of the zoo or of a user's file, on the run's device, noted in its record.

    Parameters
    ----------
    name : str
        A name of the zoo, or FILE.py:FUNCTION.

    Raises
    ------
    ParameterError, ModelError, WeightsError
        There is no such generator, or the function fails.
    """
    if ":" not in name:
        return run.load_generator(name)
    generator = call_function(name).to(run.device)
    run.weights[Path(name).name] = state_digest(generator)
    return generator


def load_scores(
    generator: nn.Module, feature: str, classifier: str | None, graders: Sequence[str]
) -> tuple[FeatureScore, list[FeatureScore]]:
    """Return the scores of a feature by what steers and by what grades.

    Parameters
    ----------
    generator : nn.Module
        Its images tell digits (one channel) from faces.
    feature : str
        An attribute of all classifiers.
    classifier : str or None
        A name of the zoo, or FILE.py:FUNCTION; without it classifier A.
    graders : sequence of str
        As `classifier`, or `face-api`; without them, where classifier A steers, classifier B and,
        of faces, face-api where it is at hand.

    Raises
    ------
    ParameterError
        A classifier has no such attribute, or one that steers is to grade as well.
    """
    images = first_samples(generator)
    kind = "digits" if images.shape[1] == 1 else "faces"
    if not graders and classifier is None:
        graders = [f"{kind}-classifier-b"]
        if kind == "faces" and has_face_api() and feature in FACE_FEATURES:
            graders.append(OUTSIDE)
    classifier = classifier or f"{kind}-classifier-a"
    if classifier in graders:
        raise ParameterError(f"{classifier} steers, and so cannot grade: name another grader.")
    device, size = device_of(generator), int(images.shape[-1])
    steering = _load(classifier, size, device)[feature]
    return steering, [_graded(name, feature, size, device) for name in graders]


def _load(name: str, size: int, device: torch.device) -> Any:
    """Return a classifier of the zoo, of a user's file, or from outside, on a device.

    Parameters
    ----------
    size : int
        Side of the images. The outside classifier was fitted to faces of two sizes; the nearest
        is taken.
    """
    if name == OUTSIDE:
        classifier = load_outside_classifier(min(FACE_SIZES, key=lambda each: abs(each - size)))
    else:
        classifier = call_function(name) if ":" in name else store.load(name)
    return classifier.to(device)


def _graded(name: str, feature: str, size: int, device: torch.device) -> FeatureScore:
    """Return a grader's score of a feature, at its balanced threshold where the zoo has one."""
    score: FeatureScore = _load(name, size, device)[feature]
    try:
        return score.at(load_thresholds(name, feature, size).balanced)
    except DataError:
        return score
