"""Tasks of the bench in which a flow forgets a person, or draws an attribute less often."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from forgetting.experiments import attribute_samples, likelihoods, membership
from forgetting.experiments.attribute_images import load_attribute_images
from forgetting.experiments.bench_task import BenchTask, Figures, percent, rounded, solved
from forgetting.experiments.context import Experiment
from forgetting.experiments.flow_task import load_flow
from forgetting.experiments.person_splits import similarity_filter
from forgetting.experiments.person_task import load_person_task
from forgetting.experiments.samples import compare_samples
from forgetting.methods.method import AnyMethod
from forgetting.methods.taming_registry import TamingMethod
from forgetting.metrics.likelihood import compare
from forgetting.zoo import references


class TamingBenchTask(BenchTask):
    """A flow of the zoo; `max_steps` are those of a method at most."""

    max_steps: int = Field(ge=1)

    takes: ClassVar[type[AnyMethod[Any]]] = TamingMethod
    base: ClassVar[str] = "TamingConfig"

    @property
    def budget(self) -> dict[str, int]:
        """The settings of a method that the task fixes, by name."""
        return {"max_steps": self.max_steps}


class PersonBenchTask(TamingBenchTask):
    """A flow, and the person whom it shall forget."""

    source: Literal["lfw", "latent"]
    person: str
    retrained: str
    n_forget: int = Field(ge=1, le=15)
    n_likelihood_reference: int = Field(ge=20)
    draws: int = Field(ge=1)

    headings: ClassVar[tuple[str, ...]] = (
        *("forgotten lie at", "drop beyond others", "held-out moved", "FID", "floor"),
        *("near before", "near after", "change AUC"),
    )

    def run(self, run: Experiment, method: Any, config: Any) -> Figures:
        """Forget the person by a method, and measure likelihoods, samples and membership."""
        task = load_person_task(run, self)
        base, person, forget = task.base, task.person, task.forget
        tamed, history = solved(
            run, method.name, lambda: method(base, forget, person.retain, config)
        )
        noise = {"draws": self.draws, "seed": run.seed("noise")}
        sets = {"forget": forget, **person.sets}
        comparison = compare(base, tamed, sets, person.likelihood_reference, **noise)
        metrics = likelihoods.likelihood_metrics(comparison)
        metrics |= likelihoods.threshold_metrics(comparison, 4.0, 0.0)
        metrics |= likelihoods.person_shift_metrics(comparison)
        metrics["drop_reference_minus_neutral"] = likelihoods.reference_minus_neutral(metrics)
        flows = {"before": base, "after": tamed}
        if self.retrained:
            flows["retrained"] = run.load(self.retrained, "glow")
            never = compare(base, flows["retrained"], sets, person.likelihood_reference, **noise)
            metrics |= likelihoods.retrained_quantiles(never)
        asked = membership.membership_sets(person, forget, run.generator("others"))
        of_flows = {
            name: membership.FlowLikelihoods.of(flow, asked, person.likelihood_reference, **noise)
            for name, flow in flows.items()
        }
        metrics |= membership.membership_metrics(of_flows)
        subset = f"{base.image_shape[-1]}.all"
        metrics["fid_floor"] = references.floor(
            run.record(references.FACES), subset, self.n_samples
        )
        metrics |= compare_samples(
            base,
            tamed,
            self.n_samples,
            attribute_samples.BEST_TEMPERATURE,
            seeds=[run.seed(f"draw {draw}") for draw in range(attribute_samples.N_DRAWS)],
            reference=run.statistics(subset, references.FACES),
            feature_classifier=task.classifier_a,
            has_feature=similarity_filter(person, task.embedding),
            name="near_share",
        )
        return metrics, history

    def cells(self, metrics: Mapping[str, float]) -> list[str]:
        """Return where forgotten images lie, what moved, FID, samples near the person, and AUC."""
        low, high = metrics["reached_low"], metrics["reached_high"]
        return [
            f"{low:+.1f} to {high:+.1f}",
            *rounded(metrics, "drop_reference_minus_neutral", "shift_random_sigma"),
            *rounded(metrics, "fid_after", "fid_floor"),
            *percent(metrics, "near_share_before", "near_share_after"),
            *rounded(metrics, "membership_change_forget"),
        ]


class RareBenchTask(TamingBenchTask):
    """A flow, and the attribute that its samples shall show less often."""

    source: Literal["celeba", "latent"]
    attribute: str
    temperature: float = Field(gt=0, le=2)

    headings: ClassVar[tuple[str, ...]] = ("before", "after", "held-out moved", "FID", "floor")

    def run(self, run: Experiment, method: Any, config: Any) -> Figures:
        """Tame all faces that show the attribute by a method, and count it among samples."""
        base = load_flow(run, self.model)
        classifier_a, classifier_b = run.load("faces-classifier-a"), run.load("faces-classifier-b")
        faces = load_attribute_images(run, self.source, base, classifier_a, [self.attribute])
        tamed, history = solved(
            run, method.name, lambda: method(base, faces.showing, faces.lacking, config)
        )
        threshold = attribute_samples.strict_threshold(run, self.attribute, base.image_shape[-1])
        detect = attribute_samples.attribute_detector
        metrics = {"n_forget": float(len(faces.showing))}
        metrics |= attribute_samples.compare_face_samples(
            run,
            base,
            {"after": tamed},
            self.n_samples,
            self.temperature,
            classifier_a,
            kinds=detect(classifier_a, self.attribute),
            has_feature=detect(classifier_b, self.attribute, threshold),
        )
        metrics |= attribute_samples.held_out_shift(run, base, tamed, faces.unseen)
        return metrics, history

    def cells(self, metrics: Mapping[str, float]) -> list[str]:
        """Return the shares by classifier B, how far others moved, and FID."""
        return [
            *percent(metrics, "prevalence_strict_before", "prevalence_strict_after"),
            *rounded(metrics, "shift_random_sigma", "fid_after_t9", "fid_floor"),
        ]
