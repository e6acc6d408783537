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
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.bench_solved import solved
from forgetting.experiments.bench_task import BenchTask, Figures, percent
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
from forgetting.foundation.progress import phase
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
    columns: ClassVar[Mapping[str, str]] = {
        "before": "Share of the original's samples that show the feature, by the first grader: of "
        "digits a measurement, of faces classifier B.",
        "after": "The same of the tuned generator, from the same latents.",
        "none is": "The same of a model that never saw the feature, or else the share that the "
        "grader finds where the feature is certainly absent.",
        "FID": "FID of the tuned generator's samples to the original's own samples without the "
        "feature; empty where there are too few samples for it.",
        "floor": "FID between two halves of these samples of the original.",
        "verdict": "The word of the study's rule, from all graders; *damaged* means an FID over "
        "twice its floor.",
        "probes": "What the latent attack finds beyond the retrained model; the small tasks leave "
        "it out.",
    }
    base: ClassVar[str] = "FinetuneConfig"

    @property
    def budget(self) -> dict[str, int]:
        """The settings of a method that the task fixes, by name."""
        return {"steps": self.steps, "batch_size": self.batch_size}

    def run(self, run: Experiment, method: Any, config: Any, kept: KeptResult) -> Figures:
        """Unlearn the feature by a method, and grade what is left; see `BenchTask`."""
        task = load_feature_task(run, self.model, self.feature, self.n_samples)
        if method.needs_score and not task.has_gradient:
            raise ParameterError(
                f"{method.name} follows a gradient, and classifier A has no {self.feature}: "
                "choose another task."
            )
        with phase("preparing"):
            direction = find_direction(collect_task_latents(run, task, self.n_collected))
        score = task.evaluator.score if method.needs_score else None
        tuned, history = solved(
            run,
            kept,
            method.name,
            task.original,
            lambda: method(task.original, direction, score, config, trainable=task.trainable),
            n_steps=self.steps,
            contract="generator",
            shape=[task.original.latent_dim],
        )
        models = {"original": task.original, "unlearned": tuned}
        if task.retrained is not None:
            models[RETRAINED] = task.retrained
        latents = run.latents("fresh", self.n_samples, task.original.latent_dim)
        with phase("grading samples"):
            graded = grade_samples(task.evaluator, models, latents)
            metrics = grading_metrics(task.evaluator, graded)
            metrics |= fid_metrics(FidelityReference.of(task), graded)
            metrics |= outside_fid_metrics(task, graded)
            metrics |= locality_metrics(task.evaluator, graded)
        if self.attack_steps and task.has_gradient:
            budget = AttackBudget(self.attack_steps, restarts=2)
            with phase("attacking latents"):
                attacked = attack_latents(
                    task, models, self.n_attacked, budget, run.seed("attack")
                )
            metrics |= recorded(attacked) | attack_excess(attacked)
            own = {name: model for name, model in models.items() if name != RETRAINED}
            with phase("probing layers"):
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
