"""The form of run records, and how older ones are brought to it."""

import re
from typing import Any

SCHEMA = 2
"""Number of the form that records have now; `upgrade` brings those of form 1 to it."""

PARAMETERS = {
    "by_hand": "manual_labels",
    "threshold": "projection_threshold",
    "judge_lr": "classifier_lr",
    "remember_batch_size": "retain_batch_size",
    "n_remember": "n_retain",
    "n_yardstick": "n_likelihood_reference",
}
METRICS = (
    (r"^threshold$", "projection_threshold"),
    (r"^measured_threshold$", "threshold"),
    (r"^shift_remembered_", "shift_retained_"),
    (r"tried_judge_a_", "tried_classifier_a_"),
    (r"^presence_b_", "prevalence_strict_"),
    (r"_twice_to_remember", "_twice_to_retain"),
    (r"_and_remembering", "_and_retaining"),
    (r"_no_remembering", "_no_retaining"),
)
HISTORY = {"remember_bpd": "retain_bpd", "loss_judge": "loss_classifier"}
STRICT = ("flow_two_ways", "taming_attribute")
"""Templates whose shares of faces were all taken at classifier B's strict threshold."""


def upgrade(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of form 1 in form 2: the same values under the names of today.

    A share of faces that classifier B counted at its strict threshold is `prevalence_strict_*`;
    every other share is `prevalence_*`, and what classifier A counted `prevalence_a_*`.
    """
    if record.get("schema") == SCHEMA:
        return record
    return {
        "schema": SCHEMA,
        **record,
        "name": _case(record["name"]),
        "parameters": {PARAMETERS.get(k, k): v for k, v in record["parameters"].items()},
        "metrics": {_metric(k, record): v for k, v in record["metrics"].items()},
        "weights": {weights_name(k): v for k, v in record["weights"].items()},
        "history": [{HISTORY.get(k, k): v for k, v in row.items()} for row in record["history"]],
    }


def weights_name(name: str) -> str:
    """Return the name that the zoo has for what it called NAME until form 2."""
    return name.replace("-judge-", "-classifier-")


def _case(name: str) -> str:
    return name.replace("_to_remember", "_to_retain").replace("remembering", "retaining")


def _metric(name: str, record: dict[str, Any]) -> str:
    for pattern, new in METRICS:
        if re.search(pattern, name):
            return re.sub(pattern, new, name)
    faces = str(record["parameters"].get("model", "")).startswith("faces") or "_faces_" in name
    strict = record["template"] in STRICT or faces
    if record["template"] == "base_faces" or name.startswith("presence_a_"):
        strict = False
    return name.replace("presence_", "prevalence_strict_" if strict else "prevalence_")
