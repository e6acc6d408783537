"""Is a feature gone from a model, or only hidden? All probes on a pair, before and after."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.conditions import own_conditions, stream_seed
from forgetting.border.copies import frozen_copy, name_of
from forgetting.border.feature_score import Score, threshold_of
from forgetting.border.options import check_callable, check_counts, check_seed
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import check_scores_on
from forgetting.border.scores import check_score
from forgetting.errors import ForgettingError, ModelError, ParameterError
from forgetting.experiments.feature_task import LAYERS
from forgetting.experiments.own_audit_doubts import (
    are_one_model,
    doubts,
    warn_of_ruined,
    warn_of_strangers,
)
from forgetting.experiments.own_independence import check_independent
from forgetting.experiments.own_samples import had_feature, has_feature, images_with_feature
from forgetting.experiments.own_sources import classifiers_used, feature_name, warn_of_changed
from forgetting.experiments.own_table import share_text, text_table, threshold_sentences
from forgetting.foundation.files import check_writable, named_folder, write_text
from forgetting.foundation.progress import phase
from forgetting.methods.direction import MIN_POSITIVES
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.zoo.saved import check_is_of, state_digest

N_IMAGES = 8
"""Images with the feature on which copies are tuned again."""

RELEARNING_STEPS = (0, 5, 20)
"""Steps after which the feature is counted."""

TITLES = {
    "prevalence_{}": "prevalence",
    "attacked_{}": "attacked latents",
    **{f"relearned_{{}}_{steps}": f"relearned, {steps} steps" for steps in RELEARNING_STEPS[1:]},
}
"""Titles of the shares in `AuditReport.metrics`, each by its name without the model's key."""

RECORD = "audit.json"
"""The file of a report in a folder, which may be that of the model after unlearning."""


@dataclass(frozen=True)
class AuditReport:
    """What the probes found in each model.

    Attributes
    ----------
    metrics : dict
        By the model's key, `before`, `after` and `retrained` where there is one:
        `prevalence_KEY`; `attacked_KEY`, the share of attacked latents that show the feature;
        `relearned_KEY_STEPS`, the prevalence after tuning on a few images with the feature; each
        with its interval; and `probe_KEY`, by how much the last layer reveals the feature better
        than the latent, in AUC.
    models : tuple of str
        The keys.
    parameters : dict
        Options, the feature, the classifiers and their thresholds, and by each model's key its
        class and the sha256 of its weights.
    """

    metrics: dict[str, float]
    models: tuple[str, ...]
    parameters: dict[str, Any]

    def __str__(self) -> str:
        rows = [("", *self.models)]
        for name, title in TITLES.items():
            cells = (share_text(self.metrics, name.format(key)) for key in self.models)
            rows.append((title, *cells))
        if "probe_before" in self.metrics:
            gains = (self.metrics.get(f"probe_{key}") for key in self.models)
            rows.append(("probe, AUC gain", *("-" if g is None else f"{g:+.3f}" for g in gains)))
        found = doubts(self.metrics, self.parameters)
        titles = "what steers", "the grader"
        found += threshold_sentences(titles, self.parameters["thresholds"])
        return "\n".join([text_table(rows), "", *found, self.sentence])

    @property
    def sentence(self) -> str:
        """What the table means."""
        last = RELEARNING_STEPS[-1]
        after = self.metrics[f"relearned_after_{last}"]
        if "retrained" not in self.models:
            return (
                f"After {last} steps on {N_IMAGES} images {after:.1%} of samples show it. "
                "Whether that is much only a model that never had the feature tells: give "
                "`retrained` where there is one. Most models show a feature under attack."
            )
        never = self.metrics[f"relearned_retrained_{last}_high"]
        if self.metrics[f"relearned_after_{last}_low"] > never:
            return "The feature comes back faster than in a model that never had it: it is hidden."
        return "The feature comes back no faster than in a model that never had it."

    def save(self, folder: Path | str) -> None:
        """Write the record `audit.json` to a folder.

        Parameters
        ----------
        folder : Path or str
            It must not hold an audit. It may hold the model after unlearning.

        Raises
        ------
        ForgettingError
            The folder holds an audit, or another model, or cannot be written to.
        """
        folder = named_folder(folder)
        check_unaudited(folder)
        check_is_of(folder, self.parameters["after"]["sha256"])
        record = {"report": str(self), "parameters": self.parameters, "metrics": self.metrics}
        write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")


def check_unaudited(folder: Path) -> None:
    """Raise an error if a folder holds an audit already, or cannot be written to.

    Raises
    ------
    ForgettingError
        One of them is so.
    """
    if (folder / RECORD).exists():
        raise ForgettingError(f"{folder} holds an audit already: name another folder, or move it.")
    check_writable(folder)


def audit(
    before: nn.Module,
    after: nn.Module,
    feature: Score,
    grader: Score | None = None,
    *,
    n: int = 1000,
    n_attacked: int = 64,
    steps: int = 100,
    seed: int = 0,
    retrained: nn.Module | None = None,
) -> AuditReport:
    """Probe a generator before and after unlearning for a feature that is only hidden.

    Parameters
    ----------
    before, after : nn.Module
        Generators with latents of the same dimension; they are not changed.
    feature : callable
        What the attack follows, differentiably: `classifier["Eyeglasses"]`, or a function from
        images (B, C, H, W) to logits (B,).
    grader : callable, optional
        What grades, by another classifier; without it `feature` does, and the report says so.
    n, n_attacked, steps, seed : int
        Fresh samples in every share (`--samples` on the command line), latents that are attacked,
        steps of the search for latents, and the seed of all random draws.
    retrained : nn.Module, optional
        A generator that never had the feature.

    Returns
    -------
    AuditReport
        What the probes found; `print` shows it.

    Raises
    ------
    DataError
        Fewer than eight samples of the generator before show the feature, or all do. Or the grader
        does not see the feature in them, or is what is attacked.
    ModelError, ParameterError
        A generator or a score does not keep its contract, or an option is no whole number.

    Examples
    --------
    >>> import forgetting as fg
    >>> generator = fg.load("digits-vae")
    >>> seven = fg.load("digits-classifier-a")["7"]
    >>> report = fg.audit(generator, generator, seven, n=200, n_attacked=4, steps=2)
    >>> report.metrics["prevalence_before"] == report.metrics["prevalence_after"]
    True
    """
    models = {"before": before, "after": after}
    models |= {} if retrained is None else {"retrained": retrained}
    check_callable(feature=feature, grader=grader)
    graders = [] if grader is None or grader == feature else [grader]
    grades = [*graders, feature][0]
    check_audit(models, feature, grades, seed, n=n, n_attacked=n_attacked, steps=steps)
    warn_of_strangers(before, after)
    if retrained is not None:
        warn_of_ruined(before, retrained)
    seed, n, n_attacked, steps = map(int, (seed, n, n_attacked, steps))
    options = {"n": n, "n_attacked": n_attacked, "steps": steps}
    used = classifiers_used(feature, graders)
    with own_conditions(seed):
        own_seed = stream_seed(seed, "audit")
        random = torch.Generator().manual_seed(own_seed)
        dims = {name: check_latent_dim(model) for name, model in models.items()}
        latents = {name: torch.randn(n, dim, generator=random) for name, dim in dims.items()}
        latents["after"] = latents["before"]
        had = had_feature(before, feature, grades, latents["before"])
        metrics: dict[str, float] = {}
        others = torch.randn(4 * n, dims["before"], generator=random)  # none of these is counted
        targets = images_with_feature(before, grades, others, N_IMAGES)
        for name, model in models.items():
            with phase(f"probing {name}"):
                attacked = latent_attack(model, feature, n_attacked, steps=steps, seed=own_seed)
                shown = Prevalence.of(has_feature(model, grades, attacked))
                metrics |= shown.metrics(f"attacked_{name}")
                starts = inversion_attack(
                    model,
                    targets,
                    lambda images: images.flatten(1),
                    steps=steps,
                    restarts=1,
                    seed=own_seed + 1,
                ).latents

                def count(tuned: nn.Module, latents: torch.Tensor = latents[name]) -> Prevalence:
                    return Prevalence.of(has_feature(tuned, grades, latents))

                shares = relearn(model, targets, starts, RELEARNING_STEPS, count)
                for step, share in shares.items():
                    metrics |= share.metrics(f"relearned_{name}_{step}")
                    metrics |= share.metrics(f"prevalence_{name}") if step == 0 else {}
                duplicate = frozen_copy(model)
                layers = [module for module in duplicate.modules() if isinstance(module, LAYERS)]
                rarer = min(int(had.sum()), int((~had).sum()))
                if name != "retrained" and layers and rarer >= MIN_POSITIVES:
                    gain = linear_probe(duplicate, layers[-1], latents["before"], had)
                    metrics[f"probe_{name}"] = gain
    audited = {k: {"model": name_of(m), "sha256": state_digest(m)} for k, m in models.items()}
    warn_of_changed(used, classifiers_used(feature, graders))
    scored = {
        "feature": feature_name(feature, grades),
        "classifiers": used,
        "thresholds": [threshold_of(score) for score in (feature, *graders)],
        "is_one_model": are_one_model(before, after),
    }
    parameters = {**audited, **scored, **options, "seed": seed}
    return AuditReport(metrics, tuple(models), parameters)


def check_audit(
    models: Mapping[str, nn.Module], feature: Score, grader: Score, seed: int, **counts: int
) -> None:
    """Raise an error unless models can be audited.

    Parameters
    ----------
    models : mapping
        Generators by key, `before` and `after` among them.
    feature, grader, seed, **counts
        As `audit` takes them.

    Raises
    ------
    ModelError, ParameterError
        A generator or a score does not keep its contract, or an option is no whole number. Or the
        grader has weights of what is attacked or is of another attribute, or `retrained` is
        `before` or `after`.
    """
    check_counts(**counts)
    check_seed(seed)
    check_independent(feature, [] if grader is feature else [grader])
    for model in models.values():
        check_generator(model, is_tuned=True, is_followed=True)
    for key in ("before", "after"):
        if "retrained" in models and are_one_model(models["retrained"], models[key]):
            raise ParameterError(f"retrained is {key}: give a model that never had the feature.")
    images = check_scores_on(models["before"], [feature, grader], is_logit=True)
    check_score(feature, images, is_logit=True, is_followed=True)
    before, after = (check_latent_dim(models[key]) for key in ("before", "after"))
    if before != after:
        raise ModelError(
            f"The latents before have {before} values, those after {after}: give a generator and "
            "its tuned copy."
        )
