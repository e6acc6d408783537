"""A published run that is repeated: whether it is the same run, and whether it gives the same."""

from collections.abc import Mapping
from typing import Any

from forgetting.errors import ForgettingError
from forgetting.metrics.prevalence import Prevalence


def has_parameters(record: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Return whether a published run has these parameters.

    Parameters
    ----------
    record : Mapping[str, Any]
        Of the published run; a parameter that it lacks is passed over.
    parameters : Mapping[str, Any]
        Of the repetition, by name.
    """
    published = record["parameters"]
    return all(published[name] == value for name, value in parameters.items() if name in published)


def check_repeated(record: Mapping[str, Any], key: str, share: Prevalence) -> float:
    """Return the published share of a metric that a repetition has measured again.

    Parameters
    ----------
    record : Mapping[str, Any]
        Of the published run.
    key : str
        The name of the metric, which has an interval.
    share : Prevalence
        The repetition's.

    Raises
    ------
    ForgettingError
        The repetition's share lies outside the published interval.
    """
    metrics = record["metrics"]
    if not metrics[f"{key}_low"] <= share.share <= metrics[f"{key}_high"]:
        raise ForgettingError(
            f"{key} is {share.share:.2%}, not {metrics[key]:.2%} as published. Repeat the run on "
            "the published weights, or publish it anew."
        )
    return float(metrics[key])
