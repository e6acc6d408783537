"""Which data set samples look like: a flow of two data sets may come to prefer one of them.

FID to the mixture of both falls where the samples' mixture comes nearer to it, however good they
are. So the mixture is reported, and FID to each data set apart.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from forgetting.experiments.graders import OutsideGrader
from forgetting.experiments.likelihoods import shift_metrics
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.calibration import Auc, balanced_threshold
from forgetting.metrics.fidelity import fid
from forgetting.metrics.likelihood import Comparison
from forgetting.metrics.prevalence import Prevalence
from forgetting.zoo.face_api import has_face_api
from forgetting.zoo.graders import SETS, load_outside_statistics

PAIR = ("celeba", "lfw")
"""The data sets that the flows of faces have learned; LFW has the people."""

N_SHIFTED = 200
"""Unseen faces of each data set whose likelihood is compared."""


class DataSetClassifier:
    """A logistic regression that tells faces of LFW from faces of CelebA by their features.

    It is fitted to half of the faces. The other half give its threshold and its AUC, with as many
    faces of either data set.

    Attributes
    ----------
    auc : Auc
        On the other half.
    """

    def __init__(
        self,
        faces: Mapping[str, torch.Tensor],
        features: Callable[[torch.Tensor], torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        """Fit the regression.

        Parameters
        ----------
        faces : Mapping[str, Tensor]
            Unseen faces (N, 3, H, W), uint8, of "celeba" and of "lfw".
        features : callable
            Maps faces to features (N, F).
        generator : torch.Generator
            Draws as many faces of either data set, and the halves.
        """
        self._features = features
        n = min(len(faces[name]) for name in PAIR)
        drawn = [
            features(faces[name][torch.randperm(len(faces[name]), generator=generator)[:n]])
            for name in PAIR
        ]
        fitted, judged = zip(*(each.split((n + 1) // 2) for each in drawn), strict=True)
        self._regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        self._regression.fit(torch.cat(fitted).numpy(), _is_lfw(*fitted).numpy())
        scores, truth = self._score(torch.cat(judged)), _is_lfw(*judged)
        self.auc, self._threshold = Auc.of(scores, truth), balanced_threshold(scores, truth)

    def is_lfw(self, images: torch.Tensor) -> torch.Tensor:
        """Return which images (N, 3, H, W) look like LFW, bool (N,)."""
        return self._score(self._features(images)) > self._threshold

    def _score(self, features: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._regression.decision_function(features.numpy()))


def _is_lfw(celeba: torch.Tensor, lfw: torch.Tensor) -> torch.Tensor:
    return torch.arange(len(celeba) + len(lfw)) >= len(celeba)


def mixture_metrics(
    person: PersonSplits,
    samples: Mapping[str, torch.Tensor],
    features: Callable[[torch.Tensor], torch.Tensor],
    generator: torch.Generator,
) -> dict[str, float]:
    """Return which data set samples look like, and their FID to each data set.

    Parameters
    ----------
    samples : Mapping[str, Tensor]
        Samples (N, 3, H, W) of each flow, by its name.
    features : callable
        Classifier A's, by which the data sets are told apart.
    generator : torch.Generator
        As `DataSetClassifier` takes it.

    Returns
    -------
    mixture_auc : with its interval, how well the data sets are told apart
    like_lfw_FLOW : with its interval, the share of the samples that look like LFW
    fid_outside_SET_FLOW : on features from outside the study, to unseen faces of `celeba`, of
        `lfw` and of `both`; left out where the outside networks are not at hand
    Nothing is returned where the faces are the flow's own.
    """
    if not set(PAIR) <= set(person.unseen):
        return {}
    classifier = DataSetClassifier(person.unseen, features, generator)
    metrics = classifier.auc.metrics("mixture_auc")
    size = next(iter(samples.values())).shape[-1]
    outside = OutsideGrader(size) if has_face_api() else None
    for flow, images in samples.items():
        metrics |= Prevalence.of(classifier.is_lfw(images)).metrics(f"like_lfw_{flow}")
        if outside is not None:
            sampled = outside.features(images)
            for name in SETS:
                real = load_outside_statistics(name, "all", size)
                metrics[f"fid_outside_{name}_{flow}"] = fid(sampled, real)
    return metrics


def mixture_line(metrics: Mapping[str, float]) -> str:
    """Return a line of text: how well the data sets are told apart, or that there are none."""
    if "mixture_auc" not in metrics:
        return "The faces are the flow's own: there are no data sets to tell apart."
    return f"AUC of LFW against CelebA: {metrics['mixture_auc']:.3f}"


def unseen_sets(person: PersonSplits, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return unseen faces (N, 3, H, W) in [0, 1] of each data set, by its name.

    LFW's are photographs of other people than the one who is forgotten.
    """
    drawn = {}
    for name, faces in person.unseen.items():
        order = torch.randperm(len(faces), generator=generator)[:N_SHIFTED]
        drawn[name] = faces[order].float() / 255
    return drawn


def data_set_metrics(comparison: Comparison, names: Iterable[str]) -> dict[str, float]:
    """Return how far unseen faces of each data set moved.

    Parameters
    ----------
    comparison : Comparison
        Of the sets of `unseen_sets`, among others.
    names : Iterable[str]
        Of these sets.

    Returns
    -------
    shift_NAME_sigma : with its interval, see `Comparison.shift`
    quantile_drop_NAME
    """
    drops = {f"quantile_drop_{name}" for name in names}
    quantiles = {key: value for key, value in comparison.quantiles().items() if key in drops}
    return shift_metrics(comparison, {name: f"shift_{name}_sigma" for name in names}) | quantiles
