"""Tasks of the bench in which a flow forgets a person, or draws an attribute less often."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from forgetting.experiments import attribute_samples, likelihoods, membership
from forgetting.experiments.attribute_images import load_attribute_images
from forgetting.experiments.bench_kept import KeptResult
from forgetting.experiments.bench_solved import solved
from forgetting.experiments.bench_task import BenchTask, Figures, percent, rounded
from forgetting.experiments.context import Experiment
from forgetting.experiments.flow_task import load_flow
from forgetting.experiments.person_splits import similarity_filter
from forgetting.experiments.person_task import load_person_task
from forgetting.experiments.samples import compare_samples
from forgetting.foundation.progress import phase
from forgetting.methods.method import AnyMethod
from forgetting.methods.taming_registry import TamingMethod
from forgetting.metrics.likelihood import compare
from forgetting.models.glow import Glow
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

    def tamed(
        self,
        run: Experiment,
        kept: KeptResult,
        method: Any,
        config: Any,
        base: Glow,
        forget: torch.Tensor,
        retain: torch.Tensor,
    ) -> tuple[Any, list[dict[str, float]]]:
        """Return the flow and the history that a method gives, as `solved` does."""
        return solved(
            run,
            kept,
            method.name,
            base,
            lambda: method(base, forget, retain, config),
            n_steps=self.max_steps,
            contract="flow",
            shape=base.image_shape,
        )


class PersonBenchTask(TamingBenchTask):
    """A flow, and the person whom it shall forget."""

    source: Literal["lfw", "latent"]
    person: str
    retrained: str
    n_forget: int = Field(ge=1, le=15)
    n_likelihood_reference: int = Field(ge=20)
    draws: int = Field(ge=1)

    columns: ClassVar[Mapping[str, str]] = {
        "forgotten lie at": "Where the forgotten images lie in the tuned flow, from the likeliest "
        "to the unlikeliest: in its sigma of bits/dim, above the mean of ordinary faces. 4 are to "
        "be reached.",
        "drop beyond others": "How much further the likelihood quantile of other images of the "
        "person falls than that of people whom the flow never saw; from -1 to 1.",
        "held-out moved": "Mean shift of faces that neither the flow nor the method has seen, in "
        "sigma of the base; above 0 they became less likely, and 0 is best.",
        "FID before": "FID of the base's samples to real faces, a mean over three draws.",
        "FID": "The same of the tuned flow, from the same latents.",
        "floor": "FID of real training faces to the same real faces, as many as samples.",
        "near before": "Share of the base's samples that are more like the person than 99 of 100 "
        "faces of others.",
        "near after": "The same of the tuned flow, from the same latents.",
        "change AUC": "How well an attacker who has both flows tells the forgotten images from "
        "unseen ones by how much less likely they became; 0.5 is chance. Of few images it is "
        "coarse: 4 that move furthest of all give 1, whatever their distance.",
    }

    def run(self, run: Experiment, method: Any, config: Any, kept: KeptResult) -> Figures:
        """Forget the person by a method, and measure likelihoods, samples and membership."""
        with phase("preparing"):
            task = load_person_task(run, self)
        base, person, forget = task.base, task.person, task.forget
        tamed, history = self.tamed(run, kept, method, config, base, forget, person.retain)
        noise = {"draws": self.draws, "seed": run.seed("noise")}
        sets = {"forget": forget, **person.sets}
        with phase("grading likelihoods"):
            comparison = compare(base, tamed, sets, person.likelihood_reference, **noise)
            metrics = likelihoods.likelihood_metrics(comparison)
            metrics |= likelihoods.threshold_metrics(comparison, 4.0, 0.0)
            metrics |= likelihoods.person_shift_metrics(comparison)
            metrics["drop_reference_minus_neutral"] = likelihoods.reference_minus_neutral(metrics)
            flows = {"before": base, "after": tamed}
            if self.retrained:
                flows["retrained"] = run.load(self.retrained, "glow")
                never = compare(
                    base, flows["retrained"], sets, person.likelihood_reference, **noise
                )
                metrics |= likelihoods.retrained_quantiles(never)
        with phase("grading membership"):
            asked = membership.membership_sets(person, forget, run.generator("others"))
            of_flows = {
                name: membership.FlowLikelihoods.of(
                    flow, asked, person.likelihood_reference, **noise
                )
                for name, flow in flows.items()
            }
            metrics |= membership.membership_metrics(of_flows)
        subset = f"{base.image_shape[-1]}.all"
        metrics["fid_floor"] = references.floor(
            run.record(references.FACES), subset, self.n_samples
        )
        with phase("grading samples"):
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
            *rounded(metrics, "fid_before", "fid_after", "fid_floor"),
            *percent(metrics, "near_share_before", "near_share_after"),
            *rounded(metrics, "membership_change_forget"),
        ]


class RareBenchTask(TamingBenchTask):
    """A flow, and the attribute that its samples shall show less often."""

    source: Literal["celeba", "latent"]
    attribute: str
    temperature: float = Field(gt=0, le=2)

    columns: ClassVar[Mapping[str, str]] = {
        "before": "Share of the base's samples that show the attribute, by classifier B at its "
        "strict threshold.",
        "after": "The same of the tuned flow, from the same latents.",
        "held-out moved": PersonBenchTask.columns["held-out moved"],
        "FID before": "FID of the base's samples to real faces, at a temperature of 0.9.",
        "FID": "The same of the tuned flow, from the same latents.",
        "floor": PersonBenchTask.columns["floor"],
    }

    def run(self, run: Experiment, method: Any, config: Any, kept: KeptResult) -> Figures:
        """Tame all faces that show the attribute by a method, and count it among samples."""
        base = load_flow(run, self.model)
        classifier_a, classifier_b = run.load("faces-classifier-a"), run.load("faces-classifier-b")
        with phase("preparing"):
            faces = load_attribute_images(run, self.source, base, classifier_a, [self.attribute])
        showing, lacking = faces.showing, faces.lacking
        tamed, history = self.tamed(run, kept, method, config, base, showing, lacking)
        threshold = attribute_samples.strict_threshold(run, self.attribute, base.image_shape[-1])
        detect = attribute_samples.attribute_detector
        metrics = {"n_forget": float(len(showing))}
        with phase("grading samples"):
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
        with phase("grading likelihoods"):
            metrics |= attribute_samples.held_out_shift(run, base, tamed, faces.unseen)
        return metrics, history

    def cells(self, metrics: Mapping[str, float]) -> list[str]:
        """Return the shares by classifier B, how far others moved, and FID."""
        return [
            *percent(metrics, "prevalence_strict_before", "prevalence_strict_after"),
            *rounded(metrics, "shift_random_sigma"),
            *rounded(metrics, "fid_before_t9", "fid_after_t9", "fid_floor"),
        ]
