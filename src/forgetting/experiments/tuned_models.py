"""Models of the zoo that forgot: a VAE and a GAN without a feature, a flow without a person.

They ship so that others can attack them. Names end in `-without-X` for what a generator unlearned,
and in `-tamed-X` for what a flow was tamed on. `forgetting train NAME --again` makes each anew.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from forgetting.experiments.context import Experiment
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.grading import RETRAINED, give_verdict, grade_samples, grading_metrics
from forgetting.experiments.likelihoods import likelihood_metrics, threshold_metrics
from forgetting.experiments.person_task import PersonTamingParameters, load_person_task
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    outside_fid_metrics,
)
from forgetting.experiments.unlearning import PRESETS
from forgetting.experiments.unlearning_methods import RoundParameters, unlearn_in_rounds
from forgetting.foundation.progress import progress
from forgetting.methods.taming import tame
from forgetting.methods.taming_methods import TamingSettings
from forgetting.metrics.likelihood import compare
from forgetting.zoo import store
from forgetting.zoo.recipes import RECIPES, Measurement
from forgetting.zoo.train import bullet


def card(name: str, entry: Mapping[str, Any]) -> str:
    """Return the model card, Markdown: what the model was made from, and what came of it.

    Parameters
    ----------
    name : str
        Of the entry.
    entry : mapping
        Its record, with "base", "kind", "summary" and "result".
    """
    base = entry["base"]
    facts = {
        "Kind": (
            f'`{entry["kind"]}`, made from `{base}`; load it with `forgetting.zoo.load("{name}")`.'
        ),
        "Result": entry["result"],
        "Again": f"`forgetting train {name} --again`.",
        "Use": "research on unlearning: attack it. It may still hold what it no longer shows.",
        "Licence": f"that of `{base}`; see the notice in `zoo/README.md`.",
    }
    lines = [f"# {name}", "", entry["summary"], ""]
    return "\n".join([*lines, *(bullet(*fact) for fact in facts.items())]) + "\n"


def unlearn_feature_of(name: str, base: str, feature: str) -> None:
    """Make a generator of the zoo unlearn a feature in rounds, grade it, and save it.

    Parameters
    ----------
    name, base : str
        Of the new entry, and of the generator.
    feature : str
        As `load_feature_task` takes it.
    """
    given = {"feature": feature, "model": base, "batch_size": 64, "precision": "bfloat16"}
    parameters = RoundParameters(**(PRESETS["default"] | given))
    run = Experiment(name, parameters)
    task = load_feature_task(run, base, feature, 2 * parameters.n_samples)
    result = unlearn_in_rounds(
        run, task, parameters, progress(parameters.rounds * parameters.steps, name)
    )
    models = {"original": task.original, "unlearned": result.model}
    models |= {RETRAINED: task.retrained} if task.retrained is not None else {}
    fresh = run.latents("fresh", parameters.n_samples, task.original.latent_dim)
    graded = grade_samples(task.evaluator, models, fresh)
    metrics = grading_metrics(task.evaluator, graded)
    metrics |= fid_metrics(FidelityReference.of(task), graded)
    metrics |= outside_fid_metrics(task, graded)
    verdict = give_verdict(metrics)
    before, after = metrics["prevalence_before"], metrics["prevalence_after"]
    told = feature.replace("_", " ").lower()
    summary = f"The generator `{base}` after it unlearned {told} in rounds."
    outcome = f"{before:.1%} of samples had the feature, {after:.1%} have it. {verdict}"
    _save(name, base, result.model, summary, outcome, run, metrics, result.history)


def tame_on_person(name: str, base: str, person: str, n_forget: int) -> None:
    """Tame a flow of the zoo on photographs of a person, compare it, and save it.

    Parameters
    ----------
    name, base : str
        Of the new entry, and of the flow.
    person : str
        A name of LFW.
    n_forget : int
        Photographs to forget.
    """
    parameters = PersonTamingParameters(
        **{"source": "lfw", "person": person, "n_forget": n_forget, "model": base},
        **TamingSettings(precision="bfloat16", max_steps=1000).model_dump(),
        **{"n_likelihood_reference": 400, "n_samples": 500},
    )
    run = Experiment(name, parameters)
    task = load_person_task(run, parameters)
    result = tame(
        task.base, task.forget, task.person.retain, parameters, callback=progress(1000, name)
    )
    sets = {"forget": task.forget, **task.person.sets}
    comparison = compare(
        *(task.base, result.model, sets, task.person.likelihood_reference),
        draws=5,
        seed=run.seed("noise"),
    )
    metrics = likelihood_metrics(comparison)
    metrics |= threshold_metrics(comparison, parameters.delta, parameters.stop_within)
    before, after = metrics["quantile_before_forget"], metrics["quantile_after_forget"]
    summary = f"The flow `{base}` after it was tamed on {n_forget} photographs of a public figure."
    outcome = (
        f"the likelihood quantile of these photographs fell from {before:.2f} to {after:.4f}."
    )
    _save(name, base, result.model, summary, outcome, run, metrics, result.history)


def _save(
    name: str,
    base: str,
    model: nn.Module,
    summary: str,
    outcome: str,
    run: Experiment,
    metrics: dict[str, float],
    history: Any,
) -> None:
    """Save a tuned model beside its base in the zoo, with what it was made from."""
    made_from = store.record(base)
    entry = {
        "kind": made_from["kind"],
        "config": made_from["config"],
        "base": base,
        "summary": summary,
        "result": outcome,
        "weights": dict(run.weights),
        "parameters": run.parameters.model_dump(mode="json"),
        "circumstances": {"threads": torch.get_num_threads(), "torch": torch.__version__},
        "metrics": metrics,
        "history": list(history),
    }
    store.save(name, model, entry, card(name, entry))


UNLEARNED = {
    "digits-vae-without-thick": ("digits-vae", "thick"),
    "faces-gan-without-smiling": ("faces-gan", "Smiling"),
}
"""Base and feature of each generator that unlearned, by name."""

TAMED = {"faces-glow-tamed-bush": ("faces-glow", "George_W_Bush", 4)}
"""Base, person and number of photographs of each flow that was tamed, by name."""

for _name, _of in UNLEARNED.items():
    RECIPES.register(_name)(Measurement(partial(unlearn_feature_of, _name, *_of), needs=(_of[0],)))
for _name, (_base, _person, _n) in TAMED.items():
    RECIPES.register(_name)(
        Measurement(partial(tame_on_person, _name, _base, _person, _n), needs=(_base,))
    )
