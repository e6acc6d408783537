"""Tasks of the bench in which a generator unlearns a feature."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from forgetting.errors import ParameterError
from forgetting.experiments.attacks import (
    AttackBudget,
    attack_excess,
    attack_latents,
    attack_verdict,
)
from forgetting.experiments.bench_task import BenchTask, Figures, percent, solved
from forgetting.experiments.context import Experiment
from forgetting.experiments.feature_task import load_feature_task
from forgetting.experiments.grading import (
    RETRAINED,
    deciding_fid,
    give_verdict,
    grade_samples,
    grading_metrics,
)
from forgetting.experiments.probing import probe_last_layers
from forgetting.experiments.sample_fidelity import (
    FidelityReference,
    fid_metrics,
    outside_fid_metrics,
)
from forgetting.experiments.unlearning import collect_task_latents, locality_metrics, recorded
from forgetting.methods import Method
from forgetting.methods.direction import find_direction
from forgetting.methods.method import AnyMethod


class FeatureBenchTask(BenchTask):
    """A generator of the zoo, and the feature that it shall unlearn.

    Where `attack_steps` is not 0, the latent attack and the linear probe look for what is only
    hidden.
    """

    feature: str
    n_collected: int = Field(ge=100)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    attack_steps: int = Field(ge=0)
    n_attacked: int = Field(ge=0)

    takes: ClassVar[type[AnyMethod[Any]]] = Method
    headings: ClassVar[tuple[str, ...]] = (
        *("before", "after", "none is", "FID", "floor", "verdict", "probes"),
    )
    base: ClassVar[str] = "FinetuneConfig"

    @property
    def budget(self) -> dict[str, int]:
        """The settings of a method that the task fixes, by name."""
        return {"steps": self.steps, "batch_size": self.batch_size}

    def run(self, run: Experiment, method: Any, config: Any) -> Figures:
        """Unlearn the feature by a method, and grade what is left; see `BenchTask`."""
        task = load_feature_task(run, self.model, self.feature, self.n_samples)
        if method.needs_score and not task.has_gradient:
            raise ParameterError(
                f"{method.name} follows a gradient, and classifier A has no {self.feature}: "
                "choose another task."
            )
        direction = find_direction(collect_task_latents(run, task, self.n_collected))
        score = task.evaluator.score if method.needs_score else None
        tuned, history = solved(
            run,
            method.name,
            lambda: method(task.original, direction, score, config, trainable=task.trainable),
        )
        models = {"original": task.original, "unlearned": tuned}
        if task.retrained is not None:
            models[RETRAINED] = task.retrained
        latents = run.latents("fresh", self.n_samples, task.original.latent_dim)
        graded = grade_samples(task.evaluator, models, latents)
        metrics = grading_metrics(task.evaluator, graded)
        metrics |= fid_metrics(FidelityReference.of(task), graded)
        metrics |= outside_fid_metrics(task, graded)
        metrics |= locality_metrics(task.evaluator, graded)
        if self.attack_steps and task.has_gradient:
            budget = AttackBudget(self.attack_steps, restarts=2)
            attacked = attack_latents(task, models, self.n_attacked, budget, run.seed("attack"))
            metrics |= recorded(attacked) | attack_excess(attacked)
            own = {name: model for name, model in models.items() if name != RETRAINED}
            metrics |= recorded(probe_last_layers(task, own, latents, graded["original"]))
        return metrics, history

    def cells(self, metrics: Mapping[str, float]) -> list[str]:
        """Return shares by the first grader, FID where samples are enough for it, and verdicts."""
        verdict = give_verdict(metrics)
        words = [] if verdict is None else [verdict.word, *["damaged"] * bool(verdict.is_damaged)]
        never = "prevalence_retrained" if "prevalence_retrained" in metrics else "prevalence_floor"
        fids = [deciding_fid(metrics, key) for key in ("after", "floor")]
        is_attacked = any(name.startswith("attack_excess_") for name in metrics)
        return [
            *percent(metrics, "prevalence_before", "prevalence_after", never),
            *("" if fid is None else f"{fid:.2f}" for fid in fids),
            ", ".join(words),
            attack_verdict(metrics).partition(":")[0] if is_attacked else "",
        ]
